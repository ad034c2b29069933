"""Filters as SQL, in one place for every page and the API: which users a question is about, and which rows beside.

A filter picks users: those of whom at least one row of the range fits, or, when all its conditions are negative, those
of whom none fits what they deny. The conditions of one filter speak of one and the same row. Beside that, a list of
pages shows only the pages that page filters name, and so on: see `rows`. Values are bound, never written into the text.
What filters mean: docs/decisions/0009-filters.md.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from vemetric.model import filters as model
from vemetric.model.filters import Filter, Group, Joined, Leaf
from vemetric.model.funnel import Funnel
from vemetric.stats import funnel_stage
from vemetric.stats.predicates import COUNTRY, Binder, Parts, conditions

EVENT, SESSION = "event", "session"
TRUE, FALSE = "true", "false"

# The filters of these types pick users by their visits; funnels have a query of their own, all others go by events.
OF_SESSIONS = (
    model.LocationFilter,
    model.ReferrerFilter,
    model.ReferrerUrlFilter,
    model.ReferrerTypeFilter,
    model.UtmFilter,
)
# What may restrict single events, where events are listed one by one.
OF_SINGLE_EVENTS = ("event", "page", "user", "location", "browser", "device", "os")
TIMES = {EVENT: "createdAt", SESSION: "startedAt"}
# Parameters with the users of a funnel, a number behind them.
REACHED, REACHED_BEFORE = "reached", "reachedBefore"

__all__ = ["COUNTRY", "NONE", "Conditions", "compile_filters"]


class Mark(msgspec.Struct, frozen=True):
    """What one filter asks of a user: rows of a table that fit, at least one or, when negated, none.

    is_handed_on: the users that got through the funnel are bound, see Conditions.settled.
    """

    table: str
    fits: str
    is_negative: bool
    funnel: Funnel | None = None
    is_handed_on: bool = False


class Conditions(msgspec.Struct, frozen=True):
    """A compiled set of filters. parameters: what every text below binds, whichever of them a statement takes."""

    group: Group = model.NOTHING
    marks: dict[int, Mark] = {}
    single: dict[int, str] = {}
    parameters: dict[str, Any] = {}
    is_settled: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is restricted."""
        return not self.marks

    def users(self, time: str = "createdAt", *, both_windows: bool = False) -> str:
        """A condition on the `userId` of the outer statement's rows; `true` without filters.

        The statement binds project, start and end, in milliseconds. both_windows: it also binds previousStart and
        previousEnd, and each row is held to the users of the window that its `time` lies in.
        """
        if self.is_empty:
            return TRUE
        held, holds_for_nobody = self._expression(self.group)
        negated = "NOT " if holds_for_nobody else ""
        source = self._matches(both_windows)
        start = "fromUnixTimestamp64Milli({start:Int64}, 'UTC')"
        keys, found = "userId", "userId"
        if both_windows:
            keys, found = f"(userId, {time} >= {start})", "userId, isCurrent"
        # Users without any row that fits are not in the set, so it is the one in which those do not belong.
        return f"({keys} {negated}IN (SELECT {found} FROM ({source}) GROUP BY {found} HAVING {negated}({held})))"  # noqa: S608

    def rows(self, *types: str) -> str:
        """A condition on rows by the filters of some types alone: of the event or session table, as the types are.

        Of several filters, a row fits one of the positive and all of the negative ones, which go together as the set
        says; `true` without any.
        """
        return self._rows(self.group, types)[0] or TRUE

    def single_events(self) -> str:
        """A condition on events that are listed one by one: filters of OF_SINGLE_EVENTS, joined as the set says."""
        return self._single(self.group) or TRUE

    def unsettled(self) -> dict[int, str]:
        """The funnels whose users each statement finds anew: by number, a SELECT of userId and isCurrent."""
        return {
            number: funnel_stage.reached(mark.funnel, mark.fits, both_windows=True)
            for number, mark in enumerate(self.marks.values())
            if mark.funnel is not None and not self.is_settled
        }

    def settled(self, found: Mapping[int, tuple[str, str]]) -> "Conditions":
        """The same for one range alone. found: of its funnels by number the users in it and before it, as arrays in
        text; those that are missing here are left to each statement.
        """
        marks = {
            key: msgspec.structs.replace(mark, is_handed_on=number in found)
            for number, (key, mark) in enumerate(self.marks.items())
        }
        handed_on = {
            f"{name}{number}": users
            for number, both in found.items()
            for name, users in zip((REACHED, REACHED_BEFORE), both, strict=True)
        }
        return Conditions(self.group, marks, self.single, self.parameters | handed_on, is_settled=True)

    def _expression(self, group: Group) -> tuple[str, bool]:
        """What a user's maxima must fulfil, and whether a user without any row that fits fulfils it."""
        texts, empty = [], []
        for one in group.filters:
            if isinstance(one, Group):
                if not self._has_marks(one):
                    continue
                text, holds = self._expression(one)
                texts.append(f"({text})")
                empty.append(holds)
            elif (mark := self.marks.get(id(one))) is not None:
                number = list(self.marks).index(id(one))
                texts.append(f"max(m{number}) = {int(not mark.is_negative)}")
                empty.append(mark.is_negative)
        joined = all(empty) if group.operator is Joined.AND else any(empty)
        return f" {group.operator.upper()} ".join(texts), joined

    def _has_marks(self, group: Group) -> bool:
        return any(id(leaf) in self.marks for leaf in model.leaves(group))

    def _matches(self, both_windows: bool) -> str:
        """The users and marks of every row that fits any filter: one scan of each table that is asked, and funnels."""
        numbered = list(enumerate(self.marks.values()))
        parts = []
        for table in (EVENT, SESSION):
            fitting = {number: mark.fits for number, mark in numbered if mark.table == table and mark.funnel is None}
            if fitting:
                parts.append(_scan(table, fitting, len(numbered), both_windows))
        for number, mark in numbered:
            if mark.funnel is not None:
                reached = (
                    _handed_on(number, both_windows)
                    if mark.is_handed_on
                    else funnel_stage.reached(mark.funnel, mark.fits, both_windows=both_windows)
                )
                columns = _columns({number: TRUE}, len(numbered))
                current = "isCurrent, " if both_windows else ""
                parts.append(f"SELECT userId, {current}{columns} FROM ({reached})")  # noqa: S608
        return " UNION ALL ".join(parts)

    def _rows(self, group: Group, types: tuple[str, ...]) -> tuple[str, bool]:
        """A condition, '' for none, and whether it only denies."""
        positive: list[str] = []
        negative: list[str] = []
        for one in group.filters:
            if isinstance(one, Group):
                text, is_negative = self._rows(one, types)
            elif model.type_of(one) in types and (text := self.single.get(id(one), "")):
                is_negative = self.marks[id(one)].is_negative
            else:
                continue
            if text:
                (negative if is_negative else positive).append(text)
        halves = [f"({' OR '.join(positive)})"] * bool(positive) + [f"({' AND '.join(negative)})"] * bool(negative)
        joined = f"({f' {group.operator.upper()} '.join(halves)})" if halves else ""
        return joined, not positive

    def _single(self, group: Group) -> str:
        texts = []
        for one in group.filters:
            if isinstance(one, Group):
                texts.append(self._single(one))
            elif model.type_of(one) in OF_SINGLE_EVENTS:
                texts.append(self.single.get(id(one), ""))
        present = list(filter(None, texts))
        return f"({f' {group.operator.upper()} '.join(present)})" if present else ""


NONE = Conditions()


def compile_filters(group: Group, funnels: Iterable[Funnel] = ()) -> Conditions:
    """Compile a set. funnels: those of the project; a filter on a step that none of them has restricts nothing."""
    group = _copied(group)
    binder = Binder()
    marks: dict[int, Mark] = {}
    single: dict[int, str] = {}
    known = {funnel.id: funnel for funnel in funnels}
    for leaf in model.leaves(group):
        if isinstance(leaf, model.FunnelFilter):
            mark = _funnel_mark(leaf, known, binder)
            if mark is not None:
                marks[id(leaf)] = mark
            continue
        parts = conditions(leaf, binder)
        if parts.is_empty:
            continue
        marks[id(leaf)] = _mark(leaf, parts)
        single[id(leaf)] = parts.row()
    return Conditions(group, marks, single, binder.values)


def _copied(group: Group) -> Group:
    """The set with every filter an object of its own: equal ones may be one, and marks go by identity."""
    copies: list[Filter] = [
        _copied(one) if isinstance(one, Group) else msgspec.structs.replace(one) for one in group.filters
    ]
    return Group(group.operator, tuple(copies))


def _mark(leaf: Leaf, parts: Parts) -> Mark:
    table = SESSION if isinstance(leaf, OF_SESSIONS) else EVENT
    if parts.is_negative:
        return Mark(table, parts.denied(), True)
    return Mark(table, parts.row(), False)


def _funnel_mark(leaf: model.FunnelFilter, known: Mapping[str, Funnel], binder: Binder) -> Mark | None:
    funnel = known.get(leaf.id)
    if funnel is None or leaf.step >= len(funnel.steps):
        return None
    asked = msgspec.structs.replace(funnel, steps=funnel.steps[: leaf.step + 1])
    mask, is_negative = step_mask(asked, binder), leaf.operator is model.FunnelOperator.NOT_COMPLETED
    if not leaf.step:
        # The first step is had by any event that fits: no more is asked than by other filters.
        return Mark(EVENT, f"{mask} > 0", is_negative)
    return Mark(EVENT, mask, is_negative, asked)


def step_mask(funnel: Funnel, binder: Binder) -> str:
    """An expression over events: bit n is set where the event is one of step n. A step without condition takes all."""
    bits: list[str] = []
    for number, step in enumerate(funnel.steps):
        kind = "isPageView = 1" if isinstance(step.filter, model.PageFilter) else "isPageView = 0"
        parts = conditions(step.filter, binder)
        bits.append(f"({kind if parts.is_empty else parts.row()}) * {1 << number}")
    return f"toUInt32({' + '.join(bits)})"


def _handed_on(number: int, both_windows: bool) -> str:
    """The users of a funnel as they are bound: read when they are needed, no constant that plans are made of."""

    def users(name: str) -> str:
        return f"SELECT arrayJoin(CAST(materialize({{{name}{number}:String}}), 'Array(UInt64)')) AS userId"

    if not both_windows:
        return users(REACHED)
    return f"{users(REACHED)}, true AS isCurrent UNION ALL {users(REACHED_BEFORE)}, false AS isCurrent"


def _scan(table: str, fitting: Mapping[int, str], count: int, both_windows: bool) -> str:
    time = TIMES[table]
    current = f"{time} >= fromUnixTimestamp64Milli({{start:Int64}}, 'UTC') AS isCurrent, " if both_windows else ""
    alive = " AND deleted = 0" if table == SESSION else ""
    any_of = " OR ".join(f"({text})" for text in fitting.values())
    within = funnel_stage.within(time, both_windows=both_windows)
    return (
        f"SELECT userId, {current}{_columns(fitting, count)} FROM {table} FINAL"  # noqa: S608
        f" WHERE projectId = {{project:UInt64}} AND {within}{alive} AND ({any_of})"
    )


def _columns(fitting: Mapping[int, str], count: int) -> str:
    return ", ".join(f"toUInt8({fitting.get(number, 0)}) AS m{number}" for number in range(count))
