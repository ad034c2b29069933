"""Who may ask the API what, how often, and what is answered to those who may not: over the whole table of endpoints."""

import gzip
from typing import Any

import pytest
import sqlalchemy

from tests.web.api import fixture
from tests.web.api.conftest import KEY, PROJECT_ID, WRITE_KEY, Ask
from tests.web.conftest import Site
from vemetric import errors
from vemetric.accounts import tokens
from vemetric.clock import FrozenClock
from vemetric.database import api_keys, subscriptions
from vemetric.database import projects as stored_projects
from vemetric.database.tables import project as project_table
from vemetric.model.api_key import Scope
from vemetric.model.project import Project
from vemetric.model.subscription import Subscription
from vemetric.web.api import checks, door
from vemetric.web.api.routes import ENDPOINTS

UNKNOWN_KEY = "vem_" + "x" * 32
BODIES: dict[str, Any] = {
    "/analytics/query": {"dateRange": "30days"},
    "/filters/values": {"dateRange": "30days", "fields": ["city"]},
    "/users": {"dateRange": "30days"},
    "/users/events": {"dateRange": "30days"},
    "/sessions": {"dateRange": "30days"},
    "/funnels/{id}": {"dateRange": "30days"},
    "/events/export": {"dateRange": "30days"},
    "/events": {"events": [{"name": "tried", "userIdentifier": "ann"}]},
}


def path_of(path: str) -> str:
    query = "?id=3" if path.startswith(("/users/", "/sessions")) else ""
    return f"/v1{path.replace('{id}', fixture.FUNNEL_ID)}{query}"


class TestKeys:
    async def test_four_ways_of_having_none(self, site: Site, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        looked_up: list[str] = []
        by_hash = api_keys.by_hash

        async def counted(connection: Any, key_hash: str) -> Any:
            looked_up.append(key_hash)
            return await by_hash(connection, key_hash)

        monkeypatch.setattr(api_keys, "by_hash", counted)
        messages = set()
        for headers in (
            {},
            {"Authorization": KEY},
            {"Authorization": f"bearer {KEY}"},
            {"Authorization": "Bearer vem_short"},
            {"Authorization": "Bearer " + "v" * 5000},
            {"Authorization": "Bearer abc_" + "x" * 32},
            {"Authorization": f"Bearer {UNKNOWN_KEY}"},
        ):
            assert looked_up == []
            answer = await ask("/v1/project", key="", headers=headers)
            assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
            assert not [name for name in answer.headers if name.startswith("X-RateLimit")]
            messages.add(answer.body["error"]["message"])
        assert (len(messages), len(looked_up)) == (4, 1)
        assert (await ask("/v1/project", key=f"  {KEY} ")).status == 200

    async def test_open_their_project_until_they_are_revoked(self, site: Site, ask: Ask, project: Project) -> None:
        expected = {
            "id": str(PROJECT_ID),
            "name": "Example",
            "domain": "example.com",
            "token": "public-token",
            "createdAt": "2026-01-09T23:06:40.000Z",
            "firstEventAt": None,
            "hasPublicDashboard": False,
            "excludedIps": [],
            "excludedCountries": [],
        }
        assert (await ask("/v1/project")).body == {"project": expected}
        database = site.services.database
        changes = {"public_dashboard": True, "first_event_at_ms": 1_768_000_000_123}
        async with database.begin() as connection:
            await connection.change(sqlalchemy.update(project_table).values(changes))
        told = (await ask("/v1/project")).body["project"]
        assert (told["hasPublicDashboard"], told["firstEventAt"]) == (True, "2026-01-09T23:06:40.123Z")
        async with database.begin() as connection:
            found = await api_keys.by_hash(connection, tokens.hashed(KEY))
            assert found is not None
            assert found.last_used_at_ms == site.services.clock.now_ms()
            await connection.change(sqlalchemy.text("UPDATE api_key SET revoked_at_ms = 2"))
        assert (await ask("/v1/project")).code == "UNAUTHORIZED"

    async def test_exclusions_are_lists(self, site: Site, ask: Ask, project: Project) -> None:
        changed = Project(
            **{field: getattr(project, field) for field in project.__struct_fields__}
            | {"excluded_ips": ("127.0.0.1", "10.0.0.2"), "excluded_countries": ("DE", "AT")}
        )
        async with site.services.database.begin() as connection:
            assert await stored_projects.update_settings(connection, changed, 5)
        told = (await ask("/v1/project")).body["project"]
        assert (told["excludedIps"], told["excludedCountries"]) == (["10.0.0.2", "127.0.0.1"], ["AT", "DE"])

    async def test_do_what_they_are_for(self, ask: Ask) -> None:
        for endpoint in ENDPOINTS:
            asked = {"body": BODIES.get(endpoint.path), "method": endpoint.method}
            right, wrong = (KEY, WRITE_KEY) if endpoint.scope is Scope.READ else (WRITE_KEY, KEY)
            statuses = []
            for key in ("", UNKNOWN_KEY, wrong, right):
                answer = await ask(path_of(endpoint.path), key=key, **asked)
                statuses.append(answer.status)
                assert "Access-Control-Allow-Origin" not in answer.headers
                assert "ETag" not in answer.headers
            assert statuses == [401, 401, 403, 200], endpoint.path
            if endpoint.scope is Scope.READ:
                assert (await ask(path_of(endpoint.path), key=WRITE_KEY, **asked)).code == "INSUFFICIENT_SCOPE"


class TestPaths:
    async def test_that_lead_nowhere(self, ask: Ask) -> None:
        for method, path in (
            ("POST", "/v1/project"),
            ("GET", "/v1/users"),
            ("OPTIONS", "/v1/users"),
            ("DELETE", "/v1/funnels"),
            ("GET", "/v1"),
            ("GET", "/v1/"),
            ("GET", "/v1/nothing"),
            ("GET", "/v1/project/"),
            ("POST", "/v1/funnels/"),
        ):
            answer = await ask(path, method=method)
            assert (answer.status, answer.code) == (404, "NOT_FOUND"), (method, path)
            assert "X-RateLimit-Limit" in answer.headers
            assert (await ask(path, method=method, key="")).code == "UNAUTHORIZED"
        for method, path in (("GET", "/v2/project"), ("GET", "/v10"), ("POST", ""), ("GET", "/%00"), ("GET", "/%0A")):
            answer = await ask(path, method=method, key="")
            assert (answer.status, answer.code) == (404, "NOT_FOUND"), (method, path)
        assert (await ask("/v1/%00", key="")).code == "UNAUTHORIZED"
        assert (await ask("/v1/%00")).code == "NOT_FOUND"

    async def test_a_head_is_a_page_without_its_body(self, ask: Ask) -> None:
        answer = await ask("/v1/project", method="HEAD")
        assert (answer.status, answer.body) == (200, "")

    async def test_to_the_documentation(self, ask: Ask) -> None:
        for path in ("", "/", "/docs"):
            answer = await ask(path, key="", allow_redirects=False)
            assert (answer.status, answer.headers["Location"]) == (302, "/docs/reference")
        assert (await ask("/openapi.json", key="")).body["info"]["title"] == "Vemetric API"


class TestBodies:
    async def test_that_are_no_json(self, ask: Ask) -> None:
        for body in (b"", b"{", b"\xff", b"[" * 100_000, b'{"dateRange": NaN}'):
            answer = await ask("/v1/users", data=body, headers={"Content-Type": "application/json"})
            assert (answer.status, answer.code) == (400, "HTTP_ERROR"), body[:10]
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            answer = await ask("/v1/users", data=b'{"dateRange": "live"}', headers={"Content-Type": kind})
            assert answer.fields == ["dateRange"]
        sent = {"data": b'{"dateRange": "live", "more": 1}', "headers": {"Content-Type": "application/vnd.x+json"}}
        assert (await ask("/v1/users", **sent)).status == 200
        for body in (b"[]", b"5", b"null"):
            answer = await ask("/v1/users", data=body, headers={"Content-Type": "application/json"})
            assert (answer.status, answer.fields) == (400, [""])
        assert (await ask("/v1/users", {"dateRange": "live", "limit": 10.0})).body["pagination"]["limit"] == 10

    async def test_that_are_nested_deeply(self, ask: Ask) -> None:
        for depth, status in ((300, 200), (600, 400), (800, 400), (940, 400)):
            body = b'{"dateRange": "live", "more": %s1%s}' % (b"[" * depth, b"]" * depth)
            answer = await ask("/v1/users", data=body, headers={"Content-Type": "application/json"})
            assert answer.status == status, depth
            assert status == 200 or answer.code == "HTTP_ERROR"

    async def test_that_are_wrong_all_over(self, ask: Ask) -> None:
        for change in ({"groupBy": [0] * 1000}, {"orderBy": [["date", "asc"]] * 1000}):
            answer = await ask("/v1/analytics/query", {"dateRange": "live"} | change)
            assert (answer.status, len(answer.fields)) == (400, checks.PROBLEMS_MAX)
        # What is not looked at any more may be of any kind.
        wrong = {"dateRange": "live", "groupBy": [0] * 1000, "orderBy": [0]}
        assert len((await ask("/v1/analytics/query", wrong)).fields) == checks.PROBLEMS_MAX

    async def test_that_are_too_large(self, ask: Ask) -> None:
        answer = await ask("/v1/users", {"dateRange": "live", "filler": "x" * 1_000_000})
        assert (answer.status, answer.code) == (413, "HTTP_ERROR")

    async def test_that_are_packed(self, ask: Ask) -> None:
        headers = {"Content-Type": "application/json"}
        for coding, status in (("gzip", 200), ("br", 415), ("zstd", 415)):
            body = gzip.compress(b'{"dateRange": "live"}')
            answer = await ask("/v1/users", data=body, headers=headers | {"Content-Encoding": coding})
            assert answer.status == status
            assert status == 200 or answer.code == "HTTP_ERROR"


class TestRate:
    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"VEMETRIC_API_REQUESTS_PER_MINUTE": "3"}

    async def test_is_exact_at_its_bound(self, ask: Ask, clock: FrozenClock) -> None:
        answers = [await ask("/v1/project") for _ in range(3)]
        assert [one.status for one in answers] == [200, 200, 200]
        assert [one.headers["X-RateLimit-Remaining"] for one in answers] == ["2", "1", "0"]
        reset = str((clock.now_ms() + 60_000) // 1000)
        assert {(one.headers["X-RateLimit-Limit"], one.headers["X-RateLimit-Reset"]) for one in answers} == {
            ("3", reset)
        }
        clock.advance(59_999)
        over = await ask("/v1/nothing")
        assert (over.status, over.code, over.headers["X-RateLimit-Remaining"]) == (429, "RATE_LIMIT_EXCEEDED", "0")
        assert over.headers["Retry-After"] == "1"
        words = "At most 3 requests a minute; please wait 1 s."
        assert over.body == {"error": {"code": "RATE_LIMIT_EXCEEDED", "message": words}}
        # To write is counted apart; whoever has no key is not counted.
        assert (await ask("/v1/nothing", key=WRITE_KEY)).status == 404
        assert (await ask("/v1/nothing", key=UNKNOWN_KEY)).status == 401
        clock.advance(1)
        assert (await ask("/v1/nothing")).headers["X-RateLimit-Remaining"] == "2"

    async def test_is_a_hundred_unless_it_is_set(self, site: Site) -> None:
        from vemetric import config

        assert config.load({})[0].api_requests_per_minute == 100

    async def test_nobody_passes_uncounted(
        self, site: Site, ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def broken(key: str, expires_ms: int) -> tuple[int, int]:
            raise errors.Unavailable

        monkeypatch.setattr(site.services.keys, "count_up", broken)
        answer = await ask("/v1/project")
        assert (answer.status, set(answer.body["error"])) == (500, {"code", "message"})
        assert answer.code == "INTERNAL_ERROR"
        assert not any(record.exc_info for record in caplog.records)

    async def test_while_the_database_is_away_one_may_come_again(
        self, site: Site, ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def broken(*_: Any) -> Any:
            raise errors.Unavailable

        monkeypatch.setattr(site.services.database, "_start", broken)
        answer = await ask("/v1/project")
        assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "UNAVAILABLE", "5")
        assert not any(record.exc_info for record in caplog.records)


class TestPlans:
    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"VEMETRIC_PLAN_LIMITS": "yes"}

    async def test_reach_back_as_far_as_was_bought(self, site: Site, ask: Ask, clock: FrozenClock) -> None:
        async def statuses(date_range: Any) -> list[int]:
            found = []
            for path, body in BODIES.items():
                if "dateRange" in body:
                    answer = await ask(path_of(path), body | {"dateRange": date_range})
                    found.append(answer.status)
                    assert answer.status == 200 or answer.code == "PLAN_LIMIT_EXCEEDED"
            return found

        paths = sum("dateRange" in body for body in BODIES.values())
        for preset in ("3months", "6months", "1year"):
            assert await statuses(preset) == [403] * paths
        assert await statuses(["2026-01-10", "2026-02-01"]) == [403] * paths
        for allowed in ("30days", "live", ["2026-01-20", "2026-02-01"]):
            assert await statuses(allowed) == [200] * paths
        assert (await ask("/v1/users/single?id=5")).status == 200
        # The plan is asked after what was sent and before the user; after the funnel.
        assert (await ask("/v1/users/events?id=99", {"dateRange": "1year"})).status == 403
        assert (await ask("/v1/users", {"dateRange": "1year", "limit": 0})).status == 400
        assert (await ask("/v1/funnels/x", {"dateRange": "1year"})).status == 404
        bought = Subscription("acme", "sub", "customer", "price", "active", None, None, 1)
        async with site.services.database.begin() as connection:
            await subscriptions.store(connection, bought)
        assert await statuses("1year") == [200] * paths


async def test_without_plans_everybody_sees_everything(ask: Ask) -> None:
    assert (await ask("/v1/analytics/query", {"dateRange": "1year"})).status == 200


async def test_what_fails_is_told_as_json(ask: Ask, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(*_: Any) -> Any:
        raise errors.StoreBusy("too much to do")

    async def broken(*_: Any) -> Any:
        raise RuntimeError("a bug")

    asked = ("/v1/analytics/query", {"dateRange": "30days"})
    monkeypatch.setattr(site.services.engine, "query", busy)
    answer = await ask(*asked)
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "UNAVAILABLE", "5")
    monkeypatch.setattr(site.services.engine, "query", broken)
    answer = await ask(*asked)
    assert (answer.status, answer.code, "bug" in str(answer.body)) == (500, "INTERNAL_ERROR", False)


async def test_a_path_is_one_line_of_the_log(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def busy(*_: Any) -> Any:
        raise errors.StoreBusy("too much to do")

    monkeypatch.setattr(door.api_access, "open_project", busy)
    assert (await ask("/v1/funnels/x%0A2026-03-10%20ERROR%20forged", {"dateRange": "30days"})).status == 503
    [told] = [record.getMessage() for record in caplog.records if record.name == door.log.name]
    assert told == "POST /api/v1/funnels/x%0A2026-03-10%20ERROR%20forged: too much to do"
