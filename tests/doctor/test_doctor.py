"""Each mistake is planted and found, with what mends it; a sound instance has none."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.kit.mail_server import MailServer
from tests.kit.process import Server, free_port
from vemetric import __version__, config
from vemetric.config import Config
from vemetric.doctor.examine import examine
from vemetric.doctor.finding import PROBLEM, Machine

GB = 1_000_000_000
LOCAL_MOUNTS = "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"
NFS_MOUNT = "99 21 0:52 / {} rw,relatime shared:7 - nfs4 files:/export rw"
SOUND = Machine(
    running=None,
    now=1_790_000_000.0,
    mounts=LOCAL_MOUNTS,
    disk_bytes=100 * GB,
    free_bytes=50 * GB,
    files_max=65_536,
    uid=os.geteuid(),
)
RUNNING = {"version": __version__, "filesMax": "65536"}


def settings(data_dir: Path, **environ: str) -> Config:
    named = {"VEMETRIC_DATA_DIR": str(data_dir), "VEMETRIC_LISTEN": f"127.0.0.2:{free_port()}", **environ}
    return config.load(named)[0]


def problems(data_dir: Path, machine: Machine = SOUND, /, **environ: str) -> dict[str, str]:
    """By check, what is told; every problem comes with what mends it."""
    found: list[dict[str, Any]] = examine(settings(data_dir, **environ), machine)["findings"]
    assert all(one["fix"] for one in found)
    return {one["check"]: one["what"] for one in found if one["level"] == PROBLEM}


def test_a_sound_instance_has_no_problem(data_dir: Path) -> None:
    assert problems(data_dir) == {}


@pytest.mark.parametrize(
    ("check", "facts", "told"),
    [
        ("disk", {"free_bytes": GB // 2}, "Only 0.5 GB of 100.0 GB are free"),
        ("disk", {"free_bytes": 4 * GB}, "Only 4.0 GB"),
        ("clock", {"now": 1_000_000_000.0}, "2001-09-09"),
        ("clock", {"now": SOUND.now - 3_600}, "60 minutes later"),
        ("open files", {"files_max": 1_024}, "1024 files"),
        ("versions", {"running": RUNNING | {"version": "0.0.1"}}, "is version 0.0.1"),
    ],
)
def test_mistakes_of_the_machine(data_dir: Path, check: str, facts: dict[str, Any], told: str) -> None:
    found = problems(data_dir, SOUND._replace(**facts))
    assert set(found) == {check}
    assert told in found[check]


def test_a_data_directory_that_no_server_works_with(data_dir: Path) -> None:
    assert "does not exist" in problems(data_dir.parent / "dat")["data directory"]
    assert problems(data_dir.parent / "dat", SOUND._replace(running=RUNNING)) == {}
    (data_dir / "vemetric.db").unlink()
    assert "no vemetric.db" in problems(data_dir)["data directory"]
    assert problems(data_dir, DATABASE_URL="postgresql://db.example.com/vemetric") == {}


def test_a_network_disk_is_told_by_the_closest_mount(data_dir: Path) -> None:
    mounts = f"{LOCAL_MOUNTS}\n{NFS_MOUNT.format(data_dir.parent)}"
    assert "network disk (nfs4)" in problems(data_dir, SOUND._replace(mounts=mounts))["network disk"]
    local_within = f"{mounts}\n30 99 8:2 / {data_dir} rw - xfs /dev/sdb1 rw"
    assert problems(data_dir, SOUND._replace(mounts=local_within)) == {}


class TestPermissions:
    """Of the data directory."""

    def test_others_may_look_in(self, data_dir: Path) -> None:
        data_dir.chmod(0o755)
        assert "mode 755" in problems(data_dir)["permissions"]

    def test_it_belongs_to_somebody_else(self, data_dir: Path) -> None:
        found = problems(data_dir, SOUND._replace(uid=os.geteuid() + 1))
        assert "belongs to another user" in found["permissions"]

    def test_a_store_cannot_be_written(self, data_dir: Path) -> None:
        (data_dir / "queue.db").chmod(0o400)
        assert "queue.db" in problems(data_dir)["permissions"]

    def test_one_file_within_belongs_to_somebody_else(self, data_dir: Path) -> None:
        (data_dir / "analytics" / "part.bin").touch()
        if os.geteuid() == 0:
            os.chown(data_dir / "analytics" / "part.bin", 12_345, -1)
            assert "part.bin" in problems(data_dir)["permissions"]
        else:
            assert "permissions" in problems(data_dir, SOUND._replace(uid=12_345))

    def test_root_may_look_after_the_files_of_another(self, data_dir: Path) -> None:
        assert problems(data_dir, SOUND._replace(uid=0)) == {}


def test_files_that_are_damaged(data_dir: Path) -> None:
    for name in ("vemetric.db", "queue.db"):
        (data_dir / name).write_bytes(b"no database" * 500)
        os.utime(data_dir / name, (SOUND.now, SOUND.now))
        assert f"{name} cannot be read" in problems(data_dir)["stores"]
        (data_dir / name).write_bytes(b"")
        os.utime(data_dir / name, (SOUND.now, SOUND.now))
    (data_dir / "secret.key").touch(mode=0o600)
    os.utime(data_dir / "secret.key", (SOUND.now, SOUND.now))
    assert "must hold 32 bytes" in problems(data_dir)["stores"]


def test_data_of_a_newer_version(data_dir: Path) -> None:
    (data_dir / "analytics" / "format.json").write_text('{"format": 1, "engine": "99.1.0"}')
    assert "written by a newer version" in problems(data_dir)["versions"]


def test_a_port_in_use(data_dir: Path, stranger: str) -> None:
    taken = stranger.removeprefix("http://")
    assert "Address already in use" in problems(data_dir, VEMETRIC_LISTEN=taken)["port"]


@pytest.fixture
def stranger() -> Iterator[str]:
    """Another program that answers at an address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            """Nothing between the tests' own lines."""

    server = ThreadingHTTPServer(("127.0.0.3", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.3:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class TestPublicUrl:
    """What people are told to open."""

    def test_leads_to_somebody_else(self, data_dir: Path, stranger: str) -> None:
        found = problems(data_dir, SOUND._replace(running=RUNNING), VEMETRIC_PUBLIC_URL=stranger)
        assert "but not by Vemetric" in found["public URL"]

    def test_leads_nowhere(self, data_dir: Path) -> None:
        url = f"http://127.0.0.4:{free_port()}"
        found = problems(data_dir, SOUND._replace(running=RUNNING), VEMETRIC_PUBLIC_URL=url)
        assert "cannot be reached" in found["public URL"]

    @pytest.mark.parametrize(("url", "is_told"), [("http://stats.example.com", True), ("https://a.example.com", False)])
    def test_is_plain_http(self, data_dir: Path, url: str, *, is_told: bool) -> None:
        found = examine(settings(data_dir, VEMETRIC_PUBLIC_URL=url), SOUND)["findings"]
        assert any(one["check"] == "public URL" and "plain http" in one["what"] for one in found) is is_told

    def test_is_missing_behind_a_proxy(self, data_dir: Path) -> None:
        found = problems(data_dir, VEMETRIC_LISTEN=f"127.0.0.1:{free_port()}", VEMETRIC_TRUSTED_PROXIES="loopback")
        assert set(found) == {"public URL"}


class TestProxies:
    """Whose word is taken for where a visitor comes from."""

    def test_nobody_is_believed(self, data_dir: Path) -> None:
        local = {"VEMETRIC_LISTEN": f"127.0.0.1:{free_port()}", "VEMETRIC_PUBLIC_URL": "https://stats.example.com"}
        assert "every visitor has the proxy's address" in problems(data_dir, **local)["proxies"]

    def test_one_answers_at_the_public_address(self, data_dir: Path, stranger: str) -> None:
        running = Server(data_dir.parent / "served", command=(sys.executable, "-m", "vemetric"))
        running.environ |= {"PYTHONPATH": str(Path(__file__).parents[2]), "VEMETRIC_PUBLIC_URL": stranger}
        running.environ["VEMETRIC_LISTEN"] = f"127.0.0.2:{running.port}"
        running.start()
        try:
            done = running.command("doctor", "--json")
            assert done.returncode == 1
            told = {one["check"]: one["what"] for one in running.run("doctor", check=False)["findings"]}
            assert "a proxy (BaseHTTP" in told["proxies"]
            assert "but not by Vemetric" in told["public URL"]
            assert "port" not in told
            assert "VEMETRIC_PUBLIC_URL" in running.command("doctor").stdout
        finally:
            running.end()

    @pytest.mark.parametrize("wide", ["everything", "0.0.0.0/0", "::/0", "10.0.0.1,2000::/3", "128.0.0.0/1"])
    def test_anybody_is_believed(self, data_dir: Path, wide: str) -> None:
        assert "anybody can claim" in problems(data_dir, VEMETRIC_TRUSTED_PROXIES=wide)["proxies"]

    def test_a_name_that_is_none(self, data_dir: Path) -> None:
        assert "'*' is not an address" in problems(data_dir, VEMETRIC_TRUSTED_PROXIES="*")["proxies"]

    def test_one_network_is_fine(self, data_dir: Path) -> None:
        assert problems(data_dir, VEMETRIC_TRUSTED_PROXIES="loopback,cloudflare,10.0.0.0/8") == {}


MAIL = {"VEMETRIC_MAIL_FROM": "stats@example.com", "VEMETRIC_PUBLIC_URL": "https://stats.example.com"}


def test_a_mail_server_that_is_not_there(data_dir: Path) -> None:
    told = problems(data_dir, **MAIL, SMTP_HOST="127.0.0.1", SMTP_PORT=str(free_port()))
    assert "does not take our greeting" in told["mail"]


async def test_a_mail_server_that_has_no_tls(data_dir: Path, mail: MailServer) -> None:
    there = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(mail.port)}
    told = await asyncio.to_thread(problems, data_dir, **MAIL, **there)
    assert "mail" in told
    assert "mail" not in await asyncio.to_thread(problems, data_dir, **MAIL, **there, SMTP_TLS="none")


def test_places_that_cannot_be_read(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "places.mmdb").write_text("no database")
    told = problems(data_dir, VEMETRIC_GEO_DATABASE=str(tmp_path / "places.mmdb"))
    assert "No visitor will have a country" in told["places"]
