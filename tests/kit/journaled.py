"""A queue in a file that keeps what is put in its journal first, as in a crowd, and what a kill would leave of it."""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch

from vemetric.clock import Clock
from vemetric.model.data_directory import QUEUE_NAME, companions
from vemetric.queues import journal_line
from vemetric.queues.job import NewJob, Write
from vemetric.queues.sqlite import SqliteQueue

LINE = "line"


@asynccontextmanager
async def opened(data_dir: Path, clock: Clock) -> AsyncIterator[SqliteQueue]:
    """What is put stays in the journal alone until something else is asked for."""
    with patch.object(journal_line, "APPLY_SECONDS", 3_600):
        queue = await SqliteQueue.open(data_dir / QUEUE_NAME, clock, crowd_per_second=0)
        try:
            await journaling(queue)
            yield queue
        finally:
            await queue.close()


async def journaling(queue: SqliteQueue) -> None:
    """Wait until a queue that was opened with crowd_per_second=0 writes to its journal, unless another one has it."""
    await queue.add({})
    if queue._line._opening is not None:
        await queue._line._opening


async def put(queue: SqliteQueue, payloads: Sequence[bytes]) -> None:
    """Jobs of LINE, each a write of its own."""
    for payload in payloads:
        await queue.put(Write(jobs=[NewJob(LINE, payload)]))


def left_by_a_kill(data_dir: Path, folder: Path) -> None:
    """Copy the files of a queue that nobody writes to right now: what the system has taken is what a kill leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (QUEUE_NAME, *companions(QUEUE_NAME)):
        if (data_dir / name).exists():
            shutil.copyfile(data_dir / name, folder / name)


async def held(data_dir: Path, clock: Clock) -> list[bytes]:
    """The payloads of LINE that a start finds."""
    queue = await SqliteQueue.open(data_dir / QUEUE_NAME, clock, is_sole_owner=True)
    try:
        return [job.payload for job in await queue.claim(LINE, 1_000, 60)]
    finally:
        await queue.close()
