"""Events as they came, on every engine."""

import msgspec
import pytest

from tests.stats.history import Event, know, write
from vemetric.clickhouse.engine import Engine
from vemetric.model import filters, timespan
from vemetric.model.filters import Choice, EventFilter, Group, Joined, Text
from vemetric.model.project import Project
from vemetric.model.timespan import Timespan
from vemetric.stats import events
from vemetric.stats.events import Wanted

NOW_MS = 1_773_144_000_000
HOUR_MS = 3_600_000
RANGE = timespan.resolve(Timespan("30days"), NOW_MS, "Europe/Vienna")


@pytest.fixture
async def sent(backend: Engine, project: Project) -> None:
    """Five events over three weeks, two of one instant; a page view, and one before the range."""
    await write(
        backend,
        project,
        Event(1, NOW_MS - 5, name="Upgraded", identifier="ann", data={"plan": "Gold", "at": 5}, id="a", os="Linux"),
        Event(1, NOW_MS - 4, pathname="/view"),
        Event(2, NOW_MS - 7 * HOUR_MS, name="Signup", id="b"),
        Event(3, NOW_MS - 7 * HOUR_MS, name="Signup", id="c", data={"plan": "Free"}),
        Event(3, NOW_MS - 70 * HOUR_MS, name="Löschen", id="d"),
        Event(3, NOW_MS - 500 * HOUR_MS, name="Signup", id="e"),
        Event(3, NOW_MS - 1000 * HOUR_MS, name="Signup", id="f"),
    )
    await know(backend, project, 1, "ann", NOW_MS, displayName="Ann Ärger")


async def ids(backend: Engine, project: Project, wanted: Wanted, limit: int = 50) -> list[str]:
    return [one.id for one in (await events.load_page(backend, project, RANGE, wanted, limit)).events]


async def test_lists_what_is_no_page_view_the_latest_first(backend: Engine, project: Project, sent: None) -> None:
    page = await events.load_page(backend, project, RANGE, Wanted())
    assert [one.id for one in page.events] == ["a", "c", "b", "d", "e"]
    assert page.next is None
    first = page.events[0]
    assert (first.at_ms, first.user_id, first.name, first.display_name) == (NOW_MS - 5, 1, "Upgraded", "Ann Ärger")
    assert (first.address, first.data, first.os) == ("https://example.com/", {"at": 5, "plan": "Gold"}, "Linux")


@pytest.mark.parametrize("limit", [1, 2, 4])
async def test_pages_are_the_list(backend: Engine, project: Project, sent: None, limit: int) -> None:
    """Also where a page ends between two events of one instant, and where a piece of the range ends in a page."""
    seen, wanted = list[str](), Wanted()
    for _ in range(-(-5 // limit)):
        page = await events.load_page(backend, project, RANGE, wanted, limit)
        seen += [one.id for one in page.events]
        wanted = msgspec.structs.replace(wanted, before=page.next or (0, ""))
    assert seen == ["a", "c", "b", "d", "e"]
    assert page.next is None


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("sign", ["c", "b", "e"]),
        ("LÖSCH", ["d"]),
        ("ärger", ["a"]),
        ("ANN", ["a"]),
        ("gold", ["a"]),
        ("2", ["b"]),
        ("plan", []),
        ("%", []),
        ("'", []),
    ],
)
async def test_finds_by_name_user_and_values(
    backend: Engine, project: Project, sent: None, search: str, found: list[str]
) -> None:
    assert await ids(backend, project, Wanted(search)) == found


async def test_filters_are_on_single_events(backend: Engine, project: Project, sent: None) -> None:
    signups, linux = EventFilter(Text(value="Signup")), filters.OsFilter(Choice(values=("Linux",)))
    assert await ids(backend, project, Wanted(group=Group(Joined.OR, (signups, linux)))) == ["a", "c", "b", "e"]
    assert await ids(backend, project, Wanted(group=Group(Joined.AND, (signups, linux)))) == []
