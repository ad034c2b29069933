"""The moment that a backup is of: nothing is on its way out of the analytics, and nothing is left behind for good."""

import asyncio
import os
import time
from pathlib import Path

import msgspec

from vemetric.backup import stage
from vemetric.clickhouse.engine import Engine
from vemetric.model import clickhouse_url
from vemetric.model.data_directory import ANALYTICS_NAME, QUEUE_NAME
from vemetric.services import Services

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
    shadow = tmp_path / ANALYTICS_NAME / "store" / stage.SHADOW
    killed, held, new, gone = (f"{stage.PREFIX}{name}" for name in ("killed", "held", "new", "gone"))
    stages = [tmp_path / name for name in (killed, held, new)]
    frozen = [shadow / name for name in (killed, held, new, gone)]
    others = tmp_path / "somebody"
    before = time.time() - stage.HANDOVER_SECONDS - 1
    for folder in (*stages, *frozen, others):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
        if folder != tmp_path / new:
            os.utime(folder, (before, before))

    def left() -> list[list[bool]]:
        return [[folder.exists() for folder in folders] for folders in (stages, frozen, [others])]

    holding = stage.hold(tmp_path / held)
    stage.clear(tmp_path)
    assert left() == [[False, True, True], [False, True, True, False], [True]]
    os.close(holding)
    stage.clear(tmp_path)
    assert left() == [[False, False, True], [False, False, True, False], [True]]


async def test_a_stage_that_takes_long_is_not_cleared_while_it_is_made(
    services_at_noon: Services,
) -> None:
    """Neither by another backup, nor by a start that is to find the data in use."""
    # The engine's directory is not in this one's data.
    config = msgspec.structs.replace(
        services_at_noon.config, clickhouse_url=clickhouse_url.parse("http://localhost/analytics")
    )
    cleared = []

    def clear(moment: str) -> None:
        [folder] = config.data_dir.glob(f"{stage.PREFIX}*")
        os.utime(folder, (0, 0))
        stage.clear(config.data_dir)
        cleared.append(moment)

    services = services_at_noon
    taken = await stage.take(config, stage.Stores(services.engine, services.database, services.gate), clear)
    assert cleared == ["stage:filled"]
    # Whoever asked for it has a while to take hold of it.
    stage.clear(config.data_dir)
    assert (Path(taken["stage"]) / QUEUE_NAME).exists()
