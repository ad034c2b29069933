"""One user: what is known and when anything was done, on every engine."""

from datetime import UTC, date, datetime, timedelta

from tests.stats.history import Event, know, write
from vemetric.clickhouse.engine import Engine
from vemetric.model import calendar
from vemetric.model.project import Project
from vemetric.stats import person

NOW_MS = 1_773_144_000_000
MINUTE_MS = 60_000
KNOWN_MS = NOW_MS - 9 * MINUTE_MS


async def test_tells_what_is_known(backend: Engine, project: Project) -> None:
    await write(backend, project, Event(2, NOW_MS - 20 * MINUTE_MS, identifier="bob"), Event(4, NOW_MS))
    await know(backend, project, 2, "bob", KNOWN_MS, displayName="Zoe", customData='{"plan":"Gold","seats":12}')
    facts = await person.load_facts(backend, project, 2, NOW_MS)
    assert facts is not None
    assert facts.known is not None
    assert (facts.display_name, facts.identifier, facts.events, facts.is_online) == ("Zoe", "bob", 1, False)
    assert facts.known.attributes == {"plan": "Gold", "seats": 12}
    nobody = await person.load_facts(backend, project, 4, NOW_MS)
    assert nobody is not None
    assert (nobody.known, nobody.browser, nobody.os) == (None, "Chrome", "macOS")
    assert await person.load_facts(backend, project, 99, NOW_MS) is None


async def test_a_known_user_without_any_event_is_somebody(backend: Engine, project: Project) -> None:
    """D23: the page failed."""
    await know(backend, project, 6, "dan", KNOWN_MS)
    facts = await person.load_facts(backend, project, 6, NOW_MS)
    assert facts is not None
    assert (facts.identifier, facts.events, facts.last_ms) == ("dan", 0, KNOWN_MS)


async def test_counts_the_days_of_the_zone(backend: Engine, project: Project) -> None:
    zone = calendar.zone("Europe/Vienna")
    first = date(2026, 3, 28)
    edges = [calendar.day_start(first + timedelta(days=number), zone) for number in range(4)]
    late = round(datetime(2026, 3, 28, 22, 59, tzinfo=UTC).timestamp() * 1000)
    # The 29th has 23 hours.
    await write(
        backend, project, Event(1, late), Event(1, late + MINUTE_MS), Event(1, edges[2] - 1), Event(1, edges[3])
    )
    assert await person.count_days(backend, project, 1, edges) == {edges[0]: 1, edges[1]: 2}
    assert edges[2] - edges[1] == 23 * 3_600_000
