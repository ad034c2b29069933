"""The first run: from the line in the log over the set-up page to a dashboard, and what must never work."""

import http.client
import re
import shutil
import sqlite3
import stat
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.kit import dashboard
from tests.kit.process import EXECUTABLE, Server, free_port, wait_for
from tests.kit.site import Site
from vemetric.database.migrate import VERSION_TABLE
from vemetric.model.data_directory import DATABASE_NAME, QUEUE_NAME, SECRET_NAME

TYPED = {
    "name": "Ann Example",
    "email": dashboard.EMAIL,
    "password": dashboard.PASSWORD,
    "organization": "Northwind",
    "project": "Shop",
    "domain": "shop.test",
}
RACERS = 4
ENDED_SECONDS_MAX = 20
# The page hears from the server every second; the rest is for a busy machine.
SEEN_MS_MAX = 15_000
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

Serve = Callable[..., Server]

pytestmark = pytest.mark.journey


def set_up(page: Page, link: str) -> None:
    """Fill in the form behind the link and send it."""
    page.goto(link)
    for name, text in TYPED.items():
        page.fill(f"#{name}", text)
    page.get_by_role("button", name="Create account and project").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Waiting for the first event")


def visit(browser: Browser, url: str, user_agent: str | None = None) -> None:
    """Open a tracked page as somebody else would and leave it."""
    visitor = browser.new_page(user_agent=user_agent)
    visitor.goto(url, wait_until="networkidle")
    visitor.close()


def exclude_own_address(page: Page, button: str) -> None:
    """Press a button of the project's exclusions and come back."""
    back = page.url
    page.goto(f"{back}/settings/exclusions")
    page.get_by_role("button", name=button).click()
    page.goto(back)


@pytest.mark.browser
def test_from_the_link_to_the_dashboard(server: Server, site: Site, browser: Browser) -> None:
    link = server.setup_link()
    assert link.startswith(f"{server.url}/setup/")
    operator = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = operator.new_page()
    page.goto(link)
    expect(page.get_by_text("This page came over plain http.")).to_be_visible()
    set_up(page, link)
    page.get_by_role("button", name="Copy the script tag").click()
    snippet = page.evaluate("navigator.clipboard.readText()")
    token = server.run("project", "list")["projects"][0]["token"]
    assert (f'src="{server.url}/main.js"' in snippet, f'data-token="{token}"' in snippet) == (True, True)
    assert re.findall(r"\w+://[^/]+", snippet) == [server.url]
    site.add("/", snippet)
    site.add("/wrong", snippet.replace(token, "wrong-token"))
    seen = page.locator("[data-seen]")
    for url, user_agent, label, fix in (
        (site.url("www.shop.test", "/wrong"), None, "Wrong token", token),
        (site.url("www.shop.test"), BOT, "Bot", "Open the page in an everyday browser"),
        (site.url("localhost"), None, "Localhost", "Open the site under its domain"),
    ):
        visit(browser, url, user_agent)
        expect(seen).to_contain_text(label, timeout=SEEN_MS_MAX)
        expect(seen).to_contain_text(fix)
    exclude_own_address(page, "Exclude it")
    visit(browser, site.url("www.shop.test"))
    expect(seen).to_contain_text("Excluded address", timeout=SEEN_MS_MAX)
    exclude_own_address(page, "Count 127.0.0.1 again")
    expect(page.get_by_role("heading", level=1)).to_have_text("Waiting for the first event")
    assert server.run("stats", "shop.test")["users"] == 0
    visit(browser, site.url("www.shop.test", "/?ref=news"))
    expect(page.locator("#tile-users .metric__value")).to_have_text("1", timeout=SEEN_MS_MAX)
    assert dashboard.tiles(page)["pageViews"] == "1"
    assert dashboard.rows(page, "sources") == [["news", "1"]]


@pytest.mark.browser
def test_the_link_is_dead_after_use_and_a_stop_waits_for_nobody(server: Server, browser: Browser) -> None:
    link = server.setup_link()
    page = browser.new_page()
    set_up(page, link)
    other = browser.new_page()
    other.goto(link)
    expect(other.get_by_role("heading", level=1)).to_have_text("Sign in")
    refused = server.run("setup-link", check=False)
    assert refused == {"error": "There is an account already, so there is nothing to set up."}
    [account] = server.run("account", "list")["accounts"]
    assert (account["email"], account["isOperator"]) == (dashboard.EMAIL, True)
    # The page holds a stream open.
    assert server.stop() == 0
    server.start()
    assert server.log[-1] == f"{server.log[-1].partition(' INFO ')[0]} INFO Vemetric is ready at {server.url}"


def test_of_racing_posts_one_wins(server: Server) -> None:
    link = urlsplit(server.setup_link())

    def race(number: int) -> str:
        """Post the form as a browser of its own; answers where it leads."""
        with closing(http.client.HTTPConnection(link.netloc, timeout=60)) as connection:
            connection.request("GET", link.path)
            shown = connection.getresponse()
            cookie = (shown.getheader("Set-Cookie") or "").partition(";")[0]
            csrf = re.search(r'name="csrf" value="(\w+)"', shown.read().decode())
            assert csrf is not None
            typed = {**TYPED, "email": f"racer-{number}@example.com", "domain": f"racer-{number}.test"}
            typed |= {"time_zone": "Europe/Vienna", "csrf": csrf[1]}
            headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", link.path, urlencode(typed), headers)
            answer = connection.getresponse()
            return f"{answer.status} {answer.getheader('Location')}"

    with ThreadPoolExecutor(RACERS) as pool:
        ends = sorted(pool.map(race, range(RACERS)))
    [project] = server.run("project", "list")["projects"]
    assert ends == ["303 /login"] * (RACERS - 1) + [f"303 /p/{project['id']}"]
    [account] = server.run("account", "list")["accounts"]
    assert account["isOperator"]
    assert project["domain"] == account["email"].replace("@example.com", ".test")


def test_a_newer_link_ends_the_older(server: Server) -> None:
    older, newer = server.setup_link(), server.run("setup-link")["url"]

    def status(link: str) -> int:
        parts = urlsplit(link)
        with closing(http.client.HTTPConnection(parts.netloc, timeout=60)) as connection:
            connection.request("GET", parts.path)
            return connection.getresponse().status

    assert (status(older), status(newer), status(f"{newer}x")) == (403, 200, 403)


def test_an_account_of_the_command_line_ends_the_link(server: Server) -> None:
    server.run("account", "create", "--email", dashboard.EMAIL, "--password", dashboard.PASSWORD)
    link = urlsplit(server.setup_link())
    with closing(http.client.HTTPConnection(link.netloc, timeout=60)) as connection:
        connection.request("POST", link.path, urlencode(TYPED), {"Content-Type": "application/x-www-form-urlencoded"})
        assert connection.getresponse().status in (303, 403)
    assert server.run("project", "list")["projects"] == []


def refusal(server: Server) -> str:
    """The one line with which a start ends that must not succeed, after its exit code."""
    with pytest.raises(AssertionError, match="ended at start"):
        server.start()
    code = wait_for(lambda: server.wait(ENDED_SECONDS_MAX), "the end")
    return f"{code} {server.log[-1]}"


def test_a_second_start_on_the_same_data_stops_and_says_so(server: Server) -> None:
    second = Server(server.data_dir)
    said = refusal(second)
    assert len(second.log) == 1
    assert re.fullmatch(rf"2 vemetric: .*in use by process {server.pid};.*", said), said
    assert server.run("account", "list") == {"accounts": []}


@pytest.mark.parametrize("store", [DATABASE_NAME, QUEUE_NAME])
def test_data_of_a_newer_version_is_refused(server: Server, store: str) -> None:
    assert server.stop() == 0
    with closing(sqlite3.connect(server.data_dir / store)) as db, db:
        newer = {
            DATABASE_NAME: f"UPDATE {VERSION_TABLE} SET version_num = '9999'",
            QUEUE_NAME: "PRAGMA user_version = 9999",
        }
        db.execute(newer[store])
    server.log.clear()
    said = refusal(server)
    assert len(server.log) == 1
    assert re.fullmatch(r"2 vemetric: .*newer.*", said), said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("VEMETRIC_LISTEN", "everywhere", "address:port"),
        ("VEMETRIC_TRUSTED_PROXIES", "nowhere", "nowhere"),
        ("VEMETRIC_DATADIR", "/data", "did you mean VEMETRIC_DATA_DIR"),
        ("VEMETRIC_TLS_KEY", "/missing/key.pem", "/missing/key.pem"),
    ],
)
def test_a_bad_setting_stops_the_start(tmp_path: Path, name: str, value: str, said: str) -> None:
    server = Server(tmp_path / "data", environ={name: value})
    ended = refusal(server)
    assert len(server.log) == 1
    assert ended.startswith(f"2 vemetric: {name}")
    assert said in ended
    assert not (tmp_path / "data").exists()


def test_a_taken_port_stops_the_start(tmp_path: Path, server: Server) -> None:
    second = Server(tmp_path / "other", port=server.port)
    assert refusal(second).startswith(f"2 vemetric: VEMETRIC_LISTEN is '127.0.0.1:{server.port}'")


def test_what_is_kept_is_for_the_owner_alone(server: Server) -> None:
    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    assert mode(server.data_dir) == 0o700
    assert mode(server.data_dir / SECRET_NAME) == 0o600
    assert mode(server.data_dir / "control.sock") == 0o600


def test_needs_no_environment_and_no_writable_home(tmp_path: Path) -> None:
    """As an image or a service manager may start it; nothing of an earlier unpacking is at hand either."""
    port = free_port()
    bare = ("env", "-i", f"--chdir={tmp_path}", "HOME=/proc", f"VEMETRIC_LISTEN=127.0.0.1:{port}")
    server = Server(tmp_path / "vemetric-data", port=port, command=(*bare, sys.executable, str(EXECUTABLE)))
    try:
        server.start()
        assert server.run("project", "create", "--name", "Bare", "--domain", "bare.test")["domain"] == "bare.test"
        assert server.stop() == 0
    finally:
        server.kill()
        shutil.rmtree(tmp_path / "vemetric-data" / ".runtime", ignore_errors=True)
