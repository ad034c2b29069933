"""An upgrade that fails leaves everything as it was; one that succeeds leaves a way back."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import msgspec
import pytest

from tests.kit import journaled
from vemetric import config, errors
from vemetric.backup import before, manifest, restore, trial
from vemetric.clock import FrozenClock
from vemetric.model.data_directory import DATABASE_NAME, QUEUE_NAME, companions

ROOT = Path(__file__).parents[2]
# A newer program: this one with one more migration of each store, the last of which may fail.
NEWER = """
import sys
from vemetric.clickhouse import migrate
from vemetric.queues import sqlite_schema
from vemetric import cli
known = migrate.all_migrations()
more = migrate.Migration("9999_more", "ALTER TABLE event ADD COLUMN IF NOT EXISTS later String;\\n" + {analytics!r})
migrate.all_migrations = lambda: [*known, more]
sqlite_schema.MIGRATIONS = (*sqlite_schema.MIGRATIONS, "CREATE TABLE later (id INTEGER PRIMARY KEY);" + {queue!r})
sys.exit(cli.main(sys.argv[1:]))
"""
OURS = "import sys\nfrom vemetric import cli\nsys.exit(cli.main(sys.argv[1:]))"
FAILS_IN_ANALYTICS = NEWER.format(analytics="ALTER TABLE event ADD COLUMN wrong NoSuchType;\n", queue="")
FAILS_IN_QUEUE = NEWER.format(analytics="", queue="INSERT INTO nowhere VALUES (1);")
# One more migration of the accounts that fails in its middle.
FAILS_IN_ACCOUNTS = """
import sys
from vemetric.database import migrate
from vemetric import cli
known = migrate.revisions()
migrate.revisions = lambda: [*known, "9999"]
def upgrade(connection, target):
    connection.exec_driver_sql("UPDATE project SET domain = 'ruined.example.com'")
    connection.exec_driver_sql("INSERT INTO nowhere VALUES (1)")
migrate.upgrade = upgrade
sys.exit(cli.main(sys.argv[1:]))
"""
SUCCEEDS = NEWER.format(analytics="", queue="")


def run(data_dir: Path, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", program, *arguments, "--json"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "VEMETRIC_DATA_DIR": str(data_dir)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def domains(data_dir: Path) -> list[str]:
    done = run(data_dir, OURS, "project", "list")
    assert done.returncode == 0, done.stderr
    return [one["domain"] for one in msgspec.json.decode(done.stdout)["projects"]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("made") / "data"
    done = run(data_dir, OURS, "project", "create", "--name", "Shop", "--domain", "shop.example.com")
    assert done.returncode == 0, done.stderr
    return data_dir


def test_a_new_instance_and_an_equal_one_are_not_copied(made: Path) -> None:
    assert not (made / before.FOLDER_NAME).exists()
    assert msgspec.json.decode((made / before.NOTE_NAME).read_bytes(), type=before.Schema) == before.ours()


@pytest.mark.parametrize(
    "program", [FAILS_IN_ANALYTICS, FAILS_IN_ACCOUNTS, FAILS_IN_QUEUE], ids=["analytics", "accounts", "queue"]
)
def test_a_failing_migration_is_rolled_back_and_the_old_program_starts(made: Path, program: str) -> None:
    failed = run(made, program, "project", "list")
    assert failed.returncode == 2
    assert failed.stderr.endswith(". The stores are as they were before this start.\n")
    assert failed.stderr.count("\n") == 1
    assert not (made / before.FOLDER_NAME).exists()
    assert domains(made) == ["shop.example.com"]
    with closing(sqlite3.connect(made / "queue.db")) as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'later'").fetchall()
    # The column that the analytics had got by then is gone with its migration.
    found = list((made / "analytics" / "store" / "store").glob("*/*/event.sql"))
    assert len(found) == 1
    assert "later" not in found[0].read_text()


def test_a_successful_one_can_be_gone_back_from(made: Path) -> None:
    done = run(made, SUCCEEDS, "project", "list")
    assert done.returncode == 0, done.stderr
    folder = made / before.FOLDER_NAME
    assert not (folder / before.PENDING_NAME).exists()
    with closing(sqlite3.connect(folder / manifest.DATA_NAME / DATABASE_NAME)) as connection:
        assert connection.execute("SELECT count(*) FROM salt").fetchone() == (0,)
    refused = run(made, OURS, "project", "list")
    assert (refused.returncode, "newer" in refused.stderr) == (2, True)
    restored = run(made, OURS, "restore", str(folder), "--force")
    assert restored.returncode == 0, restored.stderr
    assert not (made / before.NOTE_NAME).exists()
    assert domains(made) == ["shop.example.com"]


def test_what_was_before_is_kept_when_a_start_is_killed_in_the_middle(made: Path) -> None:
    killed = NEWER.format(analytics="", queue="").replace(
        "sys.exit(cli",
        "import os\nfrom vemetric.backup import before\nbefore.settle = lambda *_: os._exit(9)\nsys.exit(cli",
    )
    assert run(made, killed, "project", "list").returncode == 9
    folder = made / before.FOLDER_NAME
    first = (folder / manifest.NAME).read_bytes()
    assert (folder / before.PENDING_NAME).exists()
    assert run(made, killed, "project", "list").returncode == 9
    assert (folder / manifest.NAME).read_bytes() == first
    assert run(made, OURS, "restore", str(folder), "--force").returncode == 0
    assert domains(made) == ["shop.example.com"]


async def test_what_a_kill_left_in_the_queues_journal_is_there_after_a_way_back(
    tmp_path: Path, clock: FrozenClock
) -> None:
    data_dir = tmp_path / "data"
    async with journaled.opened(tmp_path, clock) as queue:
        await journaled.put(queue, [b"1", b"2"])
        journaled.left_by_a_kill(tmp_path, data_dir)
    loaded, _ = config.load({"VEMETRIC_DATA_DIR": str(data_dir)})
    folder = before.prepare(loaded)
    assert folder is not None
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept)
    # The start brings it into the queue's tables, and then a migration fails.
    assert await journaled.held(data_dir, clock) == [b"1", b"2"]
    before.go_back(loaded, folder)
    assert await journaled.held(data_dir, clock) == [b"1", b"2"]
    # Or somebody goes back later, from where it has gone on in a journal of the same names.
    async with journaled.opened(data_dir, clock) as queue:
        await journaled.put(queue, [b"later"])
        journaled.left_by_a_kill(data_dir, tmp_path / "gone-on")
    gone_on, _ = config.load({"VEMETRIC_DATA_DIR": str(tmp_path / "gone-on")})
    aside = await asyncio.to_thread(lambda: restore.restore(gone_on, kept, force=True)["replaced"])
    assert await journaled.held(tmp_path / "gone-on", clock) == [b"1", b"2"]
    assert await journaled.held(Path(aside), clock) == [b"1", b"2", b"later"]


@pytest.mark.parametrize("queue", [(), (QUEUE_NAME, f"{QUEUE_NAME}-puts-0")], ids=["no queue", "a queue"])
def test_going_back_goes_on_wherever_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queue: tuple[str, ...]
) -> None:
    rename = Path.rename
    moves_left = 0
    made_by_a_start = (DATABASE_NAME, f"{DATABASE_NAME}-wal", QUEUE_NAME, *companions(QUEUE_NAME))

    def rename_or_die(self: Path, target: Path) -> Path:
        nonlocal moves_left
        moves_left -= 1
        if moves_left < 0:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_or_die)
    for moves in range(12):
        data_dir = tmp_path / str(moves)
        folder = data_dir / before.FOLDER_NAME
        # Where the queue was not there before, the failed start made it.
        for place, text, names in (
            (folder / manifest.DATA_NAME, "before", ("analytics/store/rows", DATABASE_NAME, *queue)),
            (data_dir, "failed", ("analytics/store/rows", *made_by_a_start)),
        ):
            for name in names:
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_text(text)
        (data_dir / before.NOTE_NAME).write_bytes(msgspec.json.encode(before.ours()))
        loaded, _ = config.load({"VEMETRIC_DATA_DIR": str(data_dir)})
        moves_left = moves
        with suppress(KeyboardInterrupt):
            before.go_back(loaded, folder)
        moves_left = 100
        before.prepare(loaded)
        found = {
            path.relative_to(data_dir).as_posix(): path.read_text() for path in data_dir.rglob("*") if path.is_file()
        }
        del found[before.NOTE_NAME]
        assert found == dict.fromkeys(("analytics/store/rows", DATABASE_NAME, *queue), "before"), moves


def test_nothing_starts_from_half_a_restore(tmp_path: Path) -> None:
    (tmp_path / before.INCOMING).mkdir()
    loaded, _ = config.load({"VEMETRIC_DATA_DIR": str(tmp_path)})
    # One that was killed while it read the backup has touched nothing.
    assert before.prepare(loaded) is None
    (tmp_path / before.INCOMING / before.WHOLE_NAME).touch()
    with pytest.raises(errors.Misconfigured, match="ended in the middle"):
        before.prepare(loaded)


def test_a_killed_trial_leaves_nothing_beside_what_was_brought_in(tmp_path: Path) -> None:
    incoming = tmp_path / before.INCOMING
    (incoming / "analytics").mkdir(parents=True)
    beside: list[str] = []

    def look(_: str) -> None:
        assert list(incoming.glob(f"{trial.FOLDER_PREFIX}*"))
        beside.extend(path.name for path in tmp_path.iterdir())
        raise KeyboardInterrupt

    loaded, _ = config.load({"VEMETRIC_DATA_DIR": str(tmp_path)})
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(trial.try_out(incoming, manifest.Manifest(0, {}, {}, {}, []), loaded, look))
    assert beside == [before.INCOMING]


def test_it_is_forgotten_after_some_days(tmp_path: Path) -> None:
    folder = tmp_path / before.FOLDER_NAME
    folder.mkdir()
    manifest.write(folder, manifest.Manifest(0, {}, {}, {}, []))
    before.forget_old(tmp_path)
    assert folder.exists()
    os.utime(folder / manifest.NAME, (0, 0))
    (folder / before.PENDING_NAME).touch()
    before.forget_old(tmp_path)
    assert folder.exists()
    (folder / before.PENDING_NAME).unlink()
    before.forget_old(tmp_path)
    assert not folder.exists()
