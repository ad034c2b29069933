"""The moment that a backup is of: nothing is on its way out of the analytics, and nothing is left behind for good."""

import asyncio
import os
import shutil
import time
from pathlib import Path

import msgspec
import pytest

from tests.kit import journaled
from vemetric import errors
from vemetric.backup import stage
from vemetric.backup.sqlite_files import Moment
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock
from vemetric.config import Config
from vemetric.model import clickhouse_url
from vemetric.model.data_directory import ANALYTICS_NAME, DATABASE_NAME, JOURNAL_SUFFIXES, QUEUE_NAME
from vemetric.queues.sqlite_writer import Writer
from vemetric.services import Services

INSERT = """
INSERT INTO event (projectId, userId, id, createdAt, sign)
SELECT 8808, 1, toString(number), toDateTime64('2026-01-01 00:00:00', 3), 1 FROM numbers(400)
"""
# Two seconds of it, so that it is under way when the moment is taken.
REMOVE = "ALTER TABLE event DELETE WHERE projectId = 8808 AND sleepEachRow(0.005) = 0"


def stores_of(services: Services) -> stage.Stores:
    return stage.Stores(services.engine, services.database, services.queue, services.gate)


def without_analytics(services: Services) -> Config:
    """The engine's directory is not in this one's data."""
    return msgspec.structs.replace(services.config, clickhouse_url=clickhouse_url.parse("http://localhost/analytics"))


def beside(services: Services, data_dir: Path) -> Config:
    """A data directory with the same accounts and no queue yet."""
    data_dir.mkdir()
    moment = Moment([services.config.data_dir / DATABASE_NAME])
    moment.copy(data_dir)
    moment.end()
    return msgspec.structs.replace(without_analytics(services), data_dir=data_dir)


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
    config = without_analytics(services_at_noon)
    cleared = []

    def clear(moment: str) -> None:
        [folder] = config.data_dir.glob(f"{stage.PREFIX}*")
        os.utime(folder, (0, 0))
        stage.clear(config.data_dir)
        cleared.append(moment)

    services = services_at_noon
    taken = await stage.take(config, stores_of(services), clear)
    assert cleared == ["stage:filled"]
    # Whoever asked for it has a while to take hold of it.
    stage.clear(config.data_dir)
    assert (Path(taken["stage"]) / QUEUE_NAME).exists()


async def test_what_only_the_journal_has_is_in_the_copy_and_nothing_later_comes_into_it(
    services_at_noon: Services, clock: FrozenClock, tmp_path: Path
) -> None:
    config = beside(services_at_noon, tmp_path / "crowd")
    async with journaled.opened(config.data_dir, clock) as queue:
        await journaled.put(queue, [b"1", b"2"])
        taken = await stage.take(config, stores_of(services_at_noon)._replace(queue=queue))
        await journaled.put(queue, [b"later"])
        # Even beside the journal that went on.
        for suffix in JOURNAL_SUFFIXES:
            shutil.copyfile(config.data_dir / (QUEUE_NAME + suffix), Path(taken["stage"]) / (QUEUE_NAME + suffix))
    assert await journaled.held(Path(taken["stage"]), clock) == [b"1", b"2"]


async def test_a_copy_that_would_lack_what_was_told_is_not_made(
    services_at_noon: Services, clock: FrozenClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = beside(services_at_noon, tmp_path / "crowd")
    async with journaled.opened(config.data_dir, clock) as queue:
        await journaled.put(queue, [b"1"])
        with monkeypatch.context() as disk:
            disk.setattr(Writer, "_apply_told", full)
            with pytest.raises(errors.Unavailable):
                await stage.take(config, stores_of(services_at_noon)._replace(queue=queue))
        assert not list(config.data_dir.glob(f"{stage.PREFIX}*"))
    assert await journaled.held(config.data_dir, clock) == [b"1"]


def full(*_: object) -> None:
    raise MemoryError
