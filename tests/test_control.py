"""The local socket: who may open it, where it is, what comes back."""

import asyncio
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from vemetric import control, errors
from vemetric.services import Services


@pytest.fixture
def services(services_at_noon: Services) -> Services:
    return services_at_noon


async def ask(services: Services, command: str, **arguments: object) -> dict[str, object]:
    return await asyncio.to_thread(control.ask, services.config.data_dir, command, arguments)


def exists(path: Path) -> bool:
    return path.exists()


async def test_the_process_does_what_it_is_asked(services: Services) -> None:
    async with control.listening(services):
        made = await ask(services, "project create", name="Jö's shop \ud83d\ude00", domain="shop.example")
        assert (await ask(services, "project list"))["projects"] == [made]


async def test_its_errors_come_back(services: Services) -> None:
    async with control.listening(services):
        with pytest.raises(control.Refused) as raised:
            await ask(services, "account create", email="ann", password="short")
        assert raised.value.status == errors.Invalid.status
        assert raised.value.fields.keys() == {"email", "password"}
        with pytest.raises(control.Refused) as raised:
            await ask(services, "stats", domain="shop.example")
        assert raised.value.status == errors.NotFound.status


async def test_a_failure_is_told_without_its_insides(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    async with control.listening(services):
        with pytest.raises(control.Refused, match="its log says why") as raised:
            await ask(services, "account create")
    assert raised.value.status == 500
    assert "KeyError" in caplog.text


async def test_only_its_owner_may_open_it(services: Services) -> None:
    async with control.listening(services):
        path = services.config.data_dir / control.SOCKET_NAME
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert not exists(path)


async def test_nobody_listens_before_and_after(services: Services) -> None:
    with pytest.raises(control.NotListening):
        await ask(services, "project list")
    async with control.listening(services):
        await ask(services, "project list")
    with pytest.raises(control.NotListening):
        await ask(services, "project list")


async def test_what_a_killed_process_left_is_in_nobodys_way(services: Services) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(services.config.data_dir / control.SOCKET_NAME))
    with pytest.raises(control.NotListening):
        await ask(services, "project list")
    async with control.listening(services):
        await ask(services, "project list")


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b"[]\n", b'{"command": 1, "arguments": null}\n', b"\xff\n"])
async def test_nonsense_is_answered(services: Services, line: bytes) -> None:
    async with control.listening(services):
        path = services.config.data_dir / control.SOCKET_NAME
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(line)
        assert (await reader.readline()).startswith(b'{"error": ')
        writer.close()
        await writer.wait_closed()
        await ask(services, "project list")


async def test_neither_silence_nor_nonsense_is_a_failure_of_ours(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    async with control.listening(services):
        path = services.config.data_dir / control.SOCKET_NAME
        for sent in (b"", b"\n", b"{}\n", b"\xff\n", b'{"command": [], "arguments": {}}\n'):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(sent)
            writer.write_eof()
            answer = await reader.read()
            assert not answer if not sent else b'"status": 400' in answer
            writer.close()
            await writer.wait_closed()
    assert "Traceback" not in caplog.text


async def test_whether_somebody_listens_can_be_asked(services: Services) -> None:
    assert not control.listens(services.config.data_dir)
    async with control.listening(services):
        assert await asyncio.to_thread(control.listens, services.config.data_dir)
        # Connections are accepted in their order, so that one is done with when a later one is answered.
        await ask(services, "project list")
    assert not control.listens(services.config.data_dir)


async def test_who_hangs_up_early_disturbs_nobody(services: Services) -> None:
    async with control.listening(services):
        path = services.config.data_dir / control.SOCKET_NAME
        for sent in (b"", b'{"command"', b'{"command": "project list", "arguments": {}}\n', b"x" * (1 << 21)):
            _, writer = await asyncio.open_unix_connection(path)
            writer.write(sent)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        await ask(services, "project list")


async def test_a_command_under_way_is_finished_before_the_stores_close(services: Services) -> None:
    socket_path = services.config.data_dir / control.SOCKET_NAME
    listening = control.listening(services)
    await listening.__aenter__()
    # While another transaction writes, the command has to wait.
    async with services.database.begin():
        reader, writer = await asyncio.open_unix_connection(socket_path)
        writer.write(
            b'{"command": "project create", "arguments": {"name": "Shop", "domain": "shop.example"}}\n',
        )
        # Connections are accepted in their order, so the command has begun when a later one is answered.
        await ask(services, "account list")
        closing = asyncio.create_task(listening.__aexit__(None, None, None))
        await asyncio.sleep(0)
        assert not exists(socket_path)
        assert not closing.done()
    await closing
    assert b'"domain": "shop.example"' in await reader.readline()
    writer.close()
    await writer.wait_closed()


class TestLongPath:
    """The data directory's path is too long for the address of a socket."""

    @pytest.fixture
    def environ(self, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        return environ | {"VEMETRIC_DATA_DIR": str(tmp_path / ("long" * 25) / "data")}

    @pytest.fixture
    def runtime_directory(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        """One with a short name, as the system's has."""
        with tempfile.TemporaryDirectory(prefix="run-") as made:
            monkeypatch.setenv("XDG_RUNTIME_DIR", made)
            yield made

    async def test_the_socket_is_elsewhere_and_as_private(self, services: Services) -> None:
        async with control.listening(services):
            path = Path((services.config.data_dir / control.POINTER_NAME).read_text())
            assert len(os.fsencode(path)) <= control.PATH_BYTES_MAX
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
            assert stat.S_IMODE(os.stat(path.parent).st_mode) == 0o700
            await ask(services, "project list")
        assert not exists(path.parent)
        with pytest.raises(control.NotListening):
            await ask(services, "project list")

    async def test_what_a_killed_process_left_is_removed(self, services: Services, tmp_path: Path) -> None:
        left_behind = tmp_path / f"{control.FALLBACK_PREFIX}left"
        left_behind.mkdir()
        (services.config.data_dir / control.POINTER_NAME).write_text(str(left_behind / control.SOCKET_NAME))
        async with control.listening(services):
            await ask(services, "project list")
        assert not exists(left_behind)

    async def test_killed_processes_leave_one_directory_however_many_they_are(
        self, services: Services, runtime_directory: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        places = set()
        for _ in range(3):
            listening = control.listening(services)
            with monkeypatch.context() as killed:
                await listening.__aenter__()
                places.add((services.config.data_dir / control.POINTER_NAME).read_text())
                killed.setattr(control, "_clear", lambda data_dir: None)
                await listening.__aexit__(None, None, None)
            (services.config.data_dir / control.POINTER_NAME).unlink()
        assert len(places) == 1
        assert len([name for name in os.listdir(runtime_directory) if name.startswith(control.FALLBACK_PREFIX)]) == 1

    @pytest.mark.usefixtures("runtime_directory")
    async def test_a_place_that_others_may_enter_is_not_used(self, services: Services) -> None:
        async with control.listening(services):
            usual = Path((services.config.data_dir / control.POINTER_NAME).read_text()).parent
        usual.mkdir()
        usual.chmod(0o777)
        async with control.listening(services):
            place = Path((services.config.data_dir / control.POINTER_NAME).read_text()).parent
            assert place != usual
            assert stat.S_IMODE(os.stat(place).st_mode) == 0o700
            await ask(services, "project list")

    async def test_a_full_runtime_directory_name_is_passed_over(
        self, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        long_name = tmp_path / ("x" * 90)
        long_name.mkdir()
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(long_name))
        async with control.listening(services):
            await ask(services, "project list")
