"""A whole commit of the SQLite queue in one statement: what the hub's puts come to nearly always.

Every call of the engine gives the interpreter away several times and has to win it back from a loop that is busy
answering; with a statement for each part of a commit that took longer than the disk. Used by sqlite_writer.py.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from vemetric.queues.job import NewJob
from vemetric.queues.sqlite_bundles import BUNDLE_BYTES_MAX, BUNDLE_JOBS_MAX, Fresh, Ids

# A view that nothing is ever read from: what is inserted into it is what the trigger makes of it. `singles` is a JSON
# array of [id, key, after, waits, offset, length], the last two of the payload within `payloads`.
SCHEMA = """
CREATE TEMP VIEW whole_commit AS SELECT
    NULL AS queue, NULL AS now_ms, NULL AS bundle, NULL AS jobs, NULL AS bytes, NULL AS body,
    NULL AS singles, NULL AS payloads, NULL AS log_id, NULL AS log;
CREATE TEMP TRIGGER commit_whole INSTEAD OF INSERT ON whole_commit BEGIN
    INSERT INTO bundle (id, queue, state, place, jobs, bytes, put_at_ms, body)
    SELECT NEW.bundle, NEW.queue, 0, 0, NEW.jobs, NEW.bytes, NEW.now_ms, NEW.body WHERE NEW.bundle IS NOT NULL;
    INSERT INTO job (id, queue, key, after, run_at_ms, put_at_ms, payload, state)
    SELECT json_extract(value, '$[0]'), NEW.queue, json_extract(value, '$[1]'), json_extract(value, '$[2]'), 0,
        NEW.now_ms, substr(NEW.payloads, json_extract(value, '$[4]') + 1, json_extract(value, '$[5]')),
        CASE WHEN json_extract(value, '$[3]') OR (
            json_extract(value, '$[2]') IS NOT NULL
            AND EXISTS (SELECT 1 FROM job WHERE key = json_extract(value, '$[2]'))) THEN 3 ELSE 0 END
    FROM json_each(NEW.singles) WHERE true
    ON CONFLICT (key, queue) WHERE key IS NOT NULL DO NOTHING;
    INSERT INTO key_log (id, body) SELECT NEW.log_id, NEW.log WHERE NEW.log IS NOT NULL;
END;
"""
_COMMIT = "INSERT INTO whole_commit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_encode = msgspec.msgpack.Encoder().encode
_as_json = msgspec.json.Encoder().encode


class Parts(NamedTuple):
    """The jobs of a commit: those that wait for nothing, and those with a key or an `after`."""

    queue: str
    plain: list[bytes]
    bytes: int
    singles: list[NewJob]


def parts(jobs: Sequence[NewJob], now_ms: int) -> Parts | None:
    """The jobs sorted for one statement; None where they need more than one."""
    queue, plain, size, singles = jobs[0].queue, [], 0, []
    for job in jobs:
        if job.queue != queue or job.order_key is not None or job.run_at_ms > now_ms:
            return None
        size += len(job.payload)
        if job.key is None and job.after is None:
            plain.append(job.payload)
        else:
            singles.append(job)
    if len(jobs) > BUNDLE_JOBS_MAX or size > BUNDLE_BYTES_MAX:
        return None
    return Parts(queue, plain, size, singles)


def commit(
    db: sqlite3.Connection, jobs: Parts, now_ms: int, ids: Ids, fresh: Fresh, log_id: int | None, log: bytes | None
) -> int:
    """Write jobs and the log of keys durably. Returns how many jobs were inserted: those with a live key are not.

    fresh: what is told of the bundle, for whoever claims it next.
    """
    before = db.total_changes
    bundle = ids.take() if jobs.plain else None
    # Ids rise in the order of the line, but for those of one commit: nothing waits for a job of its bundle.
    keys: set[str] = set()
    singles, payloads, offset = [], [], 0
    for job in jobs.singles:
        waits = job.after is not None and job.after in keys
        singles.append((ids.take_for_job(), job.key, job.after, waits, offset, len(job.payload)))
        payloads.append(job.payload)
        offset += len(job.payload)
        if job.key is not None:
            keys.add(job.key)
    db.execute(
        _COMMIT,
        (
            jobs.queue,
            now_ms,
            bundle,
            len(jobs.plain),
            jobs.bytes - offset,
            _encode(jobs.plain),
            _as_json(singles).decode(),
            b"".join(payloads),
            log_id,
            log,
        ),
    )
    if bundle is not None:
        fresh.put(bundle, jobs.plain, jobs.bytes - offset)
    rows = db.total_changes - before - (bundle is not None) - (log is not None)
    return len(jobs.plain) + rows
