"""The hub answers the recorded requests as the original did, but where the original was wrong.

Every deviation is a rule over the request with the number of the defect (section 10 of the recorded contract's notes)
that it mends; see tests/kit/deviations.py.
"""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.kit import deviations, http, places
from vemetric.database import identities as stored_identities
from vemetric.database import organizations, projects
from vemetric.ingest import identities, jobs
from vemetric.model import ids
from vemetric.model.organization import Organization
from vemetric.model.project import Project
from vemetric.services import Services
from vemetric.web.hub import Hub
from vemetric.web.hub_protocol import HubSite
from vemetric.web.tracker import Tracker

DIRECTORY = Path(os.environ.get("VEMETRIC_TEST_VECTORS") or Path(__file__).parents[1] / "vectors")
TOKEN = "tok1234567890abcd"
PROJECT_ID = 9910000000000001
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36"
)

pytestmark = pytest.mark.vectors


def cases() -> list[dict[str, Any]]:
    recorded: list[dict[str, Any]] = json.loads((DIRECTORY / "hub_http.json").read_text())
    return recorded


@pytest.fixture
def environ(environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The places the recording knew, and its trust in everybody's headers."""
    known = {"66": "AT", "65": "SG", "67": "KP"}
    database = places.write(
        tmp_path / "places.mmdb", {f"203.0.113.{last}/32": {"country_code": code} for last, code in known.items()}
    )
    return environ | {"VEMETRIC_GEO_DATABASE": str(database), "VEMETRIC_TRUSTED_PROXIES": "everything"}


@pytest.fixture
async def hub_port(services_at_noon: Services) -> AsyncIterator[int]:
    """The hub on a listener of its own, with the project, identities and sessions of the recording."""
    services = services_at_noon
    async with services.database.begin() as connection:
        organization_id = ids.random_id(16)
        await organizations.create(connection, Organization(organization_id, "Recorded", 0))
        recorded = Project(
            PROJECT_ID, organization_id, "Recorded", "mysite.com", TOKEN,
            excluded_ips=("198.51.100.10",), excluded_countries=("KP",),
        )  # fmt: skip
        await projects.create(connection, recorded)
        await stored_identities.insert_if_absent(connection, PROJECT_ID, 555, "known", 0)
    hub = Hub(services, Tracker())
    runner = web.ServerRunner(web.Server(hub.handle, auto_decompress=False))
    await runner.setup()
    site = HubSite(runner, hub, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


# What the recording knew before a request, besides the identity 555: `known`. A recording tells it by its name only.
KNOWN_BEFORE: dict[str, dict[int, str]] = {
    "backend event known user": {556: "be1"},
    "/i again same user same id": {777: "u1"},
    "/i existing identifier, allow-cookies rewrites cookie": {777: "u1"},
    "/i id belongs to other identifier, new identifier": {777: "u1"},
    "/i id belongs to other identifier, existing identifier (no merge)": {777: "u1", 778: "u2"},
    "/i again same id with allow-cookies sets no cookie": {777: "u1"},
    "/i ignores body identifier for id resolution (fingerprint id is used)": {777: "u1"},
}
LOCKED = "/i locked -> 202"
# The queues of the jobs that were put about users, but for updates that say nothing.
USER_QUEUES = (jobs.CREATE_USER_QUEUE, jobs.UPDATE_USER_QUEUE, jobs.MERGE_USER_QUEUE, jobs.ENRICH_USER_QUEUE)


@pytest.fixture
async def before(case: dict[str, Any], services_at_noon: Services, hub_port: int) -> None:
    """The state in which the recorded request found the hub."""
    services, name = services_at_noon, case["in"]["name"]
    async with services.database.begin() as connection:
        for user_id, identifier in KNOWN_BEFORE.get(name, {}).items():
            await stored_identities.insert_if_absent(connection, PROJECT_ID, user_id, identifier, 0)
    if name == LOCKED:
        lock = identities.turn_of_identifier(PROJECT_ID, "u1")
        await services.keys.set_if_absent(lock, b"another process", services.clock.now_ms() + 60_000)


@pytest.mark.parametrize("keep_alive", [True, False], ids=["short way", "library"])
@pytest.mark.usefixtures("before")
@pytest.mark.parametrize("case", cases(), ids=lambda case: case["in"]["name"])
async def test_answers_as_recorded(case: dict[str, Any], keep_alive: bool, hub_port: int) -> None:
    request = case["in"]
    expected = deviations.mended(request, case["out"])
    encoding = "utf-8" if "utf8 bytes" in request.get("note", "") or "utf8 bytes" in request["name"] else "latin-1"
    body = (request["bodyText"] or "").encode()
    answer = await http.exchange(
        hub_port, request["method"], request["path"], request["headers"], body, encoding=encoding, keep_alive=keep_alive
    )
    # Of an answer that the HTTP library gives by itself the words are its own.
    content = "" if deviations.repeats_header(request, expected) else answer.body.decode()
    assert deviations.comparable(answer.status, content, answer.headers) == deviations.comparable(
        expected["status"], expected["body"], expected["headers"]
    )


def user_jobs(recorded: dict[str, Any]) -> list[str]:
    """The queues of what was queued about users and says anything, each once."""
    return sorted({job["queue"] for job in recorded["jobs"] if job["queue"] in USER_QUEUES and says_anything(job)})


def says_anything(job: dict[str, Any]) -> bool:
    """Ours are put only then. The original queued updates without content; the first rows of users hold names."""
    data = job["data"].get("data") or {}
    is_said = any(data.values()) or "displayName" in job["data"] or "avatarUrl" in job["data"]
    return job["queue"] != jobs.UPDATE_USER_QUEUE or is_said


def is_only_said(case: dict[str, Any]) -> bool:
    """Whether ours must queue the same about users: what deviates in its answer, or in when it is told, does not."""
    return case["in"]["name"] not in (LOCKED, "/u text/plain content type is an empty update") and (
        case["out"]["status"] in (200, 202, 400, 401)
    )


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize("case", [case for case in cases() if is_only_said(case)], ids=lambda case: case["in"]["name"])
async def test_queues_about_users_as_recorded(case: dict[str, Any], hub_port: int, services_at_noon: Services) -> None:
    request = case["in"]
    body = (request["bodyText"] or "").encode()
    await http.exchange(hub_port, request["method"], request["path"], request["headers"], body, encoding="utf-8")
    put = {stats.queue for stats in await services_at_noon.queue.stats() if stats.ready + stats.delayed}
    expected = set(user_jobs(case["out"]))
    if jobs.CREATE_USER_QUEUE in expected and request["path"] == "/i":
        # What is said with a first identification is an update like any other.
        put.discard(jobs.UPDATE_USER_QUEUE)
        expected.discard(jobs.UPDATE_USER_QUEUE)
    if jobs.MERGE_USER_QUEUE in expected:
        # It carries over what was said of the visitor before.
        expected.add(jobs.UPDATE_USER_QUEUE)
    assert put & set(USER_QUEUES) == expected
