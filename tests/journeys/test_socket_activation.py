"""A restart while the socket is held by somebody else, as systemd does: nobody is refused, nothing is lost."""

import asyncio
import os
import signal
import sys
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import load
from tests.kit.ledger import PROXY, VISITORS
from tests.kit.process import EXECUTABLE, READY, Server, free_port, wait_for

pytestmark = pytest.mark.journey

SHOP = ("project", "create", "--name", "Shop", "--domain", "shop.test")
PARENT = Path(__file__).parents[1] / "kit" / "socket_parent.py"
PER_SECOND = 500
SECONDS = 5
RESTART_AFTER_SECONDS = 1.0
KEPT_MAX = 16


class Clients:
    """Requests at a steady rate: every second one by a connection of its own, the others by ones that are kept."""

    def __init__(self, port: int, token: str) -> None:
        self.ends: Counter[str] = Counter()
        self._port, self._token = port, token
        self._kept: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as group:
            for number in range(PER_SECOND * SECONDS):
                await asyncio.sleep(max(0.0, began + number / PER_SECOND - loop.time()))
                group.create_task(self._ask(number))
        for _, writer in self._kept:
            writer.close()

    async def _ask(self, number: int) -> None:
        data = load.request(number, host="stats.example.com", token=self._token, visitors=VISITORS)
        is_kept = number % 2 == 0
        try:
            self.ends[await self._exchange(data if is_kept else data.replace(b"keep-alive", b"close", 1), is_kept)] += 1
        except (OSError, asyncio.IncompleteReadError) as error:
            self.ends[f"{type(error).__name__} {'kept' if is_kept else 'new'}"] += 1

    async def _exchange(self, data: bytes, is_kept: bool) -> str:
        reader, writer = await self._connection() if is_kept else await self._new()
        writer.write(data)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0]))
        if is_kept and "connection: close" not in head and len(self._kept) < KEPT_MAX:
            self._kept.append((reader, writer))
        else:
            writer.close()
        return head.split()[1]

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._kept:
            reader, writer = self._kept.popleft()
            if not reader.at_eof():
                return reader, writer
        return await self._new()

    async def _new(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Server]:
    """The executable below a parent that keeps the socket it listens on."""
    port = free_port()
    command = (sys.executable, str(PARENT), str(port), "vemetric.socket", sys.executable, str(EXECUTABLE))
    server = Server(tmp_path / "data", port=port, environ=PROXY, command=command).start()
    yield server
    server.end()


def test_a_restart_at_500_requests_a_second_refuses_none(held: Server) -> None:
    command = Server(held.data_dir, port=held.port)
    token = command.run(*SHOP)["token"]
    clients = Clients(held.port, token)

    async def load_and_restart() -> None:
        asyncio.get_running_loop().call_later(RESTART_AFTER_SECONDS, os.kill, held.pid, signal.SIGHUP)
        await clients.run()

    asyncio.run(load_and_restart())
    assert len([line for line in held.log if READY.search(line)]) == 2
    assert clients.ends == {"200": PER_SECOND * SECONDS}
    wait_for(lambda: command.run("verify", check=False)["stored"] == PER_SECOND * SECONDS, "the events")
    verified = command.run("verify")
    assert (verified["accepted"], verified["difference"]) == (PER_SECOND * SECONDS, 0)
