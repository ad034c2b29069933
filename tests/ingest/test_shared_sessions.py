"""Live sessions of several hubs: whoever is first opens the visit, for all of them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit import servers
from vemetric import errors
from vemetric.clock import FrozenClock
from vemetric.ingest.live_session import UNREAD, Extended, LiveSessions, key
from vemetric.model import redis_url
from vemetric.queues.job import NewJob, Write
from vemetric.queues.redis import RedisQueue

VISITOR = key(1, 2)
MINUTE_MS = 60_000


class Hub:
    """What a hub does with a hit, as far as its session goes."""

    def __init__(self, queue: RedisQueue, clock: FrozenClock) -> None:
        self.queue = queue
        # Of what it writes: that is refused though it is done.
        self.hears_nothing = False
        self.sessions = LiveSessions(queue, 30, exclusive=False)
        self._clock = clock

    async def hit(self, name: str = VISITOR) -> Extended:
        now_ms = self._clock.now_ms()
        session = await self.sessions.find(name, now_ms) or await self.sessions.open(name, now_ms)
        extended = self.sessions.extend(name, session, now_ms)
        try:
            job = NewJob("event", b"", key=extended.opening_key)
            await self.queue.put(Write(jobs=[job], keys=[extended.write]))
            if self.hears_nothing:
                raise errors.Unavailable
        except errors.Unavailable:
            self.sessions.forget(name, extended)
            raise
        return extended


@pytest.fixture(params=list(servers.redis_programs()))
async def hubs(request: pytest.FixtureRequest, tmp_path: Path, clock: FrozenClock) -> AsyncIterator[list[Hub]]:
    url = redis_url.parse(servers.redis_url(servers.redis(request.param)))
    prefix = hashlib.sha256(bytes(tmp_path)).hexdigest()[:16]
    queues = [await RedisQueue.open(url, clock, prefix=prefix, jobs_max=50) for _ in range(2)]
    yield [Hub(queue, clock) for queue in queues]
    for queue in queues:
        await queue.close()


async def test_first_hits_at_several_hubs_at_once_open_one_visit(hubs: list[Hub]) -> None:
    hits = await asyncio.gather(*(hubs[number % 2].hit() for number in range(40)))
    assert len({hit.session.session_id for hit in hits}) == 1
    assert sum(hit.is_new for hit in hits) == 1


async def test_a_visit_that_goes_on_elsewhere_goes_on_here(hubs: list[Hub], clock: FrozenClock) -> None:
    first, other = hubs
    opened = await first.hit()
    for _ in range(3):
        clock.advance(20 * MINUTE_MS)
        assert (await other.hit()).session.session_id == opened.session.session_id
    # It has ended an hour ago as far as this hub knows.
    assert first.sessions.known(VISITOR, clock.now_ms()) is UNREAD
    assert (await first.hit()).session.session_id == opened.session.session_id
    clock.advance(30 * MINUTE_MS)
    new = await first.hit()
    assert new.is_new
    assert new.session.session_id != opened.session.session_id
    assert (await other.hit()).session.session_id == new.session.session_id


async def test_a_hit_after_a_first_one_that_was_written_and_refused_is_not_left_out(hubs: list[Hub]) -> None:
    """Its job bore the key of the first one's, which had been put though nobody heard of it: answered, and lost."""
    hub = hubs[0]
    hub.hears_nothing = True
    for _ in range(2):
        with pytest.raises(errors.Unavailable):
            await hub.hit()
    hub.hears_nothing = False
    hit = await hub.hit()
    assert hit.is_new
    assert len(await hub.queue.claim("event", 10, 60)) == 3


async def test_a_visit_whose_first_hit_was_refused_is_opened_by_the_next(hubs: list[Hub]) -> None:
    hub = hubs[0]
    for number in range(50):
        await hub.hit(key(1, 100 + number))
    with pytest.raises(errors.QueueFull):
        await hub.hit()
    await hub.queue.ack(await hub.queue.claim("event", 10, 60))
    hit = await hub.hit()
    assert hit.is_new
    assert not (await hub.hit()).is_new
