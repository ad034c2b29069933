"""The loop's side of the journal: gathers what a crowd puts, has it synced as one frame, tells, and lets the writer
bring it into the tables a little later. Stands between sqlite.py and the writer's thread.

While few hits come, and where there can be no journal, writes go to the writer at once: one sync instead of two.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final

from vemetric import errors
from vemetric.clock import Clock
from vemetric.queues import disk_sync, journal, journal_group
from vemetric.queues.crowd import CROWD_PER_SECOND, Crowd
from vemetric.queues.disk_sync import DiskSync
from vemetric.queues.job import Write
from vemetric.queues.journal import JournalFiles
from vemetric.queues.journal_group import WRITE_BYTES_MAX, Gathered, Group, bytes_of
from vemetric.queues.queue import Told
from vemetric.queues.sqlite_calls import Call, Journaled, Mode
from vemetric.queues.sqlite_keys import Entry

# So many syncs may be under way, and the next begins so long after the last at the earliest.
SYNCS_AT_ONCE: Final = 3
GATHER_SECONDS: Final = 0.001
# What is in the journal is brought into the tables after so long or so much, or as soon as somebody asks for it.
APPLY_SECONDS: Final = 0.1
APPLY_BYTES: Final = 2 * 1024 * 1024
# After a failure of the disk writes go to the writer at once for so long.
RETRY_SECONDS: Final = 5.0
EPOCH_BITS: Final = 62

log = logging.getLogger(__name__)

Ask = Callable[[Write | Call | Journaled], "asyncio.Future[Any]"]


class _Mode(Enum):
    """Writes go to the writer, gather until what was before them is done, or are framed."""

    DIRECT = auto()
    WAITING = auto()
    JOURNAL = auto()


class JournalLine:
    """Takes the writes of a queue, on the loop. ask: hands something to the writer, which does things in the order they
    were asked for.

    crowd_per_second: from how many writes a second on the journal is used. refused(jobs): so many jobs of writes that
    the writer never saw were refused.
    """

    def __init__(
        self,
        path: Path,
        ask: Ask,
        refused: Callable[[int], None],
        clock: Clock,
        crowd_per_second: float = CROWD_PER_SECOND,
        file_bytes: int = journal.FILE_BYTES,
    ) -> None:
        self._path = path
        self._ask = ask
        self._refused = refused
        self._clock = clock
        self._file_bytes = file_bytes
        self._loop = asyncio.get_running_loop()
        self._mode = _Mode.DIRECT
        self._crowd = Crowd(self._loop.time, crowd_per_second)
        self._opening: asyncio.Task[None] | None = None
        self._retry_at = 0.0
        self._has_warned = False
        self._closing = False
        self._drained: asyncio.Future[None] | None = None
        self._files: JournalFiles | None = None
        self._sync: DiskSync | None = None
        self._gathered: Gathered = deque()
        self._flush_is_due = False
        self._syncing: deque[Group] = deque()
        self._began_at = 0.0
        self._free_handles: list[int] = []
        self._is_turning = False
        # A large write is under way, for which the others wait.
        self._is_holding = False
        # What was told and is not asked to be applied yet, and the number up to which all is.
        self._told_writes: list[Write] = []
        self._told_bytes = 0
        self._told_number = 0
        self._told_from_ms = 0
        self._told_keys: dict[str, Entry] = {}
        self._applied = 0
        self._apply_timer: asyncio.TimerHandle | None = None
        # The keys of what is being applied, oldest first.
        self._applying: deque[dict[str, Entry]] = deque()

    def submit(self, write: Write, told: Told) -> None:
        """Have a write made durable; `told` hears of it once, after this has returned. Unavailable when closed."""
        self._count()
        if self._mode is _Mode.DIRECT:
            self._put_directly(write, told)
            return
        if self._closing:
            raise errors.Unavailable("The queue is closed.")
        self._gathered.append((write, told, bytes_of(write)))
        if not self._flush_is_due:
            self._flush_soon()

    @property
    def is_journaling(self) -> bool:
        """Whether writes go to the journal now."""
        return self._mode is _Mode.JOURNAL

    def peek(self, key: str) -> Entry | None:
        """The newest entry of a key that was told and may not be in the writer's log yet."""
        if not self._told_keys and not self._applying:
            return None
        found = self._told_keys.get(key)
        for keys in reversed(self._applying):
            if found is not None:
                break
            found = keys.get(key)
        return found

    def peek_range(self, prefix: str) -> dict[str, Entry]:
        """Those entries whose keys start with the prefix."""
        return {
            key: entry
            for keys in (*self._applying, self._told_keys)
            for key, entry in keys.items()
            if key.startswith(prefix)
        }

    def apply(self, *, is_end: bool = False) -> bool:
        """Ask the writer for all that was told. Whatever it is asked later, it does after that. True if there is any
        that it may not have done.

        is_end: nothing else that the journal holds may come back.
        """
        if self._apply_timer is not None:
            self._apply_timer.cancel()
            self._apply_timer = None
        if self._told_writes or is_end:
            writes, keys, number = self._told_writes, self._told_keys, self._told_number
            self._told_writes, self._told_keys, self._told_bytes = [], {}, 0
            self._applying.append(keys)
            asked = self._ask_or_fail(Journaled(writes, number, self._told_from_ms, is_end))
            asked.add_done_callback(lambda future: self._has_applied(future, number))
        return bool(self._applying)

    async def close(self) -> None:
        """Make durable what was taken and ask the writer for it; take nothing more."""
        self._closing = True
        if self._opening is not None:
            # Whoever gives up waiting must not end it halfway.
            await asyncio.wait((self._opening,))
        while self._gathered or self._syncing or self._mode is _Mode.WAITING:
            if self._drained is None or self._drained.done():
                self._drained = self._loop.create_future()
            await asyncio.shield(self._drained)
        self.apply()
        await self._close_files()

    # Whether there is a crowd

    def _count(self) -> None:
        is_crowd = self._crowd.count()
        if is_crowd is None:
            return
        if is_crowd and self._mode is _Mode.DIRECT and self._opening is None and not self._closing:
            if self._loop.time() >= self._retry_at:
                self._opening = self._loop.create_task(self._open())
        elif not is_crowd and self._mode is _Mode.JOURNAL and not self._gathered and not self._syncing:
            self.apply()
            self._mode = _Mode.DIRECT

    async def _open(self) -> None:
        try:
            if self._files is None:
                self._files = await asyncio.to_thread(JournalFiles.open, self._path, SYNCS_AT_ONCE, self._file_bytes)
                self._sync = await disk_sync.best(SYNCS_AT_ONCE, self._synced, self._files.file(0))
                self._free_handles = list(range(SYNCS_AT_ONCE))
            epoch = random.getrandbits(EPOCH_BITS) + 1
            # What was put directly and is not on the disk yet comes first, and may be what the next ones stand on.
            self._mode = _Mode.WAITING
            await self._ask(Call(lambda writer: writer.begin_epoch(epoch), Mode.ALONE))
            self._files.begin(epoch)
            self._told_number = self._applied = 0
            self._mode = _Mode.JOURNAL
            self._has_warned = False
            self._flush_is_due = True
            self._loop.call_soon(self._flush)
        except Exception as error:
            # Nothing that happens here may leave hits waiting.
            await self._give_up(error)
        finally:
            self._opening = None
            self._has_drained()

    async def _close_files(self) -> None:
        files, sync, self._files, self._sync = self._files, self._sync, None, None
        if sync is not None:
            await sync.close()
        if files is not None:
            await asyncio.to_thread(files.close)

    async def _give_up(self, error: Exception) -> None:
        """Let writes go to the writer at once for a while, after what was told is in the tables."""
        self._retry_at = self._loop.time() + RETRY_SECONDS
        if not self._has_warned:
            self._has_warned = True
            log.warning("The queue's journal cannot be written, hits go into its tables at once: %s", error)
        try:
            await self._close_files()
        finally:
            self._opening = None
            self._put_gathered_directly()

    def _fail(self, error: Exception) -> None:
        """The disk refused a frame: neither it nor those under way were told, and they must not come back over what is
        told from now on.
        """
        if not self._syncing:
            # A late sync: what it was for is on the disk, by one that began after it.
            return
        self._mode, self._is_holding = _Mode.WAITING, False
        self.apply(is_end=True)
        refused, self._syncing = self._syncing, deque()
        for group in refused:
            for write, told in zip(group.writes, group.told, strict=True):
                self._refuse(write, told, errors.Unavailable(f"The queue's journal cannot be written ({error})."))
        self._opening = self._loop.create_task(self._give_up(error))

    # Directly

    def _put_directly(self, write: Write, told: Told) -> "asyncio.Future[None]":
        future = self._ask(write)
        future.add_done_callback(
            lambda future: told(
                errors.Unavailable("The queue is closed.") if future.cancelled() else future.exception()
            )
        )
        return future

    def _put_gathered_directly(self) -> None:
        self._mode = _Mode.DIRECT
        while self._gathered:
            self._put_gathered(*self._gathered.popleft()[:2])
        self._has_drained()

    def _put_gathered(self, write: Write, told: Told) -> "asyncio.Future[None]":
        try:
            return self._put_directly(write, told)
        except errors.Unavailable as error:
            self._refuse(write, told, error)
            done = self._loop.create_future()
            done.set_result(None)
            return done

    def _put_large(self) -> None:
        """Put the first that is gathered directly, and let the others wait: they may stand on it."""
        write, told, _ = self._gathered.popleft()
        self._mode, self._is_holding = _Mode.WAITING, True
        self.apply()
        self._put_gathered(write, told).add_done_callback(lambda _: self._go_on())

    def _go_on(self) -> None:
        if self._is_holding:
            self._mode, self._is_holding = _Mode.JOURNAL, False
            self._flush()
        self._has_drained()

    # Gathering and syncing

    def _flush_soon(self) -> None:
        """Have what is gathered synced at the end of this turn of the loop, or a little after the last sync began: many
        hits to a sync cost less than many syncs. One that takes longer is not waited for.
        """
        if self._mode is not _Mode.JOURNAL:
            return
        self._flush_is_due = True
        left_seconds = self._began_at + GATHER_SECONDS - self._loop.time()
        if left_seconds <= 0 or not self._syncing:
            self._loop.call_soon(self._flush)
        else:
            self._loop.call_later(left_seconds, self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        if self._mode is not _Mode.JOURNAL or not self._gathered or self._is_turning or not self._free_handles:
            return
        assert self._files is not None
        assert self._sync is not None
        if self._gathered[0][2] > WRITE_BYTES_MAX:
            if not self._syncing:
                self._put_large()
            return
        group, body = journal_group.take(self._gathered, self._refuse)
        if not group.writes:
            self._flush()
            return
        if not self._files.has_room(len(body)):
            group.give_back(self._gathered)
            if not self._syncing:
                self._turn()
            return
        group.handle = self._free_handles.pop()
        self._began_at = self._loop.time()
        self._syncing.append(group)
        try:
            group.number = self._files.append(body)
            self._sync.start(group.handle, self._files.file(group.handle))
        except Exception as error:
            self._fail(error)

    def _synced(self, handle: int, error: OSError | None) -> None:
        if self._files is None or handle in self._free_handles:
            # It ended after all that it was for had failed.
            return
        self._free_handles.append(handle)
        if error is not None:
            self._fail(error)
            return
        # A sync is of all that was written before it, so the groups before its own are on the disk as well. Their own
        # syncs end later and find nobody.
        place = next((place for place, group in enumerate(self._syncing) if group.handle == handle), -1)
        for _ in range(place + 1):
            self._tell(self._syncing.popleft())
        if self._gathered and not self._flush_is_due:
            self._flush_soon()
        self._has_drained()

    def _tell(self, group: Group) -> None:
        if not self._told_writes:
            self._told_from_ms = self._clock.now_ms()
        for write in group.writes:
            for key in write.keys:
                self._told_keys[key.key] = (key.value, key.expires_ms)
        self._told_writes += group.writes
        self._told_bytes += sum(group.sizes)
        self._told_number = group.number
        if self._told_bytes >= APPLY_BYTES:
            self.apply()
        elif self._apply_timer is None:
            self._apply_timer = self._loop.call_later(APPLY_SECONDS, self.apply)
        for told in group.told:
            told(None)

    # The turn to the other file

    def _turn(self) -> None:
        """Go on in the other file, once what it holds is in the tables."""
        assert self._files is not None
        if self._files.may_turn(self._applied):
            self._files.turn()
            self._flush()
            return
        self._is_turning = True
        self.apply()
        self._ask_or_fail(Call(lambda _: None, Mode.ALONE)).add_done_callback(self._may_turn)

    def _may_turn(self, asked: "asyncio.Future[None]") -> None:
        self._is_turning = False
        error = errors.Unavailable("The queue is closed.") if asked.cancelled() else asked.exception()
        if error is None:
            self._flush()
        else:
            # The tables cannot be written and the journal is full of what they lack.
            refused, self._gathered = self._gathered, deque()
            for write, told, _ in refused:
                self._refuse(write, told, error)
        self._has_drained()

    def _has_applied(self, asked: "asyncio.Future[None]", number: int) -> None:
        if not asked.cancelled() and asked.exception() is None:
            self._applying.popleft()
            self._applied = number

    def _refuse(self, write: Write, told: Told, error: BaseException) -> None:
        self._refused(len(write.jobs))
        told(error)

    def _ask_or_fail(self, request: Call | Journaled) -> "asyncio.Future[Any]":
        try:
            return self._ask(request)
        except errors.Unavailable as error:
            # The writer has ended: what was told is in the journal, for the next start.
            failed: asyncio.Future[Any] = self._loop.create_future()
            failed.set_exception(error)
            return failed

    def _has_drained(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
