"""The endpoints of users over the fixture."""

import base64
from typing import Any

import pytest

from tests.web.api import fixture
from tests.web.api.conftest import Ask
from vemetric.clock import FrozenClock
from vemetric.web.api import paging

FULL = ["2026-01-18", "2026-01-19"]
SIGNUP = {"name": {"value": "signup", "operator": "eq"}}
PRO = SIGNUP | {"properties": [{"property": "plan", "value": "pro", "operator": "eq"}]}
BRAVO = {
    "id": "3",
    "identifier": "user-3",
    "displayName": "Bravo",
    "country": "US",
    "city": "San Francisco",
    "lastSeenAt": "2026-01-19T09:15:00Z",
    "avatarUrl": None,
    "data": {"plan": "starter"},
    "anonymous": False,
}
ZULU = BRAVO | {
    "id": "1",
    "identifier": "user-1",
    "displayName": "Zulu",
    "city": "New York",
    "lastSeenAt": "2026-01-18T09:02:00Z",
    "data": {"plan": "pro", "company": "Acme Inc"},
}
NOBODY = BRAVO | {
    "id": "5",
    "identifier": None,
    "displayName": None,
    "country": "DE",
    "city": "Berlin",
    "lastSeenAt": "2025-12-25T08:01:00Z",
    "data": {},
    "anonymous": True,
}


@pytest.fixture
def at_noon(project: Any, clock: FrozenClock) -> None:
    """The time at which the original's tests of users stand still."""
    clock.set(fixture.at("2026-01-19 11:22"))


async def ids(ask: Ask, **body: Any) -> list[str]:
    answer = await ask("/v1/users", {"dateRange": FULL} | body)
    assert answer.status == 200, answer.body
    return [user["id"] for user in answer.body["users"]]


async def test_lists_the_last_seen_first(ask: Ask, at_noon: None) -> None:
    body = (await ask("/v1/users", {"dateRange": FULL})).body
    assert body["period"] == {"from": "2026-01-18T00:00:00Z", "to": "2026-01-19T23:59:59Z"}
    assert body["pagination"] == {"limit": 100, "offset": 0, "returned": 4}
    assert [user["id"] for user in body["users"]] == ["4", "3", "2", "1"]
    seen = ["2026-01-19T11:20:00Z", "2026-01-19T09:15:00Z", "2026-01-18T10:06:00Z", "2026-01-18T09:02:00Z"]
    assert [user["lastSeenAt"] for user in body["users"]] == seen
    assert body["users"][1] == BRAVO | {"lastEventFiredAt": None}
    assert body["users"][3] == ZULU | {"lastEventFiredAt": None}
    assert body["users"][2]["city"] is None
    month = (await ask("/v1/users", {"dateRange": "30days"})).body["users"]
    assert month[-1] == NOBODY | {"lastEventFiredAt": None}


async def test_orders(ask: Ask, at_noon: None) -> None:
    assert await ids(ask, orderBy=[["displayName", "asc"]]) == ["3", "4", "2", "1"]
    assert await ids(ask, orderBy=[["identifier", "desc"]]) == ["4", "3", "2", "1"]
    assert await ids(ask, orderBy=[["country", "asc"]]) == ["4", "1", "2", "3"]
    for fired in (SIGNUP, PRO):
        asked = {"dateRange": FULL, "orderBy": [["lastEventFired", "desc", fired]]}
        users = (await ask("/v1/users", asked)).body["users"]
        told = [(user["id"], user["lastEventFiredAt"]) for user in users]
        assert told == [("3", "2026-01-19T09:15:00Z"), ("1", "2026-01-18T09:02:00Z"), ("2", None), ("4", None)]
    assert await ids(ask, orderBy=[["lastEventFired", "asc", SIGNUP]]) == ["1", "3", "2", "4"]
    last = {"dateRange": ["2026-01-19", "2026-01-19"], "orderBy": [["lastEventFired", "desc", SIGNUP]]}
    assert await ids(ask, **last) == ["3", "4"]
    # Without a name it is the order of every day.
    assert await ids(ask, orderBy=[["lastEventFired", "desc", {}]]) == ["4", "3", "2", "1"]


async def test_pages_and_filters(ask: Ask, at_noon: None) -> None:
    assert await ids(ask, limit=2, offset=1) == ["3", "2"]
    assert await ids(ask, filters=[{"type": "event", **SIGNUP}]) == ["3", "1"]
    nobody = {"dateRange": "30days", "filters": [{"type": "user", "anonymous": True}]}
    assert await ids(ask, **nobody) == ["5"]
    for order in (["lastSeenAt", "desc"], ["displayName", "asc"], ["lastEventFired", "desc", SIGNUP]):
        found, cursor = list[str](), ""
        while cursor is not None:
            asked = {"dateRange": FULL, "orderBy": [order], "limit": 1, "cursor": cursor}
            body = (await ask("/v1/users", asked)).body
            found += [user["id"] for user in body["users"]]
            cursor = body["pagination"]["nextCursor"]
        assert found == await ids(ask, orderBy=[order]), order


async def test_one_user(ask: Ask, at_noon: None) -> None:
    assert (await ask("/v1/users/single?id=3")).body == {"user": BRAVO}
    assert (await ask("/v1/users/single?id=0003")).body == {"user": BRAVO}
    assert (await ask("/v1/users/single?identifier=user-1")).body == {"user": ZULU}
    assert (await ask("/v1/users/single?id=5")).body == {"user": NOBODY}
    for wrong in ("identifier=user-9", "id=99", f"id={'9' * 60}", "identifier=%00", f"identifier={'x' * 5000}"):
        answer = await ask(f"/v1/users/single?{wrong}")
        assert (answer.status, answer.code) == (404, "USER_NOT_FOUND"), wrong
    for query in ("", "?id=3&identifier=user-3"):
        assert (await ask(f"/v1/users/single{query}")).fields == ["id", "identifier"]
    assert (await ask("/v1/users/single?id=abc")).fields == ["id"]
    assert (await ask("/v1/users/single?identifier=")).fields == ["identifier"]


async def test_what_one_did(ask: Ask, at_noon: None) -> None:
    day = {"dateRange": ["2026-01-19", "2026-01-19"]}
    body = (await ask("/v1/users/events?id=3", day)).body
    told = [(event["name"], event["path"], event["data"]) for event in body["events"]]
    assert told == [
        ("signup", "/signup", {"plan": "pro"}),
        ("signup", "/signup", {"plan": "starter"}),
        ("$$pageView", "/pricing", {}),
        ("$$pageView", "/features", {}),
        ("$$pageView", "/", {}),
    ]
    assert body["events"][0] == {
        "sessionId": "s3",
        "name": "signup",
        "isPageView": False,
        "createdAt": "2026-01-19T09:15:00Z",
        "origin": "https://example.com",
        "path": "/signup",
        "hash": None,
        "data": {"plan": "pro"},
    }
    before = (await ask("/v1/users/events?identifier=user-1", {"dateRange": ["2026-01-18", "2026-01-18"]})).body
    assert [event["createdAt"][11:16] for event in before["events"]] == ["09:02", "09:01"]
    signups = (await ask("/v1/users/events?id=3", day | {"filters": [{"type": "event", **SIGNUP}]})).body
    assert len(signups["events"]) == 2
    page = (await ask("/v1/users/events?id=3", day | {"limit": 2, "offset": 1})).body
    assert [event["createdAt"][11:16] for event in page["events"]] == ["09:11", "09:10"]
    cursor, times = "", list[str]()
    while cursor is not None:
        page = (await ask("/v1/users/events?id=3", day | {"limit": 2, "cursor": cursor})).body
        times += [event["createdAt"][11:16] for event in page["events"]]
        cursor = page["pagination"]["nextCursor"]
    assert times == ["09:15", "09:11", "09:10", "09:05", "09:01"]
    assert (await ask("/v1/users/events?identifier=user-9", day)).code == "USER_NOT_FOUND"
    assert (await ask("/v1/users/events", day)).fields == ["id", "identifier"]
    assert (await ask("/v1/users/events?id=x", {})).fields == ["dateRange"]
    wrong = await ask("/v1/users/events?id=3", day | {"filters": [{"type": "funnel"}]})
    assert wrong.fields == ["filters.0.type"]
    assert "'event' | 'page' | 'browser' | 'device' | 'os'" in wrong.body["error"]["details"][0]["message"]


WRONG: tuple[tuple[dict[str, Any], list[str]], ...] = (
    ({"dateRange": None}, ["dateRange"]),
    ({"orderBy": [["age", "asc"]]}, ["orderBy.0"]),
    ({"orderBy": [["country", "up"]]}, ["orderBy.0"]),
    ({"orderBy": [["country", "asc"], ["country", "asc"]]}, ["orderBy"]),
    ({"orderBy": [["country", "asc", SIGNUP]]}, ["orderBy.0"]),
    ({"orderBy": [["lastEventFired", "asc"]]}, ["orderBy.0"]),
    ({"orderBy": [["lastEventFired", "asc", {"name": "signup"}]]}, ["orderBy.0"]),
)


async def test_says_where_a_query_is_wrong(ask: Ask) -> None:
    for change, fields in WRONG:
        answer = await ask("/v1/users", {"dateRange": FULL} | change)
        assert (answer.status, answer.code, answer.fields) == (400, "VALIDATION_ERROR", fields), change


async def test_cursors_of_others_making(ask: Ask) -> None:
    for made in (
        b"",
        b"[1",
        b"[1,5]",
        b'[1,[0,"\xff","1"]]',
        b'[1,[0,"\\ud800","1"]]',
        b'[-1,[0,"5","1"]]',
        b"[" * 1500,
    ):
        cursor = base64.urlsafe_b64encode(b" " + made).decode()
        answer = await ask("/v1/users", {"dateRange": FULL, "cursor": cursor})
        assert (answer.status, answer.fields) == (400, ["cursor"]), made


async def test_a_cursor_lasts_a_day(ask: Ask, clock: FrozenClock) -> None:
    first = await ask("/v1/users", {"dateRange": FULL, "limit": 1, "cursor": ""})
    following = {"dateRange": FULL, "limit": 1, "cursor": first.body["pagination"]["nextCursor"]}
    clock.advance(paging.CURSOR_HOURS_MAX * paging.HOUR_MS)
    assert (await ask("/v1/users", following)).status == 200
    clock.advance(1)
    answer = await ask("/v1/users", following)
    assert (answer.status, answer.fields) == (400, ["cursor"])


async def test_says_how_orders_are_written(ask: Ask) -> None:
    async def message(order: Any) -> str:
        answer = await ask("/v1/users", {"dateRange": FULL, "orderBy": [order]})
        found: str = answer.body["error"]["details"][0]["message"]
        return found

    assert await message(["country", "asc", SIGNUP]) == "Array must contain at most 2 element(s)"
    assert await message(["country", "up"]) == await message(["lastEventFired", "asc"]) == "Invalid input"
    missing = await ask("/v1/users", {})
    assert missing.body["error"]["details"] == [{"field": "dateRange", "message": "Required"}]
