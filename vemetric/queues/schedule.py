"""The timetable: runs named periodic tasks once among all processes, and catches up on what was missed while down.

The entries are the table in `schedule` of workers/__init__.py; what is due and what ran stands in Keys.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import msgspec

from vemetric import errors
from vemetric.clock import Clock
from vemetric.queues.job import KeySet
from vemetric.queues.keys import Keys

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# The clock is looked at again at least this often, because it may jump and machines may sleep.
SLEEP_SECONDS_MAX = 30.0
# A task that failed is tried again after 1, 2, 4 ... seconds.
BACKOFF_SECONDS_MIN, BACKOFF_SECONDS_MAX = 1, 300
# A process that died while running a task holds the others up for this long.
LOCK_SECONDS = 60
LOCK_RENEWALS = 3
ERROR_CHARS_MAX = 1_000
KEY_PREFIX, STATUS_SUFFIX = "schedule:", ":status"
# Of the entries and their locks.
ENTRIES_MAX = 500

log = logging.getLogger(__name__)


class Entry(msgspec.Struct, frozen=True):
    """A periodic task. next_after(ms): the first time after `ms`, both in milliseconds since 1970 UTC, that it is due.

    run must be harmless when repeated: a process may die between doing the work and noting it.
    """

    name: str
    next_after: Callable[[int], int]
    run: Callable[[], Awaitable[None]]


class Status(msgspec.Struct, frozen=True):
    """What is known of an entry. due_ms: when it runs next; last_ms: when it last succeeded, None if never."""

    due_ms: int
    last_ms: int | None = None
    failures: int = 0
    retry_ms: int = 0
    error: str = ""


class Schedule:
    """Runs entries when they are due, from `start` to `stop`."""

    def __init__(self, keys: Keys, clock: Clock, entries: Sequence[Entry]) -> None:
        self._keys = keys
        self._clock = clock
        self._entries = tuple(entries)
        self._owner = secrets.token_bytes(16)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start on the running loop; what was missed runs first. Entries do not wait for each other."""
        self._tasks = [asyncio.create_task(self._run(entry), name=entry.name) for entry in self._entries]

    async def stop(self) -> None:
        """Stop at once; a task that is under way is cancelled and comes again at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def run_due(self) -> list[str]:
        """Run every entry that is due now and not being run elsewhere. Returns the names of those that succeeded."""
        succeeded = await asyncio.gather(*(self._run_if_due(entry) for entry in self._entries))
        return [entry.name for entry, is_done in zip(self._entries, succeeded, strict=True) if is_done]

    async def status(self) -> dict[str, Status]:
        """What is known of each entry; those never looked at yet are missing."""
        found = {entry.name: await self._read(entry.name) for entry in self._entries}
        return {name: status for name, status in found.items() if status is not None}

    async def _run(self, entry: Entry) -> None:
        while True:
            try:
                await self._run_if_due(entry)
                status = await self._known(entry)
                # What is due all the same is being run by another process.
                seconds = (max(status.due_ms, status.retry_ms) - self._clock.now_ms()) / 1000
            except errors.Unavailable as error:
                # The pools have said so; what is due is looked for again once the keys can be read.
                log.debug("The schedule of %s waits: %s", entry.name, error)
                seconds = BACKOFF_SECONDS_MIN
            except Exception:
                log.exception("The schedule of %s stumbled", entry.name)
                seconds = BACKOFF_SECONDS_MIN
            await asyncio.sleep(min(SLEEP_SECONDS_MAX, max(BACKOFF_SECONDS_MIN, seconds)))

    async def _run_if_due(self, entry: Entry) -> bool:
        if not self._is_due(await self._known(entry)):
            return False
        async with self._locked(entry.name) as is_ours:
            # Another process may have run it between the look and the lock.
            return is_ours and self._is_due(status := await self._known(entry)) and await self._attempt(entry, status)

    def _is_due(self, status: Status) -> bool:
        return max(status.due_ms, status.retry_ms) <= self._clock.now_ms()

    async def _known(self, entry: Entry) -> Status:
        """The entry's status; noted on the first look, so that a run missed from then on is caught up."""
        status = await self._read(entry.name)
        next_ms = entry.next_after(self._clock.now_ms())
        if status is None:
            status = Status(due_ms=next_ms)
            await self._keys.set_if_absent(_status_key(entry.name), msgspec.json.encode(status), 0)
        elif next_ms < status.due_ms:
            # An entry that was given shorter periods does not wait for the end of a long one.
            status = msgspec.structs.replace(status, due_ms=next_ms)
            await self._write(entry.name, status)
        return status

    async def _attempt(self, entry: Entry, status: Status) -> bool:
        try:
            await entry.run()
        except Exception as error:
            failures = status.failures + 1
            seconds = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN * 2 ** min(failures - 1, 30))
            # Of a store that is away there is nothing more to say than that.
            is_outage = isinstance(error, errors.Unavailable | errors.StoreBusy)
            told = f": {error}" if is_outage else ""
            log.error(
                "The scheduled task %s failed, again in %d s%s", entry.name, seconds, told, exc_info=not is_outage
            )
            retry_ms = self._clock.now_ms() + seconds * 1000
            text = repr(error)[:ERROR_CHARS_MAX]
            await self._write(
                entry.name, msgspec.structs.replace(status, failures=failures, retry_ms=retry_ms, error=text)
            )
            return False
        now_ms = self._clock.now_ms()
        await self._write(entry.name, Status(due_ms=entry.next_after(now_ms), last_ms=now_ms))
        return True

    @contextlib.asynccontextmanager
    async def _locked(self, name: str) -> AsyncIterator[bool]:
        """Whether this process may run the entry; the lock is renewed until the block ends."""
        key = f"schedule:{name}:lock"
        if not await self._keys.set_if_absent(key, self._owner, self._clock.now_ms() + LOCK_SECONDS * 1000):
            yield False
            return
        renewing = asyncio.create_task(self._renew(key))
        try:
            yield True
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await self._keys.delete(key, self._owner)

    async def _renew(self, key: str) -> None:
        while True:
            await asyncio.sleep(LOCK_SECONDS / LOCK_RENEWALS)
            # Where the keys are away nobody else takes the lock either; the next renewal may come in time.
            with contextlib.suppress(errors.Unavailable):
                if await self._keys.get(key) != self._owner:
                    return
                await self._keys.set([KeySet(key, self._owner, self._clock.now_ms() + LOCK_SECONDS * 1000)])

    async def _read(self, name: str) -> Status | None:
        value = await self._keys.get(_status_key(name))
        return None if value is None else msgspec.json.decode(value, type=Status)

    async def _write(self, name: str, status: Status) -> None:
        await self._keys.set([KeySet(_status_key(name), msgspec.json.encode(status))])


def daily(ms: int) -> int:
    """The next midnight UTC after `ms`."""
    return (ms // DAY_MS + 1) * DAY_MS


def hourly(ms: int) -> int:
    """The next full hour UTC after `ms`."""
    return (ms // HOUR_MS + 1) * HOUR_MS


def _status_key(name: str) -> str:
    return f"{KEY_PREFIX}{name}{STATUS_SUFFIX}"


async def statuses(keys: Keys) -> dict[str, Status]:
    """What is known of every entry that any process has looked at."""
    found = await keys.scan(KEY_PREFIX, ENTRIES_MAX)
    return {
        key.removeprefix(KEY_PREFIX).removesuffix(STATUS_SUFFIX): msgspec.json.decode(value, type=Status)
        for key, value in found
        if key.endswith(STATUS_SUFFIX)
    }


async def run_soon(keys: Keys, clock: Clock, name: str) -> bool:
    """Let an entry be due now: whichever process looks next runs it. False if there is none of that name."""
    stored = await keys.get(_status_key(name))
    if stored is None:
        return False
    status = msgspec.json.decode(stored, type=Status)
    due = msgspec.structs.replace(status, due_ms=clock.now_ms(), retry_ms=0)
    await keys.set([KeySet(_status_key(name), msgspec.json.encode(due))])
    return True
