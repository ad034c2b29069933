"""Users listed and found, on every engine."""

import msgspec
import pytest

from tests.stats.history import Event, know, write
from vemetric.clickhouse.engine import Engine
from vemetric.model import filters, timespan
from vemetric.model.project import Project
from vemetric.model.timespan import Timespan
from vemetric.stats import users
from vemetric.stats.filters import compile_filters
from vemetric.stats.users import Mark, Sort, Wanted

NOW_MS = 1_773_144_000_000
MINUTE_MS = 60_000
KNOWN_MS = NOW_MS - 9 * MINUTE_MS
RANGE = timespan.resolve(Timespan(), NOW_MS, "Europe/Vienna")


@pytest.fixture
async def people(backend: Engine, project: Project) -> None:
    """Three known users and one who is nobody; 4 was here first, 1 last."""
    await write(
        backend,
        project,
        Event(1, NOW_MS - MINUTE_MS, name="Upgraded", identifier="ann@example.com"),
        Event(1, NOW_MS - 2 * MINUTE_MS, identifier="ann@example.com"),
        Event(2, NOW_MS - 20 * MINUTE_MS, name="Upgraded", identifier="bob"),
        Event(3, NOW_MS - 30 * MINUTE_MS, name="Signup", identifier="cy"),
        Event(4, NOW_MS - 40 * MINUTE_MS),
        Event(5, NOW_MS - 48 * 60 * MINUTE_MS),
    )
    await know(backend, project, 1, "ann@example.com", KNOWN_MS, displayName="Ann Ärger")
    await know(backend, project, 2, "bob", KNOWN_MS, displayName="Zoe", customData='{"plan":"Gold","seats":12}')
    await know(backend, project, 3, "cy", KNOWN_MS, displayName="gone", deleted=1, version=2)


async def ids(backend: Engine, project: Project, **wanted: object) -> list[int]:
    page = await users.load_page(backend, project, RANGE, msgspec.structs.replace(Wanted(), **wanted))
    return [user.id for user in page.users]


async def test_lists_who_did_anything_the_latest_first(backend: Engine, project: Project, people: None) -> None:
    page = await users.load_page(backend, project, RANGE, Wanted())
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
    backend: Engine, project: Project, people: None, search: str, found: list[int]
) -> None:
    """D24: only names were looked at."""
    assert await ids(backend, project, search=search) == found


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
    backend: Engine, project: Project, people: None, wanted: Wanted, order: list[int]
) -> None:
    """Pages of one, each beginning where the other ended, are the list; users nothing is known of come last."""
    assert [user.id for user in (await users.load_page(backend, project, RANGE, wanted)).users] == order
    paged: list[int] = []
    after: Mark | None = None
    for number in range(4):
        page = await users.load_page(backend, project, RANGE, msgspec.structs.replace(wanted, after=after), limit=1)
        paged += [user.id for user in page.users]
        assert (page.total, page.next is None) == (4, number == 3)
        after = page.next
    assert paged == order


async def test_users_of_the_same_moment_are_paged_by_id(backend: Engine, project: Project) -> None:
    """D22."""
    await write(backend, project, *(Event(user, NOW_MS - 5) for user in (9, 7, 8)))
    first = await users.load_page(backend, project, RANGE, Wanted(), limit=2)
    rest = await users.load_page(backend, project, RANGE, Wanted(after=first.next), limit=2)
    assert [user.id for user in (*first.users, *rest.users)] == [7, 8, 9]


async def test_users_of_long_names_are_paged_too(backend: Engine, project: Project) -> None:
    """Where a page ends is told by the beginning of a name, then by the id: the whole may be longer than an address."""
    for user in (7, 8, 9):
        await know(backend, project, user, f"{user}", KNOWN_MS, displayName="Ä" * 5_000 + str(-user))
    await write(backend, project, *(Event(user, NOW_MS - 5) for user in (7, 8, 9)))
    for is_descending in (True, False):
        wanted, found = Wanted(sort=Sort.NAME, is_descending=is_descending), list[int]()
        for _ in range(3):
            page = await users.load_page(backend, project, RANGE, wanted, limit=1)
            found += [user.id for user in page.users]
            assert page.next is None or len(page.next.sort) == users.SORT_CHARACTERS_MAX
            wanted = msgspec.structs.replace(wanted, after=page.next)
        assert found == [7, 8, 9]


async def test_tells_when_an_event_was_sent_last(backend: Engine, project: Project, people: None) -> None:
    page = await users.load_page(backend, project, RANGE, Wanted(sort=Sort.EVENT, event="Signup"))
    assert [(user.id, user.fired_ms) for user in page.users][:2] == [(3, NOW_MS - 30 * MINUTE_MS), (1, None)]


async def test_is_held_to_filters(backend: Engine, project: Project, people: None) -> None:
    conditions = compile_filters(filters.Group(filters=(filters.EventFilter(filters.Text(value="Upgraded")),)))
    page = await users.load_page(backend, project, RANGE, Wanted(), conditions)
    assert [user.id for user in page.users] == [1, 2]
