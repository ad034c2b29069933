"""Processes with a role each over servers: hits taken by several hubs, worked on elsewhere, shown by another one."""

import json
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.kit import stores
from tests.kit.process import Server, wait_for
from tests.kit.stores import Stores

Start = Callable[[str], Server]


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Stores]:
    async with stores.running(tmp_path) as running:
        yield running


@pytest.fixture
def start(shared: Stores, tmp_path: Path) -> Iterator[Start]:
    """Starts a process with the given roles and a data directory of its own."""
    with ExitStack() as stack:

        def started(roles: str) -> Server:
            environ = shared.settings | {
                "PYTHONPATH": str(Path(__file__).parents[1]),
                "VEMETRIC_ROLES": roles,
                "VEMETRIC_SECRET": "the same for all of these processes",
                "VEMETRIC_BATCH_LINGER_MS": "0",
            }
            number = len(list(tmp_path.glob("data*")))
            made = Server(tmp_path / f"data{number}", environ=environ, command=(sys.executable, "-m", "vemetric"))
            stack.callback(made.kill)
            return made.start()

        yield started


def send(hub: Server, token: str, count: int) -> None:
    for number in range(count):
        body = json.dumps({"name": "$$pageView", "url": "https://shop.example.com/"}).encode()
        headers = {"Token": token, "Content-Type": "application/json", "User-Agent": f"Mozilla/5.0 Firefox/{number}.0"}
        with urllib.request.urlopen(urllib.request.Request(f"{hub.url}/e", body, headers)) as answer:
            assert answer.status == 200


def ready(process: Server) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"{process.url}/ready") as answer:
            found: dict[str, Any] = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            found = json.loads(error.read())
    return found


def stored(web: Server, count: int) -> None:
    """Wait until verify finds so many events, and nothing amiss."""

    def found() -> Any:
        said = web.run("verify", check=False)
        return said if said["stored"] == count and not said["behindInQueue"] else None

    assert wait_for(found, f"the {count} events")["difference"] == 0


def test_roles_share_the_work_over_servers(start: Start, shared: Stores) -> None:
    web, worker, hubs = start("web"), start("worker"), [start("hub"), start("hub")]
    assert ready(hubs[0]) == {"roles": ["hub"], "database": "ok", "queue": "ok"}
    assert ready(worker)["analytics"] == "ok"
    web.run("account", "create", "--email", "ann@example.com", "--password", "a good password", "--name", "Ann")
    token = web.run("project", "create", "--name", "Shop", "--domain", "shop.example.com")["token"]
    for hub in hubs:
        send(hub, token, 10)
    stored(web, 20)
    # The same ten visitors, whichever hub their hits came to.
    assert web.run("stats", "shop.example.com")["users"] == 10

    shared.clickhouse.kill()
    wait_for(lambda: ready(worker).get("analytics") == "away", "the worker's notice")
    hubs.append(start("hub"))
    for hub in hubs:
        assert "analytics" not in ready(hub)
        send(hub, token, 5)
    shared.clickhouse.start()
    stored(web, 35)
    for process in (web, worker, *hubs):
        process.end()


def test_a_process_with_the_data_directory_of_another_one_is_refused(start: Start) -> None:
    hub = start("hub")
    second = hub.command("serve")
    assert (second.returncode, "in use by process" in second.stderr) == (2, True)
    assert ready(hub)["queue"] == "ok"


def test_pages_answer_nothing_of_the_hub_and_the_other_way_round(start: Start) -> None:
    for process, path in ((start("hub"), "/login"), (start("worker"), "/login"), (start("web"), "/e")):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{process.url}{path}")
        with caught.value as refused:
            assert refused.code == 404
