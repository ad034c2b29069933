"""Recorded sequences of requests leave the recorded rows, once all jobs are done and everything is collapsed.

Time is a clock that the test moves. Random and hashed ids are compared by who they are equal to; every other difference
is a rule over the input, with the number of the defect (section 10 of the recorded contract's notes) that it mends.
"""

import json
import os
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from tests.kit import http, places, visits
from vemetric.clock import FrozenClock
from vemetric.database import identities
from vemetric.model import user
from vemetric.model.user import UserData
from vemetric.services import Services
from vemetric.web.hub import Hub
from vemetric.web.hub_protocol import HubSite
from vemetric.web.tracker import Tracker

DIRECTORY = Path(os.environ.get("VEMETRIC_TEST_VECTORS") or Path(__file__).parents[1] / "vectors")
# Addresses that are in no country stand for the recording's, which are reserved for documentation.
ADDRESSES = {"203.0.113.66": "93.184.216.66", "198.51.100.7": "93.184.216.7"}
# No job waits longer than this after the request that put it.
JOBS_DONE_MS = 20_000
TABLES = {
    "event": "createdAt, name, pathname",
    "session": "startedAt, pathname, userId",
    "user": "createdAt, identifier",
    "device": "osName",
}
# Ids, in the order in which they are given names: users first, for they are in every table.
ID_COLUMNS = {
    "event": {"userId": "user", "sessionId": "session", "deviceId": "device", "id": "event"},
    "session": {"userId": "user", "id": "session"},
    "user": {"id": "user", "initialDeviceId": "device"},
    "device": {"userId": "user", "id": "device"},
}
JSON_COLUMNS = ("customData", "requestHeaders", "queryParams")
SOURCE_COLUMNS = (
    "countryCode", "city", "latitude", "longitude", "userAgent", "referrer", "referrerUrl", "referrerType", "origin",
    "pathname", "queryParams", "urlHash", "utmSource", "utmMedium", "utmCampaign", "utmContent", "utmTerm",
)  # fmt: skip
# Samples in the recording, or columns that the original has not.
NOT_COMPARED = {"projectId", "version", "mergeId"}

pytestmark = pytest.mark.vectors

Row = dict[str, Any]
Rows = dict[str, list[Row]]
Case = dict[str, Any]


def cases() -> list[Case]:
    recorded: list[Case] = json.loads((DIRECTORY / "e2e_rows.json").read_text())
    return recorded


@pytest.fixture
def environ(environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    geo = cases()[0]["in"]["geo"]
    known = {
        f"{ADDRESSES[ip]}/32": {
            "country_code": place["country"],
            "city": place["city"],
            "latitude": place["latitude"],
            "longitude": place["longitude"],
        }
        for ip, place in geo.items()
    }
    database = places.write(tmp_path / "places.mmdb", known)
    return environ | {"VEMETRIC_GEO_DATABASE": str(database), "VEMETRIC_TRUSTED_PROXIES": "everything"}


@pytest.fixture
async def hub_port(services_at_noon: Services) -> AsyncIterator[int]:
    hub = Hub(services_at_noon, Tracker())
    runner = web.ServerRunner(web.Server(hub.handle))
    await runner.setup()
    site = HubSite(runner, hub, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def play(case: Case, services: Services, clock: FrozenClock, port: int, token: str) -> list[Row]:
    """Send the requests at their times, the workers doing everything in between, and after the last."""
    start_ms = int(datetime.fromisoformat(case["in"]["startClock"]).timestamp() * 1000)
    answers = []
    for step in case["in"]["steps"]:
        await work_until(services, clock, start_ms + step["atMs"])
        headers = [(name, translated(value, token)) for name, value in step["headers"].items()]
        body = translated(json.dumps(step["body"]), token).encode()
        answer = await http.exchange(port, "POST", step["path"], headers, body, keep_alive=True)
        answers.append({"status": answer.status, "body": answer.body.decode()})
    await work_until(services, clock, clock.now_ms() + JOBS_DONE_MS)
    return answers


async def work_until(services: Services, clock: FrozenClock, until_ms: int) -> None:
    """Do what is queued: at once, when it is due, and again when the time has come."""
    await visits.settle(services)
    for at_ms in (min(until_ms, clock.now_ms() + JOBS_DONE_MS), until_ms):
        clock.set(at_ms)
        await visits.settle(services)


def translated(text: str, token: str) -> str:
    for recorded, ours in ADDRESSES.items():
        text = text.replace(recorded, ours)
    return token if text == "tok" else text.replace('"Token": "tok"', f'"Token": "{token}"')


async def stored(services: Services, project_id: int) -> Rows:
    """The collapsed rows of a project."""
    rows: Rows = {}
    for table, order in TABLES.items():
        described = await services.engine.query(f"SELECT name FROM system.columns WHERE table = '{table}'")
        columns = [name for (name,) in described if name not in NOT_COMPARED]
        deleted = " AND deleted = 0" if "deleted" in columns else ""
        sql = f"SELECT {', '.join(columns)} FROM {table} FINAL WHERE projectId = {{project:UInt64}}{deleted}"
        found = await services.engine.query(f"{sql} ORDER BY {order}", {"project": project_id})
        rows[table] = [dict(zip(columns, values, strict=True)) for values in found]
    return rows


def recorded_rows(case: Case) -> Rows:
    """The recorded rows that count; readers of the original had to leave out those marked as deleted."""
    rows: Rows = {}
    for table, order in TABLES.items():
        kept = [row for row in case["out"]["rowsAfterOptimizeFinal"][table] if not row.get("deleted")]
        rows[table] = sorted(kept, key=lambda row, by=order: [str(row[name]) for name in by.split(", ")])
    return rows


def comparable(rows: Rows) -> Rows:
    """Ids by who they are equal to, JSON by what it says, and nothing that is only a sample."""
    names: dict[tuple[str, str], str] = {}
    ours: Rows = {}
    for table, found in rows.items():
        ours[table] = []
        for row in found:
            read = {name: value for name, value in row.items() if name not in NOT_COMPARED}
            for column, kind in ID_COLUMNS[table].items():
                value = str(read[column])
                read[column] = "" if value in ("0", "") else names.setdefault((kind, value), f"{kind} {len(names)}")
            for column in JSON_COLUMNS:
                if column in read:
                    read[column] = json.loads(read[column] or "{}")
            if "countryCode" in read:
                read["countryCode"] = read["countryCode"].rstrip("\0")
            if table == "device":
                del read["createdAt"]
            ours[table].append(read)
        ours[table].sort(key=lambda row: json.dumps(row, sort_keys=True))
    return ours


# Rules over the input


def said_of(case: Case) -> dict[str, list[Row]]:
    """What the requests say of users, by identifier, in order."""
    said: dict[str, list[Row]] = {}
    for step in case["in"]["steps"]:
        if step["path"] in ("/i", "/u"):
            said.setdefault(step["body"]["identifier"], []).append(step["body"])
    return said


def one_rule_for_data(case: Case, rows: Rows) -> None:
    """Defect 11: when a user was made, setOnce beat set and unset was ignored; later calls did otherwise."""
    for row in rows["user"]:
        data: dict[str, Any] = {}
        for body in said_of(case)[row["identifier"]]:
            data = user.merge(data, msgspec.convert(body.get("data", {}), UserData))
        row["customData"] = json.dumps(data)


def names_can_be_cleared(case: Case, rows: Rows) -> None:
    """Defect 11: a display name could never be cleared."""
    for row in rows["user"]:
        for body in said_of(case)[row["identifier"]]:
            if body.get("displayName") == "":
                row["displayName"] = ""


def sources_reach_everybody(case: Case, rows: Rows) -> None:
    """Defect 11: a user who was made before any page view never got the source of the first one."""
    for row in rows["user"]:
        views = [event for event in rows["event"] if event["isPageView"] and event["userId"] == row["id"]]
        if not row["origin"] and views:
            row |= {name: views[0][name] for name in SOURCE_COLUMNS}
            row |= {"initialDeviceId": views[0]["deviceId"], "updatedAt": views[0]["createdAt"]}


def no_name_is_null(case: Case, rows: Rows) -> None:
    """The original wrote no name as '' into sessions that a merge moved, and as NULL into all others."""
    for row in rows["session"]:
        row["userDisplayName"] = row["userDisplayName"] or None


RULES: tuple[Callable[[Case, Rows], None], ...] = (
    one_rule_for_data,
    names_can_be_cleared,
    sources_reach_everybody,
    no_name_is_null,
)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["in"]["name"])
async def test_leaves_the_recorded_rows(
    case: Case, services_at_noon: Services, clock: FrozenClock, hub_port: int
) -> None:
    services = services_at_noon
    clock.set(int(datetime.fromisoformat(case["in"]["startClock"]).timestamp() * 1000))
    project = await visits.a_project(services, case["in"]["projectDomain"])
    answers = await play(case, services, clock, hub_port, project.token)
    assert answers == case["out"]["responses"]
    expected = recorded_rows(case)
    for mend in RULES:
        mend(case, expected)
    found = await stored(services, project.id)
    no_name_is_null(case, found)
    assert comparable(found) == comparable(expected)
    async with services.database.connect() as connection:
        for known in case["out"]["identificationMap"]:
            user_id = await identities.by_identifier(connection, project.id, known["identifier"])
            assert [row["identifier"] for row in found["user"] if row["id"] == user_id] == [known["identifier"]]
    assert len(found["user"]) == len(case["out"]["identificationMap"])
