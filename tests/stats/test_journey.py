"""What one user did, on every engine."""

from tests.stats.history import Event, Visit, write
from vemetric.clickhouse.engine import Engine
from vemetric.model import filters
from vemetric.model.project import Project
from vemetric.stats.journey import LATEST, load_journey, query_text

NOW_MS = 1_773_144_000_000


async def test_journey_has_visits_and_the_time_on_each_page(backend: Engine, project: Project) -> None:
    await write(
        backend,
        project,
        Visit(1, NOW_MS - 600_000, 100, id="v", referrer="https://a.example"),
        Event(1, NOW_MS - 600_000, "v", pathname="/a"),
        Event(1, NOW_MS - 595_000, "v", name="Click", data={"b": 1, "a": 2}),
        Event(1, NOW_MS - 570_000, "v", pathname="/b"),
        Event(1, NOW_MS - 100_000, "gone", pathname="/c"),
        Event(2, NOW_MS - 100_000, "gone", pathname="/other"),
    )
    done = await load_journey(backend, project, 1)
    assert [(step.path, step.name == "Click", step.seconds) for step in done.steps] == [
        ("/c", False, None),
        ("/b", False, 70),
        ("/", True, None),
        ("/a", False, 30),
    ]
    assert list(done.steps[2].data.items()) == [("a", 2), ("b", 1)]
    assert done.sessions["v"].referrer == "https://a.example"
    assert list(done.sessions) == ["v"]


async def test_journey_is_paged_also_within_a_millisecond(backend: Engine, project: Project) -> None:
    """D22: a page that ends between two events of one instant loses neither."""
    await write(backend, project, *(Event(1, NOW_MS - 100, "v", id=f"e{n}", pathname=f"/{n}") for n in range(5)))
    seen: list[str] = []
    before = LATEST
    for _ in range(3):
        done = await load_journey(backend, project, 1, before=before, limit=2)
        seen += [step.id for step in done.steps]
        before = done.next or before
    assert seen == ["e4", "e3", "e2", "e1", "e0"]
    assert done.next is None


async def test_journey_of_a_day_and_of_filtered_events_keeps_the_time_on_pages(
    backend: Engine, project: Project
) -> None:
    await write(
        backend,
        project,
        Event(1, NOW_MS - 60_000, "v", pathname="/a"),
        Event(1, NOW_MS - 50_000, "v", pathname="/b"),
        Event(1, NOW_MS - 86_400_000, "w", pathname="/a"),
    )
    group = filters.Group(filters=(filters.PageFilter(path=filters.Text(value="/a")),))
    done = await load_journey(backend, project, 1, window_ms=(NOW_MS - 120_000, NOW_MS), group=group)
    assert [(step.path, step.seconds) for step in done.steps] == [("/a", 10)]


def test_queries_are_stored_as_objects() -> None:
    stored = ("", "{}", '{"a":"1 2","b":"é"}', "?a=1")
    assert [query_text(one) for one in stored] == ["", "", "?a=1+2&b=%C3%A9", "?a=1"]
