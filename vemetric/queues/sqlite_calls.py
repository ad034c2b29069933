"""What sqlite.py asks of the writer's thread beside writes, and what it is told of each transaction."""

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec

from vemetric.queues.job import Write

if TYPE_CHECKING:
    from vemetric.queues.sqlite_writer import Writer


class Mode(Enum):
    """How a call is run: with the puts, in a transaction of its own (it may take longer than a put should), or
    without one."""

    TOGETHER = 0
    ALONE = 1
    BARE = 2


class Call(msgspec.Struct, frozen=True):
    """Something to run in the writer's thread."""

    run: Callable[["Writer"], Any]
    mode: Mode = Mode.TOGETHER


class Journaled(msgspec.Struct, frozen=True):
    """Writes that are durable in the journal, up to the frame of this number, to be brought into the tables. They are
    answered when they are there, however often that is tried. put_at_ms: when the first of them was told.
    is_end: no other frame of the journal counts from then on.
    """

    writes: list[Write]
    number: int
    put_at_ms: int
    is_end: bool = False


class Committed(msgspec.Struct, frozen=True):
    """What the loop has to know of a transaction: live jobs now, jobs that puts asked for (whether they were stored
    or not), and the queues whose waiters should look again (None: all)."""

    jobs: int
    jobs_asked: int
    queues: frozenset[str] | None
