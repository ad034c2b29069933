"""Every acknowledged event is stored exactly once, whatever is killed, and no visit is split by it.

The process dies by SIGKILL at random moments under load, and inside the insert and the acknowledgement, where a probe
of the test's own start script ends it. The load knows of every event whether it was acknowledged.
"""

import random
import sys
from pathlib import Path

import pytest

from tests.kit import rows
from tests.kit.ledger import PROXY, VISITORS, Ledger, send, send_and_kill
from tests.kit.process import ROOT, Server, wait_for

CRASHING = (sys.executable, str(ROOT / "tests" / "kit" / "crashing_server.py"))

pytestmark = pytest.mark.journey


def check(server: Server, ledger: Ledger) -> None:
    """Let the backlog drain, ask `verify`, and compare the rows with what was acknowledged."""
    server.start()
    wait_for(lambda: is_drained(server), "empty queues", 120)
    verified = server.run("verify")
    assert (verified["difference"], verified["dead"], verified["behindDead"]) == (0, 0, 0)
    assert server.stop() == 0
    stored = rows.of(
        server.data_dir,
        "SELECT JSONExtractUInt(customData, 'n') AS n, sum(sign), uniqExact(id) FROM event GROUP BY n",
    )
    copies = {number: (signs, ids) for number, signs, ids in stored}
    assert ledger.acknowledged <= copies.keys(), "acknowledged events are missing"
    assert {number for number, counts in copies.items() if counts != (1, 1)} == set(), (
        "events are stored more than once"
    )
    assert len(copies) <= ledger.next
    visits = rows.of(server.data_dir, "SELECT userId, uniqExact(sessionId), count() FROM event FINAL GROUP BY userId")
    assert len(visits) <= VISITORS
    assert [visit for visit in visits if visit[1] != 1] == [], "a visit was split"
    times = rows.of(
        server.data_dir,
        "SELECT sessionId, toString(min(createdAt)), toString(max(createdAt)) FROM event FINAL "
        "GROUP BY ALL ORDER BY ALL",
    )
    sessions = rows.of(
        server.data_dir,
        "SELECT id, toString(startedAt), toString(endedAt) FROM session FINAL WHERE deleted = 0 ORDER BY ALL",
    )
    assert sessions == times, "a visit does not last from its first event to its last"


def is_drained(server: Server) -> bool:
    """Whether no job of any queue waits."""
    counted = server.run("verify", check=False)
    return counted.get("inQueue") == 0 and counted.get("behindInQueue") == 0


@pytest.fixture
def token(tmp_path: Path) -> str:
    """A project made before the first start, by the command line."""
    server = Server(tmp_path / "data")
    token: str = server.run("project", "create", "--name", "Crash", "--domain", "example.com")["token"]
    return token


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.long)])
def test_killed_at_random_moments(tmp_path: Path, token: str, kills: int) -> None:
    ledger = Ledger()
    server = Server(tmp_path / "data", environ=PROXY)
    for _ in range(kills):
        server.start()
        send_and_kill(server, token, ledger, random.uniform(0.5, 4.0))
    # However slow the machine is: that there was something to lose.
    assert len(ledger.acknowledged) > kills * 10
    check(server, ledger)


@pytest.mark.parametrize("moment", ["before-insert", "after-insert", "before-ack", "after-ack"])
def test_killed_inside(tmp_path: Path, token: str, moment: str) -> None:
    ledger = Ledger()
    for turn in range(2):
        crashing = Server(
            tmp_path / "data",
            command=CRASHING,
            environ=PROXY | {"VEMETRIC_TEST_CRASH_AT": moment, "VEMETRIC_TEST_CRASH_TURN": str(3 + 4 * turn)},
        )
        crashing.start()
        send(crashing, token, ledger, 20)
        assert crashing.wait(20) == -9, f"the process did not reach {moment}"
    check(Server(tmp_path / "data", environ=PROXY), ledger)
