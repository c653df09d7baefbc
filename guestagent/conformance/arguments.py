"""Arguments for calls of which only the types matter."""

import types
import typing
from typing import Any

import msgspec

from guestagent.contract import Call

PLAIN: dict[Any, Any] = {str: "x", int: 1, float: 1.0, bool: True, dict: {}, list: [], tuple: [], type(None): None}


def least(declared: Call) -> dict[str, Any]:
    """The arguments that a call cannot do without, with values of their types."""
    return {
        field.encode_name: _example(field.type)
        for field in msgspec.structs.fields(declared.arguments)
        if field.required
    }


def ill_typed(declared: Call) -> dict[str, Any] | None:
    """The same and one argument of a type that it cannot have; none: the call has no arguments."""
    for field in msgspec.structs.fields(declared.arguments):
        kinds = {_kind(hint) for hint in _choices(field.type)}
        if str not in kinds:
            return {**least(declared), field.encode_name: "x"}
        if not kinds & {int, float}:
            return {**least(declared), field.encode_name: 7}
    return None


def _example(hint: Any) -> Any:
    kind = _kind(_choices(hint)[0])
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = msgspec.structs.fields(kind)
        return {field.encode_name: _example(field.type) for field in fields if field.required}
    return PLAIN[kind]


def _choices(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _kind(hint: Any) -> Any:
    return typing.get_origin(hint) or hint
