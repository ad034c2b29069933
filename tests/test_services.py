"""Opening the stores: what stands in the way is said in a sentence, and secrets are their owner's alone."""

import stat
from pathlib import Path

import pytest

from tests.kit import visits
from tests.kit.clickhouse_server import ClickHouseServer
from vemetric import config, errors, services
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock
from vemetric.ingest import identities, jobs
from vemetric.ingest.batch import Dated, OfSender
from vemetric.ingest.hit import BatchHit, IdentifyHit
from vemetric.ingest.turns import LOCK_MS
from vemetric.model import geo, secret


async def test_a_geo_file_that_is_none_stops_the_start(
    environ: dict[str, str], engine: Engine, clock: FrozenClock, tmp_path: Path
) -> None:
    junk = tmp_path / "places.mmdb"
    junk.write_text("garbage")
    settings, _ = config.load(environ | {"VEMETRIC_GEO_DATABASE": str(junk)})
    with pytest.raises(errors.Misconfigured, match=r"VEMETRIC_GEO_DATABASE is .* it must be an MMDB file"):
        async with services.open_services(settings, clock, engine):
            pass


async def test_a_process_that_was_killed_in_its_turn_holds_up_nobody(
    environ: dict[str, str], engine: Engine, clock: FrozenClock
) -> None:
    """Neither a batch nor an identification waits, or is put off, after the start."""
    settings, _ = config.load(environ)
    async with services.open_services(settings, clock, engine) as killed:
        project = await visits.a_project(killed)
        left = (
            f"batch:{project.id}",
            identities.turn_of_identifier(project.id, "kim"),
            identities.turn_of_user(project.id, 7),
        )
        for name in left:
            await killed.keys.set_if_absent(name, b"a process that was killed", clock.now_ms() + LOCK_MS)
    async with services.open_services(settings, clock, engine) as opened:
        hit = BatchHit(name="Sent again", id="a")
        sender = visits.sender(project)
        taken = await opened.batches.take(
            [Dated(hit, clock.now_ms(), "a")], OfSender(project, sender, jobs.pack_headers({}), geo.UNKNOWN)
        )
        assert (taken.accepted, taken.repeated) == (1, 0)
        identified = await opened.users.identify(IdentifyHit("kim"), project, sender, geo.UNKNOWN)
        assert not identified.is_running
        assert [await opened.keys.get(name) for name in left] == [None, None, None]


def test_a_secret_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    made = secret.load(path)
    assert len(made) == secret.SECRET_BYTES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret.load(path) == made


def test_a_secret_of_the_settings_is_the_same_everywhere(tmp_path: Path) -> None:
    said = {"VEMETRIC_SECRET": "x" * config.SECRET_CHARACTERS_MIN}
    secrets = {secret.of(config.load(said | {"VEMETRIC_DATA_DIR": str(tmp_path / name)})[0]) for name in ("a", "b")}
    assert [len(made) for made in secrets] == [secret.SECRET_BYTES]
    assert not list(tmp_path.iterdir())


def test_a_damaged_secret_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    path.write_bytes(b"short")
    with pytest.raises(errors.Misconfigured, match="is damaged"):
        secret.load(path)


def test_a_data_directory_that_cannot_be_is_said_so(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(errors.Misconfigured, match=r"VEMETRIC_DATA_DIR is .* it cannot be written"):
        services.make_private_directory(blocked / "data")


async def test_the_analytics_are_on_the_server_that_is_named_and_the_files_stay_one_process_own(
    environ: dict[str, str], clickhouse_server: ClickHouseServer, clock: FrozenClock
) -> None:
    settings, _ = config.load(environ | {"CLICKHOUSE_URL": clickhouse_server.url("stats")})
    async with services.open_services(settings, clock) as opened:
        assert await opened.engine.query("SELECT currentDatabase()") == [["stats"]]
        assert await opened.engine.query("SELECT count() FROM event") == [[0]]
        with pytest.raises(errors.InUse, match="in use by process"):
            async with services.open_services(settings, clock):
                pass
