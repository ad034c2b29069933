"""No acknowledged identification or update is lost or done twice, wherever the process is killed by SIGKILL."""

import http.client
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.test_crash import is_drained
from tests.kit import rows
from tests.kit.process import ROOT, Server, wait_for

# The load names a visitor's address as a proxy on this machine would.
PROXY = {"VEMETRIC_TRUSTED_PROXIES": "127.0.0.1"}
CRASHING = (sys.executable, str(ROOT / "tests" / "kit" / "crashing_server.py"))
PEOPLE_MAX = 2_000
# Between the identity in one store and the row in the other, and around each step of the queues' workers.
MOMENTS = ("create-user:identified", "before-insert", "after-insert", "before-ack", "after-ack")

pytestmark = pytest.mark.journey


class People:
    """Who was identified, and what was said of them, as far as it was acknowledged. Each has two browsers."""

    def __init__(self, token: str) -> None:
        self._token = token
        self.next = 0
        self.identified: set[str] = set()
        self.updated: set[str] = set()

    def speak(self, server: Server) -> None:
        """Identify one person after the other until the server dies."""
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        try:
            while self.next < PEOPLE_MAX:
                self._person(connection, self.next)
                self.next += 1
        except (OSError, http.client.HTTPException):
            # The one whose requests were under way comes again, as a browser would.
            pass
        finally:
            connection.close()

    def _person(self, connection: http.client.HTTPConnection, number: int) -> None:
        identifier = f"person-{number}"
        said = {"set": {"n": number}, "setOnce": {"first": True}, "unset": ["tmp"]}
        for browser in ("desk", "phone"):
            agent = f"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0 {browser} {number}"
            page = {"name": "$$pageView", "url": f"https://example.com/{browser}"}
            self._post(connection, "/e", page, agent)
            if self._post(connection, "/i", {"identifier": identifier, "data": said}, agent):
                self.identified.add(identifier)
            if self._post(connection, "/u", {"identifier": identifier, "data": {"set": {browser: 1}}}, agent):
                self.updated.add(f"{identifier} {browser}")

    def _post(self, connection: http.client.HTTPConnection, path: str, body: dict[str, Any], agent: str) -> bool:
        headers = {"Token": self._token, "User-Agent": agent, "X-Forwarded-For": "203.0.113.9"}
        connection.request("POST", path, json.dumps(body), headers)
        with connection.getresponse() as answer:
            answer.read()
            return answer.status == 200


def check(server: Server, people: People) -> None:
    """Let everything be done, then compare the rows with what was acknowledged."""
    server.start()
    wait_for(lambda: is_drained(server), "empty queues", 120)
    assert server.run("verify")["difference"] == 0
    assert server.stop() == 0
    stored = rows.of(server.data_dir, "SELECT identifier, toString(id), customData FROM user FINAL WHERE deleted = 0")
    data = {identifier: json.loads(text) for identifier, _, text in stored}
    assert len(data) == len(stored), "an identifier has two users"
    assert people.identified <= data.keys(), "an acknowledged identification is missing"
    assert {
        f"{name} {key}" for name, said in data.items() for key in said if key in ("desk", "phone")
    } >= people.updated
    assert all(said["first"] and name == f"person-{said['n']}" for name, said in data.items())
    users = {user_id for _, user_id, _ in stored}
    strangers = {user for (user,) in rows.of(server.data_dir, "SELECT DISTINCT toString(userId) FROM event FINAL")}
    # The last person's second browser may have been cut off before it was identified.
    assert len(strangers - users) <= 2, "a visit of an identified person was left behind"


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_inside(tmp_path: Path, moment: str) -> None:
    data_dir = tmp_path / "data"
    project = Server(data_dir).run("project", "create", "--name", "Crash", "--domain", "example.com")
    people = People(project["token"])
    for turn in (4, 8):
        crash = {"VEMETRIC_TEST_CRASH_AT": moment, "VEMETRIC_TEST_CRASH_TURN": str(turn)}
        crashing = Server(data_dir, command=CRASHING, environ=PROXY | crash).start()
        people.speak(crashing)
        assert crashing.wait(20) == -9, f"the process did not reach {moment}"
    assert len(people.identified) > 1
    check(Server(data_dir, environ=PROXY), people)
