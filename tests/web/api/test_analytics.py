"""POST /v1/analytics/query over the fixture: the numbers that clients of the original are tested with, and ours."""

from typing import Any

from tests.web.api import fixture
from tests.web.api.conftest import Answer, Ask

PATH = "/v1/analytics/query"
ALL = ["users", "pageviews", "events", "bounceRate", "visitDuration"]
FULL = ["2026-01-18T00:00:00Z", "2026-01-19T23:59:59Z"]
SIGNUP = {"type": "event", "name": {"value": "signup", "operator": "eq"}}
PRO = SIGNUP | {"properties": [{"property": "plan", "value": "pro", "operator": "eq"}]}
FEATURES = {"type": "page", "path": {"value": "/features", "operator": "eq"}}
DONE = {"type": "funnel", "id": fixture.FUNNEL_ID, "step": 1, "operator": "completed"}


async def good(ask: Ask, **body: Any) -> Any:
    answer = await ask(PATH, body)
    assert answer.status == 200, answer.body
    return answer.body


def rows(body: Any) -> dict[str, tuple[Any, ...]]:
    """The figures by the word of their group."""
    return {next(iter(row["group"].values()), ""): tuple(row["metrics"].values()) for row in body["data"]}


async def test_a_whole_period(ask: Ask) -> None:
    body = await good(ask, dateRange="30days", metrics=ALL, groupBy=[], orderBy=[["events", "desc"]])
    assert body == {
        "period": {"from": "2026-01-19T00:00:00Z", "to": "2026-02-17T23:59:59Z"},
        "query": {
            "dateRange": "30days",
            "groupBy": [],
            "metrics": ALL,
            "orderBy": [["events", "desc"]],
            "limit": 100,
            "offset": 0,
        },
        "pagination": {"limit": 1, "offset": 0, "returned": 1},
        "data": [
            {
                "group": {},
                "metrics": {"users": 2, "pageviews": 4, "events": 3, "bounceRate": 50, "visitDuration": 150},
            }
        ],
    }
    usual = await good(ask, dateRange="30days", limit=1, offset=50)
    assert (usual["query"]["metrics"], usual["query"]["limit"], usual["query"]["offset"]) == (ALL[:3], 1, 50)
    assert usual["pagination"] == {"limit": 1, "offset": 0, "returned": 1}
    assert rows(usual) == {"": (2, 4, 3)}
    assert rows(await good(ask, dateRange="30days", metrics=[])) == {"": (2, 4, 3)}
    assert rows(await good(ask, dateRange=FULL, metrics=ALL)) == {"": (4, 8, 5, 50, 120)}


async def test_by_time(ask: Ask) -> None:
    asked = {"dateRange": FULL, "groupBy": ["interval:auto"], "orderBy": [["date", "asc"]]}
    hours = {
        "2026-01-18T09:00:00Z": (1, 1, 1),
        "2026-01-18T10:00:00Z": (1, 3, 1),
        "2026-01-19T09:00:00Z": (1, 3, 2),
        "2026-01-19T11:00:00Z": (1, 1, 1),
    }
    body = await good(ask, **asked)
    assert rows(body) == hours
    assert list(rows(body)) == sorted(hours)
    backwards = await good(ask, **asked | {"orderBy": [["date", "desc"]], "limit": 2, "offset": 1})
    assert list(rows(backwards)) == ["2026-01-19T09:00:00Z", "2026-01-18T10:00:00Z"]
    filled = rows(await good(ask, **asked, fillGaps=True))
    assert len(filled) == 48
    assert {hour: row for hour, row in filled.items() if any(row)} == hours
    most = rows(await good(ask, **asked | {"orderBy": [["pageviews", "desc"]]}))
    assert list(most)[:2] == ["2026-01-18T10:00:00Z", "2026-01-19T09:00:00Z"]


async def test_days_are_those_of_a_zone_that_is_asked_for(ask: Ask) -> None:
    asked = {"groupBy": ["interval:auto"], "metrics": ["pageviews"], "dateRange": ["2026-01-16", "2026-01-20"]}
    assert rows(await good(ask, **asked)) == {"2026-01-18T00:00:00Z": (4,), "2026-01-19T00:00:00Z": (4,)}
    body = await good(ask, **asked, timezone="Asia/Tokyo")
    assert body["period"] == {"from": "2026-01-15T15:00:00Z", "to": "2026-01-20T14:59:59Z"}
    assert rows(body) == {"2026-01-17T15:00:00Z": (4,), "2026-01-18T15:00:00Z": (4,)}
    # In Honolulu the first visit, at nine in the morning, was the evening before.
    assert rows(await good(ask, **asked, timezone="Pacific/Honolulu")) == {
        "2026-01-17T10:00:00Z": (1,),
        "2026-01-18T10:00:00Z": (6,),
        "2026-01-19T10:00:00Z": (1,),
    }
    assert (await ask(PATH, asked | {"timezone": "Mars/Base"})).fields == ["timezone"]


async def test_by_every_field(ask: Ask) -> None:
    expected = {
        "country": {"DE": 1, "US": 3},
        "city": {"Berlin": 1, "New York": 1, "San Francisco": 1, "Unknown": 1},
        "page:origin": {"https://example.com": 4},
        "page:path": {"/": 4, "/features": 1, "/pricing": 2, "/signup": 1},
        "browser": {"Chrome": 2, "Firefox": 1, "Safari": 1},
        "deviceType": {"desktop": 2, "mobile": 1, "tablet": 1},
        "os": {"Linux": 1, "Windows": 1, "macOS": 2},
        "referrer": {"Bing": 1, "Google": 1, "Newsletter": 1, "Direct / None": 1},
        "referrerType": {"email": 1, "search": 2, "social": 1},
        "utmCampaign": {"jan_push": 2, "winter_launch": 2},
        "utmContent": {"hero_cta": 1, "text_link": 1, "button": 1, "ad_1": 1},
        "utmSource": {"google": 1, "hn": 1, "newsletter": 1, "bing": 1},
        "utmTerm": {"analytics": 1, "opensource": 1, "metrics": 1, "privacy": 1},
        "utmMedium": {"cpc": 2, "email": 1, "social": 1},
        "event:name": {"click": 1, "purchase": 1, "signup": 2},
    }
    for token, counts in expected.items():
        body = await good(ask, dateRange=FULL, metrics=["users"], groupBy=[token], orderBy=[[token, "asc"]])
        assert rows(body) == {word: (count,) for word, count in counts.items()}, token
        assert list(rows(body)) == sorted(counts, key=str.casefold), token


async def test_rates_where_they_say_something(ask: Ask) -> None:
    countries = rows(await good(ask, dateRange=FULL, metrics=ALL, groupBy=["country"]))
    assert countries == {"US": (3, 7, 4, 33.33, 100), "DE": (1, 1, 1, 100, 180)}
    browsers = rows(await good(ask, dateRange=FULL, metrics=ALL, groupBy=["browser"]))
    assert browsers == {"Chrome": (2, 2, 2, 100, None), "Firefox": (1, 3, 1, 0, None), "Safari": (1, 3, 2, 0, None)}
    for token in ("event:name", "event:prop:plan", "page:path", "page:origin"):
        found = rows(await good(ask, dateRange=FULL, metrics=ALL, groupBy=[token]))
        assert {row[3:] for row in found.values()} == {(None, None)}, token
    plans = await good(ask, dateRange=FULL, metrics=ALL, groupBy=["event:prop:plan"])
    assert rows(plans) == {"pro": (2, 0, 2, None, None), "starter": (1, 0, 1, None, None)}
    assert rows(await good(ask, dateRange=FULL, metrics=["bounceRate"], groupBy=["country"])) == {
        "DE": (100,),
        "US": (33.33,),
    }


async def test_order_and_pages(ask: Ask) -> None:
    by_country = {"dateRange": "30days", "groupBy": ["country"]}
    assert rows(await good(ask, **by_country, orderBy=[["country", "asc"]])) == {"DE": (1, 1, 1), "US": (1, 3, 2)}
    most = await good(ask, **by_country, metrics=["events"], orderBy=[["events", "desc"]])
    assert list(rows(most).items()) == [("US", (2,)), ("DE", (1,))]
    page = await good(ask, **by_country, metrics=["users"], orderBy=[["country", "asc"]], limit=1, offset=1)
    assert rows(page) == {"US": (1,)}
    assert page["pagination"] == {"limit": 1, "offset": 1, "returned": 1}
    plans = {"groupBy": ["event:prop:plan"], "metrics": ["events"], "orderBy": [["event:prop:plan", "asc"]]}
    found = await good(ask, **plans, dateRange="30days", filters=[SIGNUP])
    assert list(rows(found).items()) == [("pro", (1,)), ("starter", (1,))]
    assert (found["query"]["filters"], found["query"]["filtersOperator"]) == ([SIGNUP], "and")


async def test_cursors_lead_through_all_pages(ask: Ask) -> None:
    asked = {"dateRange": FULL, "groupBy": ["page:path"], "metrics": ["users"], "limit": 3}
    cursor, found = "", list[str]()
    while cursor is not None:
        body = await good(ask, **asked, cursor=cursor)
        found += rows(body)
        cursor = body["pagination"]["nextCursor"]
    assert found == ["/", "/pricing", "/features", "/signup"]
    assert "nextCursor" not in (await good(ask, **asked))["pagination"]
    for wrong in ("x", "ö", "W10=", "WzEsMl0", "bnVsbA=="):
        assert (await ask(PATH, asked | {"cursor": wrong})).fields == ["cursor"], wrong


async def test_filters_pick_users_and_rows(ask: Ask) -> None:
    async def counts(metrics: list[str], token: str, *filters: Any) -> dict[str, tuple[Any, ...]]:
        group = [token] if token else []
        return rows(await good(ask, dateRange=FULL, metrics=metrics, groupBy=group, filters=filters))

    names = {"click": (1,), "purchase": (1,), "signup": (3,)}
    assert rows(await good(ask, dateRange=FULL, metrics=["events"], groupBy=["event:name"])) == names
    assert await counts(["events"], "event:prop:plan", PRO) == {"pro": (2,)}
    assert rows(
        await good(ask, dateRange="30days", metrics=["events"], groupBy=["event:prop:plan"], filters=[PRO])
    ) == {"pro": (1,)}
    latest = {"dateRange": "30days", "metrics": ["users", "events"], "groupBy": ["event:prop:plan"], "filters": [PRO]}
    assert rows(await good(ask, **latest)) == {"pro": (1, 1)}
    assert rows(await good(ask, dateRange="30days", metrics=["events"], groupBy=["country"], filters=[PRO])) == {
        "US": (1,)
    }
    assert await counts(["pageviews"], "", FEATURES) == {"": (1,)}
    assert await counts(["pageviews"], "country", FEATURES) == {"US": (1,)}
    assert await counts(["users", "pageviews"], "page:path", FEATURES) == {"/features": (1, 1)}
    assert await counts(["events"], "event:name", FEATURES) == {"signup": (2,)}
    assert await counts(["pageviews", "events"], "page:path", FEATURES) == {"/features": (1, 0)}
    assert await counts(["users", "events"], "event:name", SIGNUP) == {"signup": (2, 3)}
    assert await counts(["users", "events"], "event:prop:plan", PRO) == {"pro": (2, 2)}
    assert await counts(["users", "pageviews", "events"], "", DONE) == {"": (2, 4, 3)}
    either = {"dateRange": FULL, "metrics": ["users"], "filters": [FEATURES, PRO], "filtersOperator": "or"}
    assert rows(await good(ask, **either)) == {"": (2,)}
    nameless = {"type": "event", "properties": [{"property": "plan", "value": "starter", "operator": "eq"}]}
    assert await counts(["users"], "event:prop:plan", nameless) == {"starter": (1,)}
    assert set(await counts(["users"], "event:prop:plan", {"type": "event"})) == {"pro", "starter"}
    hashes = {"type": "page", "hash": {"value": "#x", "operator": "notEq"}}
    assert await counts(["users"], "", hashes) == {"": (4,)}


async def test_nothing_is_told_as_nothing(ask: Ask) -> None:
    bounds = ["2026-01-10T06:30:00Z", "2026-01-10T08:45:00Z"]
    body = await good(ask, dateRange=bounds, groupBy=["country"])
    assert (body["data"], body["pagination"]["returned"]) == ([], 0)
    assert body["period"] == {"from": bounds[0], "to": bounds[1]}
    assert rows(await good(ask, dateRange=bounds, metrics=ALL)) == {"": (0, 0, 0, 0, 0)}
    assert (await good(ask, dateRange=bounds, groupBy=["interval:auto"]))["data"] == []


async def test_ends_are_what_people_mean(ask: Ask) -> None:
    async def views(*bounds: str) -> int:
        body = await good(ask, dateRange=bounds, metrics=["pageviews"])
        return int(rows(body)[""][0])

    assert await views("2026-01-18T09:00:00Z", "2026-01-18T09:01:00Z") == 0
    assert await views("2026-01-18T09:00:00Z", "2026-01-18T09:01:01Z") == 1
    assert await views("2026-01-18T09:01:00Z", "2026-01-18T09:01:59Z") == 1
    assert await views("2026-01-18", "2026-01-18") == 4
    assert await views("2026-01-18", "2026-01-18T10:02:00Z") == 2


async def test_compares_with_the_period_before(ask: Ask) -> None:
    asked = {"dateRange": ["2026-01-19", "2026-01-19"], "compare": "previousPeriod"}
    whole = await good(ask, **asked)
    assert whole["comparison"] == {
        "type": "previousPeriod",
        "period": {"from": "2026-01-18T00:00:00Z", "to": "2026-01-18T23:59:59Z"},
    }
    assert whole["data"][0]["previous"] == {"users": 2, "pageviews": 4, "events": 2}
    countries = (await good(ask, **asked, groupBy=["country"], metrics=["users"]))["data"]
    told = {row["group"]["country"]: (row["metrics"]["users"], row["previous"]["users"]) for row in countries}
    assert told == {"US": (1, 2), "DE": (1, 0)}
    hours = (await good(ask, **asked, groupBy=["interval:auto"], metrics=["pageviews"]))["data"]
    told = {row["group"]["date"][11:13]: (row["metrics"]["pageviews"], row["previous"]["pageviews"]) for row in hours}
    assert told == {"09": (3, 1), "11": (1, 0)}
    seconds = ["2026-01-18T10:00:00Z", "2026-01-18T11:00:00Z"]
    before = await good(ask, dateRange=seconds, compare="previousPeriod", metrics=["pageviews"])
    assert before["data"][0]["previous"] == {"pageviews": 1}


WRONG: tuple[tuple[dict[str, Any], list[str]], ...] = (
    ({"groupBy": ["planet"]}, ["groupBy.0"]),
    ({"groupBy": ["event:prop:"]}, ["groupBy.0"]),
    ({"groupBy": ["country", "city"]}, ["groupBy"]),
    ({"dateRange": ["2026-01-02", "2026-01-01"]}, ["dateRange"]),
    ({"dateRange": ["2026-01-01T10:00:00Z", "2026-01-01"]}, ["dateRange"]),
    ({"dateRange": ["2026-01-01T10:00:00+01:00", "2026-01-02"]}, ["dateRange.0"]),
    ({"dateRange": ["2026-01-01T10:00:00.000Z", "2026-01-02"]}, ["dateRange.0"]),
    ({"dateRange": ["2026-01-01", "2026-13-45"]}, ["dateRange.1"]),
    ({"dateRange": "century"}, ["dateRange"]),
    ({"dateRange": ["2026-01-01"]}, ["dateRange"]),
    ({"dateRange": ["2026-01-01", "2026-01-02", 5]}, ["dateRange"]),
    ({"metrics": ["users"], "orderBy": [["events", "asc"]]}, ["orderBy.0.0"]),
    ({"orderBy": [["events", "up"]]}, ["orderBy.0.1"]),
    ({"orderBy": [["events", "asc"], ["users", "asc"]]}, ["orderBy"]),
    ({"groupBy": ["country"], "orderBy": [["date", "asc"]]}, ["orderBy.0.0"]),
    ({"filters": [{"type": "referrer", "value": "x", "operator": "is"}]}, ["filters.0.operator"]),
    ({"filters": [{"type": "group"}]}, ["filters.0.type"]),
    ({"limit": 0}, ["limit"]),
    ({"limit": 1001, "offset": -1}, ["limit", "offset"]),
    ({"limit": 1.5}, ["limit"]),
    # Bounds that are not kept do not hide what does not go together.
    ({"limit": 1001, "dateRange": ["2026-01-02", "2026-01-01"]}, ["limit", "dateRange"]),
    ({"metrics": "users", "dateRange": ["2026-01-02", "2026-01-01"]}, ["metrics"]),
)


async def test_says_where_a_query_is_wrong(ask: Ask) -> None:
    for change, fields in WRONG:
        answer = await ask(PATH, {"dateRange": FULL} | change)
        assert (answer.status, answer.code, sorted(answer.fields)) == (400, "VALIDATION_ERROR", sorted(fields)), change


async def test_says_what_is_allowed(ask: Ask) -> None:
    def message(answer: Answer) -> str:
        found: str = answer.body["error"]["details"][0]["message"]
        return found

    direction = await ask(PATH, {"dateRange": "live", "orderBy": [["users", "up"]]})
    assert "'asc' | 'desc', received 'up'" in message(direction)
    operator = await ask(PATH, {"dateRange": "live", "filters": [{"type": "referrer", "value": "", "operator": "is"}]})
    operators = ("any", "eq", "notEq", "contains", "notContains", "startsWith", "endsWith")
    assert " | ".join(f"'{one}'" for one in operators) in message(operator)
    for token in ("event:prop:plan-name$", "event:prop:a b", "utmTerm"):
        assert (await ask(PATH, {"dateRange": "live", "groupBy": [token]})).status == 200
