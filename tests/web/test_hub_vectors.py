"""The hub answers the recorded requests as the original did, but where the original was wrong.

Every deviation is a rule over the request with the number of the defect (section 10 of the recorded contract's notes)
that it mends; see `deviations`.
"""

import json
import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.kit import http, places
from vemetric.database import identities, organizations, projects
from vemetric.model import ids
from vemetric.model.organization import Organization
from vemetric.model.project import Project
from vemetric.services import Services
from vemetric.web.hub import Hub
from vemetric.web.tracker import Tracker

DIRECTORY = Path(os.environ.get("VEMETRIC_TEST_VECTORS") or Path(__file__).parents[1] / "vectors")
PATHS = ("/e", "/l", "/up")
COMPARED = ("access-control-", "vary", "set-cookie")
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
    runner = web.ServerRunner(web.Server(Hub(services, Tracker()).handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


Expected = dict[str, Any]


def lacks_cors(request: Expected, expected: Expected) -> bool:
    """Defect 18: early answers (bot, wrong token, exclusion) had no CORS headers."""
    return not any(name.startswith("access-control-") for name, _ in expected["headers"])


def is_json_null(request: Expected, expected: Expected) -> bool:
    """Defect 17: the body `null` was a 500."""
    return (request["bodyText"] or "").strip() == "null"


def echoes_vary(request: Expected, expected: Expected) -> bool:
    """2.4 of the contract: a request's Vary header took Origin's place in the answer, an accident."""
    return any(name.lower() == "vary" for name, _ in request["headers"])


def is_preflight(request: Expected, expected: Expected) -> bool:
    """Defect 18: without Access-Control-Max-Age nearly every request was preflighted."""
    return request["method"] == "OPTIONS"


def header(request: Expected, name: str) -> str | None:
    return next((value for key, value in request["headers"] if key.lower() == name), None)


def expect_cors(request: Expected, expected: Expected) -> None:
    origin = header(request, "origin")
    expected["headers"] += [
        ["access-control-allow-origin", origin or "*"],
        ["access-control-allow-credentials", "true"],
        *([["vary", "Origin"]] if origin else []),
    ]


def expect_invalid(request: Expected, expected: Expected) -> None:
    expected["status"], expected["body"] = 400, "Invalid!"


def expect_vary_origin(request: Expected, expected: Expected) -> None:
    expected["headers"] = [pair for pair in expected["headers"] if pair[0] != "vary"]
    if header(request, "origin"):
        expected["headers"].append(["vary", "Origin"])


def expect_max_age(request: Expected, expected: Expected) -> None:
    expected["headers"].append(["access-control-max-age", "86400"])


def sets_cookie(request: Expected, expected: Expected) -> bool:
    """Defect 5 and section 9.3: the Domain was the hub's own, or V-Host as it came, ports and injections included."""
    return any(name == "set-cookie" for name, _ in expected["headers"])


def expect_no_domain(request: Expected, expected: Expected) -> None:
    """No recorded V-Host names the host that was asked or one above it."""
    for pair in expected["headers"]:
        if pair[0] == "set-cookie":
            pair[1] = re.sub(r" Domain=.*?; (?=Path=/; Expires)", " ", pair[1])


# Of those RFC 9110 allows once only; the HTTP library refuses a request that repeats one (request smuggling).
ONCE_ONLY = ("content-length", "content-location", "content-range", "content-type", "etag", "host", "max-forwards",
             "server", "transfer-encoding", "user-agent")  # fmt: skip


def repeats_header(request: Expected, expected: Expected) -> bool:
    """RFC 9110, 5.3: a header that may stand once stands twice."""
    names = [name.lower() for name, _ in request["headers"]]
    return any(names.count(name) > 1 for name in ONCE_ONLY)


def expect_bad_request(request: Expected, expected: Expected) -> None:
    expected["status"], expected["body"], expected["headers"] = 400, "", []


Rule = tuple[Callable[[Expected, Expected], bool], Callable[[Expected, Expected], None]]
DEVIATIONS: tuple[Rule, ...] = (
    (is_json_null, expect_invalid),
    (lacks_cors, expect_cors),
    (echoes_vary, expect_vary_origin),
    (is_preflight, expect_max_age),
    (sets_cookie, expect_no_domain),
    (repeats_header, expect_bad_request),
)


def comparable(status: int, body: str, headers: list[Any]) -> tuple[int, str, list[tuple[str, str]]]:
    """What has to be equal. A cookie's random id and date are samples."""
    kept = [(name, value) for name, value in headers if name.startswith(COMPARED)]
    plain = [
        (name, re.sub(r"Expires=[^;]*", "Expires=x", re.sub(r"_vuid=\d+", "_vuid=1", value))) for name, value in kept
    ]
    return status, body, sorted(plain)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["in"]["name"])
async def test_answers_as_recorded(case: dict[str, Any], hub_port: int) -> None:
    request, expected = case["in"], case["out"]
    for applies, mend in DEVIATIONS:
        if applies(request, expected):
            mend(request, expected)
    encoding = "utf-8" if "utf8 bytes" in request.get("note", "") or "utf8 bytes" in request["name"] else "latin-1"
    body = (request["bodyText"] or "").encode()
    answer = await http.exchange(
        hub_port, request["method"], request["path"], request["headers"], body, encoding=encoding
    )
    # Of an answer that the HTTP library gives by itself the words are its own.
    content = "" if repeats_header(request, expected) else answer.body.decode()
    assert comparable(answer.status, content, answer.headers) == comparable(
        expected["status"], expected["body"], expected["headers"]
    )
