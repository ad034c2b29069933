"""A set of filters changed in one place. A path such as `2.0` leads from the set to a filter: positions, from 0."""

import re
from collections.abc import Iterable

import msgspec

from vemetric.model.filters import DEPTH_MAX, NOTHING, Filter, Group, Joined

Path = tuple[int, ...]


def read_path(text: str) -> Path | None:
    """The path of a text; None for one that is none. An empty text leads to the whole set."""
    if not re.fullmatch(r"(\d{1,3}(\.\d{1,3})*)?", text, re.ASCII) or text.count(".") >= DEPTH_MAX:
        return None
    return tuple(map(int, text.split("."))) if text else ()


def write_path(path: Path) -> str:
    """The text of a path."""
    return ".".join(map(str, path))


def at(group: Group, path: Path) -> Filter | None:
    """What a path leads to; None where there is nothing."""
    found: Filter = group
    for position in path:
        if not isinstance(found, Group) or position >= len(found.filters):
            return None
        found = found.filters[position]
    return found


def added(group: Group, into: Path, one: Filter) -> Group:
    """With a filter at the end of a group; as it was, where the path leads to none."""
    target = at(group, into)
    if not isinstance(target, Group):
        return group
    return _put(group, into, msgspec.structs.replace(target, filters=(*target.filters, one)))


def replaced(group: Group, path: Path, one: Filter) -> Group:
    """With another filter in a place; as it was, where there is none."""
    return _put(group, path, one) if at(group, path) is not None else group


def removed(group: Group, path: Path) -> Group:
    """Without a filter; groups that are empty then go too."""
    if not path:
        return NOTHING
    return _without(group, path)


def joined(group: Group, path: Path, operator: Joined) -> Group:
    """With a group's filters going together another way."""
    target = at(group, path)
    return _put(group, path, msgspec.structs.replace(target, operator=operator)) if isinstance(target, Group) else group


def narrowed(group: Group, *others: Filter) -> Group:
    """With some more filters, which must hold as well."""
    if group.operator is Joined.AND or len(group.filters) < 2:
        return Group(Joined.AND, (*group.filters, *others))
    return Group(Joined.AND, (group, *others))


def toggled(group: Group, one: Filter) -> Group:
    """Without a filter that stands in the set itself, or with it."""
    if one in group.filters:
        return removed(group, (group.filters.index(one),))
    return added(group, (), one)


def without_types(group: Group, types: Iterable[str]) -> Group:
    """Without the filters of some types, as for a page that cannot use them; empty groups go too."""
    unwanted = frozenset(types)
    kept: list[Filter] = []
    for one in group.filters:
        if not isinstance(one, Group):
            kept += [one] if one.__struct_config__.tag not in unwanted else []
        elif (rest := without_types(one, unwanted)).filters:
            kept.append(rest)
    return msgspec.structs.replace(group, filters=tuple(kept)) if kept else NOTHING


def _put(group: Group, path: Path, one: Filter) -> Group:
    if not path:
        return one if isinstance(one, Group) else group
    first, rest = path[0], path[1:]
    child = group.filters[first]
    changed = _put(child, rest, one) if rest and isinstance(child, Group) else one
    return msgspec.structs.replace(group, filters=(*group.filters[:first], changed, *group.filters[first + 1 :]))


def _without(group: Group, path: Path) -> Group:
    first, rest = path[0], path[1:]
    if at(group, path) is None:
        return group
    child = group.filters[first]
    kept: tuple[Filter, ...] = ()
    if rest and isinstance(child, Group) and (left := _without(child, rest)).filters:
        kept = (left,)
    filters = (*group.filters[:first], *kept, *group.filters[first + 1 :])
    return msgspec.structs.replace(group, filters=filters) if filters else NOTHING
