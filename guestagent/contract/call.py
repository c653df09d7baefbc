"""How a call of the contract is declared.

A call is a method of a capability class, decorated with :func:`call`. Its signature is the list of
its arguments, its docstring is its documentation, and the decorator makes its default answer "not
supported". Declaring it is all it takes to make it callable, refusable and documented.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, TypeVar

import msgspec

from guestagent.contract.errors import InvalidArguments, NotSupported

Method = TypeVar("Method", bound=Callable[..., Any])

TROVE: typing.Final = ""
"""The namespace of an unmodified control plane: none."""
OWN: typing.Final = "guestagent"
"""The namespace of the calls that are this project's own."""
VERSIONS: typing.Final = {TROVE: (1, 3), OWN: (1, 0)}
"""The newest contract version that the agent speaks, by namespace."""


class Capability:
    """A group of calls that make sense together, named after its class.

    :ivar datastore_name: the name that the image declared; set when a plugin is loaded.
    """

    datastore_name: str = "unknown"


class Call(msgspec.Struct, frozen=True, eq=False, dict=True):
    """One declared call.

    :ivar name: the method's name on the wire.
    :ivar capability: the group it belongs to.
    :ivar since: the contract version that introduced it, ``major.minor``.
    :ivar cast: the control plane expects no answer; the work is queued and done in order.
    :ivar reads: it changes nothing, so it runs beside other operations.
    :ivar repeatable: doing it again with the same arguments ends in the same state.
    :ivar notifies: the control plane waits for ``notify_end`` or ``notify_exc_info``.
    :ivar required: the capability is only supported when this call is.
    :ivar needs_instance: it makes no sense before prepare.
    :ivar prompt: it never waits for the database, so threads of its own keep it answering.
    :ivar once: the argument, and a key of it, that name what is never done twice, as ``("backup_info", "id")``.
    :ivar makes_backup: the control plane has a record of what :attr:`once` names, and is told when the call fails.
    :ivar namespaces: where it can be called.
    :ivar refusal: the default method, which answers "not supported".
    """

    name: str
    capability: str
    since: str
    cast: bool
    reads: bool
    repeatable: bool
    notifies: bool
    required: bool
    needs_instance: bool
    prompt: bool
    once: tuple[str, str] | None
    makes_backup: bool
    namespaces: tuple[str, ...]
    refusal: Callable[..., Any]

    @property
    def documentation(self) -> str:
        """The docstring of the declaration."""
        return inspect.getdoc(self.refusal) or ""

    @functools.cached_property
    def arguments(self) -> type[msgspec.Struct]:
        """The arguments as a type: what :meth:`bind` checks a message against."""
        hints = typing.get_type_hints(self.refusal)
        fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
        for name, parameter in list(inspect.signature(self.refusal).parameters.items())[2:]:
            if parameter.default is inspect.Parameter.empty:
                fields.append((name, hints[name]))
            else:
                fields.append((name, hints[name], parameter.default))
        return msgspec.defstruct(self.name, fields, forbid_unknown_fields=True, kw_only=True)

    def bind(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Turn the arguments of a message into those of the method.

        :raises InvalidArguments: one is missing, unknown or ill-typed; the sentence names the
            place and the types, never a value.
        """
        try:
            bound = msgspec.convert(arguments, self.arguments)
        except msgspec.ValidationError as error:
            raise InvalidArguments(operation=self.name, problem=str(error)) from None
        return {name: getattr(bound, name) for name in self.arguments.__struct_fields__}

    def subject_of(self, arguments: Mapping[str, Any]) -> str | None:
        """What :attr:`once` names in the arguments of a message; none: nothing."""
        if self.once is None:
            return None
        argument, key = self.once
        holder = arguments.get(argument)
        found = holder.get(key) if isinstance(holder, Mapping) else None
        return found if isinstance(found, str) else None

    def supported_by(self, manager: type) -> bool:
        """Whether a manager class overrides the call: the only thing that says so."""
        return getattr(manager, self.name, self.refusal) is not self.refusal


def call(
    *,
    since: str = "1.0",
    cast: bool = False,
    reads: bool = False,
    repeatable: bool = False,
    notifies: bool = False,
    required: bool = False,
    needs_instance: bool = True,
    prompt: bool = False,
    once: tuple[str, str] | None = None,
    makes_backup: bool = False,
    namespaces: tuple[str, ...] = (TROVE,),
) -> Callable[[Method], Method]:
    """Declare the decorated method of a :class:`Capability` as a call; see :class:`Call`."""

    def declare(method: Method) -> Method:
        @functools.wraps(method)
        def refuse(self: Capability, *args: Any, **kwargs: Any) -> NoReturn:
            raise NotSupported(operation=method.__name__, datastore=self.datastore_name)

        capability = method.__qualname__.partition(".")[0].lower()
        refuse.__dict__["call"] = Call(
            name=method.__name__,
            capability=capability,
            since=since,
            cast=cast,
            reads=reads,
            repeatable=repeatable or reads,
            notifies=notifies,
            required=required,
            needs_instance=needs_instance,
            prompt=prompt,
            once=once,
            makes_backup=makes_backup,
            namespaces=namespaces,
            refusal=refuse,
        )
        return typing.cast(Method, refuse)

    return declare


def declared_by(capability: type[Capability]) -> Iterator[Call]:
    """The calls that a capability class declares itself, in the order of its text."""
    for member in vars(capability).values():
        declaration = getattr(member, "call", None)
        if isinstance(declaration, Call):
            yield declaration
