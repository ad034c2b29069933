"""The memory limit holds over ten million events while every page is opened, with all timespans, with filters and with
the panels that come late, and hits come in.
"""

import asyncio
import html
import http.cookiejar
import os
import re
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import memory
from tests.kit import ledger
from tests.kit.process import ROOT, Server
from vemetric.model.data_directory import ANALYTICS_NAME, DATABASE_NAME
from vemetric.model.timespan import PRESETS

EVENTS = 10_000_000
LIMIT_MB = 800
EMAIL, PASSWORD = "ann@example.com", "a good password"
PAGES = ("", "/users", "/events", "/funnels", "/settings")
READERS = 3
# One round each.
FILTERS = (
    "",
    "page(path:contains:docs)",
    "or(user(anonymous);os(os:oneOf:macOS))",
    "and(event(name:is:PlanSelected);location(country:oneOf:US))",
)
# What a page fetches by itself once it is shown: panels that were not counted in time.
LATE = re.compile(r'hx-get="([^"]+)" hx-trigger="load"')


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Over the store that benchmarks/data.py makes; VEMETRIC_TEST_STORE names one that is made already."""
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o700)
    made = os.environ.get("VEMETRIC_TEST_STORE")
    memory.make_store(data_dir / ANALYTICS_NAME, Namespace(store=Path(made) if made else None, events=EVENTS))
    asyncio.run(memory.name_project(data_dir / DATABASE_NAME))
    environ = ledger.PROXY | {"PYTHONPATH": str(ROOT), "VEMETRIC_MEMORY_LIMIT": str(LIMIT_MB)}
    running = Server(data_dir, environ=environ, command=(sys.executable, "-m", "vemetric"))
    # First, so that it makes the stores that are not there yet: a command takes no directory with only some of them.
    running.start()
    running.run("account", "create", "--email", EMAIL, "--password", PASSWORD)
    yield running
    running.kill()


def signed_in(server: Server) -> urllib.request.OpenerDirector:
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    page = browser.open(f"{server.url}/login").read().decode()
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    form = urllib.parse.urlencode({"csrf": found.group(1), "email": EMAIL, "password": PASSWORD})
    browser.open(f"{server.url}/login", form.encode()).read()
    return browser


def open_every_page(server: Server, browser: urllib.request.OpenerDirector, root: str, answers: Counter[str]) -> None:
    for filters in FILTERS:
        for timespan in PRESETS:
            for page in PAGES:
                query = urllib.parse.urlencode({"t": timespan, "f": filters} if filters else {"t": timespan})
                shown = opened(browser, f"{root}{page}?{query}", "page", answers)
                for late in LATE.findall(shown):
                    opened(browser, server.url + html.unescape(late), "late panel", answers)


def opened(browser: urllib.request.OpenerDirector, url: str, what: str, answers: Counter[str]) -> str:
    try:
        with browser.open(url, timeout=120) as answer:
            answers[f"{what} {answer.status}"] += 1
            text: str = answer.read().decode()
            return text
    except urllib.error.HTTPError as error:
        answers[f"{what} {error.code}"] += 1
        return ""


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_ten_million_events_fit(server: Server) -> None:
    [project] = [one for one in server.run("project", "list")["projects"] if one["domain"] == memory.DOMAIN]
    browser = signed_in(server)
    watch = memory.Watch(server)
    watch.start()
    answers: Counter[str] = Counter()
    root = f"{server.url}/p/{project['id']}"
    readers = [threading.Thread(target=open_every_page, args=(server, browser, root, answers)) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    sent = ledger.Ledger()
    while any(reader.is_alive() for reader in readers):
        ledger.send(server, memory.TOKEN, sent, seconds=5, per_second=200)
    peak_mb = watch.end()
    print(f"at most {peak_mb:.0f} MB of {LIMIT_MB}; answers {dict(answers)}; {len(sent.acknowledged)} hits")
    assert peak_mb <= LIMIT_MB
    assert answers["page 200"] == READERS * len(FILTERS) * len(PRESETS) * len(PAGES)
    assert answers["late panel 200"] > 0
    assert set(answers) == {"page 200", "late panel 200"}
    assert sent.refused == 0
    assert server.run("verify", "--project", memory.DOMAIN, check=False)["missing"] == 0
