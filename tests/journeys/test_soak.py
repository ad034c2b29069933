"""Under steady load the process is killed again and again and the analytics store is away for a while: nothing is lost.

The store is a server of its own here, so that it can go and come back while the product runs.
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks import load
from tests.kit import http
from tests.kit.clickhouse_server import ClickHouseServer
from tests.kit.ledger import PROXY, VISITORS, Ledger, send, send_and_kill
from tests.kit.process import Server, wait_for

CEILING_SHARE = 0.7
CEILING_SECONDS = 8.0
# A process may hold so much more at the end of its life than the first one did.
GROWTH_MAX = 1.25
MEMORY_MB_MAX = 700

pytestmark = pytest.mark.journey


class Plan(NamedTuple):
    """Times of a soak. per_second: None for a share of what the machine can do, measured first."""

    kills: int
    kill_seconds: float
    outage_seconds: float
    per_second: float | None


SHORT = Plan(kills=3, kill_seconds=6, outage_seconds=6, per_second=400)
LONG = Plan(kills=20, kill_seconds=30, outage_seconds=120, per_second=None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ClickHouseServer]:
    server = ClickHouseServer(tmp_path / "clickhouse").start()
    yield server
    server.stop()


@pytest.mark.timeout(2_400)
@pytest.mark.parametrize("plan", [SHORT, pytest.param(LONG, marks=pytest.mark.long)], ids=["short", "long"])
def test_kills_and_an_outage_lose_nothing(tmp_path: Path, store: ClickHouseServer, plan: Plan) -> None:
    server = Server(tmp_path / "data", environ=PROXY | {"CLICKHOUSE_URL": store.url("default")})
    token = server.run("project", "create", "--name", "Soak", "--domain", "example.com")["token"]
    ledger, memory_mb = Ledger(), []
    per_second = plan.per_second or CEILING_SHARE * ceiling(server, token, ledger)
    outage = threading.Thread(target=interrupt, args=(store, plan.kill_seconds * 1.5, plan.outage_seconds))
    outage.start()
    for _ in range(plan.kills):
        server.start()
        watching = threading.Timer(plan.kill_seconds * 0.9, lambda: memory_mb.append(server.resident_mb()))
        watching.start()
        send_and_kill(server, token, ledger, plan.kill_seconds, per_second)
        watching.join()
    outage.join()
    # What came while the process started is refused by nobody: there was nobody to refuse it.
    assert len(ledger.acknowledged) > plan.kills * plan.kill_seconds * per_second * 0.5
    server.start()
    wait_for(lambda: is_drained(server), "empty queues", 600)
    verified = server.run("verify")
    assert (verified["difference"], verified["dead"], verified["behindDead"]) == (0, 0, 0)
    check_rows(store, ledger.acknowledged)
    assert max(memory_mb) < MEMORY_MB_MAX
    assert memory_mb[-1] < memory_mb[0] * GROWTH_MAX + 100
    server.end()


def ceiling(server: Server, token: str, ledger: Ledger) -> float:
    """Events per second that this machine takes and stores."""
    server.start()
    before, began = len(ledger.acknowledged), time.monotonic()
    send(server, token, ledger, CEILING_SECONDS, None)
    wait_for(lambda: is_drained(server), "empty queues", 600)
    rate = (len(ledger.acknowledged) - before) / (time.monotonic() - began)
    server.end()
    return rate


def interrupt(store: ClickHouseServer, after_seconds: float, seconds: float) -> None:
    time.sleep(after_seconds)
    store.stop()
    time.sleep(seconds)
    store.start()


def is_drained(server: Server) -> bool:
    counted = server.run("verify", check=False)
    return counted.get("inQueue") == 0 and counted.get("behindInQueue") == 0


def check_rows(store: ClickHouseServer, acknowledged: set[int], database: str = "default") -> None:
    """Each acknowledged event once, and no visit split."""
    counted = "SELECT JSONExtractUInt(customData, 'n') AS n, toInt64(sum(sign)), toInt64(uniqExact(id)) "
    # The product's own event of every minute is no page view.
    stored = store.ask(f"{counted} FROM event WHERE name = '$$pageView' GROUP BY n", database)
    copies = {number: (signs, ids) for number, signs, ids in stored}
    assert acknowledged <= copies.keys(), "acknowledged events are missing"
    assert {number for number, counts in copies.items() if counts != (1, 1)} == set(), "events are stored twice"
    of_users = "SELECT toString(userId), toInt64(uniqExact(sessionId)) FROM event FINAL WHERE name = '$$pageView' "
    visits = store.ask(f"{of_users} GROUP BY userId ORDER BY 1", database)
    assert len(visits) <= VISITORS
    assert [visit for visit in visits if visit[1] != 1] == [], "a visit was split"


def test_a_full_queue_refuses_until_there_is_room_again(tmp_path: Path, store: ClickHouseServer) -> None:
    """While the store is away events wait on disk up to the bound; beyond it the answer is an honest no."""
    settings = {"CLICKHOUSE_URL": store.url("default"), "VEMETRIC_QUEUE_JOBS_MAX": "1000"}
    server = Server(tmp_path / "data", environ=PROXY | settings)
    token = server.run("project", "create", "--name", "Full", "--domain", "example.com")["token"]
    server.start()
    store.stop()
    ledger = Ledger()
    send(server, token, ledger, 2.0, 1000)
    assert 0 < len(ledger.acknowledged) <= 1000
    assert ledger.refused > 0
    refusal = asyncio.run(http.send_and_stay(server.port, load.request(0, host="x.test", token=token, visitors=1)))
    assert (refusal.status, refusal.header("retry-after"), refusal.header("vemetric-refused")) == (503, "5", "busy")
    store.start()
    wait_for(lambda: is_drained(server), "empty queues", 60)
    first_of_last = ledger.next
    send(server, token, ledger, 0.1, 100)
    assert max(ledger.acknowledged) >= first_of_last
    wait_for(lambda: is_drained(server), "empty queues", 60)
    assert server.run("verify")["difference"] == 0
    check_rows(store, ledger.acknowledged)
    server.end()
