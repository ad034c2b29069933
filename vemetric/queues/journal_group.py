"""The writes that are made durable together, as one frame of the journal: gathered by journal_line.py."""

from collections import deque
from collections.abc import Callable
from typing import Final

from vemetric import errors
from vemetric.queues import journal
from vemetric.queues.job import Write
from vemetric.queues.queue import Told

# A write with more bytes goes to the writer by itself, in its turn.
WRITE_BYTES_MAX: Final = 65_536
GROUP_BYTES_MAX: Final = 256 * 1024
# What a job, a key or a counter takes beside its bytes and names, whose characters take so many.
OTHER_BYTES: Final = 64
CHARACTER_BYTES: Final = 4

# A write, who hears of it, and its bytes.
Gathered = deque[tuple[Write, Told, int]]


class Group:
    """The writes of one frame, who hears of each and its bytes. handle: of the file, by which it is synced."""

    __slots__ = ("handle", "number", "sizes", "told", "writes")

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.told: list[Told] = []
        self.sizes: list[int] = []
        self.number = 0
        self.handle = -1

    def add(self, write: Write, told: Told, write_bytes: int) -> None:
        self.writes.append(write)
        self.told.append(told)
        self.sizes.append(write_bytes)

    def give_back(self, gathered: Gathered) -> None:
        """Put the writes back in front of those that were gathered since."""
        gathered.extendleft(reversed([*zip(self.writes, self.told, self.sizes, strict=True)]))


def take(gathered: Gathered, refuse: Callable[[Write, Told, BaseException], None]) -> tuple[Group, bytes]:
    """The next writes that are framed together, and the frame's body; those that cannot be kept are refused."""
    group = Group()
    size = 0
    while gathered and size < GROUP_BYTES_MAX and gathered[0][2] <= WRITE_BYTES_MAX:
        write, told, write_bytes = gathered.popleft()
        group.add(write, told, write_bytes)
        size += write_bytes
    try:
        return group, journal.encoded(group.writes)
    except errors.Invalid:
        return _sorted_out(group, refuse)


def _sorted_out(group: Group, refuse: Callable[[Write, Told, BaseException], None]) -> tuple[Group, bytes]:
    good = Group()
    for write, told, write_bytes in zip(group.writes, group.told, group.sizes, strict=True):
        try:
            journal.encoded([write])
        except errors.Invalid as error:
            refuse(write, told, error)
        else:
            good.add(write, told, write_bytes)
    return good, journal.encoded(good.writes)


def bytes_of(write: Write) -> int:
    """What a write adds to a frame at most, names in any script."""
    size = 0
    for job in write.jobs:
        size += OTHER_BYTES + len(job.payload)
        if job.key is not None or job.order_key is not None or job.after is not None:
            size += CHARACTER_BYTES * sum(len(name) for name in (job.key, job.order_key, job.after) if name is not None)
    for key in write.keys:
        size += OTHER_BYTES + len(key.value) + CHARACTER_BYTES * len(key.key)
    for name in write.counters:
        size += OTHER_BYTES + CHARACTER_BYTES * len(name)
    return size
