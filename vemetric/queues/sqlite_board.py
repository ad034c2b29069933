"""The statements by which people look into the SQLite queue and change it by hand. Jobs are read in the reader's
thread, changed in the writer's; what the states mean stands in sqlite_schema.py.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from vemetric.queues import sqlite_bundles
from vemetric.queues.job import ListedJob, State
from vemetric.queues.sqlite_bundles import JOB_IDS_PER_ROW, as_json

ID_LAST = (1 << 63) - 1
# Of a row. 0 READY, 1 CLAIMED, 2 DELAYED, 3 WAITING and 4 BEHIND.
_STATES = {State.READY: (0, 3, 4), State.CLAIMED: (1,), State.DELAYED: (2,)}
_SHOWN = {0: State.READY, 1: State.CLAIMED, 2: State.DELAYED, 3: State.BLOCKED, 4: State.BLOCKED}

_ROW = "id, queue, state, key, order_key, after, run_at_ms, put_at_ms, deliveries, failures, lease_until_ms, error"
_STATE, _ERROR = 2, 11
_ROWS = f"""
SELECT {_ROW} FROM job WHERE queue = ? AND state IN (SELECT value FROM json_each(?)) AND id < ?
ORDER BY id DESC LIMIT ?
"""  # noqa: S608 - text of ours
_ROWS_WITH_PAYLOADS = _ROWS.replace(_ROW, f"{_ROW}, payload")
_ROW_WITH_PAYLOAD = f"SELECT {_ROW}, payload FROM job WHERE id = ?"  # noqa: S608
_BUNDLES = """
SELECT id, place, jobs, put_at_ms, deliveries, lease_until_ms, {body} FROM bundle
WHERE queue = ? AND state = ? AND id <= ? ORDER BY id DESC LIMIT ?
"""
_BUNDLE = """
SELECT queue, state, place, jobs, put_at_ms, deliveries, lease_until_ms, body FROM bundle WHERE id = ?
"""
_PROMOTE = """
UPDATE job SET run_at_ms = 0, state = CASE
    WHEN after IS NOT NULL AND EXISTS (
        SELECT 1 FROM job AS earlier WHERE earlier.key = job.after AND earlier.id < job.id) THEN 3
    ELSE 0 END
WHERE id IN (SELECT value FROM json_each(?)) AND state = 2
RETURNING id
"""
_DELETE = "DELETE FROM job WHERE id = ?"


def listed(
    db: sqlite3.Connection, queue: str, state: State, limit: int, before_id: int | None, with_payloads: bool = False
) -> list[ListedJob]:
    """Jobs of a state, the newest first."""
    before = ID_LAST if before_id is None else before_id
    rows = db.execute(_ROWS_WITH_PAYLOADS if with_payloads else _ROWS, (queue, as_json(_STATES[state]), before, limit))
    of_rows = [_listed(row) for row in rows.fetchall()]
    of_bundles: list[ListedJob] = []
    if state is not State.DELAYED:
        number = 0 if state is State.READY else 1
        found = db.execute(
            _BUNDLES.format(body="body" if with_payloads else "NULL"),
            (queue, number, before // JOB_IDS_PER_ROW, limit),
        )
        for bundle, place, jobs, put_at_ms, deliveries, lease_until_ms, body in found.fetchall():
            first = bundle * JOB_IDS_PER_ROW + place
            payloads = sqlite_bundles.payloads_of(body) if with_payloads else [b""] * jobs
            for id_ in reversed(range(first, min(first + jobs, before))):
                told = (put_at_ms, deliveries, lease_until_ms, payloads[id_ - first])
                of_bundles.append(_bundled(id_, queue, number, *told))
            if len(of_bundles) >= limit:
                break
    return sorted(of_rows + of_bundles, key=lambda job: -job.id)[:limit]


def look(db: sqlite3.Connection, id_: int) -> ListedJob | None:
    """A job with its payload; None if it is done or dead."""
    row = db.execute(_ROW_WITH_PAYLOAD, (id_,)).fetchone()
    if row is not None:
        return _listed(row)
    bundle = db.execute(_BUNDLE, (id_ // JOB_IDS_PER_ROW,)).fetchone()
    if bundle is None:
        return None
    queue, state, place, jobs, put_at_ms, deliveries, lease_until_ms, body = bundle
    index = id_ % JOB_IDS_PER_ROW - place
    if not 0 <= index < jobs:
        return None
    payload = sqlite_bundles.payloads_of(body)[index]
    return _bundled(id_, queue, state, put_at_ms, deliveries, lease_until_ms, payload)


def promote(db: sqlite3.Connection, ids: Sequence[int]) -> tuple[int, int]:
    """Let delayed jobs run now. As everything that changes something here it returns its result, which is how many
    were delayed, and how many live jobs were removed.
    """
    return len(db.execute(_PROMOTE, (as_json(ids),)).fetchall()), 0


def discard(db: sqlite3.Connection, jobs: Sequence[ListedJob]) -> tuple[list[ListedJob], int]:
    """Delete jobs that nobody holds, nor has held since they were seen; return them as they were."""
    found = []
    for seen in jobs:
        job = look(db, seen.id)
        if job is None or job.state is State.CLAIMED or job.deliveries != seen.deliveries:
            continue
        if db.execute(_DELETE, (job.id,)).rowcount == 0:
            sqlite_bundles.take_apart(db, job.id // JOB_IDS_PER_ROW)
            db.execute(_DELETE, (job.id,))
        found.append(job)
    return found, len(found)


def discard_dead(db: sqlite3.Connection, ids: Sequence[int]) -> tuple[list[int], int]:
    """Delete dead letters, and return the ids of those that there were."""
    gone = db.execute("DELETE FROM dead WHERE id IN (SELECT value FROM json_each(?)) RETURNING id", (as_json(ids),))
    return [id_ for (id_,) in gone], 0


def _listed(row: Sequence[Any]) -> ListedJob:
    values = list(row)
    values[_STATE], values[_ERROR] = _SHOWN[row[_STATE]], row[_ERROR] or ""
    return ListedJob(*values)


def _bundled(
    id_: int, queue: str, state: int, put_at_ms: int, deliveries: int, lease_until_ms: int, payload: bytes
) -> ListedJob:
    return ListedJob(
        id_,
        queue,
        _SHOWN[state],
        put_at_ms=put_at_ms,
        deliveries=deliveries,
        lease_until_ms=lease_until_ms,
        payload=payload,
    )
