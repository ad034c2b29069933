"""Every figure of a dashboard again, in slow and plain Python over logical events and visits."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from fractions import Fraction

from tests.stats.history import Event, Visit
from vemetric.model import timespan
from vemetric.model.dashboard import Bucket, Range, Row, Tile

Key = tuple[str, str]


class Everybody:
    """No filters. Those of tests/stats/filter_oracle.py pick users by the range, and rows beside."""

    def users(self, range_: Range) -> Callable[[int], bool]:
        return lambda user: True

    def counts(self, event: Event) -> bool:
        """Whether an event is among the page views or events that are counted."""
        return True

    def keeps(self, name: str, row: Event | Visit) -> bool:
        """Whether a row is among those of a card."""
        return True


EVERYBODY = Everybody()


def events_in(range_: Range, events: Iterable[Event]) -> list[Event]:
    return [event for event in events if range_.start_ms <= event.at_ms < range_.end_ms]


def visits_in(range_: Range, visits: Iterable[Visit]) -> list[Visit]:
    return [visit for visit in visits if range_.start_ms <= visit.start_ms < range_.end_ms]


def picked(range_: Range, events: list[Event], visits: list[Visit], pick: Everybody) -> tuple[list[Event], list[Visit]]:
    """The events and visits of a range, of the users that filters pick."""
    users = pick.users(range_)
    return (
        [event for event in events_in(range_, events) if users(event.user)],
        [visit for visit in visits_in(range_, visits) if users(visit.user)],
    )


def figures(
    events: list[Event], visits: list[Visit], all_events: list[Event], pick: Everybody = EVERYBODY
) -> dict[str, Fraction | None]:
    """The figures of a window or a bucket: exact, None where a rate has no base."""
    views = {visit.id: sum(e.session == visit.id and e.is_page_view for e in all_events) for visit in visits}
    viewing = [count for count in views.values() if count]
    lasting = [visit.seconds for visit in visits if visit.seconds]
    duration = Fraction(sum(lasting), len(lasting)) if lasting else Fraction(0) if visits else None
    return {
        "users": Fraction(len({event.user for event in events})),
        "pageViews": Fraction(sum(event.is_page_view and pick.counts(event) for event in events)),
        "bounceRate": Fraction(100 * viewing.count(1), len(viewing)) if viewing else None,
        "visitDuration": duration,
        "visitDurationAll": Fraction(sum(visit.seconds for visit in visits), len(visits)) if visits else None,
        "events": Fraction(sum(not event.is_page_view and pick.counts(event) for event in events)),
        "visits": Fraction(len(visits)),
        "viewsPerVisit": Fraction(sum(viewing), len(viewing)) if viewing else None,
    }


def tiles(range_: Range, events: list[Event], visits: list[Visit], pick: Everybody = EVERYBODY) -> dict[str, Tile]:
    before = timespan.previous(range_)
    now = figures(*picked(range_, events, visits, pick), events, pick)
    then = figures(*picked(before, events, visits, pick), events, pick)
    return {key: tile(key, now[key], then[key]) for key in now}


def tile(key: str, now: Fraction | None, then: Fraction | None) -> Tile:
    percent = 0
    if now is not None and then is not None and now != then:
        percent = math.floor(abs(now - then) / then * 100 + Fraction(1, 2)) if then else 100
    direction = "same" if percent == 0 else "up" if now > then else "down"
    better = None if percent == 0 else (direction == "up") != (key == "bounceRate")
    return Tile(key, as_float(now), as_float(then), percent, direction, better)


def online(range_: Range, events: list[Event], pick: Everybody = EVERYBODY) -> int:
    since_ms = range_.now_ms // 30_000 * 30_000 - 270_000
    users = pick.users(range_)
    return len({event.user for event in events if since_ms <= event.at_ms <= range_.now_ms and users(event.user)})


def buckets(range_: Range, events: list[Event], visits: list[Visit], pick: Everybody = EVERYBODY) -> list[Bucket]:
    before = timespan.previous(range_)
    here, there = picked(range_, events, visits, pick), picked(before, events, visits, pick)
    result = []
    for number in range(len(range_.edges_ms) - 1):
        now = figures(*_bucket(range_, number, *here), events, pick)
        then = _bucket(before, number, *there) if number < len(before.edges_ms) - 1 else None
        result.append(
            Bucket(
                start_ms=range_.edges_ms[number],
                end_ms=range_.edges_ms[number + 1],
                users=int(now["users"]),
                page_views=int(now["pageViews"]),
                events=int(now["events"]),
                bounce_rate=half_up(now["bounceRate"], 2),
                visit_duration=as_float(now["visitDuration"]),
                visits=int(now["visits"]),
                views_per_visit=as_float(now["viewsPerVisit"]),
                incomplete=range_.now_ms < range_.edges_ms[number + 1],
                previous_users=None if then is None else len({event.user for event in then[0]}),
            )
        )
    return result


def _bucket(range_: Range, number: int, events: list[Event], visits: list[Visit]) -> tuple[list[Event], list[Visit]]:
    start_ms, end_ms = range_.edges_ms[number], range_.edges_ms[number + 1]
    return (
        [event for event in events if start_ms <= event.at_ms < end_ms],
        [visit for visit in visits if start_ms <= visit.start_ms < end_ms],
    )


def event_card(
    events: list[Event],
    rows: Callable[[Event], bool],
    keys: Callable[[Event], Iterable[Key]],
    counts: bool,
    by_count: bool = False,
) -> list[Row]:
    grouped = defaultdict(list)
    for event in events:
        if rows(event):
            for pair in keys(event):
                grouped[pair].append(event)
    lines = [(len({e.user for e in group}), len(group), *pair) for pair, group in grouped.items()]
    lines.sort(key=lambda line: (-line[by_count], -line[not by_count], line[2].encode(), line[3].encode()))
    return [Row(name, users, count if counts else None, detail) for users, count, name, detail in lines]


def visit_card(
    visits: list[Visit],
    key: Callable[[Visit], Key | None],
    detail: Callable[[Visit], str],
    counts: bool,
) -> list[Row]:
    """key: the name and what splits it further, None for a visit that does not count."""
    grouped = defaultdict(list)
    for visit in visits:
        if pair := key(visit):
            grouped[pair].append(visit)
    lines = [(len({v.user for v in group}), len(group), *pair, group) for pair, group in grouped.items()]
    lines.sort(key=lambda line: (-line[0], -line[1], line[2].encode(), line[3].encode()))
    return [
        Row(name, users, count if counts else None, min(filter(None, map(detail, group)), default=""))
        for users, count, name, _, group in lines
    ]


def last_page(visit: Visit, events: list[Event]) -> Key | None:
    """The page a visit ended with, over its whole life."""
    views = [event for event in events if event.session == visit.id and event.is_page_view]
    last = max(views, key=lambda event: (event.at_ms, event.id.encode()), default=None)
    return None if last is None else (last.pathname, last.origin)


def half_up(value: Fraction | None, digits: int) -> float | None:
    return None if value is None else math.floor(value * 10**digits + Fraction(1, 2)) / 10**digits


def as_float(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
