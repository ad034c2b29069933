"""What runs in the background begins in the end, whatever stood in its way at the start."""

import asyncio

import pytest

from tests.kit import visits
from vemetric import errors, workers
from vemetric.services import Services
from vemetric.workers.merge_user import MergeUserWorker


async def test_the_pools_begin_once_the_analytics_store_answers(
    live_services: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also after a failure that nobody thought of, which would else end the waiting without a word."""
    services = live_services
    outcomes: list[Exception | None] = [errors.StoreBusy("It is away."), KeyError("a surprise"), None]

    async def recover(_: MergeUserWorker) -> None:
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome

    monkeypatch.setattr(MergeUserWorker, "recover", recover)
    monkeypatch.setattr(workers, "SETTLE_PAUSE_SECONDS", 0.01)
    await visits.event(services, await visits.a_project(services))
    async with workers.running(services), asyncio.timeout(20):
        while any(stats.ready + stats.claimed for stats in await services.queue.stats()):
            await services.queue.wait("email", 0.02)
    assert outcomes == []
    assert any(record.exc_info for record in caplog.records)
