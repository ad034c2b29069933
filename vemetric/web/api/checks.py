"""Hold a decoded JSON value to a msgspec type and tell everything that is wrong with it, not only the first thing.

The words and the places of problems are those that clients of the original know: a value can be of the wrong kind
(WRONG), or of the right kind and out of bounds (BENT), after which checks across fields still make sense. Of a union, a
value that is bent in one branch has that branch's problems; one that is wrong in all has a problem of its own.
"""

import math
import re
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, inspect

from vemetric.web.api.failures import Detail

T = TypeVar("T")
NO_BRANCH = "Invalid input"
REQUIRED = "Required"
# So many problems are told; a list in which there are more is not looked at further.
PROBLEMS_MAX = 100
# So much of a word that is none of those allowed is told again.
RECEIVED_CHARACTERS_MAX = 100


class Verdict(IntEnum):
    """How well a value fits."""

    FITS = 0
    BENT = 1
    WRONG = 2


class Checked(msgspec.Struct, frozen=True):
    """What was found; usable: whether the value has the shape of the type, so that fields can be compared."""

    problems: list[Detail]
    usable: bool


def check(kind: Any, value: Any) -> Checked:
    """What is wrong with a value; nothing where it fits."""
    problems: list[Detail] = []
    verdict = _check(_seen(kind), value, "", problems)
    return Checked(problems, verdict is not Verdict.WRONG)


def convert(kind: type[T], value: Any) -> T:
    """A value that fits, as its type."""
    return msgspec.convert(_whole(value), kind)


def bare(info: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """A type without its metadata, the `extra` of it, and what it adds to the JSON schema."""
    extra: dict[str, Any] = {}
    schema: dict[str, Any] = {}
    while isinstance(info, inspect.Metadata):
        extra |= info.extra or {}
        schema |= info.extra_json_schema or {}
        info = info.type
    return info, extra, schema


def branches_of(info: Any, extra: dict[str, Any]) -> list[Any]:
    """The types of a union; none for a type that is no union. UNSET is none to msgspec's inspection."""
    if "union" in extra:
        return [_seen(kind) for kind in extra["union"]]
    if isinstance(info, inspect.UnionType):
        return list(info.types)
    return []


def is_tagged(branches: Sequence[Any]) -> bool:
    """Whether objects of a union tell by their `type` which one they are."""
    return bool(branches) and all(
        isinstance(one, inspect.StructType) and one.tag is not None for one in map(_bare, branches)
    )


@cache
def _seen(kind: Any) -> Any:
    return inspect.type_info(kind)


def _bare(info: Any) -> Any:
    return bare(info)[0]


def _check(info: Any, value: Any, path: str, problems: list[Detail]) -> Verdict:
    info, extra, _ = bare(info)
    branches = branches_of(info, extra)
    if is_tagged(branches):
        return _tagged(branches, value, path, problems)
    if branches:
        return _union(branches, value, path, problems, extra.get("message", NO_BRANCH))
    if extra.get("apart") and not (isinstance(value, str) and value in list(info.cls)):
        return _say(problems, path, NO_BRANCH)
    verdict = _CHECKS[type(info)](info, value, path, problems)
    if verdict is Verdict.FITS and "check" in extra and not extra["check"](value):
        return _say(problems, path, extra["message"], Verdict.BENT)
    return verdict


def _say(problems: list[Detail], path: str, message: str, verdict: Verdict = Verdict.WRONG) -> Verdict:
    problems.append(Detail(path, message))
    return verdict


def _mismatch(problems: list[Detail], path: str, expected: str, value: Any) -> Verdict:
    return _say(problems, path, REQUIRED if value is UNSET else f"Expected {expected}, received {_kind(value)}")


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list() | tuple():
            return "array"
    return "object"


def _at(path: str, step: str | int) -> str:
    return f"{path}.{step}" if path else str(step)


def _text(info: Any, value: Any, path: str, problems: list[Detail]) -> Verdict:
    if not isinstance(value, str):
        return _mismatch(problems, path, "string", value)
    if info.min_length is not None and len(value) < info.min_length:
        return _say(problems, path, f"String must contain at least {info.min_length} character(s)", Verdict.BENT)
    if info.max_length is not None and len(value) > info.max_length:
        return _say(problems, path, f"String must contain at most {info.max_length} character(s)", Verdict.BENT)
    if info.pattern is not None and not _matches(info.pattern, value):
        return _say(problems, path, "Invalid", Verdict.WRONG)
    return Verdict.FITS


def _matches(pattern: str, value: str) -> bool:
    # A dollar would let a line's end pass.
    return re.fullmatch(pattern.removeprefix("^").removesuffix("$"), value, re.ASCII) is not None


def _number(info: Any, value: Any, path: str, problems: list[Detail]) -> Verdict:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _mismatch(problems, path, "number", value)
    if isinstance(value, float) and not (math.isfinite(value) and value.is_integer()):
        return _say(problems, path, "Expected integer, received float", Verdict.BENT)
    if info.ge is not None and value < info.ge:
        return _say(problems, path, f"Number must be greater than or equal to {info.ge}", Verdict.BENT)
    if info.le is not None and value > info.le:
        return _say(problems, path, f"Number must be less than or equal to {info.le}", Verdict.BENT)
    return Verdict.FITS


def _truth(info: Any, value: Any, path: str, problems: list[Detail]) -> Verdict:
    return Verdict.FITS if isinstance(value, bool) else _mismatch(problems, path, "boolean", value)


def _words(info: Any, value: Any, path: str, problems: list[Detail]) -> Verdict:
    words = [str(one.value) for one in info.cls]
    listed = " | ".join(f"'{word}'" for word in words)
    if not isinstance(value, str):
        return _mismatch(problems, path, listed, value)
    if value not in words:
        received = value[:RECEIVED_CHARACTERS_MAX]
        return _say(problems, path, f"Invalid enum value. Expected {listed}, received '{received}'")
    return Verdict.FITS


def _list(info: Any, value: Any, path: str, problems: list[Detail]) -> Verdict:
    if not isinstance(value, list):
        return _mismatch(problems, path, "array", value)
    if info.max_length is not None and len(value) > info.max_length:
        # What stands in it is not looked at: there may be any number.
        return _say(problems, path, f"Array must contain at most {info.max_length} element(s)", Verdict.BENT)
    verdicts = []
    for number, one in enumerate(value):
        verdicts.append(_check(info.item_type, one, _at(path, number), problems))
        if len(problems) >= PROBLEMS_MAX:
            return Verdict.WRONG
    if info.min_length and len(value) < info.min_length:
        verdicts.append(_say(problems, path, f"Array must contain at least {info.min_length} element(s)", Verdict.BENT))
    return max(verdicts, default=Verdict.FITS)


def _tuple(info: Any, value: Any, path: str, problems: list[Detail]) -> Verdict:
    if not isinstance(value, list):
        return _mismatch(problems, path, "array", value)
    size = len(info.item_types)
    if len(value) < size:
        return _say(problems, path, f"Array must contain at least {size} element(s)")
    verdicts = [Verdict.FITS]
    if len(value) > size:
        verdicts.append(_say(problems, path, f"Array must contain at most {size} element(s)", Verdict.BENT))
    verdicts += [
        _check(kind, one, _at(path, number), problems)
        for number, (kind, one) in enumerate(zip(info.item_types, value, strict=False))
    ]
    return max(verdicts)


def _map(info: Any, value: Any, path: str, problems: list[Detail]) -> Verdict:
    return Verdict.FITS if isinstance(value, dict) else _mismatch(problems, path, "object", value)


def _object(info: Any, value: Any, path: str, problems: list[Detail]) -> Verdict:
    if not isinstance(value, dict):
        return _mismatch(problems, path, "object", value)
    verdict = Verdict.FITS
    for field in info.fields:
        if field.encode_name in value or field.required:
            sent = value.get(field.encode_name, UNSET)
            verdict = max(verdict, _check(field.type, sent, _at(path, field.encode_name), problems))
    return verdict


def _tagged(branches: Sequence[Any], value: Any, path: str, problems: list[Detail]) -> Verdict:
    if not isinstance(value, dict):
        return _mismatch(problems, path, "object", value)
    for branch in map(_bare, branches):
        if value.get("type") == branch.tag:
            return _object(branch, value, path, problems)
    listed = " | ".join(f"'{_bare(branch).tag}'" for branch in branches)
    return _say(problems, _at(path, "type"), f"Invalid discriminator value. Expected {listed}")


def _union(branches: Sequence[Any], value: Any, path: str, problems: list[Detail], message: str) -> Verdict:
    bent: list[Detail] = []
    for branch in branches:
        found: list[Detail] = []
        verdict = _check(branch, value, path, found)
        if verdict is Verdict.FITS:
            return verdict
        if verdict is Verdict.BENT and not bent:
            bent = found
    if bent:
        problems += bent
        return Verdict.BENT
    return _say(problems, path, REQUIRED if value is UNSET else message)


def _whole(value: Any) -> Any:
    """The same with 10 for 10.0, which are one number in JSON."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_whole(one) for one in value]
        case dict():
            return {key: _whole(one) for key, one in value.items()}
    return value


_CHECKS: dict[type, Callable[[Any, Any, str, list[Detail]], Verdict]] = {
    inspect.StrType: _text,
    inspect.IntType: _number,
    inspect.BoolType: _truth,
    inspect.EnumType: _words,
    inspect.ListType: _list,
    inspect.TupleType: _tuple,
    inspect.StructType: _object,
    inspect.DictType: _map,
}
