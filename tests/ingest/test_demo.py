"""The demo: a month at once, then minute by minute, each thing once; and gone with one click."""

from collections import Counter

import pytest

from tests.kit import visits
from vemetric import commands, workers
from vemetric.accounts import funnels, projects
from vemetric.clock import FrozenClock
from vemetric.ingest import demo_visits
from vemetric.model import erasure, timespan
from vemetric.model.timespan import Timespan
from vemetric.services import Services
from vemetric.stats import funnels as counted
from vemetric.workers import demo as demo_worker

DAY_MS = 86_400_000
NOON_MS = 1_773_144_000_000
PROJECT = 7


def test_what_happens_is_the_same_however_it_is_cut() -> None:
    whole = list(demo_visits.happenings(PROJECT, NOON_MS - DAY_MS, NOON_MS))
    by_minute = [
        one
        for minute in range(NOON_MS - DAY_MS, NOON_MS, 60_000)
        for one in demo_visits.happenings(PROJECT, minute, minute + 60_000)
    ]
    key = [(one.at_ms, one.id) for one in whole]
    assert sorted(key) == sorted((one.at_ms, one.id) for one in by_minute)
    assert len({one.id for one in whole}) == len(whole) > 200
    assert all(NOON_MS - DAY_MS < one.at_ms <= NOON_MS for one in whole)


def test_a_week_looks_like_one() -> None:
    week = list(demo_visits.happenings(PROJECT, NOON_MS - 7 * DAY_MS, NOON_MS))
    names = Counter(one.name for one in week)
    assert names["$$pageView"] > 10 * names["Order"] > 0
    assert names["AddToBasket"] > names["Order"]
    assert names["Newsletter"] > 0
    visits_of_week = {one.session_id for one in week}
    assert 600 < len(visits_of_week) < 3_000
    by_hour = Counter(one.at_ms // 3_600_000 % 24 for one in week)
    assert max(by_hour.values()) > 2 * min(by_hour.values())
    assert {one.person.place.country_code for one in week} >= {"DE", "US", "AT", "JP"}
    assert any(one.person.name for one in week)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two days of past are as good as thirty here."""
    monkeypatch.setattr("vemetric.ingest.demo.DAYS", 2)


@pytest.mark.usefixtures("short")
async def test_it_is_made_goes_on_and_is_removed(services_at_noon: Services, clock: FrozenClock) -> None:
    services = services_at_noon
    made = await commands.run(services, "demo", {})
    assert made["events"] > 200
    await visits.settle(services)
    shown = await commands.run(services, "stats", {"domain": "tea-shop.example", "timespan": "24hrs"})
    assert shown["pageViews"] > 100
    assert {row["name"] for row in shown["cards"]["countries"]} >= {"DE", "US"}
    [project] = (await commands.run(services, "project list", {}))["projects"]
    shop = await projects.by_domain(services.database, "tea-shop.example")
    known = await funnels.of_project(services.database, shop.id)
    range_ = timespan.resolve(Timespan("7days"), clock.now_ms(), "UTC")
    for one in await counted.count(services.engine, shop, range_, known):
        assert list(one.users) == sorted(one.users, reverse=True)
        # In two days of a project by chance nobody may come to the end; in the week above somebody does.
        assert one.users[-1] < one.users[0] / 3, one.funnel.name
    assert len(known) == 2
    await funnels.delete(services.database, shop.id, known[0].id)
    for _ in range(30):
        clock.advance(60_000)
        await demo_worker.go_on(services)
    await visits.settle(services)
    told = await commands.run(services, "verify", {"project": "tea-shop.example"})
    assert (told["difference"], told["accepted"]) == (0, told["stored"])
    assert told["stored"] > made["events"]
    assert (await commands.run(services, "demo", {}))["events"] == 0
    # Once more does not bring back what was deleted.
    assert await funnels.of_project(services.database, shop.id) == known[1:]
    sql = "SELECT count() FROM user FINAL WHERE displayName = 'Aiko Tanaka' AND projectId = {project:UInt64}"
    assert await services.engine.query(sql, {"project": int(project["id"])}) == [[1]]
    assert await commands.run(services, "demo", {"remove": True}) == {"isRemoved": True}
    await visits.settle(services)
    clock.advance(erasure.DELAY_MS)
    await visits.settle(services)
    assert (await commands.run(services, "project list", {}))["projects"] == []
    assert await services.engine.query(
        "SELECT count() FROM event WHERE projectId = {project:UInt64}", {"project": int(project["id"])}
    ) == [[0]]
    assert await funnels.of_project(services.database, shop.id) == []
    # Without a demo nothing goes on.
    await demo_worker.go_on(services)
    assert "demo" in {entry.name for entry in workers.schedule(services)}
