"""A visitor turns out to be somebody known; the process dies by SIGKILL inside the merge, the next start ends it."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.kit import http, rows, visits
from tests.kit.process import ROOT, Server, wait_for

CRASHING = (sys.executable, str(ROOT / "tests" / "kit" / "crashing_server.py"))
NEVER = str(10**9)

pytestmark = pytest.mark.journey


def post(server: Server, path: str, token: str, agent: str, **body: Any) -> None:
    headers = [
        ("Content-Type", "application/json"),
        ("Token", token),
        ("User-Agent", agent),
        ("Allow-Cookies", "false"),
    ]
    answer = asyncio.run(http.exchange(server.port, "POST", path, headers, msgspec.json.encode(body)))
    assert answer.status == 200, answer


def run_until(server: Server, moment: str, turn: str) -> Server:
    environ = {"VEMETRIC_TEST_CRASH_AT": moment, "VEMETRIC_TEST_CRASH_TURN": turn}
    return Server(server.data_dir, port=server.port, command=CRASHING, environ=environ).start()


@pytest.mark.parametrize("moment", ["merge:switch", "merge:take-sessions-back"])
def test_killed_inside_a_merge(tmp_path: Path, moment: str) -> None:
    server = Server(
        tmp_path / "data", command=CRASHING, environ={"VEMETRIC_TEST_CRASH_AT": "", "VEMETRIC_TEST_CRASH_TURN": NEVER}
    )
    token = server.run("project", "create", "--name", "Crash", "--domain", "example.com")["token"]
    server = run_until(server, moment, "1")
    page = {"name": "$$pageView", "url": "https://example.com/"}
    post(server, "/e", token, visits.CHROME, **page)
    post(server, "/i", token, visits.CHROME, identifier="ada")
    post(server, "/e", token, visits.IPHONE, **page, customData={"n": 2**60 + 1})
    post(server, "/i", token, visits.IPHONE, identifier="ada")
    assert server.wait(60) == -9, f"the process did not reach {moment}"
    server = run_until(server, moment, NEVER)
    try:
        wait_for(lambda: server.run("verify", check=False).get("behindInQueue") == 0, "empty queues", 60)
        assert server.run("verify")["difference"] == 0
    finally:
        server.stop()
    events = rows.of(server.data_dir, "SELECT userId, sessionId, customData FROM event FINAL ORDER BY createdAt")
    assert len({(user_id, session_id) for user_id, session_id, _ in events}) == 1
    assert [data for *_, data in events] == ["", f'{{"n":{2**60 + 1}}}']
    [[user_id, session_id, _], _] = events
    visits_left = "SELECT userId, id FROM session FINAL WHERE deleted = 0"
    assert rows.of(server.data_dir, visits_left) == [[user_id, session_id]]
    assert rows.of(server.data_dir, "SELECT count() FROM user_merge") == [[0]]
