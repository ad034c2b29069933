"""The whole move as a person does it: a server over files, the command, a server over servers with the same figures."""

import json
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.kit import stores
from tests.kit.process import Server, wait_for

EVENTS = 40


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
async def addresses(tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    async with stores.running(tmp_path) as running:
        yield running.settings


def server(stack: ExitStack, folder: Path, environ: dict[str, str]) -> Server:
    python = {"PYTHONPATH": str(Path(__file__).parents[2]), "VEMETRIC_BATCH_LINGER_MS": "0"}
    made = Server(folder, environ=python | environ, command=(sys.executable, "-m", "vemetric"))
    stack.callback(made.kill)
    return made


def send(running: Server, token: str, count: int) -> None:
    for number in range(count):
        body = json.dumps({"name": "$$pageView", "url": f"https://shop.example.com/{number % 5}"}).encode()
        headers = {"Token": token, "Content-Type": "application/json", "User-Agent": f"Mozilla/5.0 Firefox/{number}.0"}
        with urllib.request.urlopen(urllib.request.Request(f"{running.url}/e", body, headers)) as answer:
            assert answer.status == 200


def settled(running: Server) -> dict[str, Any]:
    """What verify says once all work is done."""

    def done() -> Any:
        found = running.run("verify", check=False)
        return found if not found["inQueue"] and not found["behindInQueue"] else None

    found: dict[str, Any] = wait_for(done, "the end of the work")
    return found


def figures(running: Server) -> dict[str, Any]:
    found = running.run("stats", "shop.example.com")
    return {name: found[name] for name in ("users", "pageViews", "events", "cards")}


def test_an_instance_moves_to_servers_with_every_event(
    stack: ExitStack, tmp_path: Path, addresses: dict[str, str]
) -> None:
    before = server(stack, tmp_path / "data", {}).start()
    before.run("account", "create", "--email", "ann@example.com", "--password", "a good password", "--name", "Ann")
    token = before.run("project", "create", "--name", "Shop", "--domain", "shop.example.com")["token"]
    send(before, token, EVENTS)
    settled(before)
    told = figures(before)
    send(before, token, 3)

    options = ["--to-database", addresses["DATABASE_URL"], "--to-queue", addresses["REDIS_URL"]]
    options += ["--to-clickhouse", addresses["CLICKHOUSE_URL"]]
    refused = before.command("move", *options)
    assert (refused.returncode, "in use by process" in refused.stderr) == (2, True)
    before.stop()
    first = before.run("move", *options)
    assert first["settings"] == addresses
    rows = {(one["store"], one["table"]): one["rows"] for one in first["compared"]}
    assert rows["analytics", "event"] == EVENTS + 3
    assert rows["database", "account"] == rows["database", "project"] == 1
    again = before.run("move", *options)["compared"]
    # Live visits come to their end between two runs; everything else is as it was.
    assert [one for one in again if one["table"] != "keys"] == [
        one for one in first["compared"] if one["table"] != "keys"
    ]

    after = server(stack, tmp_path / "elsewhere", addresses).start()
    send(after, token, 2)
    found = settled(after)
    assert (found["accepted"], found["stored"], found["difference"]) == (EVENTS + 5, EVENTS + 5, 0)
    assert figures(after)["pageViews"] == told["pageViews"] + 5
    after.end()


def test_a_move_to_nowhere_or_to_what_is_in_use_says_so(stack: ExitStack, tmp_path: Path) -> None:
    files = server(stack, tmp_path / "data", {})
    nothing = files.command("move")
    assert (nothing.returncode, "Say where to" in nothing.stderr) == (2, True)
    wrong = files.command("move", "--to-clickhouse", "tcp://secret@ch:9000")
    assert (wrong.returncode, "CLICKHOUSE_URL is (hidden)" in wrong.stderr) == (2, True)
