"""Jobs in bundles are what jobs in rows are: settled one by one, in order, counted, and moved up from before."""

import random
import sqlite3

import pytest

from tests.queues.conftest import open_sqlite
from vemetric.queues import sqlite_schema
from vemetric.queues.job import NewJob, Write
from vemetric.queues.sqlite import SqliteQueue
from vemetric.queues.sqlite_bundles import Fresh, Ready


@pytest.fixture
def opener():
    return open_sqlite


async def put_bundle(queue, names):
    await queue.put(Write(jobs=[NewJob("line", name.encode()) for name in names]))


def names_of(jobs):
    return "".join(job.payload.decode() for job in jobs)


async def test_jobs_taken_out_of_a_bundle_are_not_taken_for_the_rest_of_it(queue):
    await put_bundle(queue, "abcd")
    await queue.release(await queue.claim("line", 2, 60))
    # Two rows and a bundle of two, all of whose ids name the same bundle, under one lease.
    claimed = await queue.claim("line", 4, 60)
    assert names_of(claimed) == "abcd"
    await queue.ack(claimed[:2])
    await queue.release(claimed[2:])
    assert names_of(await queue.claim("line", 4, 60)) == "cd"


async def test_jobs_given_back_out_of_a_bundle_come_before_the_rest_of_it(queue):
    await put_bundle(queue, "abcdefgh")
    await queue.release(await queue.claim("line", 4, 60))
    assert names_of(await queue.claim("line", 3, 60)) == "abc"
    assert names_of(await queue.claim("line", 8, 60)) == "defgh"


async def test_a_claim_takes_half_of_what_is_asked_for_where_there_is_as_much(queue):
    await put_bundle(queue, "ab")
    await put_bundle(queue, "cdefghijk")
    assert names_of(await queue.claim("line", 10, 60)) == "abcdefghij"
    await put_bundle(queue, "lmnop")
    await put_bundle(queue, "qrstuvwx")
    # As much as that, and a bundle stays whole.
    assert names_of(await queue.claim("line", 10, 60)) == "klmnop"


@pytest.mark.parametrize("seed", [0, 1, 12, 25])
async def test_what_is_claimed_is_exactly_what_was_handed_out(queue, seed):
    chance = random.Random(seed)
    held = []
    for _ in range(120):
        step = chance.random()
        if step < 0.4:
            await put_bundle(queue, "x" * chance.randint(1, 6))
        elif step < 0.7:
            held += await queue.claim("line", chance.randint(1, 9), 60)
        elif held:
            chance.shuffle(held)
            count = chance.randint(1, len(held))
            some, held = held[:count], held[count:]
            settle = chance.choice([queue.ack, queue.release, lambda jobs: queue.retry(jobs, 0, "no")])
            await settle(some)
        assert claimed_ids(queue.path) == sorted(job.id for job in held)
        counts = [(stats.ready, stats.claimed) for stats in await queue.stats()]
        assert sum(map(sum, counts)) == queue._jobs
    await queue.ack(held)


def claimed_ids(path):
    with sqlite3.connect(path) as db:
        alone = [id_ for (id_,) in db.execute("SELECT id FROM job WHERE state = 1")]
        found = db.execute("SELECT id * 4096 + place, jobs FROM bundle WHERE state = 1").fetchall()
    db.close()
    return sorted(alone + [id_ for first, jobs in found for id_ in range(first, first + jobs)])


async def test_live_jobs_of_the_schema_without_bundles_are_done_in_their_order(tmp_path, clock):
    file = tmp_path / "queue.db"
    old = sqlite3.connect(file)
    marks = f"PRAGMA application_id={sqlite_schema.APPLICATION_ID}; PRAGMA user_version=1;"
    old.executescript(f"PRAGMA auto_vacuum=INCREMENTAL; {sqlite_schema.MIGRATIONS[0]} {marks}")
    insert = (
        "INSERT INTO job (id, queue, state, key, after, order_key, run_at_ms, put_at_ms, deliveries, lease_until_ms,"
        " payload) VALUES (?, 'line', ?, ?, ?, ?, ?, 1, ?, ?, ?)"
    )
    later_ms = clock.now_ms() + 60_000
    old.executemany(
        insert,
        [
            (5, 1, "session", None, None, 0, 1, clock.now_ms() - 1, b"a"),
            (6, 3, None, "session", None, 0, 0, 0, b"b"),
            (4_095, 0, None, None, "lane", 0, 0, 0, b"c"),
            (4_096, 4, None, None, "lane", 0, 0, 0, b"d"),
            (4_097, 2, None, None, None, later_ms, 0, 0, b"e"),
        ],
    )
    old.execute("INSERT INTO queue_name VALUES ('line')")
    old.commit()
    old.close()
    queue = await SqliteQueue.open(file, clock)
    await put_bundle(queue, "fg")
    first = await queue.claim("line", 10, 60)
    assert [(job.payload, job.deliveries) for job in first] == [
        (b"a", 2), (b"c", 1), (b"d", 1), (b"f", 1), (b"g", 1),
    ]  # fmt: skip
    await queue.ack(first)
    clock.advance(60_001)
    assert names_of(await queue.claim("line", 10, 60)) == "be"
    await queue.close()


def test_what_was_put_last_is_remembered_within_a_bound_and_only_as_it_is_now() -> None:
    fresh = Fresh(bytes_max=8)
    for bundle, payload in enumerate((b"aaaa", b"bbbb", b"cccc"), 1):
        fresh.put(bundle, [payload], 4)
    assert fresh.take(Ready(1, 0, 1, 4, 0, 0)) is None
    assert fresh.take(Ready(2, 0, 1, 4, 0, 0)) == [b"bbbb"]
    assert fresh.take(Ready(2, 0, 1, 4, 0, 0)) is None
    # Its first job was taken out of it.
    assert fresh.take(Ready(3, 1, 1, 4, 0, 0)) is None
