"""Random histories, counted by the store and by the oracle: through repeats, corrections, moves, deletions and merges,
at every timespan, in zones whose days are not all alike.
"""

import asyncio
import itertools
import random
from datetime import UTC, date, datetime

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kit import engines
from tests.stats import history, oracle
from tests.stats.conftest import in_process
from tests.stats.history import Event, Rows, Visit
from vemetric.clickhouse.engine import Engine
from vemetric.model import calendar, timespan
from vemetric.model.dashboard import Range, Row
from vemetric.model.project import Project
from vemetric.model.timespan import Timespan
from vemetric.stats import dashboard, dimensions, filters, series
from vemetric.stats.dashboard import Choice
from vemetric.stats.filters import Conditions

# Zones, each with a moment around which its clock does something worth a test.
MOMENTS = {
    "UTC": "2026-03-10T12:20:00",
    "Europe/Vienna": "2026-03-29T09:00:00",
    "America/Sao_Paulo": "2018-11-04T20:00:00",
    "Asia/Kathmandu": "2025-12-31T18:14:59",
    "Pacific/Apia": "2012-01-01T08:00:00",
    "Australia/Lord_Howe": "2023-10-01T10:00:00",
}
DAY_MS = 24 * calendar.HOUR_MS
PLACES = (("", ""), ("AT", "Wien"), ("AT", ""), ("DE", "Linz"), ("AT", "Linz"), ("", "unknown"))
SOURCES = (("", ""), ("", "https://example.com"), ("Google", "https://google.com"), ("News", ""), ("News", "https://n"))
DATA = (
    {},
    {"plan": "pro"},
    {"plan": "Starter", "seats": 5},
    {"seats": "7"},
    {"plan": None, "50%_": "a_b"},
    {"seats": 2.5},
    {"seats": 2**53 + 1},
    {"seats": str(2**53)},
    {"seats": float(2**60)},
)
NAMES = (history.PAGE_VIEW, history.PAGE_VIEW, history.PAGE_VIEW, "signup", "click")
PATHS = ("/", "/a", "/b", "/ü", "/a/b", "/c", "/d", "/e", "/f")


class History:
    """A random project: what happened, and the rows that tell of it."""

    def __init__(self, chance: random.Random, range_: Range) -> None:
        self._chance = chance
        self._range = range_
        self.project = history.a_project()
        self.rows = Rows(self.project.id)
        self.events: list[Event] = []
        self.visits: list[Visit] = []
        for _ in range(chance.randint(0, 6)):
            self._visit()
        for _ in range(chance.randint(0, 8)):
            self._event(chance.randint(1, 4), self._moment(), chance.choice(("", "no-such-visit")))

    def _moment(self) -> int:
        """Often right at an edge, otherwise anywhere around the two windows."""
        before = timespan.previous(self._range)
        edges = (*before.edges_ms, before.end_ms, *self._range.edges_ms, self._range.end_ms)
        if self._chance.random() < 0.5:
            return self._chance.choice(edges) + self._chance.randint(-1, 1)
        slack_ms = max(self._range.edges_ms[1] - self._range.edges_ms[0], DAY_MS // 48)
        return self._chance.randint(before.start_ms - slack_ms, self._range.end_ms + slack_ms)

    def _visit(self) -> None:
        chance = self._chance
        (country, city), (referrer, url) = chance.choice(PLACES), chance.choice(SOURCES)
        opened = Visit(
            user=chance.randint(1, 4),
            start_ms=self._moment(),
            referrer=referrer,
            referrer_url=url,
            referrer_type=chance.choice(("search", "unknown")),
            utm_source=chance.choice(("", "spring")),
            utm_campaign=chance.choice(("", "Launch")),
            country=country,
            city=city,
            pathname=chance.choice(PATHS),
        )
        lengths = [0, *(chance.randint(0, 20_000) for _ in range(chance.randint(0, 5)))]
        visit = msgspec.structs.replace(opened, seconds=chance.choice((0, max(lengths))))
        if visit.seconds:
            self.rows.visit(opened, version=1, batch=chance.randint(0, 1))
        self.rows.visit(visit, version=2, batch=chance.randint(0, 2))
        fate = chance.choice(("kept", "kept", "moved", "deleted"))
        if fate != "kept":
            self.rows.visit(visit, version=3, deleted=True, batch=chance.randint(1, 3))
        if fate == "moved":
            visit = msgspec.structs.replace(visit, user=5)
            self.rows.visit(visit, version=1, batch=chance.randint(0, 3))
        if fate != "deleted":
            self.visits.append(visit)
        for length in lengths:
            at_ms = visit.start_ms + min(length, visit.seconds) * 1000
            self._event(opened.user, at_ms, visit.id, moved_to=visit.user if fate == "moved" else None)

    def _event(self, user: int, at_ms: int, session: str, moved_to: int | None = None) -> None:
        chance = self._chance
        event = Event(
            user=user,
            at_ms=at_ms,
            session=session,
            name=chance.choice(NAMES),
            origin=chance.choice(("https://example.com", "https://docs.example.com")),
            pathname=chance.choice(PATHS),
            client_type=chance.choice(("browser", "browser", "server")),
            hash=chance.choice(("", "#top")),
            data=chance.choice(DATA),
            identifier=chance.choice(("", "", f"user-{user}")),
            client=chance.choice(("Chrome", "Firefox")),
            client_version=chance.choice(("", "120.0")),
            device=chance.choice(("desktop", "mobile")),
            os=chance.choice(("macOS", "Windows", "Linux")),
        )
        fate = "moved" if moved_to else chance.choice(("kept", "kept", "doubled", "corrected", "deleted"))
        self.rows.event(event, batch=0)
        if fate == "doubled":
            self.rows.event(event, batch=chance.randint(0, 1))
        if fate in ("corrected", "deleted", "moved"):
            self.rows.event(event, sign=-1, batch=1)
        if fate == "corrected":
            event = msgspec.structs.replace(event, pathname=chance.choice(PATHS), client="Safari")
            self.rows.event(event, batch=chance.randint(1, 2))
        if moved_to:
            event = msgspec.structs.replace(event, user=moved_to)
            self.rows.event(event, batch=chance.randint(0, 2))
        if fate != "deleted":
            self.events.append(event)


async def check(
    backend: Engine,
    told: History,
    range_: Range,
    conditions: Conditions = filters.NONE,
    pick: oracle.Everybody = oracle.EVERYBODY,
) -> None:
    """Every figure of the dashboard, and every row of every card, is the oracle's."""
    shown = await dashboard.load(backend, told.project, range_, conditions=conditions)
    assert shown.tiles == oracle.tiles(range_, told.events, told.visits, pick)
    assert shown.buckets == oracle.buckets(range_, told.events, told.visits, pick)
    assert shown.online == oracle.online(range_, told.events, pick)
    assert shown.has_data == bool(oracle.picked(range_, told.events, [], pick)[0])
    # Of each card one choice is looked at as a file, too: which, differs by the range.
    exported = {random.Random(range_.now_ms).choice([*choices]) for choices in dimensions.CARDS.values()}
    for card, choices in dimensions.CARDS.items():
        for name in choices:
            rows = await all_rows(backend, told.project, range_, card, name, conditions)
            assert rows == expected_rows(told, range_, name, pick), name
            if name in exported:
                choice = Choice(name, 1, EVENT, PROPERTY)
                pages = dashboard.pages(backend, told.project, range_, card, choice, conditions)
                assert [row async for page in pages for row in page] == rows


async def all_rows(
    backend: Engine, project: Project, range_: Range, card: str, name: str, conditions: Conditions
) -> list[Row]:
    rows: list[Row] = []
    total = 1
    while len(rows) < total:
        choice = Choice(name, len(rows) // dashboard.CARD_ROWS + 1, EVENT, PROPERTY)
        shown = await dashboard.load_card(backend, project, range_, card, choice, conditions)
        rows, total = rows + shown.rows, shown.total_rows
    assert total == len(rows)
    by_count = dimensions.CARDS[card][name].by_count
    assert shown.measure_max == max((row.count if by_count else row.users for row in rows), default=0)
    return rows


def expected_rows(told: History, range_: Range, name: str, pick: oracle.Everybody) -> list[Row]:
    events, visits = oracle.picked(range_, told.events, told.visits, pick)
    if name == "exitPages":
        return oracle.visit_card(
            visits,
            lambda visit: oracle.last_page(visit, told.events),
            lambda visit: oracle.last_page(visit, told.events)[1],
            True,
        )
    if name in EVENT_CARDS:
        kept = [event for event in events if pick.keeps(name, event)]
        return oracle.event_card(kept, *EVENT_CARDS[name])
    key, detail, counts = VISIT_CARDS[name]
    return oracle.visit_card([visit for visit in visits if pick.keeps(name, visit)], key, detail, counts)


def in_browser(event: Event) -> bool:
    return event.is_page_view and event.client_type == "browser"


def is_the_event(event: Event) -> bool:
    return event.name == EVENT


def place(visit: Visit) -> tuple[str, str]:
    return ("", "") if visit.city in ("", "unknown") else (visit.city, visit.country)


def version(name: str, number: str) -> oracle.Key:
    return f"{name} {number}".rstrip(" "), name


EVENT, PROPERTY = "signup", "plan"
EVENT_CARDS = {
    "pages": (lambda event: event.is_page_view, lambda event: [(event.pathname, event.origin)], True),
    "events": (lambda event: not event.is_page_view, lambda event: [(event.name, "")], True),
    "properties": (
        is_the_event,
        lambda event: [(key, "") for key, value in event.data.items() if value is not None],
        True,
        True,
    ),
    "values": (
        is_the_event,
        lambda event: [(event.data[PROPERTY], "")] if event.data.get(PROPERTY) is not None else [],
        True,
        True,
    ),
    "browsers": (in_browser, lambda event: [(event.client, "")], False),
    "browserVersions": (in_browser, lambda event: [version(event.client, event.client_version)], False),
    "devices": (in_browser, lambda event: [(event.device, "")], False),
    "os": (in_browser, lambda event: [(event.os, "")], False),
    "osVersions": (in_browser, lambda event: [version(event.os, event.os_version)], False),
}


def nothing(visit: Visit) -> str:
    return ""


def by(column: str):
    """A source that visits without it are not listed by."""
    return lambda visit: (getattr(visit, column), "") if getattr(visit, column) else None, nothing, False


VISIT_CARDS = {
    "entryPages": (lambda visit: (visit.pathname, visit.origin), lambda visit: visit.origin, True),
    "referrer": (lambda visit: (visit.referrer, ""), lambda visit: visit.referrer_url, False),
    "referrerUrl": (
        lambda visit: (visit.referrer_url, "") if visit.referrer and visit.referrer_url else None,
        lambda visit: visit.referrer_url,
        False,
    ),
    "referrerType": (lambda visit: (visit.referrer_type, ""), nothing, False),
    "utmSource": by("utm_source"),
    "utmCampaign": by("utm_campaign"),
    "countries": (lambda visit: (visit.country, ""), nothing, False),
    "cities": (place, lambda visit: place(visit)[1], False),
} | {name: (lambda visit: None, nothing, False) for name in ("utmContent", "utmMedium", "utmTerm")}

CUSTOM = [(0, 0), (1, 0), (3, 0), (13, 1), (40, 0), (120, 5)]


def a_range(chance: random.Random, chosen: str, zone: str) -> Range:
    around_ms = round(datetime.fromisoformat(MOMENTS[zone]).replace(tzinfo=UTC).timestamp() * 1000)
    now_ms = around_ms + chance.choice((0, chance.randint(0, 3 * DAY_MS)))
    if chosen in timespan.PRESETS:
        return timespan.resolve(Timespan(chosen), now_ms, zone)
    length, ago = CUSTOM[int(chosen)]
    last = calendar.local(now_ms, calendar.zone(zone)).toordinal() - ago
    return timespan.resolve(
        Timespan(timespan.CUSTOM, date.fromordinal(last - length), date.fromordinal(last)), now_ms, zone
    )


TIMESPANS = [*timespan.PRESETS, *map(str, range(len(CUSTOM)))]


def compare(backend: Engine, seed: int, chosen: str, zone: str) -> None:
    backend = engines.of_any_loop(backend)
    chance = random.Random(seed)
    range_ = a_range(chance, chosen, zone)
    told = History(chance, range_)

    async def written_and_checked() -> None:
        await told.rows.insert(backend)
        await check(backend, told, range_)

    asyncio.run(written_and_checked())


CASES = {
    "seed": st.integers(0, 2**32),
    "chosen": st.sampled_from(TIMESPANS),
    "zone": st.sampled_from([*MOMENTS]),
}


@in_process
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(**CASES)
def test_the_store_counts_like_the_oracle(backend, seed, chosen, zone):
    compare(backend, seed, chosen, zone)


@pytest.mark.long
@pytest.mark.timeout(3600)
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(**CASES)
def test_the_store_counts_like_the_oracle_for_long(backend, seed, chosen, zone):
    compare(backend, seed, chosen, zone)


def test_every_backend_counts_like_the_oracle(backend):
    for seed, zone in enumerate(("Europe/Vienna", "Pacific/Apia")):
        compare(backend, seed, "30days", zone)


@in_process
async def test_visits_are_counted_alike_in_many_pieces(backend, monkeypatch):
    monkeypatch.setattr(series, "VISITS_PER_PIECE", 2)
    for seed, zone in enumerate(MOMENTS):
        chance = random.Random(seed)
        range_ = a_range(chance, "30days", zone)
        told = History(chance, range_)
        await told.rows.insert(backend)
        await check(backend, told, range_)


@in_process
async def test_background_merges_change_no_figure(backend):
    told = []
    for seed, (chosen, zone) in enumerate(itertools.product(("24hrs", "3"), MOMENTS)):
        chance = random.Random(seed)
        range_ = a_range(chance, chosen, zone)
        told.append((History(chance, range_), range_))
        await told[-1][0].rows.insert(backend)
    await history.merge(backend)
    for one, range_ in told:
        await check(backend, one, range_)
