"""Readiness: each role needs its own stores, and a store that is away is told, not believed for long."""

import dataclasses
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.kit import engines
from tests.kit.clickhouse_server import ClickHouseServer
from vemetric import config
from vemetric.clock import FrozenClock
from vemetric.services import Services
from vemetric.web import health
from vemetric.web.health import Health


async def ready(checked: Health) -> tuple[int, dict[str, object]]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", checked.handle)
    async with TestClient(TestServer(app)) as client, client.get("/ready") as answer:
        return answer.status, msgspec.json.decode(await answer.read())


@pytest.mark.parametrize(("role", "status"), [("hub", 200), ("web", 503), ("worker", 503)])
async def test_a_role_is_ready_when_its_own_stores_are(
    services_at_noon: Services, tmp_path: Path, clock: FrozenClock, role: str, status: int
) -> None:
    away = ClickHouseServer(tmp_path / "store", password="x").start()
    try:
        async with engines.on_server(away) as engine:
            settings = msgspec.structs.replace(services_at_noon.config, roles=config.Roles((role,)))
            checked = Health(dataclasses.replace(services_at_noon, engine=engine, config=settings))
            assert (await ready(checked))[0] == 200
            away.kill()
            assert (await ready(checked))[0] == 200  # believed still
            clock.advance(health.BELIEVED_MS)
            found = await ready(checked)
            assert found[0] == status
            assert (found[1].get("analytics") == "away") is (status == 503)
            away.start()
            clock.advance(health.BELIEVED_MS)
            assert (await ready(checked))[0] == 200
    finally:
        away.stop()


async def test_living_is_not_readiness(services_at_noon: Services) -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", Health(services_at_noon).handle)
    async with TestClient(TestServer(app)) as client:
        for path in health.UP_PATHS:
            async with client.get(path) as answer:
                assert (answer.status, await answer.read()) == (200, b"")
        async with client.post("/ready") as answer:
            assert answer.status == 405
