"""A key opens one project: whatever is asked with it, nothing of another project is ever told."""

import asyncio
import json
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.api import fixture
from tests.web.api.conftest import KEY, OTHER_KEY, PROJECT_ID, Ask
from vemetric.model.project import Project
from vemetric.web.api.routes import ENDPOINTS
from vemetric.web.api.types import OFFSET_MAX, FieldToken, Metric

# What only the fixture's project has: identifiers, names, paths, sources, values, ids of its own.
SECRETS = (
    *("user-1", "user-2", "user-3", "user-4", "Zulu", "Echo", "Bravo", "Charlie", "Acme Inc", "starter"),
    *("/features", "/pricing", "/checkout", "/landing", "winter_launch", "jan_push", "hero_cta", "newsletter"),
    *("San Francisco", "Berlin", "signup", "purchase", "event-1", "Signed Up", "Sign-up", "public-token"),
    str(PROJECT_ID),
)
# What a request may name that the other project has: its ids, values and texts that try to leave their place.
REACHING = (
    *("1", "3", "5", str(PROJECT_ID), fixture.FUNNEL_ID, "user-1", "user-3", "%", "*", "", "\0", "😀"),
    *("' OR 1=1 --", "{project:UInt64}", "/*}*/ true /*{*/", "') OR projectId > 0 --", f"projectId = {PROJECT_ID}"),
)
words = st.sampled_from(REACHING) | st.text(string.printable, max_size=12)
operators = st.sampled_from(("any", "eq", "notEq", "contains", "notContains", "startsWith", "endsWith"))
ways = st.sampled_from(("any", "oneOf", "noneOf"))
parts = st.fixed_dictionaries({"value": words, "operator": operators})
choices = st.fixed_dictionaries({"value": st.lists(words, max_size=3), "operator": ways})
properties = st.lists(st.fixed_dictionaries({"property": words, "value": words, "operator": operators}), max_size=2)
events = st.fixed_dictionaries({"type": st.just("event")}, optional={"name": parts, "properties": properties})
pages = st.fixed_dictionaries({"type": st.just("page")}, optional={"path": parts, "origin": parts, "hash": parts})
rows = st.one_of(
    events,
    pages,
    *(
        st.fixed_dictionaries({"type": st.just(kind), "value": st.lists(words, max_size=3), "operator": ways})
        for kind in ("browser", "device", "os")
    ),
)
funnels = st.fixed_dictionaries(
    {
        "type": st.just("funnel"),
        "id": st.just(fixture.FUNNEL_ID),
        "step": st.integers(0, 3),
        "operator": st.sampled_from(("completed", "notCompleted")),
    }
)
users = st.one_of(
    rows,
    funnels,
    st.fixed_dictionaries({"type": st.just("user"), "anonymous": st.booleans()}),
    st.fixed_dictionaries({"type": st.just("location")}, optional={"country": choices, "city": choices}),
    st.fixed_dictionaries({"type": st.just("referrer"), "value": words, "operator": operators}),
    st.fixed_dictionaries({"type": st.just("utmTags")}, optional={"utmSource": parts, "utmTerm": parts}),
)
ranges = st.sampled_from(("30days", "1year", ["2025-12-01", "2026-02-01"], ["1970-01-01", "2199-12-31"]))
shared: dict[str, Any] = {
    "timezone": st.sampled_from(("UTC", "Asia/Tokyo")),
    "filtersOperator": st.sampled_from(("and", "or")),
    "limit": st.integers(1, 1000),
    "offset": st.integers(0, OFFSET_MAX),
}
tokens = st.sampled_from([*map(str, FieldToken), "interval:auto"]) | words.map(lambda word: f"event:prop:{word}")
orders = st.one_of(
    st.tuples(
        st.sampled_from(("lastSeenAt", "displayName", "identifier", "country")), st.sampled_from(("asc", "desc"))
    ),
    st.tuples(
        st.just("lastEventFired"),
        st.sampled_from(("asc", "desc")),
        st.fixed_dictionaries({}, optional={"name": parts, "properties": properties}),
    ),
)
BODIES: dict[str, dict[str, Any]] = {
    "queryAnalytics": {
        **shared,
        "filters": st.lists(users, max_size=3),
        "groupBy": st.lists(tokens, max_size=1),
        "metrics": st.lists(st.sampled_from(list(map(str, Metric))), max_size=5),
        "fillGaps": st.booleans(),
        "compare": st.just("previousPeriod"),
    },
    "listFilterValues": {"fields": st.lists(st.sampled_from(list(map(str, FieldToken))), min_size=1, unique=True)},
    "listUsers": {**shared, "filters": st.lists(users, max_size=3), "orderBy": st.lists(orders, max_size=1)},
    "listUserEvents": {**shared, "filters": st.lists(rows, max_size=3)},
    "listSessions": {
        **shared,
        "filters": st.lists(users, max_size=3),
        "orderBy": st.lists(
            st.tuples(st.sampled_from(("startedAt", "duration")), st.sampled_from(("asc", "desc"))), max_size=1
        ),
    },
    "queryFunnel": {"filters": st.lists(users, max_size=3)},
    "exportEvents": {"filters": st.lists(rows, max_size=2), "format": st.sampled_from(("ndjson", "csv"))},
}
NO_BODY = {"getProject", "getUser", "listFunnels"}
named = st.fixed_dictionaries({}, optional={"id": words, "identifier": words})


def test_every_endpoint_that_tells_is_asked() -> None:
    assert {one.name for one in ENDPOINTS} == BODIES.keys() | NO_BODY | {"sendEvents"}


@pytest.mark.parametrize("examples", [12, pytest.param(300, marks=pytest.mark.long)])
async def test_no_parameter_reaches_anothers_rows(ask: Ask, other: Project, examples: int) -> None:
    loop = asyncio.get_running_loop()

    def check(endpoint: Any) -> None:
        fields = BODIES.get(endpoint.name, {})
        always = {name: one for name, one in fields.items() if name == "fields"}
        optional = {name: one for name, one in fields.items() if name not in always}
        bodies = st.fixed_dictionaries({"dateRange": ranges, **always}, optional=optional)

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=examples == 12,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(body=bodies, query=named, id_=words)
        def tells_nothing(body: Any, query: dict[str, str], id_: str) -> None:
            path = f"/v1{endpoint.path}"
            if endpoint.name == "queryFunnel":
                path = f"/v1/funnels/{fixture.FUNNEL_ID}"
            sent = body if endpoint.name in BODIES else None
            asked = ask(path, sent, key=OTHER_KEY, params=query if endpoint.query else {})
            answer = asyncio.run_coroutine_threadsafe(asked, loop).result(30)
            assert answer.status in (200, 400, 404), answer.body
            if answer.status == 200:
                told = dict(answer.body) if isinstance(answer.body, dict) else {"lines": answer.body}
                # What was asked is told again, whatever it names.
                told.pop("query", None)
                text = json.dumps(told, ensure_ascii=False)
                assert [secret for secret in SECRETS if secret in text] == []
                assert not _figures(told)

        tells_nothing()

    for endpoint in ENDPOINTS:
        if endpoint.name != "sendEvents":
            await asyncio.to_thread(check, endpoint)
    # What the keys of both open is not the same: the strategies would find it.
    assert (await ask("/v1/users", {"dateRange": "1year"}, key=KEY)).body["users"]


def _figures(told: Any) -> list[Any]:
    """Numbers that would be somebody's."""
    data = told.get("data", []) if isinstance(told, dict) else []
    return [
        value
        for row in data
        if "metrics" in row
        for value in (*row["metrics"].values(), *row.get("previous", {}).values())
        if value
    ]
