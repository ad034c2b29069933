"""POST /v1/analytics/query: figures of a period, whole, by time, or by what events and visits are like."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from vemetric.model.dashboard import Range
from vemetric.stats import breakdown, metrics, series
from vemetric.stats.metrics import Sums
from vemetric.stats.query import Query, Reader
from vemetric.web.api import paging, periods
from vemetric.web.api.answers import AnalyticsAnswer, AnalyticsEcho, Compared, Figures, Row
from vemetric.web.api.call import Call
from vemetric.web.api.failures import Detail
from vemetric.web.api.requests import DEFAULT_METRICS, AnalyticsQuery
from vemetric.web.api.types import METRICS_MAX, Direction, FieldToken, IntervalToken, Metric, Place

DATE = "date"
PROPERTY_PREFIX = "event:prop:"
DIGITS = 2
# What rows are grouped by, as stats/breakdown.py calls it.
KINDS = {
    FieldToken.COUNTRY: "country",
    FieldToken.CITY: "city",
    FieldToken.ORIGIN: "origin",
    FieldToken.PATH: "path",
    FieldToken.BROWSER: "browser",
    FieldToken.DEVICE: "device",
    FieldToken.OS: "os",
    FieldToken.REFERRER: "referrer",
    FieldToken.REFERRER_TYPE: "referrerType",
    FieldToken.CAMPAIGN: "utmCampaign",
    FieldToken.CONTENT: "utmContent",
    FieldToken.MEDIUM: "utmMedium",
    FieldToken.SOURCE: "utmSource",
    FieldToken.TERM: "utmTerm",
    FieldToken.EVENT: "event",
}
PROPERTY = "property"
FIGURES = {
    Metric.USERS: "users",
    Metric.PAGE_VIEWS: "pageViews",
    Metric.EVENTS: "events",
    Metric.BOUNCE_RATE: "bounceRate",
    Metric.VISIT_DURATION: "visitDuration",
}
# The fields of Figures.
FIELDS = {
    Metric.USERS: "users",
    Metric.PAGE_VIEWS: "pageviews",
    Metric.EVENTS: "events",
    Metric.BOUNCE_RATE: "bounce_rate",
    Metric.VISIT_DURATION: "visit_duration",
}


class Counted(NamedTuple):
    """A row before it is told: the word of its group, what was counted, and, compared, what was before."""

    key: str
    sums: Sums
    before: Sums | None = None


class Asked(NamedTuple):
    """A query that makes sense. offset: where its page begins. order: what by, '' for the usual order."""

    body: AnalyticsQuery
    token: str
    wanted: tuple[Metric, ...]
    order: str
    is_descending: bool
    offset: int


async def query(call: Call) -> AnalyticsAnswer:
    """Answer a query. Checks come first, then the plan, then the figures."""
    body = await call.body(AnalyticsQuery, problems_of)
    at_ms, place = paging.read(body.cursor, Place, call.now_ms)
    period = call.period(body.date_range, body.timezone, at_ms)
    conditions = await call.conditions(body.filters, body.filters_operator)
    asked = _asked(body, place)
    counted = Query(call.project.id, period.range, conditions, call.project.events_prevent_bounce)
    reader = Reader(call.services.engine)
    rows, has_more = await _rows(reader, counted, asked)
    metrics_ = asked.wanted
    next_cursor = paging.write(at_ms, asked.offset + len(rows)) if has_more else None
    limit, offset = (body.limit, body.offset) if asked.token else (1, 0)
    return AnalyticsAnswer(
        period=period.told,
        query=_echo(body, metrics_),
        pagination=paging.told(limit, offset, len(rows), body.cursor, next_cursor),
        data=[_row(asked, row) for row in rows],
        comparison=UNSET
        if isinstance(body.compare, UnsetType)
        else Compared(body.compare, periods.told(periods.previous(period.range))),
    )


def problems_of(sent: dict[str, Any]) -> Iterable[Detail]:
    """What does not go together."""
    yield from periods.problems_of(sent)
    group_by, order_by = sent.get("groupBy", []), sent.get("orderBy", [])
    if len(group_by) > 1:
        yield Detail("groupBy", "Group by one thing at a time")
    if len(order_by) > 1:
        yield Detail("orderBy", "Order by one thing at a time")
    token = group_by[0] if group_by else ""
    asked, metrics_ = sent.get("metrics") or DEFAULT_METRICS, set(Metric)
    # Of a list that is too long nobody has looked at what stands in it.
    wanted = set(asked) if len(asked) <= METRICS_MAX else metrics_
    for number, (field, *_) in enumerate(order_by):
        if field in metrics_:
            if field not in wanted:
                yield Detail(f"orderBy.{number}.0", "Order by a metric that is asked for")
        elif field != (DATE if token == IntervalToken.AUTO else token):
            yield Detail(f"orderBy.{number}.0", "Order by what the rows are grouped by, or by a metric")


def _asked(body: AnalyticsQuery, place: int | None) -> Asked:
    field, direction = body.order_by[0] if body.order_by else ("", Direction.DESC)
    is_paged = body.cursor is not UNSET
    offset = (place or 0) if is_paged else body.offset
    wanted = tuple(dict.fromkeys(body.metrics or DEFAULT_METRICS))
    token = body.group_by[0] if body.group_by else ""
    return Asked(body, token, wanted, field, direction is Direction.DESC, offset)


async def _rows(reader: Reader, counted: Query, asked: Asked) -> tuple[list[Counted], bool]:
    """The rows of a page, and whether there are more."""
    if asked.token and asked.token != IntervalToken.AUTO:
        return await _by_field(reader, counted, asked)
    compares = asked.body.compare is not UNSET
    before = periods.previous(counted.range) if compares else periods.nothing_before(counted.range)
    windows: series.Windows = {}
    await series.count_events(reader, counted, before, windows)
    if {Metric.BOUNCE_RATE, Metric.VISIT_DURATION} & set(asked.wanted):
        await series.count_visits(reader, counted, before, windows)
    if not asked.token:
        previous = series.whole(windows, series.PREVIOUS) if compares else None
        return [Counted("", series.whole(windows, series.CURRENT), previous)], False
    return _page(_by_time(counted.range, before if compares else None, windows, asked), asked)


def _by_time(range_: Range, before: Range | None, windows: series.Windows, asked: Asked) -> list[Counted]:
    current, previous = windows.get(series.CURRENT, {}), windows.get(series.PREVIOUS, {})
    starts_ms = before.edges_ms[:-1] if before is not None else ()
    rows = []
    for position, (start_ms, _) in enumerate(pairwise(range_.edges_ms)):
        sums = current.get(start_ms, Sums())
        if not asked.body.fill_gaps and not _says_anything(sums, asked.wanted):
            continue
        earlier = None
        if before is not None:
            earlier = previous.get(starts_ms[position], Sums()) if position < len(starts_ms) else Sums()
        rows.append(Counted(periods.label(start_ms, range_), sums, earlier))
    return rows


def _page(rows: list[Counted], asked: Asked) -> tuple[list[Counted], bool]:
    if asked.order == DATE and asked.is_descending:
        rows.reverse()
    elif asked.order not in (DATE, ""):
        metric = Metric(asked.order)
        rows.sort(key=lambda row: _value(metric, row.sums) or 0, reverse=asked.is_descending)
    shown = rows[asked.offset : asked.offset + asked.body.limit]
    return shown, asked.offset + len(shown) < len(rows)


async def _by_field(reader: Reader, counted: Query, asked: Asked) -> tuple[list[Counted], bool]:
    limit = asked.body.limit
    wanted = _wanted(asked, limit + 1)
    found = await breakdown.load(reader, counted, wanted)
    rows = [Counted(row.key, row.sums) for row in found[:limit]]
    if asked.body.compare is not UNSET and rows:
        before = msgspec.structs.replace(counted, range=periods.previous(counted.range))
        keys = tuple(row.key for row in rows)
        same = msgspec.structs.replace(wanted, keys=keys, limit=len(keys), offset=0)
        earlier = {row.key: row.sums for row in await breakdown.load(reader, before, same)}
        rows = [row._replace(before=earlier.get(row.key, Sums())) for row in rows]
    return rows, len(found) > limit


def _wanted(asked: Asked, limit: int) -> breakdown.Wanted:
    is_property = asked.token.startswith(PROPERTY_PREFIX)
    if asked.order in list(Metric):
        order, is_descending = FIGURES[Metric(asked.order)], asked.is_descending
    elif asked.order:
        order, is_descending = "key", asked.is_descending
    else:
        order, is_descending = FIGURES[asked.wanted[0]], True
    return breakdown.Wanted(
        kind=PROPERTY if is_property else KINDS[FieldToken(asked.token)],
        figures=tuple(FIGURES[metric] for metric in asked.wanted),
        order=order,
        is_descending=is_descending,
        limit=limit,
        offset=asked.offset,
        property=asked.token.removeprefix(PROPERTY_PREFIX) if is_property else "",
    )


def _says_anything(sums: Sums, wanted: Sequence[Metric]) -> bool:
    counts = {
        Metric.USERS: sums.users,
        Metric.PAGE_VIEWS: sums.page_views,
        Metric.EVENTS: sums.events,
        Metric.BOUNCE_RATE: sums.viewing,
        Metric.VISIT_DURATION: sums.visits,
    }
    return any(counts[metric] for metric in wanted)


def _row(asked: Asked, row: Counted) -> Row:
    name = DATE if asked.token == IntervalToken.AUTO else asked.token
    return Row(
        {name: row.key} if name else {},
        _figures(asked, row.sums),
        UNSET if row.before is None else _figures(asked, row.before),
    )


def _figures(asked: Asked, sums: Sums) -> Figures:
    told: dict[str, Any] = {
        FIELDS[metric]: None if _says_nothing(asked.token, metric) else _value(metric, sums) for metric in asked.wanted
    }
    return Figures(**told)


def _says_nothing(token: str, metric: Metric) -> bool:
    """Whether a figure of visits means nothing of such rows."""
    if token in ("", IntervalToken.AUTO) or metric not in (Metric.BOUNCE_RATE, Metric.VISIT_DURATION):
        return False
    kind = breakdown.KINDS[PROPERTY if token.startswith(PROPERTY_PREFIX) else KINDS[FieldToken(token)]]
    return not kind.lasts if metric is Metric.VISIT_DURATION else not (kind.visits or kind.views)


def _value(metric: Metric, sums: Sums) -> float:
    match metric:
        case Metric.USERS:
            return sums.users
        case Metric.PAGE_VIEWS:
            return sums.page_views
        case Metric.EVENTS:
            return sums.events
        case Metric.BOUNCE_RATE:
            rate = metrics.bounce_rate(sums)
        case Metric.VISIT_DURATION:
            rate = metrics.visit_duration(sums)
    return metrics.rounded(float(rate or 0), DIGITS)


def _echo(body: AnalyticsQuery, wanted: Sequence[Metric]) -> AnalyticsEcho:
    return AnalyticsEcho(
        body.date_range,
        body.group_by,
        body.metrics or wanted,
        body.order_by,
        body.limit,
        body.offset,
        body.filters,
        UNSET if body.filters is UNSET else body.filters_operator,
    )
