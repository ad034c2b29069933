"""Users listed and looked at, on every engine."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from tests.stats.history import Event, Rows, Visit
from vemetric.clickhouse.engine import Engine
from vemetric.clickhouse.user_row import USER_COLUMNS, new_row
from vemetric.model import calendar, filters, timespan
from vemetric.model.project import Project
from vemetric.model.timespan import Timespan
from vemetric.stats import users
from vemetric.stats.filters import compile_filters
from vemetric.stats.users import Mark, Sort, Wanted

NOW_MS = 1_773_144_000_000
MINUTE_MS = 60_000
RANGE = timespan.resolve(Timespan(), NOW_MS, "Europe/Vienna")


async def write(engine: Engine, project: Project, *items: Event | Visit) -> None:
    rows = Rows(project.id)
    for item in items:
        (rows.event if isinstance(item, Event) else rows.visit)(item)
    await rows.insert(engine)


async def know(engine: Engine, project: Project, user: int, identifier: str, **values: object) -> None:
    row = msgspec.structs.replace(new_row(project.id, user, identifier, NOW_MS - 9 * MINUTE_MS), **values)
    await engine.insert("user", USER_COLUMNS, [row.to_tuple()])


@pytest.fixture
async def people(engine: Engine, project: Project) -> None:
    """Three known users and one who is nobody; 4 was here first, 1 last."""
    await write(
        engine,
        project,
        Event(1, NOW_MS - MINUTE_MS, name="Upgraded", identifier="ann@example.com"),
        Event(1, NOW_MS - 2 * MINUTE_MS, identifier="ann@example.com"),
        Event(2, NOW_MS - 20 * MINUTE_MS, name="Upgraded", identifier="bob"),
        Event(3, NOW_MS - 30 * MINUTE_MS, name="Signup", identifier="cy"),
        Event(4, NOW_MS - 40 * MINUTE_MS),
        Event(5, NOW_MS - 48 * 60 * MINUTE_MS),
    )
    await know(engine, project, 1, "ann@example.com", displayName="Ann Ärger")
    await know(engine, project, 2, "bob", displayName="Zoe", customData='{"plan":"Gold","seats":12}')
    await know(engine, project, 3, "cy", displayName="gone", deleted=1, version=2)


async def ids(engine: Engine, project: Project, **wanted: object) -> list[int]:
    page = await users.load_page(engine, project, RANGE, msgspec.structs.replace(Wanted(), **wanted))
    return [user.id for user in page.users]


async def test_lists_who_did_anything_the_latest_first(engine: Engine, project: Project, people: None) -> None:
    page = await users.load_page(engine, project, RANGE, Wanted())
    assert [user.id for user in page.users] == [1, 2, 3, 4]
    assert (page.total, page.next) == (4, None)
    assert [user.is_online for user in page.users] == [True, False, False, False]
    assert [(user.display_name, user.identifier) for user in page.users] == [
        ("Ann Ärger", "ann@example.com"),
        ("Zoe", "bob"),
        ("", "cy"),
        ("", ""),
    ]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ärger", [1]),
        ("EXAMPLE.com", [1]),
        ("2", [2]),
        ("gold", [2]),
        ("12", [2]),
        ("plan", []),
        ("%", []),
        ("cy", [3]),
        ("gone", []),
        ("'", []),
    ],
)
async def test_finds_by_name_identifier_number_and_attributes(
    engine: Engine, project: Project, people: None, search: str, found: list[int]
) -> None:
    assert await ids(engine, project, search=search) == found


@pytest.mark.parametrize(
    ("wanted", "order"),
    [
        (Wanted(is_descending=False), [4, 3, 2, 1]),
        (Wanted(sort=Sort.NAME, is_descending=False), [1, 3, 2, 4]),
        (Wanted(sort=Sort.NAME), [2, 3, 1, 4]),
        (Wanted(sort=Sort.EVENT, event="Upgraded"), [1, 2, 3, 4]),
        (Wanted(sort=Sort.EVENT, event="Upgraded", is_descending=False), [2, 1, 3, 4]),
        (Wanted(sort=Sort.EVENT), [1, 2, 3, 4]),
    ],
)
async def test_orders_and_pages_agree(
    engine: Engine, project: Project, people: None, wanted: Wanted, order: list[int]
) -> None:
    """Pages of one, each beginning where the other ended, are the list; users nothing is known of come last."""
    assert [user.id for user in (await users.load_page(engine, project, RANGE, wanted)).users] == order
    paged: list[int] = []
    after: Mark | None = None
    for number in range(4):
        page = await users.load_page(engine, project, RANGE, msgspec.structs.replace(wanted, after=after), limit=1)
        paged += [user.id for user in page.users]
        assert (page.total, page.next is None) == (4, number == 3)
        after = page.next
    assert paged == order


async def test_users_of_the_same_moment_are_paged_by_id(engine: Engine, project: Project) -> None:
    await write(engine, project, *(Event(user, NOW_MS - 5) for user in (9, 7, 8)))
    first = await users.load_page(engine, project, RANGE, Wanted(), limit=2)
    rest = await users.load_page(engine, project, RANGE, Wanted(after=first.next), limit=2)
    assert [user.id for user in (*first.users, *rest.users)] == [7, 8, 9]


async def test_tells_when_an_event_was_sent_last(engine: Engine, project: Project, people: None) -> None:
    page = await users.load_page(engine, project, RANGE, Wanted(sort=Sort.EVENT, event="Signup"))
    assert [(user.id, user.fired_ms) for user in page.users][:2] == [(3, NOW_MS - 30 * MINUTE_MS), (1, None)]


async def test_is_held_to_filters(engine: Engine, project: Project, people: None) -> None:
    conditions = compile_filters(filters.Group(filters=(filters.EventFilter(filters.Text(value="Upgraded")),)))
    page = await users.load_page(engine, project, RANGE, Wanted(), conditions)
    assert [user.id for user in page.users] == [1, 2]


async def test_tells_what_is_known(engine: Engine, project: Project, people: None) -> None:
    facts = await users.load_facts(engine, project, 2, NOW_MS)
    assert facts is not None
    assert facts.known is not None
    assert (facts.display_name, facts.identifier, facts.events, facts.is_online) == ("Zoe", "bob", 1, False)
    assert facts.known.attributes == {"plan": "Gold", "seats": 12}
    nobody = await users.load_facts(engine, project, 4, NOW_MS)
    assert nobody is not None
    assert (nobody.known, nobody.browser, nobody.os) == (None, "Chrome", "macOS")
    assert await users.load_facts(engine, project, 99, NOW_MS) is None


async def test_a_known_user_without_any_event_is_somebody(engine: Engine, project: Project) -> None:
    await know(engine, project, 6, "dan")
    facts = await users.load_facts(engine, project, 6, NOW_MS)
    assert facts is not None
    assert (facts.identifier, facts.events, facts.last_ms) == ("dan", 0, NOW_MS - 9 * MINUTE_MS)


async def test_journey_has_visits_and_the_time_on_each_page(engine: Engine, project: Project) -> None:
    await write(
        engine,
        project,
        Visit(1, NOW_MS - 600_000, 100, id="v", referrer="https://a.example"),
        Event(1, NOW_MS - 600_000, "v", pathname="/a"),
        Event(1, NOW_MS - 595_000, "v", name="Click", data={"b": 1, "a": 2}),
        Event(1, NOW_MS - 570_000, "v", pathname="/b"),
        Event(1, NOW_MS - 100_000, "gone", pathname="/c"),
        Event(2, NOW_MS - 100_000, "gone", pathname="/other"),
    )
    journey = await users.load_journey(engine, project, 1)
    assert [(step.path, step.name == "Click", step.seconds) for step in journey.steps] == [
        ("/c", False, None),
        ("/b", False, 70),
        ("/", True, None),
        ("/a", False, 30),
    ]
    assert list(journey.steps[2].data.items()) == [("a", 2), ("b", 1)]
    assert journey.sessions["v"].referrer == "https://a.example"
    assert list(journey.sessions) == ["v"]


async def test_journey_is_paged_also_within_a_millisecond(engine: Engine, project: Project) -> None:
    """D3 of lists: a page that ends between two events of one instant loses neither."""
    await write(engine, project, *(Event(1, NOW_MS - 100, "v", id=f"e{n}", pathname=f"/{n}") for n in range(5)))
    seen: list[str] = []
    before = users.LATEST
    for _ in range(3):
        journey = await users.load_journey(engine, project, 1, before=before, limit=2)
        seen += [step.id for step in journey.steps]
        before = journey.next or before
    assert seen == ["e4", "e3", "e2", "e1", "e0"]
    assert journey.next is None


async def test_journey_of_a_day_and_of_filtered_events_keeps_the_time_on_pages(
    engine: Engine, project: Project
) -> None:
    await write(
        engine,
        project,
        Event(1, NOW_MS - 60_000, "v", pathname="/a"),
        Event(1, NOW_MS - 50_000, "v", pathname="/b"),
        Event(1, NOW_MS - 86_400_000, "w", pathname="/a"),
    )
    group = filters.Group(filters=(filters.PageFilter(path=filters.Text(value="/a")),))
    journey = await users.load_journey(engine, project, 1, window_ms=(NOW_MS - 120_000, NOW_MS), group=group)
    assert [(step.path, step.seconds) for step in journey.steps] == [("/a", 10)]


async def test_counts_the_days_of_the_zone(engine: Engine, project: Project) -> None:
    zone = calendar.zone("Europe/Vienna")
    first = date(2026, 3, 28)
    edges = [calendar.day_start(first + timedelta(days=number), zone) for number in range(4)]
    late = round(datetime(2026, 3, 28, 22, 59, tzinfo=UTC).timestamp() * 1000)
    # The 29th has 23 hours.
    await write(engine, project, Event(1, late), Event(1, late + MINUTE_MS), Event(1, edges[2] - 1), Event(1, edges[3]))
    assert await users.count_days(engine, project, 1, edges) == {edges[0]: 1, edges[1]: 2}
    assert edges[2] - edges[1] == 23 * 3_600_000


def test_queries_are_stored_as_objects() -> None:
    stored = ("", "{}", '{"a":"1 2","b":"é"}', "?a=1")
    assert [users.query_text(one) for one in stored] == ["", "", "?a=1+2&b=%C3%A9", "?a=1"]
