"""Filters as pages show them: chips that say them in words, and the links that change them. The URL is the state."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from vemetric.enrich import countries
from vemetric.model import filter_text, filter_tree, filters, text
from vemetric.model.filter_tree import Path
from vemetric.model.filters import Choice, Filter, Group, Joined, Property, Text
from vemetric.model.funnel import Funnel
from vemetric.model.saved_filter import SavedFilter
from vemetric.web.filter_forms import OPERATORS, TYPES

PARAMETER = "f"
# What stands in a link unescaped, so that people can read it.
READABLE = "/:,;()!*'"
SHOWN_VALUES_MAX = 3
NOTHING = "nothing"
# Fields of parts of addresses, which are stored with escapes.
ADDRESSES = ("path", "hash", "url")


class Chip(NamedTuple):
    """A filter in the bar. title: all its conditions in words."""

    label: str
    icon: str
    operator: str
    value: str
    title: str
    edit: str
    remove: str


class Box(NamedTuple):
    """Filters that go together. operator: what stands between them; toggle: the address with the other one."""

    operator: str
    toggle: str
    members: list["Chip | Box"]
    add: str


class Saved(NamedTuple):
    """A filter that the project keeps. apply: the address with it, or without where it is the one in use."""

    id: str
    name: str
    icon: str
    is_active: bool
    apply: str
    pruned: bool


class Bar(NamedTuple):
    """Everything a page's filters show. back: the address of the page; total: how many filters there are."""

    forms: str
    back: str
    total: int
    box: Box
    types: list[tuple[str, str, str]]
    clear: str
    saved: list[Saved] | None
    group: str


class Place(NamedTuple):
    """The page that filters are shown on: where forms are, and its own address with the query it has."""

    forms: str
    path: str
    query: Mapping[str, str]

    def url(self, group: Group) -> str:
        """The page with other filters; its cards begin at their first pages."""
        kept = {name: value for name, value in self.query.items() if name not in DROPPED}
        written = filter_text.write(group)
        return address(self.path, kept | ({PARAMETER: written} if written else {}))

    def form(self, **values: str) -> str:
        """The address of a form that comes back to the page."""
        return address(f"{self.forms}/filter", values | {"back": address(self.path, self.query)})


# Page numbers of cards and lists, which another filter makes meaningless, and the filters themselves.
DROPPED = (PARAMETER, "page", "pp", "sp", "ep", "lp", "up")


def bar(
    place: Place,
    group: Group,
    funnels: Sequence[Funnel],
    saved: Iterable[SavedFilter] | None = None,
    disabled: Iterable[str] = (),
) -> Bar:
    """What a page's filters show. saved: None where a page has none. disabled: types that the page cannot use."""
    unusable = tuple(disabled)
    return Bar(
        forms=place.forms,
        back=address(place.path, place.query),
        total=sum(1 for _ in filters.leaves(group)),
        box=_box(place, group, (), {funnel.id: funnel for funnel in funnels}, group),
        types=[(one.label, one.icon, place.form(type=one.kind)) for one in TYPES.values() if one.kind not in unusable],
        clear=place.url(filters.NOTHING),
        saved=None if saved is None else [_saved(place, one, group, unusable) for one in saved],
        group=filter_text.write(group),
    )


def read(query: Mapping[str, str], disabled: Iterable[str] = ()) -> Group:
    """The filters of a page's address; none where they make no sense."""
    group = filter_text.read(query.get(PARAMETER, "")) or filters.NOTHING
    return filter_tree.without_types(group, disabled)


def address(path: str, values: Mapping[str, str]) -> str:
    """A path with a query, readable."""
    return f"{path}?{urlencode(values, safe=READABLE)}" if values else path


def with_filters(back: str, group: Group) -> str:
    """The address of a page with other filters."""
    parts = urlsplit(back)
    return Place("", parts.path, dict(parse_qsl(parts.query))).url(group)


def words(one: Filter, funnels: Mapping[str, Funnel]) -> list[tuple[str, str, str]]:
    """The conditions of a filter, each as field, operator and value."""
    match one:
        case filters.UserFilter(anonymous=anonymous):
            return [("User", "is", "anonymous" if anonymous else "identified")]
        case filters.FunnelFilter(id=id_, step=step, operator=operator):
            done = "completed" if operator is filters.FunnelOperator.COMPLETED else "did not complete"
            return [("Funnel", done, _step(funnels.get(id_), step))]
        case Group():
            return []
    found = []
    for field in TYPES[filters.type_of(one)].fields:
        condition: Text | Choice | None = getattr(one, field.name)
        if condition is not None and condition.is_active:
            found.append((field.label, OPERATORS[condition.operator], _value(field.name, condition)))
    properties: tuple[Property, ...] = getattr(one, "properties", ())
    found += [(p.key, OPERATORS[p.operator], p.value or NOTHING) for p in properties if p.is_active]
    return found


def _box(place: Place, group: Group, path: Path, funnels: Mapping[str, Funnel], whole: Group) -> Box:
    other = Joined.OR if group.operator is Joined.AND else Joined.AND
    items: list[Chip | Box] = []
    for position, one in enumerate(group.filters):
        here = (*path, position)
        items.append(
            _box(place, one, here, funnels, whole)
            if isinstance(one, Group)
            else _chip(place, one, here, funnels, whole)
        )
    return Box(
        operator=str(group.operator),
        toggle=place.url(filter_tree.joined(whole, path, other)),
        members=items,
        add=place.form(into=filter_tree.write_path(path)),
    )


def _chip(place: Place, one: Filter, path: Path, funnels: Mapping[str, Funnel], whole: Group) -> Chip:
    said = words(one, funnels)
    kind = TYPES[filters.type_of(one)]
    _, operator, value = said[0] if said else ("", "", "anything")
    label = kind.label if len(said) < 2 and len(kind.fields) < 2 else said[0][0] if said else kind.label
    more = f" +{len(said) - 1}" if len(said) > 1 else ""
    return Chip(
        label=label,
        icon=kind.icon,
        operator=operator,
        value=text.shown(value) + more,
        title=text.shown("; ".join(" ".join(part) for part in said)),
        edit=place.form(type=kind.kind, at=filter_tree.write_path(path)),
        remove=place.url(filter_tree.removed(whole, path)),
    )


def _value(name: str, condition: Text | Choice) -> str:
    if isinstance(condition, Text):
        return (text.readable(condition.value) if name in ADDRESSES else condition.value) or NOTHING
    values = [
        countries.name(value) if name == "country" and value else value or "unknown" for value in condition.values
    ]
    shown = ", ".join(values[:SHOWN_VALUES_MAX])
    return f"{shown} …" if len(values) > SHOWN_VALUES_MAX else shown


def _step(funnel: Funnel | None, step: int) -> str:
    if funnel is None or step >= len(funnel.steps):
        return "an unknown funnel"
    return funnel.name if step == len(funnel.steps) - 1 else f"{funnel.name} (step {step + 1})"


def _saved(place: Place, one: SavedFilter, group: Group, unusable: Iterable[str]) -> Saved:
    usable = filter_tree.without_types(one.filters, unusable)
    is_active = bool(group.filters) and usable == group
    target = filters.NOTHING if is_active else usable
    return Saved(one.id, one.name, one.icon or "", is_active, place.url(target), usable != one.filters)
