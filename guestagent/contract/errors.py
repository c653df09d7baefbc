"""The errors that a caller can meet, each with an id and a sentence that says what to do next.

An error crosses the wire as the name of its class, the name of its module and its sentence
(oslo.messaging, ``serialize_remote_exception``). Because this module is none that Trove's client
rebuilds exceptions from, the client shows a person the sentence alone, without a traceback.

A sentence never holds a secret, and never the value of an argument that could be one.
"""

from typing import ClassVar, Final

LONGEST: Final = 1000
"""Characters of the longest sentence; what a stranger can put into one would fill the log otherwise."""


class GuestAgentError(Exception):
    """What all our errors share: an ``id`` for programs, a sentence for people.

    :param facts: the values that the sentence of the class names.
    """

    id: ClassVar[str] = "guestagent.error"
    sentence: ClassVar[str] = "The guest agent could not do what was asked."

    def __init__(self, **facts: object) -> None:
        super().__init__(one_line(self.sentence.format(**facts), LONGEST))
        self.facts = facts


def one_line(text: str, longest: int) -> str:
    """The text as one printable line that can forge no other, cut to so many characters."""
    line = " ".join(text[: longest + 1].split())
    if len(line) > longest:
        line = f"{line[: longest - 1]}…"
    return "".join(letter if letter.isprintable() else "?" for letter in line)


class NotSupported(GuestAgentError):
    """The plugin of this image does not implement the call."""

    id = "call.not-supported"
    sentence = (
        "Operation '{operation}' is not supported by the '{datastore}' datastore of this guest; "
        "'describe' lists what is."
    )


class UnknownCall(GuestAgentError):
    """The name is not in the contract: nothing was touched."""

    id = "call.unknown"
    sentence = "The guest agent has no call '{operation}' in namespace '{namespace}'."


class UnsupportedVersion(GuestAgentError):
    """The message asks for a newer contract than this agent speaks."""

    id = "call.version"
    sentence = (
        "The guest agent speaks version {spoken} of this namespace, the request needs {asked}; "
        "upgrade the guest's image or set [upgrade_levels] guestagent in the control plane."
    )


class InvalidArguments(GuestAgentError):
    """Missing, unknown or ill-typed arguments: nothing was touched."""

    id = "call.arguments"
    sentence = "The arguments of '{operation}' are not valid: {problem}."


class InvalidMessage(GuestAgentError):
    """The request is not of the form that the agent accepts, for example not encrypted with the key."""

    id = "message.invalid"
    sentence = "The request was refused: {problem}."


class InvalidValue(GuestAgentError):
    """An argument has the right type, and a value that cannot be used."""

    id = "value.invalid"
    sentence = "{subject} cannot be used: {problem}."


class NotFound(GuestAgentError):
    """What the call is about does not exist on this guest."""

    id = "object.not-found"
    sentence = "{subject} does not exist on this guest."


class AlreadyExists(GuestAgentError):
    """What the call wants to make is there already."""

    id = "object.exists"
    sentence = "{subject} exists already on this guest."


class Busy(GuestAgentError):
    """Another operation has the guest, and the two cannot overlap."""

    id = "operation.busy"
    sentence = (
        "The guest is busy with '{running}' (request {request_id}, running for {seconds:.0f} s); "
        "'{operation}' was not started, try again when it has ended."
    )


class Leaving(GuestAgentError):
    """The agent is going down and takes nothing new."""

    id = "operation.leaving"
    sentence = "The guest agent is restarting; '{operation}' was not started, try again in a moment."


class NotCancellable(GuestAgentError):
    """The operation cannot be ended early."""

    id = "operation.not-cancellable"
    sentence = "Operation {operation_id} ('{operation}') cannot be cancelled: {problem}."


class Cancelled(GuestAgentError):
    """Somebody ended the operation early; what its plan can take back was taken back."""

    id = "operation.cancelled"
    sentence = "'{operation}' was cancelled{phase}."


class TimedOut(GuestAgentError):
    """A step took longer than it may."""

    id = "operation.timed-out"
    sentence = "The step '{step}' did not end within {seconds:g} s."


class Interrupted(GuestAgentError):
    """The agent ended in the middle of the operation, which is not continued."""

    id = "operation.interrupted"
    sentence = "The guest agent ended while it did '{operation}'; what must not stay was taken back, ask again."


class NotPrepared(GuestAgentError):
    """The call needs a database, and prepare has not (successfully) ended yet."""

    id = "instance.not-prepared"
    sentence = "'{operation}' needs a prepared instance, and this one is '{phase}'."


class DatastoreError(GuestAgentError):
    """The database server refused or failed; its own words are in the sentence."""

    id = "datastore.error"
    sentence = "{subject} failed: {problem}."


class DatastoreDown(GuestAgentError):
    """The database server does not answer."""

    id = "datastore.down"
    sentence = "The {datastore} server does not answer: {problem}."


class StorageError(GuestAgentError):
    """The object store or the disk refused; what was there before is as it was.

    :cvar hopeless: another try with the same request would be refused as well.
    """

    hopeless: ClassVar[bool] = False
    id = "storage.error"
    sentence = "{subject} failed: {problem}."


class SystemFailure(GuestAgentError):
    """A command or a file of the machine failed."""

    id = "system.error"
    sentence = "{subject} failed: {problem}."


class InternalError(GuestAgentError):
    """A mistake of the agent's own; the log of the guest has the details."""

    id = "agent.internal"
    sentence = (
        "'{operation}' failed unexpectedly ({kind}); the guest agent's log has the details under request {request_id}."
    )
