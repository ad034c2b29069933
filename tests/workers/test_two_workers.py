"""Two workers on one queue never apply what is said of a session or a user out of order, whoever is faster.

Each test runs with the order of the queue and without it: then the second worker overtakes, and the row is wrong in
the end, so that it is the order that the test shows.
"""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest

from tests.kit import stores, visits
from vemetric import workers
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock
from vemetric.ingest import jobs
from vemetric.ingest.hit import IdentifyHit, UpdateHit
from vemetric.model import geo
from vemetric.model.user import UserData
from vemetric.queues.job import Job, Write
from vemetric.queues.lease import Lease
from vemetric.services import Services

MINUTE_MS = 60_000

Two = tuple[Services, Services]


@pytest.fixture
async def two(environ: dict[str, str], engine: Engine, clock: FrozenClock, tmp_path: Path) -> AsyncIterator[Two]:
    async with stores.sharing(environ, engine, clock, tmp_path) as opened:
        yield opened


async def do(worker: Services, queue: str, claimed: Sequence[Job], *, in_order: bool = True) -> None:
    """Handle claimed jobs; without `in_order` what follows from them bears no order."""
    if not claimed:
        return
    write = await workers.handlers(worker)[queue](claimed, Lease(worker.clock, claimed[0].lease_until_ms))
    await worker.queue.ack(claimed, write if in_order else without_order(write))


def without_order(write: Write) -> Write:
    followers = [msgspec.structs.replace(job, order_key=None, after=None) for job in write.jobs]
    return msgspec.structs.replace(write, jobs=followers)


async def race(two: Two, queue: str) -> bool:
    """One worker takes the first job and is slow; the other takes what it is given and is done before.

    Returns whether it was given anything.
    """
    slow, fast = two
    first = await slow.queue.claim(queue, 1, 60)
    second = await fast.queue.claim(queue, 1, 60)
    await do(fast, queue, second)
    await do(slow, queue, first)
    await do(fast, queue, await fast.queue.claim(queue, 9, 60))
    return bool(second)


@pytest.mark.parametrize("in_order", [True, False])
async def test_a_visit_is_opened_before_it_is_prolonged(two: Two, clock: FrozenClock, in_order: bool) -> None:
    one, other = two
    project = await visits.a_project(one)
    await visits.event(one, project)
    await do(one, jobs.EVENT_QUEUE, await one.queue.claim(jobs.EVENT_QUEUE, 9, 60), in_order=in_order)
    clock.advance(MINUTE_MS)
    await visits.leave(other, project)
    await do(other, jobs.EVENT_QUEUE, await other.queue.claim(jobs.EVENT_QUEUE, 9, 60), in_order=in_order)
    assert await race(two, jobs.SESSION_QUEUE) is not in_order
    ask = "SELECT duration FROM session FINAL WHERE projectId = {project:UInt64}"
    assert await one.engine.query(ask, {"project": project.id}) == [[MINUTE_MS // 1000 if in_order else 0]]


@pytest.mark.parametrize("in_order", [True, False])
async def test_what_was_said_last_of_a_user_stays(
    two: Two, clock: FrozenClock, in_order: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two
    project = await visits.a_project(one)
    who = visits.sender(project)
    await visits.event(one, project, who=who)
    await one.users.identify(IdentifyHit("ann"), project, who, geo.UNKNOWN)
    await visits.settle(one)
    if not in_order:
        put = jobs.update_job
        monkeypatch.setattr(
            jobs, "update_job", lambda job: msgspec.structs.replace(put(job), order_key=None, after=None)
        )
    for number, hub in enumerate((one, other)):
        clock.advance(1_000)
        said = UpdateHit(data=UserData(set={"plan": ["free", "paid"][number]}))
        assert await hub.users.update(said, project, who)
    assert await race(two, jobs.UPDATE_USER_QUEUE) is not in_order
    ask = "SELECT customData FROM user FINAL WHERE projectId = {project:UInt64} AND deleted = 0"
    [[data]] = await one.engine.query(ask, {"project": project.id})
    assert json.loads(data) == {"plan": "paid" if in_order else "free"}
