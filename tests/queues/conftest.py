"""The backends that the contract suite runs over, and small helpers of the queue's tests."""

import functools
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from tests.kit import servers
from tests.kit.journaled import journaling
from vemetric.clock import Clock, FrozenClock
from vemetric.model import redis_url
from vemetric.queues.redis import RedisQueue
from vemetric.queues.sqlite import SqliteQueue

AnyQueue = SqliteQueue | RedisQueue
Opener = Callable[..., AbstractAsyncContextManager[AnyQueue]]


@asynccontextmanager
async def open_sqlite(path: Path, clock: Clock, **limits: int) -> AsyncIterator[SqliteQueue]:
    queue = await SqliteQueue.open(path / "queue.db", clock, **limits)
    try:
        yield queue
    finally:
        await queue.close()


@asynccontextmanager
async def open_crowd(path: Path, clock: Clock, **limits: int) -> AsyncIterator[SqliteQueue]:
    """As `open_sqlite`, but that everything is written to the journal first, as in a crowd."""
    async with open_sqlite(path, clock, crowd_per_second=0, **limits) as queue:
        await journaling(queue)
        yield queue


@asynccontextmanager
async def open_redis(name: str, path: Path, clock: Clock, **limits: int) -> AsyncIterator[RedisQueue]:
    """On the test process's server of that name; the directory stands for the keys' prefix."""
    prefix = hashlib.sha256(bytes(path)).hexdigest()[:16]
    url = redis_url.parse(servers.redis_url(servers.redis(name)))
    queue = await RedisQueue.open(url, clock, prefix=prefix, **limits)
    try:
        yield queue
    finally:
        await queue.close()


BACKENDS: dict[str, Opener] = {
    "sqlite": open_sqlite,
    "sqlite-crowd": open_crowd,
    **{name: functools.partial(open_redis, name) for name in servers.redis_programs()},
}


@pytest.fixture(params=BACKENDS)
def opener(request: pytest.FixtureRequest) -> Opener:
    """Opens the backend: opener(directory, clock, jobs_max=...)."""
    return BACKENDS[request.param]


@pytest.fixture
async def queue(opener: Opener, tmp_path: Path, clock: FrozenClock) -> AsyncIterator[AnyQueue]:
    async with opener(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def put(queue: AnyQueue) -> Callable[..., Awaitable[None]]:
    """put("a", "b", order_key=...): a job per name, whose payload and key it is, in queue `line`."""
    from vemetric.queues.job import NewJob, Write

    async def put_names(*names: str, line: str = "line", **fields: object) -> None:
        await queue.put(Write(jobs=[NewJob(line, name.encode(), key=name, **fields) for name in names]))

    return put_names


@pytest.fixture
def claim(queue: AnyQueue) -> Callable[..., Awaitable[list[str]]]:
    """The names that a claim takes; the claimed jobs are in claim.jobs by name."""

    async def claim_names(limit: int = 100, line: str = "line", lease_seconds: float = 60) -> list[str]:
        jobs = await queue.claim(line, limit, lease_seconds)
        claim_names.jobs.update({job.payload.decode(): job for job in jobs})
        return [job.payload.decode() for job in jobs]

    claim_names.jobs = {}
    return claim_names
