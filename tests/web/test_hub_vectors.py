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
from vemetric.database import identities, organizations, projects
from vemetric.model import ids
from vemetric.model.organization import Organization
from vemetric.model.project import Project
from vemetric.services import Services
from vemetric.web.hub import Hub
from vemetric.web.hub_protocol import HubSite
from vemetric.web.tracker import Tracker

DIRECTORY = Path(os.environ.get("VEMETRIC_TEST_VECTORS") or Path(__file__).parents[1] / "vectors")
PATHS = ("/e", "/l", "/up")
TOKEN = "tok1234567890abcd"
PROJECT_ID = 9910000000000001
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36"
)

pytestmark = pytest.mark.vectors


def cases() -> list[dict[str, Any]]:
    recorded = json.loads((DIRECTORY / "hub_http.json").read_text())
    return [case for case in recorded if concerns_this_hub(case["in"])]


def concerns_this_hub(request: dict[str, Any]) -> bool:
    path = request["path"].partition("?")[0]
    return path in PATHS or request["method"] == "OPTIONS" or path not in ("/i", "/u", "/r")


@pytest.fixture
def environ(environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The places the recording knew."""
    known = {"66": "AT", "65": "SG", "67": "KP"}
    database = places.write(
        tmp_path / "places.mmdb", {f"203.0.113.{last}/32": {"country_code": code} for last, code in known.items()}
    )
    return environ | {"VEMETRIC_GEO_DATABASE": str(database)}


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
        await identities.insert_if_absent(connection, PROJECT_ID, 555, "known", 0)
    hub = Hub(services, Tracker())
    runner = web.ServerRunner(web.Server(hub.handle))
    await runner.setup()
    site = HubSite(runner, hub, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.mark.parametrize("keep_alive", [True, False], ids=["short way", "library"])
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
