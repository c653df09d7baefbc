"""From a message to a call of the contract and back."""

import functools
from typing import Any

import msgspec
import oslo_messaging
from oslo_log import log

from guestagent.contract import ALLOWED, Call
from guestagent.contract.call import TROVE, VERSIONS
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import (
    GuestAgentError,
    InternalError,
    InvalidMessage,
    NotPrepared,
    SystemFailure,
    UnknownCall,
    UnsupportedVersion,
)
from guestagent.contract.states import Phase
from guestagent.manager import BaseDatastoreManager
from guestagent.operations.queue import Operation, OperationQueue
from guestagent.rpc.conductor import Conductor
from guestagent.rpc.envelope import Envelope

LOG = log.getLogger(__name__)


class Dispatcher:
    """Answers the messages that oslo.messaging receives, in the threads of its server.

    :param manager: the plugin's manager.
    :param envelope: opens requests and seals results.
    :param operations: where changes wait for their turn.
    :param conductor: hears how casts end.
    """

    def __init__(
        self,
        manager: BaseDatastoreManager,
        envelope: Envelope,
        operations: OperationQueue,
        conductor: Conductor,
    ) -> None:
        self._manager = manager
        self._envelope = envelope
        self._operations = operations
        self._conductor = conductor
        # Methods are bound once, from the contract's own list: nothing that arrives is looked up on the object.
        self._methods = {declared: getattr(manager, declared.name) for declared in ALLOWED.values()}
        self._has_phases = ALLOWED[TROVE, "prepare"].supported_by(type(manager))
        self._supported = {declared for declared in self._methods if declared.supported_by(type(manager))}

    def dispatch(self, incoming: Any) -> Any:
        """Answer one message; oslo.messaging sends what is returned or raised.

        :raises oslo_messaging.ExpectedException: around a :class:`GuestAgentError`, the only kind of
            error that leaves the guest. Its traceback stays here: it is nobody else's business.
        """
        try:
            return self._answer(incoming.message, incoming.ctxt, waits=is_awaited(incoming))
        except GuestAgentError as error:
            refused = error
        LOG.warning("%.64r refused or failed: %s", incoming.message.get("method"), refused)
        raise _expected(refused)

    def _answer(self, message: dict[str, Any], sealed_context: dict[str, Any], waits: bool) -> Any:
        name, namespace = message.get("method"), message.get("namespace") or TROVE
        sealed_arguments = message.get("args", {})
        if not (isinstance(name, str) and isinstance(namespace, str) and isinstance(sealed_arguments, dict)):
            raise InvalidMessage(problem="its method or namespace is no name, or its arguments are no mapping")
        declared = _find(name, namespace, message.get("version") or "1.0")
        values, plain = self._envelope.open_request(sealed_context, sealed_arguments)
        context = RequestContext(values)
        if waits:
            return self._envelope.seal_result(self._call(declared, context, plain))
        self._cast(declared, context, plain)
        return None

    def _call(self, declared: Call, context: RequestContext, plain: dict[str, Any]) -> Any:
        arguments = declared.bind(plain)
        if declared.reads:
            return self._perform(declared, context, arguments)
        work = functools.partial(self._perform, declared, context, arguments)
        result = self._operations.run(Operation(declared.name, context.request_id, work))
        LOG.info("%s (request %s) done", declared.name, context.request_id)
        return result

    def _cast(self, declared: Call, context: RequestContext, plain: dict[str, Any]) -> None:
        try:
            arguments = declared.bind(plain)
            if not declared.reads:
                work = functools.partial(self._see_through, declared, context, arguments)
                self._operations.enqueue(Operation(declared.name, context.request_id, work))
        except GuestAgentError as error:
            self._tell_failure(declared, context, error)
            raise

    def _see_through(self, declared: Call, context: RequestContext, arguments: dict[str, Any]) -> None:
        """Do what nobody waits for, and tell the conductor how it ended."""
        try:
            self._perform(declared, context, arguments)
        except GuestAgentError as error:
            self._tell_failure(declared, context, error)
            failed = str(error)
        else:
            LOG.info("%s (request %s) done", declared.name, context.request_id)
            if declared.notifies:
                self._conductor.notify_end(context)
            return
        LOG.error("%s (request %s) failed: %s", declared.name, context.request_id, failed)

    def _tell_failure(self, declared: Call, context: RequestContext, error: GuestAgentError) -> None:
        if declared.notifies:
            self._conductor.notify_error(context, error)

    def _perform(self, declared: Call, context: RequestContext, arguments: dict[str, Any]) -> Any:
        self._check_phase(declared)
        try:
            return msgspec.to_builtins(self._methods[declared](context, **arguments), str_keys=True)
        except GuestAgentError:
            raise
        except OSError as error:
            LOG.exception("%s (request %s) failed", declared.name, context.request_id)
            raise SystemFailure(subject=f"'{declared.name}'", problem=error.strerror or type(error).__name__) from error
        except Exception as error:
            LOG.exception("%s (request %s) failed unexpectedly", declared.name, context.request_id)
            raise InternalError(
                operation=declared.name, kind=type(error).__name__, request_id=context.request_id
            ) from error

    def _check_phase(self, declared: Call) -> None:
        phase = self._manager.guest.record.current.phase
        if phase is not Phase.READY and self._has_phases and declared.needs_instance and declared in self._supported:
            raise NotPrepared(operation=declared.name, phase=phase.value)


def _expected(refused: GuestAgentError) -> Exception:
    """The error as oslo.messaging sends it without a word in the log."""
    # Its traceback holds the whole message, in circles that only the garbage collector would find.
    refused.__cause__ = refused.__context__ = refused.__traceback__ = None
    # Trove puts our words into a sentence of its own, which ends with a full stop.
    refused.args = (str(refused).removesuffix("."),)
    answer: Exception = oslo_messaging.ExpectedException()
    answer.exc_info = (type(refused), refused, None)  # type: ignore[attr-defined]
    return answer


def _find(name: str, namespace: str, version: str) -> Call:
    """The declaration that a message means.

    :raises UnsupportedVersion: the message is newer than the contract.
    :raises UnknownCall: there is none.
    """
    spoken = VERSIONS.get(namespace)
    if spoken is None:
        raise UnknownCall(operation=name, namespace=namespace)
    try:
        major, minor = (int(part) for part in version.split("."))
    except (AttributeError, ValueError):
        raise InvalidMessage(problem="its version is not of the form major.minor") from None
    if major != spoken[0] or minor > spoken[1]:
        raise UnsupportedVersion(spoken=".".join(map(str, spoken)), asked=f"{major}.{minor}")
    try:
        return ALLOWED[namespace, name]
    except KeyError:
        raise UnknownCall(operation=name, namespace=namespace) from None


def is_awaited(incoming: Any) -> bool:
    """Whether somebody waits for the answer to a message."""
    # Its msg_id does not tell: oslo.messaging makes one up for casts. The in-memory bus hides its reply_q.
    return bool(getattr(incoming, "reply_q", None) or getattr(incoming, "_reply_q", None))


def is_prompt(message: dict[str, Any]) -> bool:
    """Whether a message asks for something that must never wait behind the database."""
    declared = ALLOWED.get((str(message.get("namespace") or TROVE), str(message.get("method"))))
    return declared is not None and declared.prompt
