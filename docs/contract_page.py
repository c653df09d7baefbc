"""``contract.md``: every call, from the contract's own code."""

import enum
import inspect
import re
import types
import typing
from collections.abc import Iterator
from typing import Any

import msgspec

from guestagent import contract
from guestagent.contract import errors, states
from guestagent.contract.call import OWN, VERSIONS, Call, Capability, declared_by

OPENING = """\
# The contract: every call

This page is written by `python -m docs.generate` from `guestagent/contract/`; a test fails when it is stale.
What the columns mean, and what travels around the arguments, is told in [wire.md](wire.md).

- **since**: the contract version that brought the call. The agent speaks {versions}.
- **how**: a *call* is answered; a *cast* is not, and its work is queued. *notifies*: the conductor is told how the
  cast ended. *read*: it changes nothing and runs beside other operations; *prompt*: it does not even wait for the
  database. Everything else runs one at a time.
- **again**: what doing it twice with the same arguments does. *same*: it ends in the same state. *once*: do not
  count on it, the second time may be an error or make something new.
- **unprepared**: *yes* when it makes sense before `prepare` has ended; the others are answered
  `instance.not-prepared`.
- A call in **bold** is required: its capability is supported only when the plugin overrides it.

Arguments with a value after `=` may be left out. An argument that is not in the list is refused, never ignored.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            OPENING.format(versions=_versions()).rstrip(),
            *(part for capability in contract.CAPABILITIES for part in _capability(capability)),
            *_types(),
            *_states(),
            *_errors(),
            "",
        ]
    )


def _versions() -> str:
    return " and ".join(
        f"{'.'.join(map(str, version))} in " + (f"the namespace `{namespace}`" if namespace else "no namespace")
        for namespace, version in VERSIONS.items()
    )


def _capability(capability: type[Capability]) -> Iterator[str]:
    calls = list(declared_by(capability))
    yield f"\n## {capability.__name__}\n"
    yield f"{_summary(capability)}\n"
    yield "| call | what it does | since | how | again | unprepared |"
    yield "| --- | --- | --- | --- | --- | --- |"
    yield from (_row(declared) for declared in calls)
    yield ""
    yield from (_details(declared) for declared in calls)


def _row(declared: Call) -> str:
    cells = [
        f"**`{declared.name}`**" if declared.required else f"`{declared.name}`",
        _summary(declared.refusal).replace("|", "\\|"),
        declared.since + (f" ({_namespaces(declared)})" if OWN in declared.namespaces else ""),
        _how(declared),
        "same" if declared.repeatable else "once",
        "no" if declared.needs_instance else "yes",
    ]
    return "| " + " | ".join(cells) + " |"


def _details(declared: Call) -> str:
    """The call's arguments and answer, and the rest of its docstring."""
    arguments = ", ".join(_argument(field) for field in msgspec.structs.fields(declared.arguments)) or "no arguments"
    result = typing.get_type_hints(declared.refusal)["return"]
    answer = "nothing" if declared.cast or result is type(None) else _type(result)
    lines = [f"- `{declared.name}`: {arguments}; answers {answer}"]
    _, *paragraphs = declared.documentation.split("\n\n")
    for paragraph in paragraphs:
        lines.extend(f"    - {part}" for part in _parts(paragraph))
    return "\n".join(lines)


def _parts(paragraph: str) -> Iterator[str]:
    """A paragraph of a docstring, or its fields, as lines of Markdown."""
    for part in re.split(r"\n(?=:)", paragraph):
        field = re.fullmatch(r":(\w+) ?(\w*):(.*)", part, re.DOTALL)
        if field is None:
            yield _line(part)
        elif field[1] == "raises":
            yield f"error `{getattr(errors, field[2]).id}`: {_line(field[3])}"
        else:
            yield f"`{field[2]}`: {_line(field[3])}" if field[2] else f"{field[1]}: {_line(field[3])}"


def _namespaces(declared: Call) -> str:
    return " and ".join(f"`{namespace}`" if namespace else "none" for namespace in declared.namespaces)


def _how(declared: Call) -> str:
    marks = {"notifies": declared.notifies, "read": declared.reads, "prompt": declared.prompt}
    return ", ".join(["cast" if declared.cast else "call", *(mark for mark, holds in marks.items() if holds)])


def _argument(field: msgspec.structs.FieldInfo) -> str:
    default = "" if field.default is msgspec.NODEFAULT else f" = {msgspec.json.encode(field.default).decode()}"
    return f"`{field.encode_name}`: {_type(field.type)}{default}"


def _type(hint: Any) -> str:
    """A type in the words of JSON, with our own structures by their names."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(part) for part in arguments)
    if origin is list:
        return f"array of {_type(arguments[0])}"
    if origin is tuple:
        return "[" + ", ".join(_type(part) for part in arguments) + "]"
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    plain = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null", dict: "object"}
    return plain[origin or hint]


def _types() -> Iterator[str]:
    yield "\n## Types\n"
    yield "Objects as they travel; keys that are not listed are ignored."
    for structure in sorted(_structures(), key=lambda found: found.__name__):
        yield f"\n### {structure.__name__}\n"
        yield f"{_summary(structure)}\n"
        yield "; ".join(_field(field) for field in msgspec.structs.fields(structure)) + "."


def _field(field: msgspec.structs.FieldInfo) -> str:
    if field.default_factory is not msgspec.NODEFAULT:
        return f"`{field.encode_name}`: {_type(field.type)} = {msgspec.json.encode(field.default_factory()).decode()}"
    return _argument(field)


def _structures() -> set[type[msgspec.Struct]]:
    """The structures that the calls name, and those that these name."""
    found: set[type[msgspec.Struct]] = set()
    waiting: list[Any] = [
        hint
        for declared in contract.CALLS
        for name, hint in typing.get_type_hints(declared.refusal).items()
        if name != "context"
    ]
    while waiting:
        hint = waiting.pop()
        waiting.extend(typing.get_args(hint))
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct) and hint not in found:
            found.add(hint)
            waiting.extend(field.type for field in msgspec.structs.fields(hint))
    return found


def _states() -> Iterator[str]:
    for title, states_of in (("Statuses", states.ServiceStatus), ("Phases", states.Phase)):
        yield f"\n## {title}\n"
        yield f"{_summary(states_of)}\n"
        yield ", ".join(f"`{state.value}`" for state in _members(states_of)) + "."


def _members(states_of: type[enum.Enum]) -> list[enum.Enum]:
    return list(states_of)


def _errors() -> Iterator[str]:
    yield "\n## Errors\n"
    yield "What is in braces is filled in; see [wire.md](wire.md#errors) for how they travel.\n"
    yield "| id | sentence | when |"
    yield "| --- | --- | --- |"
    for name, error in vars(errors).items():
        if isinstance(error, type) and issubclass(error, errors.GuestAgentError) and name != "GuestAgentError":
            yield f"| `{error.id}` | {error.sentence} | {_summary(error)} |"


def _summary(documented: object) -> str:
    """The first paragraph of a docstring."""
    return _line((inspect.getdoc(documented) or "").split("\n\n")[0])


def _line(text: str) -> str:
    """Text of a docstring as one line of Markdown."""
    return re.sub(r":\w+:`~?\.?([^`]+)`", r"`\1`", " ".join(text.split())).replace("``", "`")
