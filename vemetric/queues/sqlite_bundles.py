"""Bundles of the SQLite queue: the jobs of one commit that wait for nothing, kept, claimed and removed as one row.

A row per job costs a step of the engine each time it is touched, and every step gives the interpreter away and has to
win it back from a loop that is busy answering. Used by sqlite_jobs.py, in the writer's thread.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from vemetric.queues.job import Job, NewJob

BUNDLE_JOBS_MAX = 1_024
BUNDLE_BYTES_MAX = 262_144
# A job of a bundle has the id `bundle * JOB_IDS_PER_ROW + place`; a row of the job table has one of these too, so that
# a job keeps its id when its bundle is taken apart.
JOB_IDS_PER_ROW = 4_096
# What was put last is claimed next, as long as the workers keep up: some seconds of a crowd.
FRESH_BYTES_MAX = 16 * 1024 * 1024

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[bytes]).decode

_INSERT = "INSERT INTO bundle (id, queue, state, place, jobs, bytes, put_at_ms, body) VALUES (?, ?, 0, 0, ?, ?, ?, ?)"
_READY = """
SELECT json_group_array(json_array(id, place, jobs, bytes, put_at_ms, deliveries)) FROM (
    SELECT id, place, jobs, bytes, put_at_ms, deliveries FROM bundle
    WHERE queue = ? AND state = 0 ORDER BY id LIMIT ?)
"""
_END_LEASES = "UPDATE bundle SET state = 0 WHERE queue = ? AND state = 1 AND lease_until_ms <= ?"
_CLAIM = """
UPDATE bundle SET state = 1, deliveries = deliveries + 1, lease = ?, lease_until_ms = ?
WHERE id IN (SELECT value FROM json_each(?))
"""
_BODIES = "SELECT id, body FROM bundle WHERE id IN (SELECT value FROM json_each(?))"
# Of the bundles with the ids of the JSON array ?1, those that the lease ?2 still holds at the time ?3.
_HELD = "id IN (SELECT value FROM json_each(?1)) AND state = 1 AND lease = ?2 AND lease_until_ms > ?3"
_PLACES = f"SELECT json_group_array(json_array(id, place, jobs)) FROM bundle WHERE {_HELD}"  # noqa: S608 - text of ours
_REMOVE = f"DELETE FROM bundle WHERE {_HELD}"  # noqa: S608
_EXTEND = f"UPDATE bundle SET lease_until_ms = ?4 WHERE {_HELD}"  # noqa: S608
_RELEASE = f"UPDATE bundle SET state = 0 WHERE {_HELD}"  # noqa: S608
_TO_ROWS = """
INSERT INTO job (id, queue, state, run_at_ms, put_at_ms, deliveries, lease, lease_until_ms, payload)
VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?)
"""
# A shortened bundle keeps the places of those that stay.
_SHORTEN = "UPDATE bundle SET place = place + ?2, jobs = jobs - ?2, bytes = ?3, body = ?4 WHERE id = ?1"


class Held(NamedTuple):
    """Ids of jobs claimed under one lease, as the lease has to be proved at a time."""

    ids: Sequence[int]
    lease: int
    now_ms: int


class Ready(NamedTuple):
    """A bundle that can be claimed. deliveries: before that."""

    id: int
    place: int
    jobs: int
    bytes: int
    put_at_ms: int
    deliveries: int


class Fresh:
    """The payloads of the bundles put last: whoever claims them need not read what was written a moment ago.

    A memory that may forget at any time. What it says of a bundle that was changed since is not believed.
    """

    def __init__(self, bytes_max: int = FRESH_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._payloads: OrderedDict[int, tuple[list[bytes], int]] = OrderedDict()

    def put(self, bundle: int, payloads: list[bytes], size: int) -> None:
        """Remember a bundle as it was written. size: the bytes of its payloads."""
        self._payloads[bundle] = payloads, size
        self._bytes += size
        while self._bytes > self._bytes_max:
            _, (_, forgotten) = self._payloads.popitem(last=False)
            self._bytes -= forgotten

    def take(self, bundle: Ready) -> list[bytes] | None:
        """The payloads of a bundle, which is forgotten with that; None if they have to be read."""
        payloads, size = self._payloads.pop(bundle.id, (None, 0))
        self._bytes -= size
        # One that was taken apart in part has lost its first jobs.
        return payloads if payloads is not None and not bundle.place and len(payloads) == bundle.jobs else None


class Ids:
    """The numbers of rows, rising over bundles and single jobs alike, which keeps their order."""

    def __init__(self, db: sqlite3.Connection) -> None:
        last_job, last_bundle = db.execute("SELECT (SELECT max(id) FROM job), (SELECT max(id) FROM bundle)").fetchone()
        self._next = max((last_job or 0) // JOB_IDS_PER_ROW, last_bundle or 0) + 1

    def take(self) -> int:
        """The next number. One that is taken by a transaction that fails is not used again."""
        number = self._next
        self._next += 1
        return number

    def take_for_job(self) -> int:
        """The id of a job that gets a row of its own."""
        return self.take() * JOB_IDS_PER_ROW


def put(db: sqlite3.Connection, jobs: Iterable[NewJob], now_ms: int, ids: Ids, fresh: Fresh) -> int:
    """Insert jobs that wait for nothing and have no key, in as few rows as the bounds allow. Returns how many.

    fresh: what is told of the bundles, for whoever claims them next.
    """
    open_ones: dict[str, tuple[list[bytes], int]] = {}
    rows = []
    count = 0

    def close(queue: str, payloads: list[bytes], size: int) -> None:
        number = ids.take()
        rows.append((number, queue, len(payloads), size, now_ms, _encode(payloads)))
        fresh.put(number, payloads, size)

    for job in jobs:
        payloads, size = open_ones.get(job.queue) or ([], 0)
        if payloads and (len(payloads) >= BUNDLE_JOBS_MAX or size + len(job.payload) > BUNDLE_BYTES_MAX):
            close(job.queue, payloads, size)
            payloads, size = [], 0
        payloads.append(job.payload)
        open_ones[job.queue] = (payloads, size + len(job.payload))
        count += 1
    for queue, (payloads, size) in open_ones.items():
        close(queue, payloads, size)
    db.executemany(_INSERT, rows)
    return count


def end_leases(db: sqlite3.Connection, queue: str, now_ms: int) -> None:
    """Let others claim the bundles whose leases are over."""
    db.execute(_END_LEASES, (queue, now_ms))


def ready(db: sqlite3.Connection, queue: str, limit: int) -> list[Ready]:
    """The oldest bundles that can be claimed."""
    found = db.execute(_READY, (queue, limit)).fetchone()[0]
    return msgspec.json.decode(found, type=list[Ready])


def claim(
    db: sqlite3.Connection, queue: str, bundles: Sequence[Ready], lease: int, lease_until_ms: int, fresh: Fresh
) -> list[Job]:
    """Claim whole bundles of a queue; their jobs in order."""
    if not bundles:
        return []
    db.execute(_CLAIM, (lease, lease_until_ms, as_json([bundle.id for bundle in bundles])))
    known = {bundle.id: payloads for bundle in bundles if (payloads := fresh.take(bundle)) is not None}
    if unknown := [bundle.id for bundle in bundles if bundle.id not in known]:
        known |= {id_: _decode(body) for id_, body in db.execute(_BODIES, (as_json(unknown),)).fetchall()}
    return [
        Job(id_, queue, payload, None, None, bundle.put_at_ms, bundle.deliveries + 1, 0, lease, lease_until_ms)
        for bundle in bundles
        for id_, payload in enumerate(known[bundle.id], bundle.id * JOB_IDS_PER_ROW + bundle.place)
    ]


def take_apart(db: sqlite3.Connection, bundle: int, count: int | None = None) -> range:
    """Give the first `count` jobs of a bundle, or all, rows of their own in the state the bundle is in.

    Returns their ids, which stay the same.
    """
    row = db.execute(
        "SELECT queue, state, place, put_at_ms, deliveries, lease, lease_until_ms, body FROM bundle WHERE id = ?",
        (bundle,),
    ).fetchone()
    queue, state, place, put_at_ms, deliveries, lease, lease_until_ms, body = row
    payloads = _decode(body)
    taken, kept = (payloads, []) if count is None else (payloads[:count], payloads[count:])
    first = bundle * JOB_IDS_PER_ROW + place
    db.executemany(
        _TO_ROWS,
        [
            (id_, queue, state, put_at_ms, deliveries, lease, lease_until_ms, payload)
            for id_, payload in enumerate(taken, first)
        ],
    )
    if kept:
        db.execute(_SHORTEN, (bundle, len(taken), sum(map(len, kept)), _encode(kept)))
    else:
        db.execute("DELETE FROM bundle WHERE id = ?", (bundle,))
    return range(first, first + len(taken))


def settle(db: sqlite3.Connection, held: Held) -> tuple[list[int], list[int], int]:
    """The bundles all of whose jobs are held, the ids of the other jobs, and how many jobs the bundles have.

    A bundle of which only some jobs are held is taken apart.
    """
    ids = set(held.ids)
    text = as_json(list({id_ // JOB_IDS_PER_ROW for id_ in ids}))
    found = db.execute(_PLACES, (text, held.lease, held.now_ms)).fetchone()[0]
    whole: list[int] = []
    bundled: set[int] = set()
    for bundle, place, jobs in msgspec.json.decode(found, type=list[tuple[int, int, int]]):
        # Jobs that were taken out of it have rows, though their ids name the bundle still.
        first = bundle * JOB_IDS_PER_ROW + place
        of_bundle = range(first, first + jobs)
        if ids.issuperset(of_bundle):
            whole.append(bundle)
            bundled.update(of_bundle)
        elif not ids.isdisjoint(of_bundle):
            take_apart(db, bundle)
    return whole, [id_ for id_ in held.ids if id_ not in bundled], len(bundled)


def remove(db: sqlite3.Connection, bundles: Sequence[int], held: Held) -> None:
    """Delete bundles that `settle` named."""
    db.execute(_REMOVE, (as_json(bundles), held.lease, held.now_ms))


def extend(db: sqlite3.Connection, bundles: Sequence[int], held: Held, until_ms: int) -> None:
    """Prolong the leases of bundles that `settle` named."""
    db.execute(_EXTEND, (as_json(bundles), held.lease, held.now_ms, until_ms))


def release(db: sqlite3.Connection, bundles: Sequence[int], held: Held) -> None:
    """Let others claim bundles that `settle` named."""
    db.execute(_RELEASE, (as_json(bundles), held.lease, held.now_ms))


def payloads_of(body: bytes) -> list[bytes]:
    """The payloads of a bundle's row, in order."""
    return _decode(body)


def as_json(ids: Sequence[int]) -> str:
    return msgspec.json.encode(ids).decode()
