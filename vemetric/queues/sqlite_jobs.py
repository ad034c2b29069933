"""The statements of the SQLite queue over its job and dead tables, all but claims (sqlite_claims.py). Run by sqlite.py
in the writer's or reader's thread.

Jobs that wait for nothing are kept by the bundle (sqlite_bundles.py); all others, and large ones, have a row each. The
states and what moves a job between them are described in sqlite_schema.py. Numbers in `state = n` are literal so that
the partial indexes serve them.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from vemetric import errors
from vemetric.queues import sqlite_bundles
from vemetric.queues.job import PAYLOAD_BYTES_MAX, DeadJob, Job, NewJob, QueueStats
from vemetric.queues.sqlite_bundles import Fresh, Held, Ids, as_json

ERROR_CHARS_MAX = 10_000
# A larger job has a row of its own.
BUNDLED_BYTES_MAX = 65_536

_INSERT = """
INSERT INTO job (queue, key, order_key, after, run_at_ms, put_at_ms, payload, id, deliveries, state)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, CASE
    WHEN ?3 IS NOT NULL AND EXISTS (SELECT 1 FROM job WHERE queue = ?1 AND order_key = ?3) THEN 4
    WHEN ?5 > 0 THEN 2
    WHEN ?4 IS NOT NULL AND EXISTS (SELECT 1 FROM job WHERE key = ?4) THEN 3
    ELSE 0 END)
ON CONFLICT (key, queue) WHERE key IS NOT NULL DO NOTHING
"""
# Of the jobs with the ids of the JSON array ?1, those that the lease ?2 still holds at the time ?3.
_REMOVE = """
DELETE FROM job WHERE id IN (SELECT value FROM json_each(?1)) AND state = 1 AND lease = ?2 AND lease_until_ms > ?3
"""
_EXTEND = """
UPDATE job SET lease_until_ms = ?4
WHERE id IN (SELECT value FROM json_each(?1)) AND state = 1 AND lease = ?2 AND lease_until_ms > ?3
"""
_GIVE_BACK = """
UPDATE job SET state = CASE WHEN order_key IS NOT NULL THEN 4 WHEN ?4 > 0 THEN 2 ELSE 0 END,
    run_at_ms = ?4, failures = failures + ?5, error = coalesce(?6, error)
WHERE id IN (SELECT value FROM json_each(?1)) AND state = 1 AND lease = ?2 AND lease_until_ms > ?3
"""
_COPY_TO_DEAD = """
INSERT INTO dead (queue, key, order_key, after, put_at_ms, buried_at_ms, deliveries, failures, error, payload)
SELECT queue, key, order_key, after, put_at_ms, ?3, deliveries, failures + 1, ?4, payload FROM job
WHERE id IN (SELECT value FROM json_each(?1)) AND state = 1 AND lease = ?2 AND lease_until_ms > ?3 ORDER BY id
"""
_COUNTS = """
SELECT queue, state, sum(jobs) FROM (
    SELECT queue, state, count(*) AS jobs FROM job GROUP BY queue, state
    UNION ALL SELECT queue, state, sum(jobs) FROM bundle GROUP BY queue, state)
GROUP BY queue, state
"""
_NEXT = """
SELECT CASE
    WHEN EXISTS (SELECT 1 FROM paused WHERE queue = ?1) THEN NULL
    WHEN EXISTS (SELECT 1 FROM job WHERE queue = ?1 AND state = 0) THEN 0
    WHEN EXISTS (SELECT 1 FROM bundle WHERE queue = ?1 AND state = 0) THEN 0
    ELSE (SELECT min(at_ms) FROM (
        SELECT min(run_at_ms) AS at_ms FROM job WHERE queue = ?1 AND state = 2
        UNION ALL SELECT min(lease_until_ms) FROM job WHERE queue = ?1 AND state = 1
        UNION ALL SELECT min(lease_until_ms) FROM bundle WHERE queue = ?1 AND state = 1)) END
"""
_OLDEST_RUNNABLE = """
SELECT min(put_at_ms) FROM (
    SELECT put_at_ms FROM (SELECT put_at_ms FROM job WHERE queue = ?1 AND state = 0 ORDER BY id LIMIT 1)
    UNION ALL SELECT put_at_ms FROM (SELECT put_at_ms FROM bundle WHERE queue = ?1 AND state = 0 ORDER BY id LIMIT 1)
    UNION ALL SELECT put_at_ms FROM job WHERE queue = ?1 AND state = 2 AND run_at_ms <= ?2
    UNION ALL SELECT put_at_ms FROM job WHERE queue = ?1 AND state = 1 AND lease_until_ms <= ?2
    UNION ALL SELECT put_at_ms FROM bundle WHERE queue = ?1 AND state = 1 AND lease_until_ms <= ?2)
"""
ID_LAST = (1 << 63) - 1


def put(db: sqlite3.Connection, jobs: Sequence[NewJob], now_ms: int, ids: Ids, fresh: Fresh) -> int:
    """Insert; a job whose key is live is passed over. Returns how many were inserted.

    Invalid if a payload is larger than PAYLOAD_BYTES_MAX.
    """
    bytes_max = max(len(job.payload) for job in jobs)
    if bytes_max > PAYLOAD_BYTES_MAX:
        raise errors.Invalid(f"A job's payload has {bytes_max} bytes; at most {PAYLOAD_BYTES_MAX} are allowed.")
    plain = [job for job in jobs if _is_plain(job, now_ms)]
    inserted = sqlite_bundles.put(db, plain, now_ms, ids, fresh) if plain else 0
    if len(plain) == len(jobs):
        return inserted
    rows = [
        (
            job.queue,
            job.key,
            job.order_key,
            job.after,
            job.run_at_ms if job.run_at_ms > now_ms else 0,
            now_ms,
            job.payload,
            ids.take_for_job(),
            0,
        )
        for job in jobs
        if not _is_plain(job, now_ms)
    ]
    return inserted + db.executemany(_INSERT, rows).rowcount


def _is_plain(job: NewJob, now_ms: int) -> bool:
    """Whether the job waits for nothing and nothing waits for it."""
    return (
        job.key is None
        and job.order_key is None
        and job.after is None
        and job.run_at_ms <= now_ms
        and len(job.payload) <= BUNDLED_BYTES_MAX
    )


def end_leases(db: sqlite3.Connection) -> None:
    """Let every lease run out now: whoever held them is gone. Their jobs stay delivered, so nothing is done twice."""
    db.execute("UPDATE job SET lease_until_ms = 0 WHERE state = 1")
    db.execute("UPDATE bundle SET lease_until_ms = 0 WHERE state = 1")


def next_at_ms(db: sqlite3.Connection, queue: str) -> int | None:
    """When a job of the queue can run: 0 for now, None if nothing but a write can make one runnable."""
    row = db.execute(_NEXT, (queue,)).fetchone()
    return None if row[0] is None else int(row[0])


def remove(db: sqlite3.Connection, jobs: Sequence[Job], now_ms: int) -> int:
    """Delete jobs that are done. LeaseLost if any lease is not current: the caller must roll back then."""
    removed = 0
    for held in _by_lease(jobs, now_ms):
        bundles, others, bundled = sqlite_bundles.settle(db, held)
        if bundles:
            sqlite_bundles.remove(db, bundles, held)
        removed += bundled + _of_rows(db, _REMOVE, others, held)
    if removed != len(jobs):
        raise errors.LeaseLost
    return removed


def extend(db: sqlite3.Connection, jobs: Sequence[Job], lease_seconds: float, now_ms: int) -> int:
    """Prolong the leases; returns the new end. LeaseLost as `remove`."""
    until_ms = now_ms + int(lease_seconds * 1000)
    extended = 0
    for held in _by_lease(jobs, now_ms):
        bundles, others, bundled = sqlite_bundles.settle(db, held)
        if bundles:
            sqlite_bundles.extend(db, bundles, held, until_ms)
        extended += bundled + _of_rows(db, _EXTEND, others, held, until_ms)
    if extended != len(jobs):
        raise errors.LeaseLost
    return until_ms


def give_back(
    db: sqlite3.Connection, jobs: Sequence[Job], delay_seconds: float, failures: int, error: str | None, now_ms: int
) -> int:
    """Make jobs runnable again after the delay, raising `failures`; those whose lease is lost are passed over."""
    run_at_ms = now_ms + int(delay_seconds * 1000) if delay_seconds > 0 else 0
    text = None if error is None else error[:ERROR_CHARS_MAX]
    given = 0
    for held in _by_lease(jobs, now_ms):
        bundles, others, bundled = sqlite_bundles.settle(db, held)
        if run_at_ms or failures or text is not None:
            # From now on its jobs have fates of their own.
            for bundle in bundles:
                sqlite_bundles.take_apart(db, bundle)
            others, bundled = list(held.ids), 0
        elif bundles:
            sqlite_bundles.release(db, bundles, held)
        given += bundled + _of_rows(db, _GIVE_BACK, others, held, run_at_ms, failures, text)
    return given


def bury(db: sqlite3.Connection, jobs: Sequence[Job], error: str, now_ms: int) -> int:
    """Move jobs to the dead letters, their last failure counted; those whose lease is lost are passed over."""
    buried = 0
    for held in _by_lease(jobs, now_ms):
        for bundle in sqlite_bundles.settle(db, held)[0]:
            sqlite_bundles.take_apart(db, bundle)
        _of_rows(db, _COPY_TO_DEAD, held.ids, held, error[:ERROR_CHARS_MAX])
        buried += _of_rows(db, _REMOVE, held.ids, held)
    return buried


def _of_rows(db: sqlite3.Connection, statement: str, ids: Sequence[int], held: Held, *values: Any) -> int:
    """Run a statement over jobs that have rows of their own. Returns how many the lease still holds."""
    return db.execute(statement, (as_json(ids), held.lease, held.now_ms, *values)).rowcount if ids else 0


def revive(db: sqlite3.Connection, ids: Sequence[int], new_ids: Ids) -> int:
    """Put dead letters back at the end of the line. One whose key is live again stays dead. Returns how many."""
    revived = 0
    for id_ in ids:
        row = db.execute(
            "SELECT queue, key, order_key, after, 0, put_at_ms, payload, ?2, deliveries FROM dead WHERE id = ?1",
            (id_, new_ids.take_for_job()),
        ).fetchone()
        if row and db.execute(_INSERT, row).rowcount:
            db.execute("DELETE FROM dead WHERE id = ?", (id_,))
            revived += 1
    return revived


def dead(db: sqlite3.Connection, queue: str | None, limit: int, before_id: int | None) -> list[DeadJob]:
    """Dead letters, newest first."""
    found = db.execute(
        "SELECT id, queue, payload, key, put_at_ms, buried_at_ms, deliveries, failures, error FROM dead"
        " WHERE (?1 IS NULL OR queue = ?1) AND id < ?2 ORDER BY id DESC LIMIT ?3",
        (queue, ID_LAST if before_id is None else before_id, limit),
    )
    return [DeadJob(*row) for row in found]


def live_count(db: sqlite3.Connection) -> int:
    """How many jobs are not done and not dead."""
    row = db.execute("SELECT (SELECT count(*) FROM job) + (SELECT coalesce(sum(jobs), 0) FROM bundle)").fetchone()
    return int(row[0])


def pause(db: sqlite3.Connection, queue: str) -> None:
    """Let nobody claim of the queue."""
    db.execute("INSERT OR IGNORE INTO paused (queue) VALUES (?)", (queue,))


def resume(db: sqlite3.Connection, queue: str) -> None:
    """Let the queue be claimed again."""
    db.execute("DELETE FROM paused WHERE queue = ?", (queue,))


def paused(db: sqlite3.Connection) -> list[str]:
    """The paused queues, by name."""
    return [name for (name,) in db.execute("SELECT queue FROM paused ORDER BY queue")]


def note_queues(db: sqlite3.Connection, names: Iterable[str]) -> None:
    """Remember that these queues had jobs."""
    db.executemany("INSERT OR IGNORE INTO queue_name (name) VALUES (?)", [(name,) for name in names])


def queue_names(db: sqlite3.Connection) -> set[str]:
    """Every queue that has or had jobs."""
    return {name for (name,) in db.execute("SELECT name FROM queue_name")}


def stats(db: sqlite3.Connection, now_ms: int) -> list[QueueStats]:
    """Counts of every queue. Jobs that wait for others count as ready, due ones and run-out leases as runnable."""
    db.execute("BEGIN")
    try:
        live = {(queue, state): count for queue, state, count in db.execute(_COUNTS)}
        buried = dict(db.execute("SELECT queue, count(*) FROM dead GROUP BY queue").fetchall())
        return [
            QueueStats(
                queue=name,
                ready=sum(live.get((name, state), 0) for state in (0, 3, 4)),
                delayed=live.get((name, 2), 0),
                claimed=live.get((name, 1), 0),
                dead=buried.get(name, 0),
                oldest_ready_ms=_oldest_runnable_ms(db, name, now_ms),
            )
            for name in sorted(queue_names(db))
        ]
    finally:
        db.execute("COMMIT")


def _oldest_runnable_ms(db: sqlite3.Connection, queue: str, now_ms: int) -> int | None:
    row = db.execute(_OLDEST_RUNNABLE, (queue, now_ms)).fetchone()
    return None if row[0] is None else int(row[0])


def _by_lease(jobs: Sequence[Job], now_ms: int) -> list[Held]:
    ids: dict[int, list[int]] = {}
    for job in jobs:
        ids.setdefault(job.lease, []).append(job.id)
    return [Held(of_lease, lease, now_ms) for lease, of_lease in ids.items()]
