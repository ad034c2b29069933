"""A restore that is killed anywhere and done again: the backup's data are there alone, and what was there is whole."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.kit import journaled
from vemetric import config, errors
from vemetric.backup import before, manifest, restore
from vemetric.backup.manifest import Manifest
from vemetric.clock import FrozenClock
from vemetric.model.data_directory import DATABASE_NAME, QUEUE_NAME, SECRET_NAME, companions
from vemetric.queues.sqlite import SqliteQueue

ROWS = "analytics/store/rows"
OLD = (ROWS, SECRET_NAME, DATABASE_NAME, QUEUE_NAME, *companions(DATABASE_NAME), *companions(QUEUE_NAME))
# More than a restore makes.
MOVES = 20


@pytest.fixture
def folder(tmp_path: Path, clock: FrozenClock) -> Path:
    """A small backup."""
    made = tmp_path / "backup"
    data = made / manifest.DATA_NAME
    (data / ROWS).parent.mkdir(parents=True)
    (data / ROWS).write_text("new")

    async def fill() -> None:
        queue = await SqliteQueue.open(data / QUEUE_NAME, clock)
        await journaled.put(queue, [b"new"])
        await queue.close()

    asyncio.run(fill())
    for name in companions(QUEUE_NAME):
        (data / name).unlink(missing_ok=True)
    with closing(sqlite3.connect(data / DATABASE_NAME)) as connection:
        connection.execute("CREATE TABLE salt (id TEXT)")
    manifest.write(made, Manifest(0, rows={}, files={}, links={}, on_servers=[]))
    return made


class Moves:
    """Counts what is moved, and ends the process, as it were, before the move after `left`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        rename = Path.rename

        def rename_or_die(source: Path, target: Path) -> Path:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return rename(source, target)

        monkeypatch.setattr(Path, "rename", rename_or_die)


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> Moves:
    return Moves(monkeypatch)


def texts(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(errors="replace")
        for path in folder.rglob("*")
        if path.is_file()
    }


def old_data(data_dir: Path) -> config.Config:
    for name in OLD:
        (data_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (data_dir / name).write_text("old")
    loaded, _ = config.load({"VEMETRIC_DATA_DIR": str(data_dir)})
    return loaded


def is_killed(loaded: config.Config, folder: Path, moves: Moves, left: int) -> bool:
    moves.left = left
    try:
        restore.restore(loaded, folder, force=True)
    except KeyboardInterrupt:
        return True
    finally:
        moves.left = MOVES
    return False


def check_restored(data_dir: Path, clock: FrozenClock) -> None:
    """The backup's data and no others; all that was there before in one folder."""
    aside = [texts(path) for path in data_dir.glob(f"{restore.REPLACED_PREFIX}*")]
    assert dict.fromkeys(OLD, "old") in aside
    here = {path.name for path in data_dir.iterdir() if not path.name.startswith(restore.REPLACED_PREFIX)}
    assert here == {"analytics", DATABASE_NAME, QUEUE_NAME}
    assert (data_dir / ROWS).read_text() == "new"
    assert asyncio.run(journaled.held(data_dir, clock)) == [b"new"]


def test_one_that_was_killed_at_any_move_is_done_again(
    tmp_path: Path, folder: Path, moves: Moves, clock: FrozenClock
) -> None:
    for left in range(MOVES):
        data_dir = tmp_path / str(left)
        loaded = old_data(data_dir)
        if not is_killed(loaded, folder, moves, left):
            break
        with pytest.raises(errors.Misconfigured, match="ended in the middle"):
            before.prepare(loaded)
        restore.restore(loaded, folder, force=True)
        check_restored(data_dir, clock)
    # Each that is replaced, and each that takes its place.
    assert left == len(OLD) + 3


def test_one_that_was_killed_at_two_moves_is_done_again(
    tmp_path: Path, folder: Path, moves: Moves, clock: FrozenClock
) -> None:
    for first in range(0, len(OLD) + 3, 2):
        for second in range(0, len(OLD) + 3, 3):
            data_dir = tmp_path / f"{first}-{second}"
            loaded = old_data(data_dir)
            assert is_killed(loaded, folder, moves, first)
            is_killed(loaded, folder, moves, second)
            restore.restore(loaded, folder, force=True)
            check_restored(data_dir, clock)


def test_nothing_starts_from_one_that_was_killed_when_the_next_is_refused(
    tmp_path: Path, folder: Path, moves: Moves, clock: FrozenClock
) -> None:
    loaded = old_data(tmp_path / "data")
    assert is_killed(loaded, folder, moves, 3)
    rows = folder / manifest.DATA_NAME / ROWS
    whole = manifest.read(folder)
    manifest.write(folder, Manifest(0, {}, {ROWS: manifest.File(1, "another sum")}, {}, []))
    with pytest.raises(errors.Invalid, match="damaged"):
        restore.restore(loaded, folder, force=True)
    assert rows.exists()
    with pytest.raises(errors.Misconfigured, match="ended in the middle"):
        before.prepare(loaded)
    manifest.write(folder, whole)
    restore.restore(loaded, folder, force=True)
    check_restored(tmp_path / "data", clock)


def test_what_is_left_beside_a_store_that_is_gone_is_moved_aside(
    tmp_path: Path, folder: Path, clock: FrozenClock
) -> None:
    loaded = old_data(tmp_path)
    for name in restore.STORES:
        if (tmp_path / name).is_file():
            (tmp_path / name).unlink()
    (tmp_path / ROWS).unlink()
    for path in ((tmp_path / ROWS).parent, tmp_path / "analytics"):
        path.rmdir()
    aside = Path(restore.restore(loaded, folder, force=False)["replaced"])
    assert texts(aside) == dict.fromkeys([*companions(DATABASE_NAME), *companions(QUEUE_NAME)], "old")
    assert asyncio.run(journaled.held(tmp_path, clock)) == [b"new"]
