"""The moment that a backup is of: nothing is on its way out of the analytics."""

import asyncio

from vemetric.backup import stage
from vemetric.clickhouse.engine import Engine

INSERT = """
INSERT INTO event (projectId, userId, id, createdAt, sign)
SELECT 8808, 1, toString(number), toDateTime64('2026-01-01 00:00:00', 3), 1 FROM numbers(400)
"""
# Two seconds of it, so that it is under way when the moment is taken.
REMOVE = "ALTER TABLE event DELETE WHERE projectId = 8808 AND sleepEachRow(0.005) = 0"


async def test_rows_that_are_being_removed_are_gone_before(engine: Engine) -> None:
    await engine.command(INSERT)
    removing = asyncio.create_task(engine.command(REMOVE))
    while not removing.done() and await engine.lookup(stage.UNDONE) == [[0]]:  # noqa: ASYNC110 - only the engine knows
        await asyncio.sleep(0)
    assert not removing.done(), "the removing was over too soon to tell"
    await stage._end_removing(engine)
    assert await engine.lookup(stage.UNDONE) == [[0]]
    assert await engine.lookup("SELECT count() FROM event WHERE projectId = 8808") == [[0]]
    await removing
