"""What only the SQLite backend can get wrong: its file, its log, its plans, its disk."""

import asyncio
import shutil
import sqlite3
import stat
import threading

import pytest

from tests.kit import journaled
from tests.queues.conftest import open_sqlite
from vemetric import errors
from vemetric.clock import FrozenClock
from vemetric.queues import sqlite, sqlite_commit, sqlite_keys, sqlite_schema, sqlite_tables, sqlite_writer
from vemetric.queues.job import KeySet, NewJob, Write
from vemetric.queues.sqlite import SqliteQueue
from vemetric.queues.sqlite_calls import Mode
from vemetric.queues.sqlite_keys import FOLD_KEYS, FOLD_PORTION_KEYS, PURGE_PORTION_KEYS
from vemetric.queues.sqlite_tables import FREE_PAGES_KEPT, VACUUM_PAGES


def rows(path, statement, *values):
    with sqlite3.connect(path) as db:
        found = db.execute(statement, values).fetchall()
    db.close()
    return found


@pytest.fixture
def opener():
    return open_sqlite


@pytest.fixture
def file(tmp_path):
    return tmp_path / "queue.db"


async def open_and_claim(file, clock):
    queue = await SqliteQueue.open(file, clock)
    try:
        return await queue.claim("line", 500, 60)
    finally:
        await queue.close()


# The file


async def test_the_file_is_for_its_owner_only(queue, file):
    await queue.put(Write(jobs=[NewJob("line", b"1")]))
    for path in file.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


async def test_refuses_a_file_of_a_newer_version(file, clock):
    await (await SqliteQueue.open(file, clock)).close()
    rows(file, "PRAGMA user_version=99")
    with pytest.raises(errors.Misconfigured, match=r"newer Vemetric \(schema 99"):
        await SqliteQueue.open(file, clock)
    assert rows(file, "PRAGMA user_version") == [(99,)]


async def test_refuses_another_programs_database(file, clock):
    rows(file, "CREATE TABLE theirs (a)")
    before = file.read_bytes()
    with pytest.raises(errors.Misconfigured, match="another program"):
        await SqliteQueue.open(file, clock)
    assert file.read_bytes() == before


async def test_refuses_what_is_no_database(file, clock):
    file.write_bytes(b"This is a letter to my aunt." * 1000)
    with pytest.raises(errors.Misconfigured, match="damaged or not a queue"):
        await SqliteQueue.open(file, clock)


async def test_refuses_a_directory_that_does_not_exist(tmp_path, clock):
    with pytest.raises(errors.Misconfigured, match="cannot be opened"):
        await SqliteQueue.open(tmp_path / "nowhere" / "queue.db", clock)


async def test_a_damaged_page_is_told_and_not_taken_for_an_empty_queue(file, clock):
    queue = await SqliteQueue.open(file, clock)
    await queue.put(Write(jobs=[NewJob("line", b"x" * 3000, key=f"{n}") for n in range(200)]))
    await queue.close()
    content = bytearray(file.read_bytes())
    content[4096 * 2 :] = b"\xa5" * (len(content) - 4096 * 2)
    file.write_bytes(content)
    with pytest.raises(errors.VemetricError, match="damaged"):
        await open_and_claim(file, clock)


async def test_a_file_cut_short_is_told(file, clock):
    queue = await SqliteQueue.open(file, clock)
    await queue.put(Write(jobs=[NewJob("line", b"x" * 3000, key=f"{n}") for n in range(200)]))
    await queue.close()
    file.write_bytes(file.read_bytes()[: 4096 * 20])
    with pytest.raises(errors.VemetricError, match="damaged"):
        await open_and_claim(file, clock)


async def test_a_damaged_key_log_is_told(file, clock):
    await (await SqliteQueue.open(file, clock)).close()
    rows(file, "INSERT INTO key_log (body) VALUES (x'ff00')")
    with pytest.raises(errors.Misconfigured, match="damaged"):
        await SqliteQueue.open(file, clock)


async def test_migrating_makes_the_schema_once(file, clock):
    for _ in range(2):
        await (await SqliteQueue.open(file, clock)).close()
        assert rows(file, "PRAGMA user_version") == [(len(sqlite_schema.MIGRATIONS),)]


def test_the_commit_is_known_to_the_oldest_engine_that_is_let_in():
    assert sqlite_schema.SQLITE_VERSION_MIN < (3, 38)
    assert "->" not in sqlite_commit.SCHEMA


# Durable when answered


async def left_by_a_kill(file, clock):
    """The queue as another process finds it after this one was killed now: opened from a copy of the files."""
    copy = file.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    journaled.left_by_a_kill(file.parent, copy)
    return await SqliteQueue.open(copy / "queue.db", clock)


async def test_what_was_answered_is_in_the_files_without_closing(queue, file, clock):
    await queue.put(Write(jobs=[NewJob("line", b"1", key="a")], keys=[KeySet("k", b"v")], counters={"n": 2}))
    [job] = await queue.claim("line", 1, 60)
    left = await left_by_a_kill(file, clock)
    assert await left.get("k") == b"v"
    assert await left.counters("") == {"n": 2}
    assert [(stats.ready, stats.claimed) for stats in await left.stats()] == [(0, 1)]
    clock.advance(60_000)
    [again] = await left.claim("line", 1, 60)
    assert (again.key, again.deliveries) == (job.key, 2)
    await left.close()


async def test_keys_survive_a_kill_before_during_and_after_a_fold(queue, file, clock, monkeypatch):
    """Each write makes new keys and changes old ones; the files are looked at while a fold is at every stage."""
    fold_keys = 16 * FOLD_PORTION_KEYS
    monkeypatch.setattr(sqlite_keys, "FOLD_KEYS", fold_keys)
    portion, expected, is_folding = FOLD_PORTION_KEYS // 2, {}, []
    for number in range(fold_keys // portion * 3):
        sets = {f"key{number * portion + place}": b"%d" % number for place in range(portion)} | {"same": b"%d" % number}
        expected |= sets
        await queue.put(Write(keys=[KeySet(key, value) for key, value in sets.items()], counters={"writes": 1}))
        if number % 3 == 0:
            is_folding.append(queue._writer.keys.is_folding)
            left = await left_by_a_kill(file, clock)
            assert await left.counters("") == {"writes": number + 1}
            assert dict(await left.scan("", 10 * fold_keys)) == expected
            await left.close()
    assert (is_folding[0], is_folding[-1], any(is_folding)) == (False, False, True)


async def test_every_commit_is_synced(queue):
    """FULL is what makes a commit wait for the disk; NORMAL would lose acknowledged events with the power."""
    assert queue._writer._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert queue._writer._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# Size


async def test_a_drained_backlog_gives_its_room_back(queue, file):
    for _ in range(10):
        await queue.put(Write(jobs=[NewJob("line", b"x" * 10_000) for _ in range(200)]))
    await queue.maintain()
    full_bytes = file.stat().st_size
    assert full_bytes > 20_000_000
    while jobs := await queue.claim("line", 500, 60):
        await queue.ack(jobs)
    await queue.maintain()
    kept_bytes = (FREE_PAGES_KEPT + VACUUM_PAGES + 64) * 4096
    assert file.stat().st_size < kept_bytes
    assert (file.parent / "queue.db-wal").stat().st_size == 0


async def test_the_log_stays_short_under_steady_work(queue, file):
    payload = b"x" * 5_000
    for _ in range(60):
        await queue.put(Write(jobs=[NewJob("line", payload) for _ in range(100)]))
        await queue.ack(await queue.claim("line", 100, 60))
    log_bytes = (file.parent / "queue.db-wal").stat().st_size
    assert log_bytes < sqlite_schema.WAL_BYTES_KEPT + 4096 * sqlite_schema.CHECKPOINT_PAGES
    assert file.stat().st_size < 8_000_000


async def test_the_key_log_is_folded_at_its_bound(queue, file):
    for start in range(0, 3 * FOLD_KEYS, 500):
        await queue.set([KeySet(f"key{start + number}", b"v") for number in range(500)])
    [(logged,)] = rows(file, "SELECT count(*) FROM key_log")
    assert logged <= 2 * FOLD_KEYS / 500
    [(stored,)] = rows(file, "SELECT count(*) FROM key")
    assert stored >= FOLD_KEYS


async def test_expired_keys_are_purged_in_portions_and_live_ones_kept(queue, file, clock):
    expires_ms = clock.now_ms() + 1000
    count = 2 * PURGE_PORTION_KEYS + 10
    await queue.set([KeySet(f"short{number:05d}", b"x" * 100, expires_ms) for number in range(count)])
    await queue.set([KeySet("ever", b"1"), KeySet("zzz", b"1", expires_ms + 1000)])
    await queue.maintain()
    clock.advance(1000)
    assert rows(file, "SELECT count(*) FROM key") == [(count + 2,)]
    left = []
    for _ in range(6):
        await queue.maintain()
        left += rows(file, "SELECT count(*) FROM key")[0]
    assert left[0] >= count + 2 - PURGE_PORTION_KEYS
    assert left[-1] == 2
    assert [key for key, _ in await queue.scan("", 10)] == ["ever", "zzz"]


async def test_a_crowd_of_expired_keys_is_purged_as_fast_as_it_came(queue, file, clock):
    expires_ms = clock.now_ms() + 1000
    await queue.set([KeySet(f"short{number:05d}", b"v", expires_ms) for number in range(2 * PURGE_PORTION_KEYS)])
    await queue.maintain()
    await queue.close()
    clock.advance(1000)
    writer = sqlite_writer.Writer.open(file, clock)
    try:
        hurry = []
        while rows(file, "SELECT count(*) FROM key") != [(0,)]:
            writer.keep_up()
            hurry.append(writer._upkeep_seconds)
        writer.keep_up()
        assert hurry == [sqlite_tables.HASTY_UPKEEP_SECONDS] * 2
        assert writer._upkeep_seconds == sqlite_tables.UPKEEP_SECONDS
    finally:
        writer.close()


async def test_a_quiet_moment_goes_on_while_many_keys_have_expired(queue, file, clock):
    expires_ms = clock.now_ms() + 1000
    await queue.set([KeySet(f"short{number:05d}", b"v", expires_ms) for number in range(PURGE_PORTION_KEYS)])
    await queue.maintain()
    await queue.close()
    writer = sqlite_writer.Writer.open(file, clock)
    try:
        clock.advance(1000)
        assert writer.idle()
        assert not writer.idle()
    finally:
        writer.close()


async def test_what_could_not_be_given_back_comes_again_at_the_next_claim(queue, clock):
    await queue.put(Write(jobs=[NewJob("line", b"1"), NewJob("line", b"2"), NewJob("other", b"3")]))
    claimed = await queue.claim("line", 2, 90)
    await queue._call(lambda writer: writer._db.execute("PRAGMA query_only=1"), Mode.BARE)
    for job in claimed:
        with pytest.raises(errors.Unavailable):
            await queue.release([job])
    for _ in range(2):
        with pytest.raises(errors.Unavailable):
            await queue.claim("line", 2, 90)
    await queue._call(lambda writer: writer._db.execute("PRAGMA query_only=0"), Mode.BARE)
    assert [job.payload for job in await queue.claim("other", 1, 90)] == [b"3"]
    again = await queue.claim("line", 2, 90)
    assert [(job.id, job.failures) for job in again] == [(job.id, 0) for job in claimed]
    assert await queue.claim("line", 2, 90) == []


async def test_a_small_write_on_a_full_disk_is_no_recovery(queue, file, clock, caplog, monkeypatch):
    await queue.close()
    writer = sqlite_writer.Writer.open(file, clock)
    try:
        for name in "abc":
            writer._failed(sqlite3.OperationalError("database or disk is full"))
            writer._begin()
            writer._commit()
            writer._begin()
            writer.set_if_absent(name, b"v", 0)
            writer._commit()
        told = [record.getMessage() for record in caplog.records]
        assert told == ["The queue cannot be written: database or disk is full"]
        monkeypatch.setattr(sqlite_tables, "WELL_AFTER_SECONDS", 0)
        writer._begin()
        writer._commit()
        assert len(caplog.records) == 1
        writer._begin()
        writer.set_if_absent("d", b"v", 0)
        writer._commit()
        assert caplog.records[-1].getMessage() == "The queue can be written again."
    finally:
        writer.close()


# Speed that does not depend on the backlog


@pytest.fixture
async def plans(queue, file):
    """The plan of every statement that touches jobs while the given work is done."""
    seen = []
    db = sqlite3.connect(file)
    db.executescript(sqlite_commit.SCHEMA)

    def trace(statement):
        if statement.lstrip().startswith(("UPDATE", "DELETE", "SELECT", "INSERT")):
            seen.append(statement)

    queue._writer._db.set_trace_callback(trace)
    queue._reader.set_trace_callback(trace)
    yield lambda: {
        line[3]: statement for statement in set(seen) for line in db.execute("EXPLAIN QUERY PLAN " + statement)
    }
    db.close()


async def test_no_statement_walks_the_whole_table(queue, put, claim, plans, clock):
    await put("a", "b", order_key="lane")
    await put("c", after="a", run_at_ms=clock.now_ms() + 1)
    await put("d", "e", "f")
    assert await claim() == ["a", "b", "d", "e", "f"]
    await queue.extend([claim.jobs["a"]], 60)
    await queue.retry([claim.jobs["b"]], 0, "no")
    await queue.release([claim.jobs["e"]])
    await queue.bury([claim.jobs["d"]], "no")
    await queue.ack([claim.jobs["a"], claim.jobs["f"]])
    await queue.wait("line", 0.01)
    await queue.revive([1])
    walks = {plan: statement for plan, statement in plans().items() if plan.startswith("SCAN job")}
    assert not walks


def test_the_triggers_use_the_partial_indexes(tmp_path):
    """Without them a long lane would be walked for each of its jobs."""
    db = sqlite_schema.open_writer(tmp_path / "queue.db")
    lane_claimed = "SELECT 1 FROM job WHERE queue = 'q' AND order_key = 'o' AND state = 1"
    lane_first = "SELECT min(id) FROM job WHERE queue = 'q' AND order_key = 'o'"
    waiting = "SELECT id FROM job WHERE after = 'k' AND state = 3"
    plans = [db.execute("EXPLAIN QUERY PLAN " + text).fetchall() for text in (lane_claimed, lane_first, waiting)]
    db.close()
    details = [" ".join(row[3] for row in plan) for plan in plans]
    assert "job_lane_claimed (queue=? AND order_key=?)" in details[0]
    assert "job_lane (queue=? AND order_key=?)" in details[1]
    assert "job_waiting (after=?)" in details[2]


@pytest.mark.parametrize("is_sole_owner", [True, False])
async def test_a_sole_owner_waits_for_no_lease_of_a_process_that_is_gone(tmp_path, clock, is_sole_owner):
    path = tmp_path / "q.db"
    killed = await SqliteQueue.open(path, clock)
    await killed.put(Write(jobs=[NewJob("event", b"x"), NewJob("event", b"y", order_key="line")]))
    assert len(await killed.claim("event", 10, 90)) == 2
    await killed.close()
    queue = await SqliteQueue.open(path, clock, is_sole_owner=is_sole_owner)
    claimed = await queue.claim("event", 10, 90)
    assert [job.deliveries for job in claimed] == ([2, 2] if is_sole_owner else [])
    await queue.close()


async def test_a_failure_nobody_foresaw_takes_no_room_in_the_queue(file, clock, monkeypatch):
    queue = await SqliteQueue.open(file, clock, jobs_max=1)

    def flush(now_ms):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(queue._writer.keys, "flush", flush)
        for _ in range(3):
            with pytest.raises(MemoryError):
                await queue.put(Write(jobs=[NewJob("line", b"lost")]))
    await queue.put(Write(jobs=[NewJob("line", b"kept")]))
    assert [job.payload for job in await queue.claim("line", 9, 60)] == [b"kept"]
    await queue.close()


class FailingClock(FrozenClock):
    """Fails the writer's thread where it looks at the time."""

    error: BaseException | None = None

    def now_ms(self):
        if self.error is not None and threading.current_thread().name == "queue-writer":
            raise self.error
        return super().now_ms()


async def test_a_queue_whose_writer_has_ended_says_so_when_it_is_read(file, clock, caplog):
    """Else a process whose hits are all refused would go on to tell that its queue is well."""
    clock = FailingClock(clock.now_ms())
    queue = await SqliteQueue.open(file, clock)
    assert await queue.get("ready") is None
    clock.error = SystemExit()
    with pytest.raises(errors.Unavailable):
        await asyncio.wait_for(queue.put(Write(jobs=[NewJob("line", b"refused")])), 60)
    for read in (queue.get("ready"), queue.get_many(["ready"]), queue.stats(), queue.put(Write())):
        with pytest.raises(errors.Unavailable):
            await read
    assert "queue-writer has ended" in caplog.text
    clock.error = None
    await queue.close()
    assert await open_and_claim(file, clock) == []


async def test_a_writer_goes_on_after_a_failure_at_an_idle_time(file, clock, monkeypatch):
    failed, loop = asyncio.Event(), asyncio.get_running_loop()

    def tidy(writer):
        loop.call_soon_threadsafe(failed.set)
        raise RuntimeError

    monkeypatch.setattr(sqlite, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(sqlite_writer.Writer, "tidy", tidy)
    queue = await SqliteQueue.open(file, clock)
    await asyncio.wait_for(failed.wait(), 60)
    await queue.put(Write(jobs=[NewJob("line", b"kept")]))
    assert [job.payload for job in await queue.claim("line", 9, 60)] == [b"kept"]
    await queue.close()
