"""What happened to a job that went wrong: kept for a while under a key of its own, for whoever looks at it on /admin.

A job that goes well leaves nothing. One that is buried and put back gets other numbers on the way; what it is of, when
it was put and what it says stay the same, and are its name here.
"""

import hashlib
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import msgspec

from vemetric import errors
from vemetric.clock import Clock
from vemetric.queues.job import KeySet
from vemetric.queues.keys import Keys

PREFIX = "job-history:"
KEPT_DAYS = 30
# Of a job that is tried again: most go well then and are shown no more, and a great many may fail at once.
TRIED_AGAIN_KEPT_DAYS = 2
DAY_MS = 86_400_000
# The first is kept too, however many follow.
ENTRIES_MAX = 20
# Of an error; where the last one is kept whole is the job itself.
ERROR_CHARS_MAX = 3_000
FAILED, BURIED, REVIVED, PROMOTED = "failed", "buried", "put back in line", "told to run now"
OPERATOR, COMMAND_LINE = "an operator", "the command line"


class Named(Protocol):
    """A job of any kind: claimed, listed or dead."""

    @property
    def queue(self) -> str: ...
    @property
    def put_at_ms(self) -> int: ...
    @property
    def payload(self) -> bytes: ...


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """Something that happened. by: whose doing; error: the end of the stack, '' where it is the one of before."""

    at_ms: int
    what: str
    by: str
    error: str = ""


class History:
    """Notes what happened. Where it cannot be noted the job goes its way all the same."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    async def note(
        self, jobs: Sequence[Named], what: str, by: str, error: str = "", *, kept_days: int = KEPT_DAYS
    ) -> None:
        """Add the same to each of the jobs. kept_days: for how long all of it is kept, unless more follows."""
        now_ms = self._clock.now_ms()
        names = list(dict.fromkeys(name_of(job) for job in jobs))
        with suppress(errors.Unavailable):
            known = await self._keys.get_many(names)
            expires_ms = now_ms + kept_days * DAY_MS
            await self._keys.set(
                [
                    KeySet(name, _encode(_longer(_decode(known.get(name)), now_ms, what, by, error)), expires_ms)
                    for name in names
                ]
            )

    async def of(self, job: Named) -> list[Entry]:
        """What happened to a job, the oldest first. Raises Unavailable."""
        return _decode(await self._keys.get(name_of(job)))


def name_of(job: Named) -> str:
    """The key under which a job's history is kept."""
    told = hashlib.sha256(f"{job.queue}\0{job.put_at_ms}\0".encode() + job.payload)
    return PREFIX + told.hexdigest()[:32]


def this_process() -> str:
    """How a process is called in a history: `host:1234`."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _longer(entries: list[Entry], now_ms: int, what: str, by: str, error: str) -> list[Entry]:
    error = error.strip()[-ERROR_CHARS_MAX:]
    last = next((entry.error for entry in reversed(entries) if entry.error), "")
    entries = [*entries, Entry(now_ms, what, by, "" if error == last else error)]
    if len(entries) > ENTRIES_MAX:
        del entries[1]
    return entries


def _encode(entries: list[Entry]) -> bytes:
    return msgspec.msgpack.encode(entries)


def _decode(stored: bytes | None) -> list[Entry]:
    return [] if stored is None else msgspec.msgpack.decode(stored, type=list[Entry])
