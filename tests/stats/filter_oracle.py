"""Filters again, in slow and plain Python: which users they pick in a range, and which rows they keep."""

import functools
import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from tests.stats.history import Event, Visit
from tests.stats.oracle import Everybody, events_in, visits_in
from vemetric.model import filters as model
from vemetric.model.dashboard import Range
from vemetric.model.funnel import Funnel

NEGATIVE = {"isNot": "is", "notContains": "contains", "noneOf": "oneOf"}
# The cards whose rows are restricted by filters of a type.
OF_CARDS = {
    "pages": "page",
    "events": "event",
    "properties": "event",
    "values": "event",
    "browsers": "browser",
    "browserVersions": "browser",
    "devices": "device",
    "os": "os",
    "osVersions": "os",
    "countries": "location",
    "cities": "location",
    "referrer": "referrer",
    "referrerUrl": "referrerUrl",
    "referrerType": "referrerType",
    "utmSource": "utmTags",
    "utmCampaign": "utmTags",
}
VISITS = ("location", "referrer", "referrerUrl", "referrerType", "utmTags")

# A condition: what it looks at, its operator, and the value or values.
Part = tuple[Any, str, Any]


class Filters(Everybody):
    """A set of filters over a history."""

    def __init__(
        self, group: model.Group, events: list[Event], visits: list[Visit], funnels: Iterable[Funnel] = ()
    ) -> None:
        self._group = group
        self._events = events
        self._visits = visits
        self._funnels = {funnel.id: funnel for funnel in funnels}

    def users(self, range_: Range) -> Callable[[int], bool]:
        events, visits = events_in(range_, self._events), visits_in(range_, self._visits)
        return lambda user: self._picks(
            self._group, [e for e in events if e.user == user], [v for v in visits if v.user == user]
        )

    def counts(self, event: Event) -> bool:
        return keeps(self._group, "page" if event.is_page_view else "event", event)

    def keeps(self, name: str, row: Event | Visit) -> bool:
        return name not in OF_CARDS or keeps(self._group, OF_CARDS[name], row)

    def _picks(self, group: model.Group, events: list[Event], visits: list[Visit]) -> bool:
        answers = []
        for one in group.filters:
            if isinstance(one, model.Group):
                if any(self._is_active(leaf) for leaf in model.leaves(one)):
                    answers.append(self._picks(one, events, visits))
            elif self._is_active(one):
                answers.append(self._picks_by(one, events, visits))
        return not answers or (all(answers) if group.operator == "and" else any(answers))

    def _is_active(self, leaf: model.Leaf) -> bool:
        if isinstance(leaf, model.FunnelFilter):
            return leaf.id in self._funnels and leaf.step < len(self._funnels[leaf.id].steps)
        return is_active(leaf)

    def _picks_by(self, leaf: model.Leaf, events: list[Event], visits: list[Visit]) -> bool:
        if isinstance(leaf, model.FunnelFilter):
            funnel = self._funnels[leaf.id]
            done = stage(funnel, events) > leaf.step
            return done == (leaf.operator == "completed")
        kind = model.type_of(leaf)
        rows = visits if kind in VISITS else events
        if is_negative(leaf):
            return not any(denied(leaf, row) for row in rows)
        return any(fits(leaf, row) for row in rows)


def stage(funnel: Funnel, events: list[Event]) -> int:
    """How many steps a user gets through: the best of every way, each event used once, those of one millisecond in
    whatever order suits it.
    """
    timed = [(event.at_ms, event.id, steps) for event in events if (steps := steps_of(funnel, event))]

    @functools.cache
    def best(step: int, at_ms: int, end_ms: int, used: frozenset[str]) -> int:
        """The furthest a way gets that takes this step next, from at_ms on. used: what it has taken of at_ms."""
        reached = step
        for later_ms, id_, steps in timed:
            if step in steps and at_ms <= later_ms <= end_ms and not (later_ms == at_ms and id_ in used):
                taken = used | {id_} if later_ms == at_ms else frozenset({id_})
                reached = max(reached, best(step + 1, later_ms, end_ms, taken))
        return reached

    window_ms = funnel.window_seconds * 1000
    starts = [(at_ms, id_) for at_ms, id_, steps in timed if 0 in steps]
    return max((best(1, at_ms, at_ms + window_ms, frozenset({id_})) for at_ms, id_ in starts), default=0)


def steps_of(funnel: Funnel, event: Event) -> list[int]:
    """The steps that an event fits."""
    return [
        number
        for number, step in enumerate(funnel.steps)
        if event.is_page_view == isinstance(step.filter, model.PageFilter)
        and (not is_active(step.filter) or fits(step.filter, event))
    ]


def keeps(group: model.Group, kind: str, row: Event | Visit) -> bool:
    """Whether the filters of one type keep a row: any of the positive ones, all of the negative ones."""
    answer, _ = _keeps(group, kind, row)
    return True if answer is None else answer


def _keeps(group: model.Group, kind: str, row: Event | Visit) -> tuple[bool | None, bool]:
    """Whether a group keeps a row, None without a filter of the type, and whether it only denies."""
    positive, negative = [], []
    for one in group.filters:
        if isinstance(one, model.Group):
            answer, denies = _keeps(one, kind, row)
            if answer is not None:
                (negative if denies else positive).append(answer)
        elif model.type_of(one) == kind and is_active(one):
            (negative if is_negative(one) else positive).append(fits(one, row))
    halves = [any(positive)] * bool(positive) + [all(negative)] * bool(negative)
    if not halves:
        return None, True
    return (all(halves) if group.operator == "and" else any(halves)), not positive


def parts(leaf: model.Leaf, row: Any) -> list[Part]:
    """The active conditions of a filter, each with what it looks at in a row."""
    found: list[tuple[Any, Any]] = []
    match leaf:
        case model.PageFilter():
            found = [(leaf.path, "pathname"), (leaf.origin, "origin"), (leaf.hash, "hash")]
        case model.EventFilter():
            found = [(leaf.name, "name"), *((one, "data") for one in leaf.properties)]
        case model.UserFilter():
            return [(row and row.identifier, "is" if leaf.anonymous else "isNot", "")]
        case model.LocationFilter():
            found = [(leaf.country, "country"), (leaf.city, "city")]
        case model.ReferrerFilter():
            found = [(leaf.referrer, "referrer")]
        case model.ReferrerUrlFilter():
            found = [(leaf.url, "referrer_url")]
        case model.ReferrerTypeFilter():
            found = [(leaf.kind, "referrer_type")]
        case model.UtmFilter():
            found = [(leaf.source, "utm_source"), (leaf.campaign, "utm_campaign")]
        case model.BrowserFilter():
            found = [(leaf.browser, "client")]
        case model.DeviceFilter():
            found = [(leaf.device, "device")]
        case model.OsFilter():
            found = [(leaf.os, "os")]
    return [_part(condition, row and getattr(row, column), column) for condition, column in found if active(condition)]


def _part(condition: Any, value: Any, column: str) -> Part:
    if column == "data":
        return ((value or {}).get(condition.key), condition.operator, ("property", condition.value))
    if column == "hash" and value is not None:
        return value.removeprefix("#"), condition.operator, condition.value.removeprefix("#")
    if column == "city" and value == "unknown":
        value = ""
    return value, condition.operator, getattr(condition, "value", None) if column not in LISTED else condition.values


LISTED = ("country", "city", "referrer_type", "client", "device", "os")


def active(condition: Any) -> bool:
    if condition is None or condition.operator == "any":
        return False
    if isinstance(condition, model.Choice):
        return bool(condition.values)
    if condition.operator in ("gt", "gte", "lt", "lte"):
        return re.fullmatch(r"-?\d+(\.\d+)?", condition.value) is not None
    return True


def is_active(leaf: model.Leaf) -> bool:
    return bool(parts(leaf, None))


def is_negative(leaf: model.Leaf) -> bool:
    if isinstance(leaf, model.UserFilter):
        return leaf.anonymous
    return all(operator in NEGATIVE for _, operator, _ in parts(leaf, None))


def speaks_of(leaf: model.Leaf, row: Any) -> bool:
    if isinstance(leaf, model.PageFilter):
        return row.is_page_view
    return not (isinstance(leaf, model.EventFilter) and row.is_page_view)


def fits(leaf: model.Leaf, row: Any) -> bool:
    return speaks_of(leaf, row) and all(holds(*part) for part in parts(leaf, row))


def denied(leaf: model.Leaf, row: Any) -> bool:
    return speaks_of(leaf, row) and any(not holds(*part) for part in parts(leaf, row))


def holds(value: Any, operator: str, wanted: Any) -> bool:
    if operator in NEGATIVE:
        return not holds(value, NEGATIVE[operator], wanted)
    if isinstance(wanted, tuple) and wanted[:1] == ("property",):
        return _property_holds(value, operator, wanted[1])
    if operator == "oneOf":
        return value in wanted
    return _compares(value, operator, wanted)


def _compares(value: str, operator: str, wanted: str) -> bool:
    if operator == "is":
        return value == wanted
    value, wanted = value.lower(), wanted.lower()
    return {
        "contains": wanted in value,
        "startsWith": value.startswith(wanted),
        "endsWith": value.endswith(wanted),
    }[operator]


def _property_holds(value: Any, operator: str, wanted: str) -> bool:
    if value is None:
        return False
    text = value if isinstance(value, str) else f"{value:.0f}" if value == int(value) else str(value)
    if operator in ("gt", "gte", "lt", "lte"):
        number, bound = _number(value), _number(wanted)
        if number is None or bound is None:
            return False
        return {"gt": number > bound, "gte": number >= bound, "lt": number < bound, "lte": number <= bound}[operator]
    if operator == "is":
        return text == wanted or (re.fullmatch(r"\d+\.0", wanted) is not None and text == wanted[:-2])
    return _compares(text, operator, wanted)


def _number(value: Any) -> Fraction | None:
    """Exactly what was sent, or what a text says."""
    if isinstance(value, str) and not re.fullmatch(r"-?\d+(\.\d+)?", value):
        return None
    return Fraction(value)
