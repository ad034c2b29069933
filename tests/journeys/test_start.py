"""The operator's command line and the process, in each other's way and without each other, as scripts meet them."""

import json
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, expect

from tests.kit import dashboard
from tests.kit.process import Server, wait_for

SHOP = ("project", "create", "--name", "Shop", "--domain", "shop.test")
COMMANDS_AT_ONCE = 3
# A directory whose socket could not have an address.
LONG_NAME = "d" * 120
# What a container platform puts into the environment for a service of this name.
INJECTED = {
    "VEMETRIC_SERVICE_HOST": "10.0.0.7",
    "VEMETRIC_SERVICE_PORT": "4000",
    "VEMETRIC_PORT": "tcp://10.0.0.7:4000",
    "VEMETRIC_PORT_4000_TCP": "tcp://10.0.0.7:4000",
    "VEMETRIC_PORT_4000_TCP_ADDR": "10.0.0.7",
}
# Each command that must not succeed, over a server that has an account and the shop: its exit code and its sentence.
REFUSED = {
    ("stats", "elsewhere.test"): (1, "There is no project for elsewhere.test."),
    ("stats", "shop.test", "--timespan", "2days"): (2, "There is no timespan 2days; "),
    SHOP: (1, "There is a project for shop.test already."),
    ("project", "create", "--name", "Shop", "--domain", "localhost"): (2, "Domain: "),
    ("account", "create", "--email", dashboard.EMAIL, "--password", "correct horse"): (1, ""),
    ("account", "create", "--email", "nobody", "--password", "correct horse"): (2, "E-mail: "),
    ("account", "reset-password", "--email", "bob@example.com"): (1, ""),
    ("setup-link",): (1, "There is an account already, so there is nothing to set up."),
    ("nonsense",): (2, ""),
}

Serve = Callable[..., Server]

pytestmark = pytest.mark.journey


@pytest.fixture
def stopped(tmp_path: Path) -> Server:
    """A server that was never started, over the data of a script: an account and a project."""
    server = Server(tmp_path / "data")
    typed = ("account", "create", "--email", dashboard.EMAIL, "--password-stdin")
    done = server.command(*typed, stdin=f"{dashboard.PASSWORD}\n")
    assert done.returncode == 0, done.stderr
    assert len(server.run(*SHOP)["token"]) == 16
    return server


@pytest.mark.browser
def test_what_a_script_made_a_person_signs_in_to(stopped: Server, serve: Serve, browser: Browser) -> None:
    server = serve()
    assert server.data_dir == stopped.data_dir
    assert "/setup" not in server.log[-1]
    page = browser.new_page()
    dashboard.log_in(page, server, dashboard.PASSWORD)
    expect(page.get_by_role("heading", level=1)).to_have_text("Waiting for the first event")
    here = page.url
    password = server.run("account", "reset-password", "--email", dashboard.EMAIL)["password"]
    page.goto(here)
    assert urlsplit(page.url).path == "/login"
    dashboard.log_in(page, server, password)
    page.goto(here)
    expect(page.get_by_role("heading", level=1)).to_have_text("Waiting for the first event")


def test_figures_are_the_same_beside_the_process_and_without(server: Server) -> None:
    token = server.run(*SHOP)["token"]
    body = json.dumps({"name": "$$pageView", "url": "https://www.shop.test/a"}).encode()
    headers = {"Token": token, "Content-Type": "application/json", "User-Agent": "curl/8.5.0"}
    for _ in range(3):
        with urlopen(Request(f"{server.url}/e", body, headers)) as answer:
            assert answer.status == 200
    wait_for(lambda: server.run("verify")["stored"] == 3, "the events")

    def figures() -> dict[str, object]:
        shown = server.run("stats", "shop.test")
        return {key: shown[key] for key in ("users", "pageViews", "events", "bounceRate", "visitDuration", "cards")}

    beside = figures()
    assert (beside["users"], beside["pageViews"], beside["events"]) == (1, 3, 0)
    assert server.stop() == 0
    assert figures() == beside
    verified = server.run("verify")
    assert (verified["accepted"], verified["stored"], verified["difference"]) == (3, 3, 0)
    server.start()
    assert figures() == beside


def test_what_is_refused_is_refused_alike_with_and_without_the_process(stopped: Server, serve: Serve) -> None:
    def ends() -> dict[tuple[str, ...], tuple[int, str, str]]:
        done = {arguments: stopped.command(*arguments, "--json") for arguments in REFUSED}
        return {arguments: (one.returncode, one.stdout, one.stderr) for arguments, one in done.items()}

    without = ends()
    serve()
    assert ends() == without
    for arguments, (code, out, told) in without.items():
        expected_code, sentence = REFUSED[arguments]
        assert (code, json.loads(out).keys()) == (expected_code, {"error"}), arguments
        assert json.loads(out)["error"].startswith(sentence), arguments
        assert told.endswith(f"vemetric: {json.loads(out)['error']}\n")


def test_commands_wait_for_a_start_under_way(tmp_path: Path, serve: Serve) -> None:
    server = Server(tmp_path / "data")
    with ThreadPoolExecutor(COMMANDS_AT_ONCE + 1) as pool:
        starting = pool.submit(serve)
        made = [
            pool.submit(server.run, "project", "create", "--name", f"Shop {n}", "--domain", f"shop-{n}.test")
            for n in range(COMMANDS_AT_ONCE)
        ]
        domains = {one.result()["domain"] for one in made}
        # Whoever came first had the data; the start may have been the one that was refused.
        refused = starting.exception()
    assert refused is None or "is in use" in str(refused)
    assert {project["domain"] for project in server.run("project", "list")["projects"]} == domains


def test_a_long_path_of_the_data_has_its_socket_elsewhere(tmp_path: Path) -> None:
    server = Server(tmp_path / LONG_NAME / "data").start()
    try:
        made = server.run(*SHOP)
        place = Path((server.data_dir / "control.path").read_text())
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
        assert server.stop() == 0
        assert not place.parent.exists()
        assert server.run("project", "list")["projects"] == [made]
    finally:
        server.kill()


def test_names_that_a_platform_injects_only_warn(serve: Serve) -> None:
    server = serve(**INJECTED, VEMETRIC_TEST_ANYTHING="1")
    warned = [line for line in server.log if " WARNING " in line]
    assert [line.partition(" WARNING ")[2].partition(" ")[0] for line in warned] == sorted(INJECTED)
    shown = {one["name"]: one for one in server.run("config")["settings"]}
    assert shown["VEMETRIC_DATA_DIR"]["value"] == str(server.data_dir)
    assert shown["VEMETRIC_LISTEN"]["isSet"]
    assert server.stop() == 0
