"""The chart and the tiles: both windows counted together, gaps filled. Called by dashboard.py."""

from itertools import pairwise

from vemetric.model.dashboard import Bucket, Range
from vemetric.stats import metrics
from vemetric.stats.metrics import Sums
from vemetric.stats.query import Query, Reader

CURRENT = "current"
PREVIOUS = "previous"
# The bucket under which the sums of a whole window stand.
WHOLE = 0

# Visits are told apart in memory, so this bounds what a statement takes, however long the range.
VISITS_PER_PIECE = 200_000

# The sums of each window by the start of the bucket.
Windows = dict[str, dict[int, Sums]]


async def count_events(reader: Reader, query: Query, previous: Range, windows: Windows) -> None:
    """Add users, page views and events of both windows."""
    for window, bucket, users, page_views, events in await reader.rows(
        "series", query.with_previous(previous), _event_expressions(query)
    ):
        sums = _sums(windows, window, bucket)
        sums.users, sums.page_views, sums.events = users, page_views, events


async def count_visits(reader: Reader, query: Query, previous: Range, windows: Windows) -> None:
    """Add visits, bounces and durations of both windows, piece by piece: each holds the visits that start in it."""
    parameters, expressions = query.with_previous(previous), _visit_expressions(query)
    [[visits, first_ms, last_ms]] = await reader.rows("visit_span", parameters)
    if not visits:
        return
    piece_ms = (last_ms - first_ms) // -(-visits // VISITS_PER_PIECE) + 1
    for from_ms, to_ms in pairwise((*range(first_ms, last_ms + 1, piece_ms), query.range.end_ms)):
        for bucket, *counts in await reader.rows("visits", parameters | {"from": from_ms, "to": to_ms}, expressions):
            window = CURRENT if bucket >= query.range.start_ms else PREVIOUS
            for sums in (_sums(windows, window, bucket), _sums(windows, window, WHOLE)):
                sums.add_visits(*counts)


def whole(windows: Windows, window: str) -> Sums:
    """The sums of a window."""
    return windows.get(window, {}).get(WHOLE, Sums())


def buckets(range_: Range, previous: Range, windows: Windows) -> list[Bucket]:
    """Every bucket of the range in order, also those in which nothing happened."""
    previous_starts = previous.edges_ms[:-1]
    before = windows.get(PREVIOUS, {})
    return [
        _bucket(
            start_ms,
            end_ms,
            range_.now_ms,
            windows.get(CURRENT, {}).get(start_ms, Sums()),
            before.get(previous_starts[position], Sums()).users if position < len(previous_starts) else None,
        )
        for position, (start_ms, end_ms) in enumerate(pairwise(range_.edges_ms))
    ]


def _event_expressions(query: Query) -> dict[str, str]:
    return {
        "users": query.conditions.users(both_windows=True),
        "pageRows": query.conditions.rows("page"),
        "eventRows": query.conditions.rows("event"),
    }


def _visit_expressions(query: Query) -> dict[str, str]:
    expressions = {"users": query.conditions.users("startedAt", both_windows=True)}
    if query.events_prevent_bounce:
        # Other events need only be read where they count.
        expressions |= {"events": "true", "quiet": "others = 0"}
    return expressions


def _sums(windows: Windows, window: str, bucket: int) -> Sums:
    return windows.setdefault(window, {}).setdefault(bucket, Sums())


def _bucket(start_ms: int, end_ms: int, now_ms: int, sums: Sums, previous_users: int | None) -> Bucket:
    bounce_rate = metrics.as_float(metrics.bounce_rate(sums))
    return Bucket(
        start_ms=start_ms,
        end_ms=end_ms,
        users=sums.users,
        page_views=sums.page_views,
        events=sums.events,
        bounce_rate=None if bounce_rate is None else metrics.rounded(bounce_rate, 2),
        visit_duration=metrics.as_float(metrics.visit_duration(sums)),
        visits=sums.visits,
        views_per_visit=metrics.as_float(metrics.views_per_visit(sums)),
        incomplete=now_ms < end_ms,
        previous_users=previous_users,
    )
