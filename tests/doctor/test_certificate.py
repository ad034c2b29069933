"""What the doctor tells of certificates: those that end, those that do not come, and what keeps them away."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec
import pytest

from tests.doctor.test_doctor import RUNNING, SOUND, problems
from vemetric import config
from vemetric.acme import keeper
from vemetric.doctor.of_certificate import led_elsewhere

NAME = "stats.nowhere.invalid"
ORIGIN = f"https://{NAME}"
ACME = {"VEMETRIC_ACME_DOMAINS": NAME, "VEMETRIC_ACME_AGREE": "yes"}
AT_MS = round((SOUND.now - 600) * 1000)


def keep(data_dir: Path, *, days: float, names: tuple[str, ...] = (NAME,)) -> None:
    """Keep a certificate that ends in so many days."""
    folder = data_dir / keeper.FOLDER
    folder.mkdir(mode=0o700)
    began = datetime.fromtimestamp(SOUND.now, UTC) + timedelta(days=days - keeper.PLACEHOLDER_DAYS)
    (folder / keeper.CERTIFICATE).write_bytes(keeper.own_certificate(names, began))


def fail(data_dir: Path, said: str) -> None:
    """Note an attempt that failed."""
    folder = data_dir / keeper.FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    settings = keeper.settings_of(config.load({"VEMETRIC_DATA_DIR": str(data_dir), **ACME})[0])
    (folder / keeper.ATTEMPTS).write_bytes(msgspec.json.encode(keeper.Attempts(settings, 3, AT_MS, said)))


def test_one_that_lasts_is_no_problem(data_dir: Path) -> None:
    keep(data_dir, days=60)
    assert problems(data_dir, **ACME) == {}


def test_none_that_comes(data_dir: Path) -> None:
    assert problems(data_dir, **ACME)["certificate"] == "There is no certificate for stats.nowhere.invalid yet."
    fail(data_dir, "The ACME service answered 429: too many.")
    told = problems(data_dir, **ACME)["certificate"]
    assert told.startswith(
        "There is no certificate for stats.nowhere.invalid yet. Attempts that failed: 3, the last at "
    )
    assert told.endswith("+00:00: The ACME service answered 429: too many.")


@pytest.mark.parametrize(("days", "told"), [(12.2, "is not renewed: it ends in 12 days"), (-1, "has ended on 20")])
def test_one_that_is_not_renewed(data_dir: Path, days: float, told: str) -> None:
    keep(data_dir, days=days)
    fail(data_dir, "")
    assert told in problems(data_dir, **ACME)["certificate"]
    assert "it did not end" in problems(data_dir, **ACME)["certificate"]


def test_one_for_other_names(data_dir: Path) -> None:
    keep(data_dir, days=60, names=("old.example.com",))
    told = problems(data_dir, **ACME)["certificate"]
    assert told == "The certificate is for old.example.com, not for stats.nowhere.invalid."


@pytest.mark.parametrize("url", ["http://stats.nowhere.invalid", "https://other.example.com"])
def test_an_address_that_it_is_not_for(data_dir: Path, url: str) -> None:
    keep(data_dir, days=60)
    assert (
        "and the certificate is for stats.nowhere.invalid"
        in problems(data_dir, **ACME, VEMETRIC_PUBLIC_URL=url)["certificate"]
    )


@pytest.mark.parametrize(("days", "is_told"), [(9, True), (11, False)])
def test_one_of_the_operators_own(data_dir: Path, days: int, is_told: bool) -> None:
    keep(data_dir, days=days)
    both = str(data_dir / keeper.FOLDER / keeper.CERTIFICATE)
    found = problems(data_dir, VEMETRIC_TLS_CERTIFICATE=both, VEMETRIC_TLS_KEY=both)
    assert ("ends in 9 days" in found.get("certificate", "")) == is_told


@pytest.fixture
def web_server() -> Iterator[tuple[int, list[str]]]:
    """A port, and where it sends on to, if the list has an origin."""
    leads_to: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(308 if leads_to else 404)
            self.send_header("Content-Length", "0")
            for address in leads_to:
                self.send_header("Location", address + self.path)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing between the tests' own lines."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.server_port, leads_to
    server.shutdown()
    thread.join()
    server.server_close()


def test_where_the_port_for_challenges_leads(web_server: tuple[int, list[str]]) -> None:
    port, leads_to = web_server
    assert "is answered (404), but not by Vemetric" in led_elsewhere("127.0.0.1", ORIGIN, port)
    leads_to.append("https://other.example.com")
    assert "is answered (308), but not by Vemetric" in led_elsewhere("127.0.0.1", ORIGIN, port)
    leads_to[0] = ORIGIN
    assert led_elsewhere("127.0.0.1", ORIGIN, port) == ""


def test_a_name_that_leads_nowhere(data_dir: Path) -> None:
    keep(data_dir, days=60)
    told = problems(data_dir, SOUND._replace(running=RUNNING), **ACME)["certificate"]
    assert told.startswith(f"Port 80 of {NAME} cannot be reached")
