"""The moment that a backup is of: nothing is on its way out of the analytics, and nothing is left behind for good."""

import asyncio
import os
import time
from pathlib import Path

from vemetric.backup import stage
from vemetric.clickhouse.engine import Engine
from vemetric.model.data_directory import ANALYTICS_NAME

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


def test_a_stage_whose_command_was_killed_goes_with_the_next(tmp_path: Path) -> None:
    killed, held, new = (tmp_path / f"{stage.PREFIX}{name}" for name in ("killed", "held", "new"))
    frozen = tmp_path / ANALYTICS_NAME / "store" / stage.SHADOW / f"{stage.PREFIX}killed"
    others = tmp_path / "somebody"
    for folder in (killed, held, new, frozen, others):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    before = time.time() - stage.HANDOVER_SECONDS - 1
    for folder in (killed, held, frozen, others):
        os.utime(folder, (before, before))
    holding = stage.hold(held)
    stage.clear(tmp_path)
    assert [folder.exists() for folder in (killed, frozen, held, new, others)] == [False, False, True, True, True]
    os.close(holding)
    stage.clear(tmp_path)
    assert [folder.exists() for folder in (held, new, others)] == [False, True, True]
