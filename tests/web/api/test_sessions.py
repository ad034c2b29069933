"""POST /v1/sessions over the fixture: the visits of a period, page by page."""

from typing import Any

import pytest

from tests.web.api import fixture
from tests.web.api.conftest import OTHER_KEY, PROJECT_ID, Ask
from vemetric.clickhouse import rows
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock
from vemetric.model.project import Project
from vemetric.web.api import paging

PATH = "/v1/sessions"
FULL = ["2026-01-18", "2026-01-19"]
FIRST = {
    "id": "s1",
    "userId": "1",
    "userIdentifier": "user-1",
    "userDisplayName": "Zulu",
    "startedAt": "2026-01-18T09:00:00Z",
    "endedAt": "2026-01-18T09:05:00Z",
    "duration": 60,
    "country": "US",
    "city": "New York",
    "browser": "Chrome",
    "os": "macOS",
    "deviceType": "desktop",
    "referrer": "Google",
    "referrerUrl": "https://google.com",
    "referrerType": "search",
    "utmCampaign": "winter_launch",
    "utmContent": "hero_cta",
    "utmMedium": "cpc",
    "utmSource": "google",
    "utmTerm": "analytics",
    "origin": "https://example.com",
    "path": "/",
    "pageviews": 1,
    "events": 1,
}


@pytest.fixture(autouse=True)
def at_noon(project: Any, clock: FrozenClock) -> None:
    clock.set(fixture.at("2026-01-19 11:22"))


async def ids(ask: Ask, query: str = "", **body: Any) -> list[str]:
    answer = await ask(f"{PATH}{query}", {"dateRange": FULL} | body)
    assert answer.status == 200, answer.body
    return [visit["id"] for visit in answer.body["sessions"]]


async def paged(ask: Ask, **body: Any) -> list[str]:
    """All visits, one a page."""
    found, cursor = list[str](), ""
    while cursor is not None:
        answer = await ask(PATH, {"dateRange": FULL, "limit": 1, "cursor": cursor} | body)
        found += [visit["id"] for visit in answer.body["sessions"]]
        cursor = answer.body["pagination"]["nextCursor"]
    return found


async def test_the_latest_stand_first(ask: Ask) -> None:
    body = (await ask(PATH, {"dateRange": FULL})).body
    assert body["period"] == {"from": "2026-01-18T00:00:00Z", "to": "2026-01-19T23:59:59Z"}
    assert body["pagination"] == {"limit": 100, "offset": 0, "returned": 4}
    assert [visit["id"] for visit in body["sessions"]] == ["s4", "s3", "s2", "s1"]
    assert body["sessions"][3] == FIRST
    assert [(visit["pageviews"], visit["events"]) for visit in body["sessions"]] == [(1, 1), (3, 2), (3, 1), (1, 1)]
    # Who was never identified has no name; what a visit does not have is null.
    [nobody] = (await ask(PATH, {"dateRange": ["2025-12-25", "2025-12-25"]})).body["sessions"]
    assert (nobody["userId"], nobody["userIdentifier"], nobody["userDisplayName"]) == ("5", None, None)
    assert (nobody["referrer"], nobody["utmTerm"], nobody["referrerType"]) == (None, None, "direct")
    assert (await ask(PATH, {"dateRange": ["2020-01-01", "2020-01-02"]})).body["sessions"] == []


async def test_orders_and_pages(ask: Ask) -> None:
    # Of two that lasted equally long the id decides, in either direction.
    for order, expected in (
        (["startedAt", "asc"], ["s1", "s2", "s3", "s4"]),
        (["duration", "desc"], ["s4", "s2", "s3", "s1"]),
        (["duration", "asc"], ["s1", "s2", "s3", "s4"]),
    ):
        assert await ids(ask, orderBy=[order]) == await paged(ask, orderBy=[order]) == expected
    assert await ids(ask, orderBy=[]) == ["s4", "s3", "s2", "s1"]
    assert await ids(ask, limit=2, offset=1) == ["s3", "s2"]
    # A cursor goes before an offset.
    assert await ids(ask, limit=2, offset=3, cursor="") == ["s4", "s3"]


async def test_filters_pick_visits_or_users(ask: Ask) -> None:
    american = {"type": "location", "country": {"value": ["US"], "operator": "oneOf"}}
    signed_up = {"type": "event", "name": {"value": "signup", "operator": "eq"}}
    assert await ids(ask, filters=[american]) == await paged(ask, filters=[american]) == ["s3", "s2", "s1"]
    assert await ids(ask, filters=[signed_up]) == ["s3", "s1"]
    search = {"type": "referrerType", "value": ["search"], "operator": "oneOf"}
    assert await ids(ask, filters=[american, search]) == ["s1"]
    assert await ids(ask, filters=[signed_up, search], filtersOperator="or") == ["s4", "s1"]


async def test_of_one_user(ask: Ask, other: Project) -> None:
    assert await ids(ask, "?id=3") == await ids(ask, "?identifier=user-3") == ["s3"]
    assert await ids(ask, "?id=5") == []
    assert (await ask(f"{PATH}?id=99", {"dateRange": FULL})).code == "USER_NOT_FOUND"
    # The user of another project is none of this one.
    foreign = await ask(f"{PATH}?id=3", {"dateRange": FULL}, key=OTHER_KEY)
    assert (foreign.status, foreign.code) == (404, "USER_NOT_FOUND")
    assert (await ask(f"{PATH}?id=3&identifier=user-3", {"dateRange": FULL})).fields == ["id", "identifier"]
    assert (await ask(f"{PATH}?id=x", {"dateRange": FULL})).fields == ["id"]


async def test_a_cursor_bears_that_its_visit_goes(ask: Ask, engine: Engine) -> None:
    """Whoever was erased while somebody pages is left out, and nobody else is."""
    first = (await ask(PATH, {"dateRange": FULL, "limit": 2, "cursor": ""})).body
    assert [visit["id"] for visit in first["sessions"]] == ["s4", "s3"]
    cursor = first["pagination"]["nextCursor"]
    await delete(engine, 1)
    try:
        rest = (await ask(PATH, {"dateRange": FULL, "limit": 9, "cursor": cursor})).body
        assert [visit["id"] for visit in rest["sessions"]] == ["s2", "s1"]
    finally:
        await delete(engine, 0)


async def delete(engine: Engine, deleted: int) -> None:
    """Take the visit away that the cursor names, or give it back."""
    [[version]] = await engine.query(
        "SELECT max(version) FROM session WHERE projectId = {project:UInt64} AND id = 's3'", {"project": PROJECT_ID}
    )
    row = list(fixture.visit(PROJECT_ID, *fixture.VISITS[2]))
    row[rows.SESSION_COLUMNS.index("deleted")] = deleted
    row[rows.SESSION_COLUMNS.index("version")] = version + 1
    await engine.insert("session", rows.SESSION_COLUMNS, [tuple(row)])


WRONG: tuple[tuple[dict[str, Any], list[str]], ...] = (
    ({"dateRange": None}, ["dateRange"]),
    ({"dateRange": FULL[::-1]}, ["dateRange"]),
    ({"orderBy": [["country", "asc"]]}, ["orderBy.0.0"]),
    ({"orderBy": [["duration", "up"]]}, ["orderBy.0.1"]),
    ({"orderBy": [["duration", "asc"], ["startedAt", "asc"]]}, ["orderBy"]),
    ({"cursor": "x"}, ["cursor"]),
    ({"cursor": paging.write(0, ["1", "s3", "3"])}, ["cursor"]),
    ({"cursor": paging.write(fixture.at("2026-01-19 11:00"), [1, "s3", str(1 << 64)])}, ["cursor"]),
    ({"cursor": paging.write(fixture.at("2026-01-19 11:00"), [1, "s3", "-3"])}, ["cursor"]),
)


async def test_says_where_a_query_is_wrong(ask: Ask) -> None:
    for change, fields in WRONG:
        answer = await ask(PATH, {"dateRange": FULL} | change)
        assert (answer.status, answer.code, answer.fields) == (400, "VALIDATION_ERROR", fields), change
