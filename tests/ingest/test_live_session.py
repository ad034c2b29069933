"""Live sessions: sliding, shared by hits at once, whole after a restart, and right when the cache is too small."""

from pathlib import Path

import pytest

from vemetric.clock import FrozenClock
from vemetric.ingest.live_session import LiveSessions, key
from vemetric.queues.job import Write
from vemetric.queues.sqlite import SqliteQueue

MINUTE_MS = 60_000


async def opened(path: Path, clock: FrozenClock, **options: int) -> tuple[SqliteQueue, LiveSessions]:
    queue = await SqliteQueue.open(path / "queue.db", clock)
    sessions = LiveSessions(queue, 30, exclusive=True, **options)
    await sessions.load()
    return queue, sessions


async def test_a_restart_splits_no_visit(tmp_path: Path) -> None:
    clock = FrozenClock(1_000_000)
    queue, sessions = await opened(tmp_path, clock)
    first = sessions.extend(key(1, 2), None, clock.now_ms())
    await queue.put(Write(keys=[first.write]))
    await queue.close()
    clock.advance(29 * MINUTE_MS)
    queue, sessions = await opened(tmp_path, clock)
    found = await sessions.find(key(1, 2), clock.now_ms())
    assert found is not None
    assert found.session_id == first.session.session_id
    clock.advance(2 * MINUTE_MS)
    assert await sessions.find(key(1, 2), clock.now_ms()) is None
    await queue.close()


async def test_two_hits_at_once_share_the_session(tmp_path: Path) -> None:
    clock = FrozenClock(1_000_000)
    queue, sessions = await opened(tmp_path, clock)
    seen = [await sessions.find(key(1, 2), clock.now_ms()) for _ in range(2)]
    first, second = (sessions.extend(key(1, 2), session, clock.now_ms()) for session in seen)
    assert (first.is_new, second.is_new) == (True, False)
    assert first.session.session_id == second.session.session_id
    await queue.close()


async def test_sessions_beyond_the_cache_are_read_from_the_store(tmp_path: Path) -> None:
    clock = FrozenClock(1_000_000)
    queue, sessions = await opened(tmp_path, clock, cached_max=2)
    ids = {}
    for user in range(5):
        extended = sessions.extend(key(1, user), None, clock.now_ms())
        await queue.put(Write(keys=[extended.write]))
        ids[user] = extended.session.session_id
    for user, session_id in ids.items():
        found = await sessions.find(key(1, user), clock.now_ms())
        assert found is not None
        assert found.session_id == session_id
    await queue.close()


async def test_once_the_dropped_sessions_ended_a_new_visitor_costs_no_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FrozenClock(1_000_000)
    queue, sessions = await opened(tmp_path, clock, cached_max=2)
    for user in range(3):
        await queue.put(Write(keys=[sessions.extend(key(1, user), None, clock.now_ms()).write]))
    reads = []

    async def get(name: str) -> None:
        reads.append(name)

    monkeypatch.setattr(queue, "get", get)
    clock.advance(30 * MINUTE_MS - 1)
    await sessions.find(key(1, 9), clock.now_ms())
    assert reads == [key(1, 9)]
    clock.advance(1)
    await sessions.find(key(1, 9), clock.now_ms())
    assert reads == [key(1, 9)]
    await queue.close()


async def test_a_late_clock_never_shortens_a_session(tmp_path: Path) -> None:
    clock = FrozenClock(1_000_000)
    queue, sessions = await opened(tmp_path, clock)
    first = sessions.extend(key(1, 2), None, clock.now_ms())
    expires_ms = first.session.expires_ms
    again = sessions.extend(key(1, 2), first.session, clock.now_ms() - MINUTE_MS)
    assert again.session.expires_ms == expires_ms
    await queue.close()


async def test_an_opening_that_was_never_written_is_forgotten(tmp_path: Path) -> None:
    clock = FrozenClock(1_000_000)
    queue, sessions = await opened(tmp_path, clock)
    refused = sessions.extend(key(1, 2), None, clock.now_ms())
    sessions.forget(key(1, 2), refused)
    assert await sessions.find(key(1, 2), clock.now_ms()) is None
    await queue.close()


async def test_a_session_that_another_hit_goes_on_with_outlives_its_opening(tmp_path: Path) -> None:
    clock = FrozenClock(1_000_000)
    queue, sessions = await opened(tmp_path, clock)
    # Of the same millisecond, written in two commits.
    first = sessions.extend(key(1, 2), None, clock.now_ms())
    second = sessions.extend(key(1, 2), first.session, clock.now_ms())
    sessions.forget(key(1, 2), first)
    found = await sessions.find(key(1, 2), clock.now_ms())
    assert found is not None
    assert found.session_id == first.session.session_id
    # If that one was not written either, there is no such session.
    sessions.forget(key(1, 2), second)
    assert await sessions.find(key(1, 2), clock.now_ms()) is None
    await queue.close()


async def test_a_session_that_was_stored_stays_when_a_later_hit_was_not(tmp_path: Path) -> None:
    clock = FrozenClock(1_000_000)
    queue, sessions = await opened(tmp_path, clock)
    await queue.put(Write(keys=[sessions.extend(key(1, 2), None, clock.now_ms()).write]))
    await queue.close()
    queue, sessions = await opened(tmp_path, clock)
    found = await sessions.find(key(1, 2), clock.now_ms())
    sessions.forget(key(1, 2), sessions.extend(key(1, 2), found, clock.now_ms()))
    assert await sessions.find(key(1, 2), clock.now_ms()) is not None
    await queue.close()
