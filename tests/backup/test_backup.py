"""A backup as an operator makes it: of a server under load, restored elsewhere, with every event and no salt."""

import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.kit import ledger
from tests.kit.process import Server, wait_for
from vemetric.backup import manifest
from vemetric.model.data_directory import ANALYTICS_NAME, DATABASE_NAME, QUEUE_NAME

EVENTS_PER_SECOND = 400
LOAD_SECONDS = 1.0
DOMAIN = "stats.example.com"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def server(stack: ExitStack, folder: Path) -> Server:
    environ = ledger.PROXY | {"PYTHONPATH": str(Path(__file__).parents[2])}
    made = Server(folder, environ=environ, command=(sys.executable, "-m", "vemetric"))
    stack.callback(made.kill)
    return made


def settled(running: Server) -> dict[str, Any]:
    """What verify says once all work is done."""

    def done() -> Any:
        found = running.run("verify", check=False)
        return found if not found["inQueue"] and not found["behindInQueue"] else None

    found: dict[str, Any] = wait_for(done, "the end of the work")
    return found


def figures(running: Server) -> dict[str, Any]:
    found = running.run("stats", DOMAIN)
    return {name: found[name] for name in ("users", "pageViews", "events", "bounceRate", "visitDuration", "cards")}


def salts(data_dir: Path) -> list[str]:
    with closing(sqlite3.connect(data_dir / DATABASE_NAME)) as connection:
        return [salt for (salt,) in connection.execute("SELECT id FROM salt")]


def test_a_server_under_load_is_backed_up_and_restored_elsewhere(stack: ExitStack, tmp_path: Path) -> None:
    running = server(stack, tmp_path / "data").start()
    token = running.run("project", "create", "--name", "Shop", "--domain", DOMAIN)["token"]
    (running.data_dir / "avatars").mkdir()
    (running.data_dir / "avatars" / "ann.png").write_bytes(b"a picture")
    sent = ledger.Ledger()
    is_done = threading.Event()

    def send() -> None:
        # However long the backup takes on a busy machine.
        while not is_done.is_set():
            ledger.send(running, token, sent, LOAD_SECONDS, EVENTS_PER_SECOND)

    load = threading.Thread(target=send)
    load.start()
    stack.callback(is_done.set)
    wait_for(lambda: len(sent.acknowledged) > EVENTS_PER_SECOND, "the load")
    before = len(sent.acknowledged)
    done = running.run("backup", str(tmp_path / "under-load"))
    after = len(sent.acknowledged)
    is_done.set()
    load.join()
    assert (sent.refused, len(sent.acknowledged)) == (0, sent.next)

    restored = server(stack, tmp_path / "restored")
    assert restored.run("restore", str(tmp_path / "under-load"))["events"] == done["events"]
    found = settled(restored.start())
    assert found["difference"] == 0
    assert found["accepted"] == found["stored"]
    assert before <= found["stored"] <= after
    # What waited in line at that moment was stored after the restore.
    assert found["stored"] > done["events"]
    restored.end()

    assert settled(running)["stored"] == len(sent.acknowledged)
    told = figures(running)
    running.end()
    running.run("backup", str(tmp_path / "at-rest"))
    copy = server(stack, tmp_path / "copy")
    copy.run("restore", str(tmp_path / "at-rest"))
    assert (copy.data_dir / "avatars" / "ann.png").read_bytes() == b"a picture"
    assert figures(copy) == told
    secrets = [salt.encode() for salt in salts(running.data_dir)]
    assert secrets
    for backup in ("under-load", "at-rest"):
        for path in manifest.walk(tmp_path / backup):
            if path.is_file():
                content = path.read_bytes()
                assert not any(secret in content for secret in secrets), path
    assert not list(running.data_dir.glob("backup_stage_*"))
    assert not list((running.data_dir / ANALYTICS_NAME / "store" / "shadow").glob("backup_stage_*"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with ExitStack() as stack:
        files = server(stack, folder / "data")
        files.run("project", "create", "--name", "Shop", "--domain", DOMAIN)
        files.run("backup", str(folder / "backup"))
    return folder / "backup"


class TestRestoring:
    """Over one small backup."""

    @pytest.fixture
    def backup(self, made: Path, tmp_path: Path) -> Path:
        """One that the test may damage."""
        return Path(shutil.copytree(made, tmp_path / "backup", symlinks=True))

    def refused(self, stack: ExitStack, tmp_path: Path, backup: Path, *options: str) -> str:
        target = server(stack, tmp_path / "target")
        done: subprocess.CompletedProcess[str] = target.command("restore", str(backup), *options)
        assert done.returncode in (1, 2), done.stdout
        assert not (target.data_dir / DATABASE_NAME).exists()
        return done.stderr

    def test_only_what_is_whole_and_unchanged_is_restored(self, stack: ExitStack, tmp_path: Path, backup: Path) -> None:
        database = backup / manifest.DATA_NAME / DATABASE_NAME
        content = database.read_bytes()
        database.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert "damaged" in self.refused(stack, tmp_path, backup)
        database.unlink()
        assert "is missing" in self.refused(stack, tmp_path, backup)
        database.write_bytes(content)
        (backup / manifest.DATA_NAME / "more").touch()
        assert "is no part of it" in self.refused(stack, tmp_path, backup)
        (backup / manifest.DATA_NAME / "more").unlink()
        newer = msgspec.structs.replace(manifest.read(backup), format=manifest.FORMAT + 1)
        manifest.write(backup, newer)
        assert "newer Vemetric" in self.refused(stack, tmp_path, backup)
        (backup / manifest.NAME).unlink()
        assert "is no backup" in self.refused(stack, tmp_path, backup)

    def test_of_a_newer_schema_is_refused(self, stack: ExitStack, tmp_path: Path, backup: Path) -> None:
        with closing(sqlite3.connect(backup / manifest.DATA_NAME / QUEUE_NAME)) as connection:
            connection.execute("PRAGMA user_version = 9999")
        manifest.write(backup, msgspec.structs.replace(manifest.read(backup), files={}))
        assert "schema 9999" in self.refused(stack, tmp_path, backup)

    def test_data_are_moved_aside_only_when_told_to_and_never_from_a_process(
        self, stack: ExitStack, tmp_path: Path, made: Path
    ) -> None:
        target = server(stack, tmp_path / "target")
        target.run("project", "create", "--name", "Other", "--domain", "other.example.com")
        refused = target.command("restore", str(made))
        assert (refused.returncode, "--force" in refused.stderr) == (1, True)
        target.start()
        busy = target.command("restore", str(made), "--force")
        assert (busy.returncode, "in use by process" in busy.stderr) == (2, True)
        target.end()
        aside = target.run("restore", str(made), "--force")["replaced"]
        assert [one["domain"] for one in target.run("project", "list")["projects"]] == [DOMAIN]
        assert (Path(aside) / DATABASE_NAME).exists()

    def test_a_store_that_the_settings_have_on_a_server_is_refused(
        self, stack: ExitStack, tmp_path: Path, made: Path
    ) -> None:
        target = server(stack, tmp_path / "target")
        target.environ["REDIS_URL"] = "redis://localhost:1"
        refused = target.command("restore", str(made))
        assert (refused.returncode, "REDIS_URL names a server" in refused.stderr) == (2, True)


def test_a_folder_that_holds_something_is_left_alone(stack: ExitStack, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").touch()
    done = server(stack, tmp_path / "data").command("backup", str(tmp_path / "full"))
    assert (done.returncode, "is not empty" in done.stderr) == (2, True)
