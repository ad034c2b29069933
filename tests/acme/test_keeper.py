"""Certificates from a real ACME service (Pebble): got, used, renewed in time, and asked for at a calm pace."""

import ssl
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from cryptography import x509

from tests.kit import servers
from vemetric import config
from vemetric.acme import keeper as acme
from vemetric.acme.keeper import PAUSES_SECONDS, Keeper
from vemetric.clock import FrozenClock, SystemClock
from vemetric.web.challenges import Challenges

NAMES = ("stats.example.com", "numbers.example.com")
ORIGIN = "https://stats.example.com"
LIFE_SECONDS = 90 * 86_400


class Used:
    """What was taken into use: as a server does, which refuses what does not belong together."""

    def __init__(self) -> None:
        self.serials: list[int] = []

    def __call__(self, both: Path) -> None:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(both)
        self.serials.append(x509.load_pem_x509_certificates(both.read_bytes())[0].serial_number)


@pytest.fixture(scope="module")
def http_port() -> int:
    return servers.free_port()


@pytest.fixture(scope="module")
def service(http_port: int) -> Iterator[servers.Acme]:
    started = servers.start_pebble(http_port, LIFE_SECONDS)
    yield started
    started.server.kill()


def make(folder: Path, service: servers.Acme, clock: FrozenClock, used: Used, names: tuple[str, ...] = NAMES) -> Keeper:
    environ = {
        "VEMETRIC_DATA_DIR": str(folder),
        "VEMETRIC_ACME_DOMAINS": ",".join(names),
        "VEMETRIC_ACME_AGREE": "yes",
        "VEMETRIC_ACME_EMAIL": "olga@example.com",
        "VEMETRIC_ACME_DIRECTORY": service.directory,
        "VEMETRIC_ACME_CA": str(service.ca),
    }
    made = Keeper(config.load(environ)[0], clock, used)
    made.prepare()
    return made


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(SystemClock().now_ms())


@pytest.fixture
async def challenges(http_port: int) -> AsyncIterator[dict[str, str]]:
    """What the port for challenges answers."""
    answers: dict[str, str] = {}
    runner = web.ServerRunner(web.Server(Challenges(answers, ORIGIN).handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", http_port).start()
    yield answers
    await runner.cleanup()


async def test_a_certificate_is_got_kept_and_renewed(
    tmp_path: Path, service: servers.Acme, clock: FrozenClock, challenges: dict[str, str]
) -> None:
    used = Used()
    keeper = make(tmp_path, service, clock, used)
    keeper.challenges = challenges
    assert await keeper.look() == acme.LOOK_SECONDS
    assert len(used.serials) == 1
    assert challenges == {}
    folder = tmp_path / acme.FOLDER
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    chain = x509.load_pem_x509_certificates((folder / acme.CERTIFICATE).read_bytes())
    names = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == set(NAMES)
    # A start with it asks for nothing, and begins with it.
    again = make(tmp_path, service, clock, used)
    again.challenges = challenges
    assert again.prepare() == folder / acme.CERTIFICATE
    await again.look()
    clock.advance(LIFE_SECONDS * 1000 * 60 // 100)
    assert await again.look() == acme.LOOK_SECONDS
    assert len(used.serials) == 1
    # It is looked at in time, however short the life.
    clock.advance(round(again.seconds_left() * 1000) - 5_000)
    assert 4 < await again.look() < 6
    # A third of its life is left: a new one, by the same account.
    account = (folder / acme.ACCOUNT).read_bytes()
    clock.advance(6_000)
    assert again.seconds_left() == 0
    await again.look()
    assert len(set(used.serials)) == 2
    assert (folder / acme.ACCOUNT).read_bytes() == account


async def test_other_names_are_another_certificate(
    tmp_path: Path, service: servers.Acme, clock: FrozenClock, challenges: dict[str, str]
) -> None:
    used = Used()
    for names in (NAMES[:1], NAMES[:1], NAMES):
        keeper = make(tmp_path, service, clock, used, names)
        keeper.challenges = challenges
        await keeper.look()
    assert len(used.serials) == 2


async def test_a_name_that_leads_elsewhere_gets_none(
    tmp_path: Path,
    service: servers.Acme,
    clock: FrozenClock,
    challenges: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    used = Used()
    # The port answers with what it knows, and this keeper's challenges it does not know.
    assert await make(tmp_path, service, clock, used).look() == PAUSES_SECONDS[0]
    assert "could not see that the name is ours" in caplog.text
    assert ". The next attempt is in 60 s." in caplog.text
    # Whoever changes the settings does not wait.
    keeper = make(tmp_path, service, clock, used, NAMES[:1])
    keeper.challenges = challenges
    await keeper.look()
    assert len(used.serials) == 1


async def test_a_service_is_asked_at_ever_longer_intervals(
    tmp_path: Path, service: servers.Acme, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Also over restarts, which systemd makes every second."""
    used = Used()
    away = service._replace(directory=f"https://127.0.0.1:{servers.free_port()}/dir")
    for failures, pause in enumerate((*PAUSES_SECONDS, PAUSES_SECONDS[-1]), 1):
        await make(tmp_path, away, clock, used).look()
        assert len(caplog.messages) == failures
        assert 0 < await make(tmp_path, away, clock, used).look() <= acme.LOOK_SECONDS
        clock.advance(pause * 1000 - 1)
        assert await make(tmp_path, away, clock, used).look() < 1
        assert len(caplog.messages) == failures
        clock.advance(1)
    assert "did not answer as it should: Cannot connect to host" in caplog.messages[0]
    assert used.serials == []


async def test_a_full_disk_is_not_the_last_attempt(
    tmp_path: Path, service: servers.Acme, clock: FrozenClock, challenges: dict[str, str]
) -> None:
    used = Used()
    keeper = make(tmp_path, service, clock, used)
    keeper.challenges = challenges
    # What stands where the note is written first refuses it, as a full disk does.
    in_the_way = tmp_path / acme.FOLDER / f"{acme.ATTEMPTS}.new"
    in_the_way.mkdir()
    assert await keeper.look() == PAUSES_SECONDS[0]
    assert used.serials == []
    in_the_way.rmdir()
    await keeper.look()
    assert len(used.serials) == 1


async def test_a_certificate_that_is_over_as_it_comes_is_no_reason_to_ask_without_end(
    tmp_path: Path, service: servers.Acme, clock: FrozenClock, challenges: dict[str, str]
) -> None:
    clock.advance(2 * LIFE_SECONDS * 1000)
    keeper = make(tmp_path, service, clock, Used())
    keeper.challenges = challenges
    assert await keeper.look() == acme.LOOK_SECONDS


async def test_the_port_shows_challenges_and_leads_others_to_https(challenges: dict[str, str], http_port: int) -> None:
    challenges["t"] = "t.k"
    async with ClientSession(f"http://127.0.0.1:{http_port}", headers={"Host": "evil.example"}) as client:
        async with client.get("/.well-known/acme-challenge/t") as answer:
            assert (answer.status, await answer.text()) == (200, "t.k")
        async with client.get("/.well-known/acme-challenge/other") as answer:
            assert answer.status == 404
        async with client.get("/p/1?t=live", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (308, f"{ORIGIN}/p/1?t=live")
        async with client.get(f"http://127.0.0.1:{http_port}//evil.example/a", allow_redirects=False) as answer:
            assert answer.headers["Location"].startswith(f"{ORIGIN}/")
        async with client.post("/e", json={}) as answer:
            assert answer.status == 403
