"""Claiming from the SQLite queue: which jobs come next, in which order, and how many at once. Run by sqlite.py in the
writer's thread; the states of a job are described in sqlite_schema.py.
"""

import random
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from vemetric.queues import sqlite_bundles
from vemetric.queues.job import CLAIM_BYTES_MAX, Job
from vemetric.queues.sqlite_bundles import JOB_IDS_PER_ROW, Fresh, Ready, as_json
from vemetric.queues.sqlite_jobs import ID_LAST

# Delayed jobs that became due and leases that ran out are made ready in portions, so that no claim takes long.
DUE_JOBS_MAX = 5_000
LEASE_BITS = 62

_END_DELAYS = """
UPDATE job SET state = CASE
    WHEN after IS NOT NULL AND EXISTS (
        SELECT 1 FROM job AS earlier WHERE earlier.key = job.after AND earlier.id < job.id) THEN 3
    ELSE 0 END
WHERE id IN (SELECT id FROM job WHERE queue = ? AND state = 2 AND run_at_ms <= ? ORDER BY run_at_ms LIMIT ?)
"""
_END_LEASES = """
UPDATE job SET state = CASE WHEN order_key IS NULL THEN 0 ELSE 4 END, run_at_ms = 0
WHERE id IN (SELECT id FROM job WHERE queue = ? AND state = 1 AND lease_until_ms <= ? ORDER BY lease_until_ms LIMIT ?)
"""
# Whether the queue is paused, and whether time has made anything runnable: nearly always it is neither, and the three
# statements that would see to it are spared.
_DUE = """
SELECT EXISTS (SELECT 1 FROM paused WHERE queue = ?1),
    EXISTS (SELECT 1 FROM job WHERE queue = ?1 AND state = 1 AND lease_until_ms <= ?2)
    OR EXISTS (SELECT 1 FROM job WHERE queue = ?1 AND state = 2 AND run_at_ms <= ?2)
    OR EXISTS (SELECT 1 FROM bundle WHERE queue = ?1 AND state = 1 AND lease_until_ms <= ?2)
"""
_HEADS = """
SELECT json_group_array(json_array(id, size)) FROM (
    SELECT id, length(payload) AS size FROM job WHERE queue = ? AND state = 0 ORDER BY id LIMIT ?)
"""
# What follows the heads just claimed in their lanes, up to the first that waits for something of its own. The join's
# order and the index make each lane's jobs come by id, so that no bound ever leaves a gap.
_FOLLOWERS = """
SELECT follower.id, length(follower.payload)
FROM job AS head INDEXED BY job_lane_claimed
CROSS JOIN job AS follower INDEXED BY job_lane
    ON follower.queue = ?1 AND follower.order_key = head.order_key
WHERE head.queue = ?1 AND head.order_key IS NOT NULL AND head.state = 1 AND head.lease = ?2
    AND follower.id > head.id AND follower.state = 4
    AND follower.id < coalesce((
        SELECT min(stop.id) FROM job AS stop
        WHERE stop.queue = ?1 AND stop.order_key = head.order_key AND stop.id > head.id
            AND stop.order_key IS NOT NULL AND (stop.run_at_ms > 0 OR stop.after IS NOT NULL)), ?3)
LIMIT ?4
"""
_CLAIM = """
UPDATE job SET state = 1, deliveries = deliveries + 1, lease = ?, lease_until_ms = ?
WHERE id IN (SELECT value FROM json_each(?))
RETURNING id, queue, payload, key, order_key, put_at_ms, deliveries, failures, lease, lease_until_ms
"""


def claim(db: sqlite3.Connection, queue: str, limit: int, lease_seconds: float, now_ms: int, fresh: Fresh) -> list[Job]:
    """Claim up to `limit` jobs that fit CLAIM_BYTES_MAX, oldest first, after making ready what time made runnable.

    fresh: what is still known of the bundles put last.
    """
    is_paused, is_due = db.execute(_DUE, (queue, now_ms)).fetchone()
    if is_paused:
        return []
    if is_due:
        db.execute(_END_LEASES, (queue, now_ms, DUE_JOBS_MAX))
        db.execute(_END_DELAYS, (queue, now_ms, DUE_JOBS_MAX))
        sqlite_bundles.end_leases(db, queue, now_ms)
    lease = random.getrandbits(LEASE_BITS)
    until_ms = now_ms + int(lease_seconds * 1000)

    def take(ids: Sequence[int]) -> list[Job]:
        return [Job(*row) for row in db.execute(_CLAIM, (lease, until_ms, as_json(ids))).fetchall()] if ids else []

    heads = _heads(db, queue, max(0, limit))
    found = sqlite_bundles.claim(db, queue, heads.bundles, lease, until_ms, fresh) + take(heads.jobs)
    if len(found) < limit and any(job.order_key is not None for job in found):
        bytes_left = CLAIM_BYTES_MAX - sum(len(job.payload) for job in found)
        followers = db.execute(_FOLLOWERS, (queue, lease, ID_LAST, limit - len(found)))
        found += take(_fitting(followers, bytes_left))
    found.sort(key=_id)
    return found


class Heads(NamedTuple):
    """What a claim takes first: bundles, and the ids of single jobs."""

    bundles: list[Ready]
    jobs: list[int]


def _heads(db: sqlite3.Connection, queue: str, limit: int) -> Heads:
    """The oldest jobs, in bundles and alone, as many as were asked for and fit together.

    A bundle is taken whole. One that holds more than are still asked for waits for the next claim, unless this one
    would be less than half of what was asked for, which tells a pool that no more is there: then those get rows.
    """
    heads = Heads([], [])
    alone = msgspec.json.decode(db.execute(_HEADS, (queue, limit)).fetchone()[0], type=list[tuple[int, int]])
    candidates: list[tuple[int, int, int, Ready | None]] = [(id_, 1, size, None) for id_, size in alone]
    for bundle in sqlite_bundles.ready(db, queue, limit):
        candidates.append((bundle.id * JOB_IDS_PER_ROW + bundle.place, bundle.jobs, bundle.bytes, bundle))
    size, half = 0, limit // 2
    for id_, jobs, bytes_, of in sorted(candidates, key=_first):
        size += bytes_
        if not limit or size > CLAIM_BYTES_MAX:
            break
        if of is None:
            heads.jobs.append(id_)
        elif jobs <= limit:
            heads.bundles.append(of)
        elif limit <= half:
            break
        else:
            heads.jobs.extend(sqlite_bundles.take_apart(db, of.id, limit))
        limit -= min(jobs, limit)
    return heads


def _id(job: Job) -> int:
    return job.id


def _first(candidate: tuple[int, int, int, Ready | None]) -> int:
    return candidate[0]


def _fitting(candidates: Iterable[tuple[int, int]], bytes_max: int) -> list[int]:
    """The ids of the first candidates whose payloads fit together."""
    ids: list[int] = []
    size = 0
    for id_, payload_bytes in candidates:
        size += payload_bytes
        if size > bytes_max:
            break
        ids.append(id_)
    return ids
