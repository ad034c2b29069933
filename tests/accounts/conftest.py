"""The store, the keys and the clock that accounts work with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.relational import database  # noqa: F401 - a fixture
from vemetric.clock import FrozenClock
from vemetric.queues.keys import Keys
from vemetric.queues.sqlite import SqliteQueue


@pytest.fixture
async def keys(tmp_path: Path, clock: FrozenClock) -> AsyncIterator[Keys]:
    queue = await SqliteQueue.open(tmp_path / "queue.db", clock)
    yield queue
    await queue.close()
