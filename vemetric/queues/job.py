"""The nouns of the queue: what is put, what is claimed, what one durable write holds."""

from enum import StrEnum
from typing import Annotated

import msgspec

PAYLOAD_BYTES_MAX = 4 * 1024 * 1024
# One claim's payloads together: jobs of any size must fit the memory, and the insert that they become.
CLAIM_BYTES_MAX = 2 * PAYLOAD_BYTES_MAX


# What a column of a table can hold.
Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]


class State(StrEnum):
    """Where a job stands. One that is done is no more, one that is dead is a dead letter.

    BLOCKED: it waits for another job to be done, or for its turn in its lane; counted and listed with those READY.
    """

    READY = "ready"
    BLOCKED = "blocked"
    DELAYED = "delayed"
    CLAIMED = "claimed"


class NewJob(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A job to put.

    key: unique within its queue; a second put of a live key is a no-op (dedupe). The key of a done or dead job is free.
    order_key: jobs of one queue and order_key are claimed in the order they were put, by one claimer at a time.
    after: the `key` of a job put before this one, in any queue; this job is not claimed while that one is ready or
        claimed. A job with that key put later does not count, so that jobs can never wait for each other.
    run_at_ms: not claimed before this time (0: at once).
    """

    queue: str
    payload: bytes
    key: str | None = None
    order_key: str | None = None
    after: str | None = None
    run_at_ms: Int64 = 0


class KeySet(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Set a key to a value until `expires_ms` (0: for ever)."""

    key: str
    value: bytes
    expires_ms: Int64 = 0


class Write(msgspec.Struct, gc=False, array_like=True):
    """What one durable transaction holds: jobs, keys and counter additions. All or nothing."""

    jobs: list[NewJob] = []
    keys: list[KeySet] = []
    counters: dict[str, Int64] = {}


class Job(msgspec.Struct, gc=False):
    """A claimed job.

    deliveries: how often it was claimed, this time included; never lowered. 1 means nobody can have applied it.
    failures: how often a handler failed on it; leads to burying.
    lease: proof of the claim; ack, retry, release and bury take effect only while it is current.
    """

    id: int
    queue: str
    payload: bytes
    key: str | None
    order_key: str | None
    put_at_ms: int
    deliveries: int
    failures: int
    lease: int
    lease_until_ms: int


class ListedJob(msgspec.Struct, frozen=True):
    """A job as somebody looks at it who does not claim it. Times are 0 where there is none.

    error: why it failed last. payload: b"" in lists.
    """

    id: int
    queue: str
    state: State
    key: str | None = None
    order_key: str | None = None
    after: str | None = None
    run_at_ms: int = 0
    put_at_ms: int = 0
    deliveries: int = 0
    failures: int = 0
    lease_until_ms: int = 0
    error: str = ""
    payload: bytes = b""


class LiveJob(msgspec.Struct, frozen=True, gc=False):
    """A job that is neither done nor dead, as who only looks sees it. deliveries: 0 if it was never claimed."""

    id: int
    payload: bytes
    deliveries: int


class QueueStats(msgspec.Struct, frozen=True):
    """Counts of one queue. oldest_ready_ms: put time of the oldest job that could run now, None if there is none."""

    queue: str
    ready: int
    delayed: int
    claimed: int
    dead: int
    oldest_ready_ms: int | None


class DeadJob(msgspec.Struct, frozen=True):
    """A buried job, kept for a human."""

    id: int
    queue: str
    payload: bytes
    key: str | None
    put_at_ms: int
    buried_at_ms: int
    deliveries: int
    failures: int
    error: str
