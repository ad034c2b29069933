"""A set of filters as the readable text of a URL: `page(path:is:/pricing);location(country:oneOf:DE:AT)`.

Filters that must all hold are separated by `;`; `or(...)` and `and(...)` are groups, also around the whole set. Within
a value, `!` stands before a character that would mean something else.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from vemetric.model import filters
from vemetric.model.filters import Choice, Filter, Group, Joined, Text

CHARACTERS_MAX = 6000
SPECIAL = "!(),:;"
PROPERTY = "property"

# By type: the fields of a filter, in order, and what each is.
FIELDS: dict[str, dict[str, type]] = {
    "page": {"path": Text, "origin": Text, "hash": Text},
    "event": {"name": Text},
    "location": {"country": Choice, "city": Choice},
    "referrer": {"referrer": Text},
    "referrerUrl": {"url": Text},
    "referrerType": {"kind": Choice},
    "utmTags": {"campaign": Text, "content": Text, "medium": Text, "source": Text, "term": Text},
    "browser": {"browser": Choice},
    "device": {"device": Choice},
    "os": {"os": Choice},
}


class _Unreadable(Exception):
    """The text says nothing."""


def write(group: Group) -> str:
    """The text of a set; '' for one without filters."""
    if not any(filters.leaves(group)):
        return ""
    text = ";".join(map(_write, group.filters))
    # A lone group would be read as the whole set.
    is_lone = len(group.filters) == 1 and isinstance(group.filters[0], Group)
    return f"{group.operator}({text})" if group.operator is Joined.OR or is_lone else text


def is_writable(group: Group) -> bool:
    """Whether an address can carry a set: its text can be read again, and holds no NUL, which no address may."""
    text = write(group)
    return "\0" not in text and read(text) is not None


def read(text: str) -> Group | None:
    """The set of a text. None when the text makes no sense or says more than is allowed."""
    if len(text) > CHARACTERS_MAX:
        return None
    if not text:
        return filters.NOTHING
    try:
        found = [_filter(*one) for one in _calls(text, 0)]
        group = found[0] if len(found) == 1 and isinstance(found[0], Group) else Group(Joined.AND, tuple(found))
    except (_Unreadable, ValueError, RecursionError):
        return None
    return filters.from_json(filters.to_json(group))


def _write(one: Filter) -> str:
    kind = filters.type_of(one)
    if isinstance(one, Group):
        return f"{one.operator}({';'.join(map(_write, one.filters))})"
    if kind == "user":
        return f"user({'anonymous' if getattr(one, 'anonymous') else 'identified'})"  # noqa: B009
    if kind == "funnel":
        return f"funnel({_atoms(*(str(getattr(one, name)) for name in ('id', 'step', 'operator')))})"
    parts = [_part(name, value) for name in FIELDS[kind] if (value := getattr(one, name)) is not None]
    parts += [_atoms(PROPERTY, p.key, p.operator, p.value) for p in getattr(one, "properties", ())]
    return f"{kind}({','.join(parts)})"


def _part(name: str, value: Text | Choice) -> str:
    values = value.values if isinstance(value, Choice) else (value.value,)
    return _atoms(name, value.operator, *values)


def _atoms(*values: str) -> str:
    return ":".join("".join("!" + letter if letter in SPECIAL else letter for letter in value) for value in values)


def _calls(text: str, depth: int) -> Iterator[tuple[str, str, int]]:
    """The `name(inside)` of a list separated by `;`, each with the depth it stands in."""
    if depth > filters.DEPTH_MAX:
        raise _Unreadable
    for one in _split(text, ";"):
        name, bracket, rest = one.partition("(")
        if not bracket or not rest.endswith(")"):
            raise _Unreadable
        yield name, rest[:-1], depth


def _filter(name: str, inside: str, depth: int) -> Filter:
    if name in (Joined.AND, Joined.OR):
        children = tuple(_filter(*one) for one in _calls(inside, depth + 1)) if inside else ()
        return Group(Joined(name), children)
    if name == "user" and inside in ("anonymous", "identified"):
        return filters.UserFilter(inside == "anonymous")
    parts = [[_plain(atom) for atom in _split(part, ":")] for part in _split(inside, ",")] if inside else []
    if name == "funnel" and len(parts) == 1 and len(parts[0]) == 3:
        return _struct("funnel", {"id": parts[0][0], "step": int(parts[0][1]), "operator": parts[0][2]})
    if name not in FIELDS:
        raise _Unreadable
    return _struct(name, _values(name, parts))


def _values(kind: str, parts: list[list[str]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for part in parts:
        if kind == "event" and part[0] == PROPERTY and len(part) == 4:
            condition = dict(zip(("property", "operator", "value"), part[1:], strict=True))
            values.setdefault("properties", []).append(condition)
        elif FIELDS[kind].get(part[0]) is Text and len(part) == 3 and part[0] not in values:
            values[part[0]] = {"operator": part[1], "value": part[2]}
        elif FIELDS[kind].get(part[0]) is Choice and len(part) >= 2 and part[0] not in values:
            values[part[0]] = {"operator": part[1], "values": part[2:]}
        else:
            raise _Unreadable
    return values


def _struct(kind: str, values: dict[str, Any]) -> Filter:
    try:
        made: Filter = msgspec.convert({"type": kind, **values}, Filter)
    except msgspec.ValidationError as error:
        raise _Unreadable from error
    return made


def _split(text: str, separator: str) -> list[str]:
    """The parts of a text between separators that stand neither in brackets nor behind `!`."""
    parts, start, level, at = [], 0, 0, 0
    while at < len(text):
        letter = text[at]
        if letter == "!":
            at += 1
        elif letter in "()":
            level += 1 if letter == "(" else -1
            if level < 0:
                raise _Unreadable
        elif letter == separator and level == 0:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    if level or at > len(text):
        raise _Unreadable
    return [*parts, text[start:]]


def _plain(atom: str) -> str:
    """An atom without its marks."""
    letters: list[str] = []
    marked = False
    for letter in atom:
        if letter == "!" and not marked:
            marked = True
        else:
            letters.append(letter)
            marked = False
    return "".join(letters)
