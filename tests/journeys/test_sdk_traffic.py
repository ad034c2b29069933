"""The published SDKs' recorded requests, sent byte by byte to the built executable: answers and numbers.

Of a request only what names the recording's own instance is replaced: the project's token, and cookies, which have to
be those that this instance gave. Everything is answered as recorded; what belongs to identified users is left out of
the numbers by a rule, see `is_of_users`.
"""

import asyncio
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from tests.kit import dashboard, deviations, http
from tests.kit.http import Answer
from tests.kit.process import Server, free_port, wait_for

DIRECTORY = Path(os.environ.get("VEMETRIC_TEST_VECTORS") or Path(__file__).parents[1] / "vectors")
RECORDED = json.loads((DIRECTORY / "sdk_traffic.json").read_text())
TOKEN, DOMAIN = re.findall(r"Project token (\w+), project domain ([\w.]+)", RECORDED["note"])[0]
# What a site's own proxy cuts off before it passes a request on.
PROXY_PREFIX = "/_vm"
SHARED_PATHS = ("/e", "/l", "/i", "/u", "/r")
# Of these alone the numbers are made.
COUNTED_PATHS = ("/e", "/l")

pytestmark = [pytest.mark.vectors, pytest.mark.journey]

Request = dict[str, Any]


class Played(NamedTuple):
    """A recorded request as it was sent, what the recording makes us expect, and what came."""

    request: Request
    expected: deviations.Expected
    answer: Answer

    @property
    def event(self) -> dict[str, Any] | None:
        """The body, if it is an event that counts: accepted, and no link to the project's own domain."""
        if (self.request["method"], self.request["path"], self.expected["status"]) != ("POST", "/e", 200):
            return None
        event: dict[str, Any] = json.loads(self.request["bodyText"])
        if event["name"] == "$$outboundLink":
            host = urlsplit(event["customData"]["href"]).hostname or ""
            return None if f".{host}".endswith(f".{DOMAIN}") else event
        return event

    def user(self) -> str:
        """Whose it is: that of the cookie, the server's own user, a new one with a cookie, or address and browser."""
        event = self.event or {}
        return (
            cookie(self.answer.header("set-cookie"))
            or cookie(deviations.header(self.request, "cookie"))
            or event.get("userIdentifier")
            or deviations.header(self.request, "user-agent")
            or ""
        )


def cookie(header: str | None) -> str | None:
    found = re.search(r"_vuid=(\d+)", header or "")
    return found.group(1) if found else None


def entries(*, of_users: bool) -> list[dict[str, Any]]:
    found = [entry for entry in RECORDED["entries"] if of_users or not is_of_users(entry["request"])]
    return sorted(found, key=lambda entry: entry["tMs"])


def is_of_users(request: Request) -> bool:
    """Identifying, updating and resetting users, and what depends on it: the browser's requests that carry the
    identifier of an identified user. Who is whom then depends on when merges run; see test_live_sdks.py."""
    path = request["path"].removeprefix(PROXY_PREFIX)
    if request["method"] == "OPTIONS":
        return False
    return path not in COUNTED_PATHS or "identifier" in json.loads(request["body"])


def as_sent(recorded: Request, token: str, cookies: dict[str, str]) -> Request:
    """The request in terms of this instance."""

    def ours(text: str) -> str:
        return re.sub(r"(?<=_vuid=)\d+", lambda id_: cookies.get(id_[0], id_[0]), text.replace(TOKEN, token))

    return {
        "method": recorded["method"],
        "path": recorded["path"].removeprefix(PROXY_PREFIX),
        "headers": [(name, ours(value)) for name, value in recorded["headers"]],
        "bodyText": ours(recorded["body"]),
    }


async def play(server: Server, hub_port: int, token: str, *, of_users: bool) -> list[Played]:
    """Send everything in its order, each cookie of the recording replaced by the one given in its place."""
    cookies: dict[str, str] = {}
    played = []
    for entry in entries(of_users=of_users):
        request, recorded = as_sent(entry["request"], token, cookies), entry["response"]
        recorded = recorded | {"headers": [[name.lower(), value] for name, value in recorded["headers"]]}
        port = server.port if request["path"] in SHARED_PATHS else hub_port
        answer = await http.replay(
            port, request["method"], request["path"], request["headers"], request["bodyText"].encode()
        )
        given = [cookie(value) for name, value in recorded["headers"] if name == "set-cookie"]
        if given and given[0] and (own := cookie(answer.header("set-cookie"))):
            cookies[given[0]] = own
        played.append(Played(request, deviations.mended(request, recorded), answer))
    return played


def started(data_dir: Path) -> Server:
    return Server(data_dir, environ={"VEMETRIC_HUB_LISTEN": f"127.0.0.1:{free_port()}"}).start()


def played_by(server: Server, *, of_users: bool) -> list[Played]:
    project = server.run("project", "create", "--name", "Recorded", "--domain", DOMAIN)
    hub_port = int(server.environ["VEMETRIC_HUB_LISTEN"].rpartition(":")[2])
    return asyncio.run(play(server, hub_port, project["token"], of_users=of_users))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Played]]:
    server = started(tmp_path_factory.mktemp("everything") / "data")
    yield played_by(server, of_users=True)
    wait_for(lambda: server.run("verify")["inQueue"] == 0, "an empty queue")
    assert server.run("verify")["difference"] == 0
    server.end()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = started(tmp_path_factory.mktemp("traffic") / "data")
    yield server
    server.end()


@pytest.fixture(scope="module")
def traffic(server: Server) -> list[Played]:
    return played_by(server, of_users=False)


@pytest.mark.parametrize(
    "number",
    range(len(entries(of_users=True))),
    ids=[f"{entry['request']['path']}-{entry['tMs']}" for entry in entries(of_users=True)],
)
def test_answers_as_recorded(everything: list[Played], number: int) -> None:
    _, expected, answer = everything[number]
    assert deviations.comparable(answer.status, answer.body.decode(), answer.headers) == deviations.comparable(
        expected["status"], expected["body"], expected["headers"]
    )


def test_numbers_are_those_of_the_accepted_requests(server: Server, traffic: list[Played]) -> None:
    counted = [played for played in traffic if played.event is not None]
    events = [played.event for played in counted if played.event is not None]
    page_views = [event["url"] for event in events if event["name"] == "$$pageView"]
    names = Counter(event["name"] for event in events if event["name"] != "$$pageView")
    wait_for(lambda: server.run("verify")["stored"] == len(events), f"{len(events)} stored events")
    shown = server.run("stats", DOMAIN)
    assert (shown["pageViews"], shown["events"]) == (len(page_views), names.total())
    assert shown["users"] == len({played.user() for played in counted})
    assert {row["name"]: row["count"] for row in shown["cards"]["events"]}.items() <= names.items()
    pages = Counter(re.split("[?#]", url)[0] for url in page_views)
    assert {row["detail"] + row["name"]: row["count"] for row in shown["cards"]["pages"]}.items() <= pages.items()
    assert server.run("verify")["difference"] == 0


@pytest.mark.browser
def test_numbers_in_the_page(server: Server, traffic: list[Played], browser: Browser) -> None:
    wait_for(lambda: server.run("verify")["inQueue"] == 0, "an empty queue")
    page = browser.new_page()
    dashboard.sign_in(page, server)
    page.goto(f"{server.url}/")
    tiles = dashboard.tiles(page)
    shown = server.run("stats", DOMAIN)
    assert (tiles["users"], tiles["pageViews"]) == (str(shown["users"]), str(shown["pageViews"]))
    pages = [[row["name"], str(row["users"]), str(row["count"])] for row in shown["cards"]["pages"]]
    assert [row[-3:] for row in dashboard.rows(page, "pages")] == pages
    events = [[str(row["users"]), str(row["count"])] for row in shown["cards"]["events"]]
    assert [row[1:] for row in dashboard.rows(page, "events")] == events
