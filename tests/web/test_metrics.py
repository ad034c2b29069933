"""/metrics: who gets it, what it says, and that it names nobody."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from tests.kit import visits
from vemetric.accounts import projects, signup
from vemetric.ingest.refuse import Refusal
from vemetric.model import canary
from vemetric.model.meters import Histogram, Meters
from vemetric.services import Services
from vemetric.web.health import Health
from vemetric.workers import canary as flying

TOKEN = "a token of the operator"


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"VEMETRIC_METRICS_TOKEN": TOKEN}


@asynccontextmanager
async def answered(
    services: Services, is_private: bool = False
) -> AsyncIterator["TestClient[web.Request, web.Application]"]:
    health = Health(services)
    app = web.Application()

    async def handle(request: web.Request) -> web.StreamResponse:
        return await health.handle(request, is_private=is_private)

    app.router.add_route("*", "/{path:.*}", handle)
    async with TestClient(TestServer(app)) as client:
        yield client


async def figures(services: Services) -> dict[tuple[str, ...], float]:
    """Samples by their name and the values of their labels."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with answered(services) as client, client.get("/metrics", headers=headers) as answer:
        assert answer.status == 200
        text = await answer.text()
    families = text_string_to_metric_families(text)
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


async def test_figures_are_for_who_knows_the_token(services_at_noon: Services) -> None:
    async with answered(services_at_noon, is_private=True) as client:
        for sent in (
            {},
            {"Authorization": "Bearer no"},
            {"Authorization": TOKEN[:-1]},
            {"Authorization": "Bearer \xff"},
        ):
            async with client.get("/metrics", headers=sent) as answer:
                assert answer.status == 401


async def test_they_tell_of_the_work_and_name_nobody(services_at_noon: Services) -> None:
    services = services_at_noon
    await signup.create_account(services.database, services.clock, "mara@example.com", "correct horse battery")
    project = await projects.create_by_operator(services.database, services.clock, "Secret shop", "secret.example.com")
    before = await figures(services)
    for number in range(3):
        await visits.event(services, project, path=f"/{number}")
    services.tap.refused(project.id, Refusal.BOT)
    services.tap.refused(0, Refusal.WRONG_TOKEN)
    await services.tap.flush()
    services.clock.advance(10_000)
    waiting = await figures(services)
    assert waiting["vemetric_events_accepted_total",] == 3
    assert waiting["vemetric_hits_refused_total", "bot"] == waiting["vemetric_hits_refused_total", "wrong-token"] == 1
    assert waiting["vemetric_queue_jobs", "event", "ready"] == 3
    assert waiting["vemetric_queue_age_seconds", "event"] == 10
    assert waiting["vemetric_store_bytes", "SQLite", "queue"] > 0
    assert waiting["vemetric_store_bytes", "SQLite", "accounts"] > 0
    assert waiting["vemetric_memory_bytes",] > 1_000_000
    assert waiting["vemetric_database_connections", "limit"] > 0
    asked = ("vemetric_analytics_seconds_count", "lookup")
    assert waiting[asked] > before[asked]
    named = " ".join(str(part) for sample in waiting for part in sample)
    assert "secret" not in named.lower()
    assert str(project.id) not in named
    assert "mara" not in named


async def test_a_histogram_counts_what_is_below_each_bound() -> None:
    histogram = Histogram((1, 10))
    for value in (0.5, 1, 2, 10, 11):
        histogram.observe(value)
    assert (histogram.counts, histogram.sum) == ([2, 2, 1], 24.5)


def test_only_slow_statements_are_kept_and_not_too_many() -> None:
    meters = Meters(0)
    for number in range(100):
        meters.asked("query", f"SELECT {number}", 0.1 + number % 2, number)
    assert len(meters.slow) == 50
    assert all(one.seconds == 1.1 for one in meters.slow)


async def test_the_canary_is_told_and_its_absence_makes_unready(services_at_noon: Services) -> None:
    services = services_at_noon
    health = Health(services)
    assert (await health.found())["canary"]
    services.clock.advance(canary.STALLED_SECONDS * 1000 + 1)
    assert not (await health.found())["canary"]
    flown = await visits.while_working(services, flying.fly(services))
    assert flown is not None
    services.clock.advance(1_000)
    assert (await health.found())["canary"]
    assert (await figures(services))["vemetric_canary_arrived_seconds",] == flown.arrived_ms / 1000
