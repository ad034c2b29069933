"""The endpoints of values and of funnels over the fixture."""

from typing import Any
from uuid import uuid4

import pytest

from tests.web.api import fixture
from tests.web.api.conftest import OTHER_KEY, Ask
from tests.web.conftest import Site
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock
from vemetric.database import funnels as stored_funnels
from vemetric.model.funnel import Funnel
from vemetric.model.project import Project
from vemetric.web.api import paging

FULL = ["2026-01-18", "2026-01-19"]
FUNNEL = {
    "id": fixture.FUNNEL_ID,
    "name": "Sign-up",
    "icon": "rocket",
    "steps": [
        {"id": "step-1", "name": "Step 1", "filter": {"type": "page", "path": {"value": "/", "operator": "eq"}}},
        {
            "id": "step-2",
            "name": "Signed Up",
            "filter": {"type": "event", "name": {"value": "signup", "operator": "eq"}},
        },
    ],
    "createdAt": "2026-01-10T00:00:00.000Z",
    "updatedAt": "2026-01-10T00:00:00.000Z",
}


@pytest.fixture(autouse=True)
def at_noon(project: Any, clock: FrozenClock) -> None:
    clock.set(fixture.at("2026-01-19 11:22"))


class TestValues:
    async def test_of_fields_in_their_order(self, ask: Ask) -> None:
        fields = ["country", "referrer", "event:name"]
        body = (await ask("/v1/filters/values", {"dateRange": FULL, "fields": fields})).body
        assert [one["field"] for one in body["data"]] == fields
        # Germany stands before the United States.
        assert [one["values"] for one in body["data"]] == [
            ["DE", "US"],
            ["Bing", "Google", "Newsletter"],
            ["click", "purchase", "signup"],
        ]
        assert body["query"] == {"dateRange": FULL, "fields": fields, "limit": 100, "offset": 0}
        asked = {"dateRange": FULL, "fields": ["country", "event:name"], "limit": 2, "offset": 1}
        page = (await ask("/v1/filters/values", asked)).body["data"]
        assert [(one["values"], one["pagination"]["returned"]) for one in page] == [
            (["US"], 1),
            (["purchase", "signup"], 2),
        ]

    async def test_of_every_field_within_the_period(self, ask: Ask) -> None:
        tokens = "country city page:origin page:path browser deviceType os referrer referrerType utmCampaign utmContent"
        fields = [*tokens.split(), "utmMedium", "utmSource", "utmTerm", "event:name"]
        day = {"dateRange": ["2026-01-19", "2026-01-19"], "fields": fields}
        found = {one["field"]: one["values"] for one in (await ask("/v1/filters/values", day)).body["data"]}
        assert found["page:path"] == ["/", "/features", "/pricing"]
        assert found["city"] == ["Berlin", "San Francisco"]
        assert found["deviceType"] == ["desktop", "tablet"]
        assert found["utmTerm"] == ["metrics", "privacy"]
        assert all(found.values())

    async def test_cursors_lead_through_all_of_them(self, ask: Ask) -> None:
        fields = ["country", "event:name", "page:path"]
        asked = {"dateRange": FULL, "limit": 2}
        assert "nextCursor" not in str((await ask("/v1/filters/values", asked | {"fields": fields})).body)
        found: dict[str, list[str]] = {field: [] for field in fields}
        cursor, left = "", fields
        while left:
            body = (await ask("/v1/filters/values", asked | {"fields": left, "cursor": cursor, "offset": 1})).body
            for one in body["data"]:
                found[one["field"]] += one["values"]
            # One cursor leads on in every field that has more.
            following = {one["field"]: one["pagination"]["nextCursor"] for one in body["data"]}
            left = [field for field in left if following[field] is not None]
            assert len({following[field] for field in left}) <= 1
            cursor = following[left[0]] if left else ""
        assert found == {
            "country": ["DE", "US"],
            "event:name": ["click", "purchase", "signup"],
            "page:path": ["/", "/features", "/pricing", "/signup"],
        }
        for wrong in ("x", paging.write(0, 1), paging.write(fixture.at("2026-01-19 11:00"), -1)):
            assert (await ask("/v1/filters/values", asked | {"fields": ["city"], "cursor": wrong})).fields == ["cursor"]

    async def test_says_where_a_query_is_wrong(self, ask: Ask) -> None:
        wrong: tuple[tuple[dict[str, Any], list[str]], ...] = (
            ({"fields": None}, ["fields"]),
            ({"fields": []}, ["fields"]),
            ({"fields": ["city", "city"]}, ["fields"]),
            ({"fields": ["interval:auto"]}, ["fields.0"]),
            ({"fields": ["event:prop:plan"]}, ["fields.0"]),
            ({"dateRange": FULL[::-1]}, ["dateRange"]),
        )
        for change, fields in wrong:
            answer = await ask("/v1/filters/values", {"dateRange": FULL, "fields": ["city"]} | change)
            assert (answer.status, answer.fields) == (400, fields), change
            if fields == ["fields.0"]:
                assert "'country' | 'city' | 'page:origin'" in answer.body["error"]["details"][0]["message"]

    async def test_fields_are_required(self, ask: Ask) -> None:
        details = (await ask("/v1/filters/values", {"dateRange": FULL})).body["error"]["details"]
        assert details == [{"field": "fields", "message": "Required"}]


class TestFunnels:
    async def test_are_listed(self, ask: Ask, other: Project) -> None:
        assert (await ask("/v1/funnels")).body == {"funnels": [FUNNEL]}
        # Those of another project are not there, under their address neither, whatever plan there is.
        assert (await ask("/v1/funnels", key=OTHER_KEY)).body == {"funnels": []}
        foreign = await ask(f"/v1/funnels/{fixture.FUNNEL_ID}", {"dateRange": "1year"}, key=OTHER_KEY)
        assert (foreign.status, foreign.code) == (404, "FUNNEL_NOT_FOUND")

    async def test_are_counted(self, ask: Ask) -> None:
        path = f"/v1/funnels/{fixture.FUNNEL_ID}"
        body = (await ask(path, {"dateRange": FULL})).body
        assert body["period"] == {"from": "2026-01-18T00:00:00Z", "to": "2026-01-19T23:59:59Z"}
        assert (body["query"], body["funnel"]) == ({"dateRange": FULL}, FUNNEL)
        assert body["results"] == {
            "activeUsers": 4,
            "steps": [
                {"id": "step-1", "name": "Step 1", "users": 4, "conversionRate": 100},
                {"id": "step-2", "name": "Signed Up", "users": 2, "conversionRate": 50},
            ],
            "conversionRate": 50,
            "activeUserConversionRate": 50,
        }
        filters = [{"type": "location", "country": {"value": ["US"], "operator": "oneOf"}}]
        american = (await ask(path, {"dateRange": FULL, "filters": filters})).body
        assert american["query"] == {"dateRange": FULL, "filters": filters, "filtersOperator": "and"}
        results = american["results"]
        assert [step["users"] for step in results["steps"]] == [3, 2]
        assert results["activeUsers"] == 3
        rates = (results["steps"][1]["conversionRate"], results["conversionRate"], results["activeUserConversionRate"])
        assert rates == (66.67, 66.67, 66.67)
        month = (await ask(path, {"dateRange": "30days"})).body["results"]
        assert (month["activeUsers"], [step["users"] for step in month["steps"]]) == (5, [4, 2])
        assert (month["conversionRate"], month["activeUserConversionRate"]) == (50, 40)

    async def test_rates_are_of_those_before(self, site: Site, engine: Engine, ask: Ask, other: Project) -> None:
        await fixture.insert_visitors(engine, other.id, active=230, viewed=120, signed_up=45)
        made = Funnel(str(uuid4()), "Sign-up", fixture.STEPS, None, created_at_ms=1, updated_at_ms=1)
        async with site.services.database.begin() as connection:
            await stored_funnels.create(connection, other.id, made)
        results = (await ask(f"/v1/funnels/{made.id}", {"dateRange": FULL}, key=OTHER_KEY)).body["results"]
        assert (results["activeUsers"], [step["users"] for step in results["steps"]]) == (230, [120, 45])
        assert [step["conversionRate"] for step in results["steps"]] == [100, 37.5]
        assert (results["conversionRate"], results["activeUserConversionRate"]) == (37.5, 19.57)

    async def test_that_are_none(self, ask: Ask) -> None:
        for id_ in ("x", "%00", "%0A", "a%2Fb", "ü" * 50):
            answer = await ask(f"/v1/funnels/{id_}", {"dateRange": FULL})
            assert (answer.status, answer.code) == (404, "FUNNEL_NOT_FOUND"), id_
        # What is sent is looked at first.
        assert (await ask("/v1/funnels/x", {})).fields == ["dateRange"]


class TestPlans:
    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"VEMETRIC_PLAN_LIMITS": "yes"}

    async def test_are_asked_for_a_funnel_without_steps_too(self, site: Site, ask: Ask, project: Project) -> None:
        made = Funnel(str(uuid4()), "Empty", (), None, created_at_ms=1, updated_at_ms=1)
        async with site.services.database.begin() as connection:
            await stored_funnels.create(connection, project.id, made)
        answer = await ask(f"/v1/funnels/{made.id}", {"dateRange": "1year"})
        assert (answer.status, answer.code) == (403, "PLAN_LIMIT_EXCEEDED")
        results = (await ask(f"/v1/funnels/{made.id}", {"dateRange": "30days"})).body["results"]
        assert (results["steps"], results["conversionRate"]) == ([], 0)
