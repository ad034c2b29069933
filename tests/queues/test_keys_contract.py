"""What every backend promises of keys and counters, before and after they were folded into their tables."""

import asyncio

import pytest

from vemetric.queues.job import KeySet, Write
from vemetric.queues.sqlite_keys import FOLD_KEYS


@pytest.fixture(params=["at once", "after upkeep"])
def settle(request, queue):
    """Runs the test twice: with what was written still logged, and with it in its tables."""

    async def upkeep() -> None:
        if request.param == "after upkeep":
            await queue.maintain()

    return upkeep


async def test_reads_what_was_set(queue, settle):
    await queue.set([KeySet("a", b"1"), KeySet("b", b"\x00\xff"), KeySet("a", b"2")])
    await settle()
    assert await queue.get("a") == b"2"
    assert await queue.get("c") is None
    assert await queue.get_many(["a", "b", "c"]) == {"a": b"2", "b": b"\x00\xff"}
    assert await queue.get_many([]) == {}


async def test_the_last_value_wins_across_upkeep(queue, settle):
    await queue.set([KeySet("a", b"1")])
    await settle()
    await queue.set([KeySet("a", b"2")])
    assert await queue.get("a") == b"2"
    await settle()
    assert await queue.get("a") == b"2"
    assert await queue.scan("", 10) == [("a", b"2")]


async def test_a_key_lives_until_it_expires(queue, settle, clock):
    now_ms = clock.now_ms()
    await queue.set([KeySet("short", b"1", now_ms + 1000), KeySet("long", b"1", now_ms + 2000), KeySet("ever", b"1")])
    await settle()
    clock.advance(999)
    assert (await queue.get_many(["short", "long", "ever"])).keys() == {"short", "long", "ever"}
    clock.advance(1)
    assert await queue.get("short") is None
    assert (await queue.get_many(["short", "long", "ever"])).keys() == {"long", "ever"}
    assert [key for key, _ in await queue.scan("", 10)] == ["ever", "long"]
    assert not await queue.delete("short")


async def test_sets_a_free_key_once(queue, settle, clock):
    expires_ms = clock.now_ms() + 1000
    assert await queue.set_if_absent("lock", b"mine", expires_ms)
    await settle()
    assert not await queue.set_if_absent("lock", b"yours", expires_ms + 1)
    assert await queue.get("lock") == b"mine"
    clock.advance(1000)
    assert await queue.set_if_absent("lock", b"yours", 0)
    assert await queue.get("lock") == b"yours"


async def test_counts_until_the_key_expires(queue, settle, clock):
    expires_ms = clock.now_ms() + 1000
    assert await queue.count_up("hits", expires_ms) == (1, expires_ms)
    await settle()
    assert await queue.count_up("hits", expires_ms + 500) == (2, expires_ms)
    clock.advance(999)
    await settle()
    counts = await asyncio.gather(*(queue.count_up("hits", expires_ms + 999) for _ in range(5)))
    assert sorted(counts) == [(number, expires_ms) for number in range(3, 8)]
    clock.advance(1)
    assert await queue.count_up("hits", expires_ms + 1000) == (1, expires_ms + 1000)


async def test_one_of_many_wins(queue):
    won = await asyncio.gather(*(queue.set_if_absent("lock", b"%d" % number, 0) for number in range(20)))
    assert sum(won) == 1
    assert await queue.get("lock") == b"%d" % won.index(True)


async def test_a_lock_is_released_by_its_owner_only(queue, settle):
    await queue.set([KeySet("lock", b"mine")])
    await settle()
    assert not await queue.delete("lock", b"yours")
    assert await queue.get("lock") == b"mine"
    assert await queue.delete("lock", b"mine")
    await settle()
    assert await queue.get("lock") is None
    assert not await queue.delete("lock")
    assert await queue.scan("", 10) == []
    assert await queue.set_if_absent("lock", b"yours", 0)


async def test_scans_by_prefix_in_order_and_up_to_the_limit(queue, settle):
    names = [
        "tap:1:b",
        "tap:1:a",
        "tap:1:ä",
        "tap:10:a",
        "tap:1",
        "tap;",
        "tap",
        "\U0010ffff",
        "\U0010ffffz",
        "\ud7ffx",
    ]
    await queue.set([KeySet(name, name.encode()) for name in names])
    await settle()
    await queue.set([KeySet("tap:1:c", b"new")])
    await queue.delete("tap:1:b")
    found = [key for key, _ in await queue.scan("tap:1:", 10)]
    assert found == ["tap:1:a", "tap:1:c", "tap:1:ä"]
    assert await queue.scan("tap:1:", 2) == [("tap:1:a", b"tap:1:a"), ("tap:1:c", b"new")]
    assert [key for key, _ in await queue.scan("\U0010ffff", 10)] == ["\U0010ffff", "\U0010ffffz"]
    assert [key for key, _ in await queue.scan("\ud7ff", 10)] == ["\ud7ffx"]
    everything = [key for key, _ in await queue.scan("", 100)]
    assert everything == sorted({*names, "tap:1:c"} - {"tap:1:b"})


async def test_a_counter_that_comes_to_nothing_is_gone(queue, settle):
    await queue.add({"hits:1": 2, "hits:2": 1, "hits:3": 4})
    await settle()
    await queue.add({"hits:1": -2, "hits:4": 7})
    await queue.add({"hits:3": -3, "hits:4": -7})
    assert await queue.counters("hits:") == {"hits:2": 1, "hits:3": 1}
    await settle()
    assert await queue.counters("hits:") == {"hits:2": 1, "hits:3": 1}
    await queue.add({"hits:1": 1})
    await settle()
    assert await queue.counters("hits:1") == {"hits:1": 1}


async def test_counters_add_up(queue, settle):
    await queue.add({"hits:1": 2, "hits:2": 1, "other": 5})
    await settle()
    await queue.add({"hits:1": 3})
    await queue.put(Write(counters={"hits:1": -1}))
    assert await queue.counters("hits:") == {"hits:1": 4, "hits:2": 1}
    await settle()
    assert await queue.counters("hits:") == {"hits:1": 4, "hits:2": 1}
    assert (await queue.counters("")).keys() == {"hits:1", "hits:2", "other"}


@pytest.mark.parametrize("upkeep", [False, True])
async def test_keys_and_counters_survive_a_restart(opener, tmp_path, clock, upkeep):
    async with opener(tmp_path, clock) as queue:
        await queue.set([KeySet("a", b"1"), KeySet("gone", b"1")])
        await queue.add({"n": 1})
        if upkeep:
            await queue.maintain()
        await queue.delete("gone")
        await queue.add({"n": 2})
    for _ in range(2):
        async with opener(tmp_path, clock) as queue:
            assert await queue.scan("", 10) == [("a", b"1")]
            assert await queue.counters("") == {"n": 3}


async def test_many_keys_keep_their_last_value_while_they_are_folded(queue):
    """More keys than are kept in the log, changing all the time: what is being folded, logged and stored never mix."""
    names = [f"key{number:05d}" for number in range(FOLD_KEYS + 500)]
    for generation in range(4):
        sets = [KeySet(name, b"%d" % generation) for name in names]
        for start in range(0, len(sets), 700):
            await queue.put(Write(keys=sets[start : start + 700], counters={"sets": len(sets[start : start + 700])}))
            assert await queue.get(names[start]) == b"%d" % generation
    assert await queue.get_many(names) == dict.fromkeys(names, b"3")
    assert await queue.counters("") == {"sets": 4 * len(names)}
    await queue.maintain()
    assert await queue.scan("key", len(names) + 1) == [(name, b"3") for name in names]
    assert await queue.counters("") == {"sets": 4 * len(names)}
