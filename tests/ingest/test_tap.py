"""The live tap: nothing that a request holds can stop it, and nothing seen is lost or counted twice on the way."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from vemetric import errors
from vemetric.clock import FrozenClock
from vemetric.ingest.refuse import Refusal
from vemetric.ingest.tap import ENTRIES_PER_FLUSH_MAX, TEXT_LENGTH_MAX, WATCH_MS, Tap, TapEntry, key_prefix
from vemetric.model.project import Project
from vemetric.queues.job import KeySet
from vemetric.queues.sqlite import SqliteQueue

NOW_MS = 1_773_144_000_000
PROJECT_ID = 7


class Watched(SqliteQueue):
    """Keys that may be down, and into whose writing something may come."""

    is_down = False
    before_set: Callable[[], None] | None = None

    async def set(self, sets: Sequence[KeySet]) -> None:
        if self.is_down:
            raise errors.Unavailable
        if self.before_set is not None:
            self.before_set()
        await super().set(sets)


async def opened(path: Path) -> tuple[Watched, Tap]:
    clock = FrozenClock(NOW_MS)
    keys = await Watched.open(path / "queue.db", clock)
    return keys, Tap(keys, clock)


async def written(keys: Watched) -> list[TapEntry]:
    found = await keys.scan(key_prefix(PROJECT_ID), 1000)
    return [msgspec.json.decode(value, type=TapEntry) for _, value in found]


async def refusals(keys: Watched) -> int:
    return Counter(await keys.counters(f"refused:{PROJECT_ID}:")).total()


@pytest.mark.parametrize("text", ["http://localhost/\udcff", "/\udce9", "\ud83d", "x" * (TEXT_LENGTH_MAX + 1)])
async def test_any_text_can_be_written(tmp_path: Path, text: str) -> None:
    keys, tap = await opened(tmp_path)
    tap.refused(PROJECT_ID, Refusal.LOCALHOST, name=text, url=text, detail=text)
    await tap.flush()
    (entry,) = await written(keys)
    assert entry.url == entry.name == entry.detail
    assert len(entry.url) <= TEXT_LENGTH_MAX
    await keys.close()


async def test_what_comes_while_it_is_written_is_written_next(tmp_path: Path) -> None:
    keys, tap = await opened(tmp_path)
    tap.accepted(PROJECT_ID, "first", "")
    keys.before_set = lambda: tap.refused(PROJECT_ID, Refusal.BOT, name="second")
    await tap.flush()
    keys.before_set = None
    await tap.flush()
    await tap.flush()
    assert [entry.name for entry in await written(keys)] == ["first", "second"]
    assert await refusals(keys) == 1
    await keys.close()


async def test_while_the_store_is_down_the_newest_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    keys, tap = await opened(tmp_path)
    keys.is_down = True
    for number in range(ENTRIES_PER_FLUSH_MAX + 10):
        tap.refused(PROJECT_ID, Refusal.BOT, name=str(number))
        await tap.flush()
    keys.is_down = False
    await tap.flush()
    assert {entry.name for entry in await written(keys)} == {str(n) for n in range(10, ENTRIES_PER_FLUSH_MAX + 10)}
    assert await refusals(keys) == ENTRIES_PER_FLUSH_MAX + 10
    await keys.close()


async def test_accepted_requests_are_noted_while_somebody_looks_from_any_process(tmp_path: Path) -> None:
    clock = FrozenClock(NOW_MS)
    keys = await Watched.open(tmp_path / "queue.db", clock)
    tap, hub = Tap(keys, clock), Tap(keys, clock)
    begun = Project(PROJECT_ID, "o", "Shop", "shop.test", "t", first_event_at_ms=1)
    waiting = msgspec.structs.replace(begun, first_event_at_ms=None)
    assert (hub.notes_accepted(begun), hub.notes_accepted(waiting)) == (False, True)
    await tap.watch(PROJECT_ID)
    await hub.flush()
    assert hub.notes_accepted(begun)
    assert not hub.notes_accepted(msgspec.structs.replace(begun, id=PROJECT_ID + 1))
    clock.advance(WATCH_MS)
    await hub.flush()
    assert not hub.notes_accepted(begun)
    await keys.close()
