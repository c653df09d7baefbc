"""From a message to a call of the contract and back."""

import functools
from collections.abc import Callable
from typing import Any

import msgspec
import oslo_messaging
from oslo_log import log

from guestagent.contract import ALLOWED, Call
from guestagent.contract.call import OWN, TROVE, VERSIONS
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
from guestagent.contract.states import BACKUP_FAILED, Phase
from guestagent.manager import BaseDatastoreManager
from guestagent.operations.journal import Duplicate, Journal, Unfinished
from guestagent.operations.operation import Operation, Request
from guestagent.operations.queue import OperationQueue
from guestagent.rpc.conductor import Conductor
from guestagent.rpc.envelope import Envelope

LOG = log.getLogger(__name__)

LOCAL_CONTEXT = {"is_admin": True}
"""Who is let in at the local socket could do everything anyway."""
STARTS_AND_STOPS = ("lifecycle", "upgrades", "volumes")
"""The capabilities whose calls say themselves whether the server runs; the others find it running."""


class Dispatcher:
    """Answers the messages that oslo.messaging receives, in the threads of its server.

    :param manager: the plugin's manager.
    :param envelope: opens requests and seals results.
    :param operations: where changes wait for their turn.
    :param journal: hears that the conductor has been told how a cast ended.
    :param conductor: hears how casts end.
    """

    def __init__(
        self,
        manager: BaseDatastoreManager,
        envelope: Envelope,
        operations: OperationQueue,
        journal: Journal,
        conductor: Conductor,
    ) -> None:
        self._manager = manager
        self._envelope = envelope
        self._operations = operations
        self._journal = journal
        self._conductor = conductor
        # Methods are bound once, from the contract's own list: nothing that arrives is looked up on the object.
        self._supported = {declared for declared in ALLOWED.values() if manager.supports(declared)}
        self._methods = {
            declared: getattr(manager, declared.name)
            if declared in self._supported
            else functools.partial(declared.refusal, manager)
            for declared in ALLOWED.values()
        }
        self._has_phases = ALLOWED[TROVE, "prepare"].supported_by(type(manager))

    def dispatch(self, incoming: Any) -> Any:
        """Answer one message; oslo.messaging sends what is returned or raised.

        :raises oslo_messaging.ExpectedException: around a :class:`GuestAgentError`, the only kind of
            error that leaves the guest. Its traceback stays here: it is nobody else's business.
        """
        try:
            return self._answer(incoming)
        except GuestAgentError as error:
            refused = error
        LOG.warning("%.64r refused or failed: %s", incoming.message.get("method"), refused)
        raise _expected(refused)

    def answer_local(self, name: str, arguments: dict[str, Any]) -> Any:
        """Answer a call of our own namespace that was made on this machine.

        :raises GuestAgentError: it is refused, or has failed.
        """
        declared = _find(name, OWN, ".".join(map(str, VERSIONS[OWN])))
        if declared.reads:
            return self._read(declared, LOCAL_CONTEXT, arguments)
        return self._change(declared, Request(OWN, arguments, LOCAL_CONTEXT, awaited=True), arguments)

    def revive(self, unfinished: Unfinished) -> Operation:
        """An operation that an earlier agent left, as this one can do it.

        :raises GuestAgentError: this one cannot do it.
        """
        declared = _find(unfinished.name, unfinished.request.namespace, "1.0")
        operation = self._operation(
            declared, unfinished.request, declared.bind(dict(unfinished.request.arguments or {}))
        )
        if declared.capability not in STARTS_AND_STOPS:
            operation.work = functools.partial(self._perform_on_running_server, operation.work)
        return operation

    def tell(self, unfinished: Unfinished, error: GuestAgentError | None) -> None:
        """Tell the conductor how an operation of an earlier agent ended."""
        declared = _find(unfinished.name, unfinished.request.namespace, "1.0")
        self._tell(declared, unfinished.request, error, unfinished.id)

    def _answer(self, incoming: Any) -> Any:
        message = incoming.message
        name, namespace = message.get("method"), message.get("namespace") or TROVE
        sealed_arguments = message.get("args", {})
        if not (isinstance(name, str) and isinstance(namespace, str) and isinstance(sealed_arguments, dict)):
            raise InvalidMessage(problem="its method or namespace is no name, or its arguments are no mapping")
        declared = _find(name, namespace, message.get("version") or "1.0")
        context, arguments = self._envelope.open_request(incoming.ctxt, sealed_arguments)
        awaited = is_awaited(incoming)
        if awaited and declared.reads:
            return self._envelope.seal_result(self._read(declared, context, arguments))
        # The broker's own deliveries of one message share its id; only the driver for a bus in memory has none.
        message_id = getattr(incoming, "unique_id", None)
        request = Request(namespace, arguments, context, message_id, declared.subject_of(arguments), awaited)
        if awaited:
            return self._envelope.seal_result(self._change(declared, request, arguments))
        self._cast(declared, request, arguments)
        return None

    def _read(self, declared: Call, context: dict[str, Any], arguments: dict[str, Any]) -> Any:
        return self._perform(declared, RequestContext(context), declared.bind(arguments))

    def _change(self, declared: Call, request: Request, arguments: dict[str, Any]) -> Any:
        operation = self._operation(declared, request, declared.bind(arguments))
        result = self._operations.run(operation)
        LOG.info("%s (request %s) done", declared.name, operation.request_id)
        return result

    def _cast(self, declared: Call, request: Request, arguments: dict[str, Any]) -> None:
        try:
            bound = declared.bind(arguments)
            if not declared.reads:
                self._operations.enqueue(self._operation(declared, request, bound))
        except Duplicate as duplicate:
            known = str(duplicate)
        except GuestAgentError as error:
            self._tell(declared, request, error)
            raise
        else:
            return
        LOG.warning("%s", known)

    def _operation(self, declared: Call, request: Request, arguments: dict[str, Any]) -> Operation:
        context = RequestContext(request.context)
        return Operation(
            declared.name,
            context.request_id,
            work=functools.partial(self._perform, declared, context, arguments),
            request=request,
            ended=lambda operation: None if request.awaited else self._see_off(declared, request, operation),
        )

    def _see_off(self, declared: Call, request: Request, operation: Operation) -> None:
        """What nobody waited for has ended: say so."""
        if operation.error is None:
            LOG.info("%s (request %s) done", declared.name, operation.request_id)
        else:
            LOG.error("%s (request %s) failed: %s", declared.name, operation.request_id, operation.error)
        self._tell(declared, request, operation.error, operation.id)

    def _tell(
        self, declared: Call, request: Request, error: GuestAgentError | None, operation_id: str | None = None
    ) -> None:
        """Tell the conductor how a cast ended, and the journal that the conductor knows."""
        context = RequestContext(request.context)

        def told() -> None:
            try:
                if operation_id is not None:
                    self._journal.tell(operation_id, error)
            except SystemFailure as problem:
                LOG.error("The next agent will tell the end of '%s' once more: %s", declared.name, problem)

        if error is not None and declared.makes_backup and request.subject is not None:
            # Whatever kept it from being made: its record would wait for ever.
            self._conductor.update_backup(context, request.subject, state=BACKUP_FAILED)
        if not (declared.notifies and context.notification):
            told()
        elif error is None:
            self._conductor.notify_end(context, told)
        else:
            self._conductor.notify_error(context, error, told)

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

    def _perform_on_running_server(self, work: Callable[[], Any]) -> Any:
        """The machine may have rebooted since the operation was begun."""
        self._manager.ensure_running()
        return work()

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
