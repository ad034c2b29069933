"""Two hubs and two workers over servers, under load: Redis, PostgreSQL and ClickHouse each go away and come back, one
after the other, and one hub and one worker are killed. Nothing that was answered with 200 is missing.

Every visitor's hits go to both hubs, and every visitor is identified, at whichever hub the turn comes to.
"""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from benchmarks import load
from tests.journeys.test_soak import check_rows, is_drained
from tests.kit import http, servers, stores
from tests.kit.ledger import PROXY, VISITORS, Ledger, send
from tests.kit.process import EXECUTABLE, ROOT, Server, wait_for
from tests.kit.stores import DATABASE, Stores

TOKEN_DOMAIN = "example.com"
SEGMENT_SECONDS = 2.0
# Far enough apart that the two hubs never get the same number, and equal as to whose it is.
NUMBERS_OF_A_HUB = VISITORS * 100_000
IDENTIFY_PAUSE_SECONDS = 0.05

PROGRAMS = list(servers.redis_programs())

pytestmark = pytest.mark.journey


class Plan(NamedTuple):
    """Times of the outages and rates of the load at each hub; which program the processes are."""

    outage_seconds: float
    between_seconds: float
    per_second: float
    lease_seconds: int
    program: tuple[str, ...]


SHORT = Plan(outage_seconds=3, between_seconds=1.5, per_second=100, lease_seconds=8, program=("-m", "vemetric"))
LONG = Plan(outage_seconds=60, between_seconds=15, per_second=200, lease_seconds=60, program=(str(EXECUTABLE),))


class Load:
    """Two senders of events, one at each hub, and one of identifications, until they are stopped."""

    def __init__(self, hubs: list[Server], token: str, per_second: float) -> None:
        self._hubs = hubs
        self._token = token
        self._per_second = per_second
        self._ending = threading.Event()
        self.ledgers = [Ledger() for _ in hubs]
        for number, ledger in enumerate(self.ledgers):
            ledger.next = number * NUMBERS_OF_A_HUB
        self.identified: set[str] = set()
        self._threads = [
            threading.Thread(target=self._send, args=each) for each in zip(hubs, self.ledgers, strict=True)
        ]
        self._threads.append(threading.Thread(target=self._identify))

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    @property
    def acknowledged(self) -> int:
        return sum(len(ledger.acknowledged) for ledger in self.ledgers)

    @property
    def refused(self) -> int:
        return sum(ledger.refused for ledger in self.ledgers)

    def _send(self, hub: Server, ledger: Ledger) -> None:
        while not self._ending.is_set():
            send(hub, self._token, ledger, SEGMENT_SECONDS, self._per_second)
            # A hub that was killed refuses connections; it is asked again as often as a browser comes by.
            self._ending.wait(0.1)

    def _identify(self) -> None:
        for turn, hub in zip(itertools.count(), itertools.cycle(self._hubs), strict=False):
            if self._ending.wait(IDENTIFY_PAUSE_SECONDS):
                return
            visitor = turn * 7 % VISITORS
            name = f"person-{visitor}"
            body = json.dumps({"identifier": name, "data": {"set": {"n": visitor}}}).encode()
            asked = load.request(
                visitor, host="stats.example.com", token=self._token, visitors=VISITORS, path="/i", body=body
            )
            with contextlib.suppress(OSError, EOFError):
                if asyncio.run(http.send_and_stay(hub.port, asked)).status == 200:
                    self.identified.add(name)


@pytest.fixture
async def shared(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    async with stores.running(tmp_path, request.param, all_own=True) as running:
        yield running


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def process(stack: ExitStack, folder: Path, over: Stores, roles: str, plan: Plan) -> Server:
    environ = PROXY | over.settings | {
        "VEMETRIC_ROLES": roles,
        "VEMETRIC_SECRET": "the same for all of these processes",
        "VEMETRIC_QUEUE_LEASE_SECONDS": str(plan.lease_seconds),
        "VEMETRIC_ENGINE_INSERT_SECONDS": str(plan.lease_seconds // 3),
    }  # fmt: skip
    if plan.program[0] == "-m":
        environ["PYTHONPATH"] = str(ROOT)
    made = Server(folder, environ=environ, command=(sys.executable, *plan.program))
    stack.callback(made.kill)
    return made


def ready(asked: Server) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"{asked.url}/ready", timeout=20) as answer:
            return dict(json.loads(answer.read()))
    except urllib.error.HTTPError as error:
        with error:
            return dict(json.loads(error.read()))


CASES = [
    pytest.param(PROGRAMS[-1], SHORT, id=f"{PROGRAMS[-1]}-short"),
    *(pytest.param(name, LONG, id=f"{name}-long", marks=pytest.mark.long) for name in PROGRAMS),
]


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize(("shared", "plan"), CASES, indirect=["shared"])
def test_every_store_goes_and_comes_back(tmp_path: Path, processes: ExitStack, shared: Stores, plan: Plan) -> None:
    roles = ("hub", "hub,web", "worker", "worker")
    started = [process(processes, tmp_path / f"{at}", shared, role, plan) for at, role in enumerate(roles)]
    token = started[2].run("project", "create", "--name", "Shop", "--domain", TOKEN_DOMAIN)["token"]
    for each in started:
        each.start()
    hubs, workers = started[:2], started[2:]
    with Load(hubs, token, plan.per_second) as sending:
        seen = {}
        for store in ("queue", "database", "analytics"):
            time.sleep(plan.between_seconds)
            refused, acknowledged = sending.refused, sending.acknowledged
            go_away(shared, store)
            asked = workers[0] if store == "analytics" else hubs[0]
            wait_for(lambda: ready(asked)[store] == "away", f"the notice that the {store} is away")  # noqa: B023
            if store == "queue":
                answered_no(hubs[0], token)
            time.sleep(plan.outage_seconds)
            seen[store] = (sending.refused - refused, sending.acknowledged - acknowledged)
            come_back(shared, store)
            wait_for(lambda: ready(asked)[store] == "ok", f"the {store}", 60)  # noqa: B023
            if store == "database":
                for killed in (hubs[1], workers[1]):
                    killed.kill()
                time.sleep(plan.between_seconds)
                hubs[1].start()
        time.sleep(plan.between_seconds)
    assert seen["queue"][0] > 0, "nobody was refused while the queue was away"
    for store in ("database", "analytics"):
        refused, acknowledged = seen[store]
        assert refused == 0, f"hits were refused while only the {store} was away"
        assert acknowledged > plan.outage_seconds * plan.per_second / 2
    check(workers[0], shared, sending)
    for each in (*hubs, workers[0]):
        each.end()


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("shared", PROGRAMS, indirect=True)
def test_a_worker_that_stood_still_longer_than_its_lease_doubles_nothing(
    tmp_path: Path, processes: ExitStack, shared: Stores
) -> None:
    roles = ("hub", "hub", "worker", "worker")
    started = [process(processes, tmp_path / f"{at}", shared, role, SHORT) for at, role in enumerate(roles)]
    hubs, workers = started[:2], started[2:]
    token = workers[0].run("project", "create", "--name", "Shop", "--domain", TOKEN_DOMAIN)["token"]
    for each in started:
        each.start()
    with Load(hubs, token, SHORT.per_second) as sending:
        for standing in (*workers, *workers):
            time.sleep(SHORT.between_seconds)
            os.kill(standing.pid, signal.SIGSTOP)
            # The other one gets its jobs meanwhile.
            time.sleep(SHORT.lease_seconds * 2)
            os.kill(standing.pid, signal.SIGCONT)
    assert any("outlived their lease" in line for worker in workers for line in worker.log)
    assert sending.refused == 0
    check(workers[0], shared, sending)
    for each in started:
        each.end()


def answered_no(hub: Server, token: str) -> None:
    """Whatever is said while the queue is away is refused: nothing is taken that could be lost."""
    said = {
        "/e": {"name": "$$pageView", "url": "https://example.com/"},
        "/l": {},
        "/i": {"identifier": "nobody"},
        "/u": {"data": {"set": {"plan": "paid"}}},
        "/r": {},
        "/batch": [{"name": "signup"}, {"name": "signup", "id": "again"}],
    }
    for path, body in said.items():
        asked = load.request(
            VISITORS + 1, host="x.test", token=token, visitors=VISITORS + 2, path=path, body=json.dumps(body).encode()
        )
        answer = asyncio.run(http.send_and_stay(hub.port, asked))
        assert (path, answer.status, answer.header("retry-after")) == (path, 503, "5"), answer


def go_away(over: Stores, store: str) -> None:
    if store == "analytics":
        over.clickhouse.kill()
    else:
        (over.redis if store == "queue" else of(over)).stop()


def come_back(over: Stores, store: str) -> None:
    if store == "analytics":
        over.clickhouse.start()
    else:
        (over.redis if store == "queue" else of(over)).start()


def of(over: Stores) -> servers.Server:
    assert over.postgresql is not None
    return over.postgresql


def check(worker: Server, over: Stores, sending: Load) -> None:
    wait_for(lambda: is_drained(worker), "empty queues", 600)
    verified = worker.run("verify")
    assert (verified["difference"], verified["dead"], verified["behindDead"]) == (0, 0, 0)
    check_rows(over.clickhouse, set().union(*(ledger.acknowledged for ledger in sending.ledgers)), DATABASE)
    people = over.clickhouse.ask("SELECT identifier FROM user FINAL WHERE deleted = 0 AND identifier != ''", DATABASE)
    names = [name for (name,) in people]
    assert len(names) == len(set(names)), "an identifier has two users"
    assert sending.identified <= set(names), "an acknowledged identification is missing"
    assert len(sending.identified) > 10
