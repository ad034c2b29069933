"""Whatever a request may hold has a bound: it is taken at the bound and refused past it, with the field's name."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.api import fixture
from tests.web.api.conftest import WRITE_KEY, Ask
from vemetric.model.filters import FILTERS_MAX, PROPERTIES_MAX, VALUE_CHARACTERS_MAX, VALUES_MAX
from vemetric.web.api import openapi, requests, types
from vemetric.web.api.checks import RECEIVED_CHARACTERS_MAX
from vemetric.web.api.routes import ENDPOINTS

BOUNDS = {"array": "maxItems", "string": "maxLength", "integer": "maximum"}
# Words and the places of a date are few by themselves.
BY_THEMSELVES = ("enum", "format")


def unbounded(schema: dict[str, Any], path: str) -> Iterator[str]:
    """Where a schema says nothing of how much there may be."""
    for word in ("anyOf", "oneOf"):
        for number, one in enumerate(schema.get(word, ())):
            yield from unbounded(one, f"{path}/{number}")
    bound = BOUNDS.get(schema.get("type", ""))
    if bound is not None and bound not in schema and not any(word in schema for word in BY_THEMSELVES):
        yield path
    if "items" in schema:
        yield from unbounded(schema["items"], f"{path}/items")
    for name, one in schema.get("properties", {}).items():
        yield from unbounded(one, f"{path}/{name}")


def test_every_schema_of_a_request_says_its_bounds() -> None:
    for endpoint in ENDPOINTS:
        if endpoint.request is not None:
            assert list(unbounded(openapi.schema_of(endpoint.request), endpoint.path)) == []


def text(operator: str, size: int) -> dict[str, str]:
    return {"value": "x" * size, "operator": operator}


def filters(size: int) -> Any:
    return {"filters": [{"type": "page"}] * size}


def properties(size: int) -> Any:
    return {"filters": [{"type": "event", "properties": [{"property": "p"} | text("eq", 1)] * size}]}


def browsers(size: int) -> Any:
    return {"filters": [{"type": "browser", "value": ["x"] * size, "operator": "oneOf"}]}


def browser(size: int) -> Any:
    return {"filters": [{"type": "browser", "value": ["x" * size], "operator": "oneOf"}]}


def referrer(size: int) -> Any:
    return {"filters": [{"type": "referrer"} | text("contains", size)]}


def funnel(step: int) -> Any:
    return {"filters": [{"type": "funnel", "id": fixture.FUNNEL_ID, "step": step, "operator": "completed"}]}


def group(size: int) -> Any:
    return {"groupBy": ["event:prop:" + "x" * (size - len("event:prop:"))]}


ANALYTICS: tuple[tuple[str, int, Any], ...] = (
    ("metrics", types.METRICS_MAX, lambda size: {"metrics": ["users"] * size}),
    ("limit", types.LIMIT_MAX, lambda size: {"limit": size}),
    ("offset", types.OFFSET_MAX, lambda size: {"offset": size, "groupBy": ["country"]}),
    ("filters", FILTERS_MAX, filters),
    ("filters.0.properties", PROPERTIES_MAX, properties),
    ("filters.0.value", VALUES_MAX, browsers),
    ("filters.0.value.0", VALUE_CHARACTERS_MAX, browser),
    ("filters.0.value", VALUE_CHARACTERS_MAX, referrer),
    ("filters.0.step", types.STEP_MAX, funnel),
    ("groupBy.0", types.EVENT_TOKEN_CHARACTERS_MAX, group),
    ("groupBy", 1, lambda size: {"groupBy": ["country"] * size}),
    ("orderBy", 1, lambda size: {"orderBy": [["users", "asc"]] * size}),
)


@pytest.mark.parametrize(("field", "bound", "made"), ANALYTICS, ids=[f"{row[0]}-{row[1]}" for row in ANALYTICS])
async def test_of_figures(ask: Ask, field: str, bound: int, made: Any) -> None:
    asked = {"dateRange": "live"}
    assert (await ask("/v1/analytics/query", asked | made(bound))).status == 200
    answer = await ask("/v1/analytics/query", asked | made(bound + 1))
    assert (answer.status, answer.code, answer.fields) == (400, "VALIDATION_ERROR", [field])


async def test_of_texts_that_are_something(ask: Ask) -> None:
    """A day, a zone and a cursor have a bound beside what they must be."""
    for field, bound, path in (
        ("timezone", types.ZONE_CHARACTERS_MAX, "timezone"),
        ("cursor", types.CURSOR_CHARACTERS_MAX, "cursor"),
    ):
        answer = await ask("/v1/users", {"dateRange": "live", field: "x" * (bound + 1)})
        assert answer.body["error"]["details"] == [
            {"field": path, "message": f"String must contain at most {bound} character(s)"}
        ]
        shorter = await ask("/v1/users", {"dateRange": "live", field: "x" * bound})
        assert (shorter.fields, "at most" in str(shorter.body)) == ([path], False)
    long = ["2026-01-01" + " " * types.BOUND_CHARACTERS_MAX, "2026-01-02"]
    assert (await ask("/v1/users", {"dateRange": long})).fields == ["dateRange.0"]


async def test_of_fields(ask: Ask) -> None:
    fields = list(map(str, types.FieldToken))
    asked = {"dateRange": "live", "limit": types.LIMIT_MAX, "offset": types.OFFSET_MAX}
    assert (await ask("/v1/filters/values", asked | {"fields": fields})).status == 200
    more = (fields * 2)[: requests.FIELDS_MAX + 1]
    details = (await ask("/v1/filters/values", asked | {"fields": more})).body["error"]["details"]
    assert [one["field"] for one in details] == ["fields", "fields"]
    assert str(requests.FIELDS_MAX) in details[0]["message"]


async def test_of_orders(ask: Ask) -> None:
    def fired(name: int, properties: int) -> Any:
        match = {"name": text("eq", name), "properties": [{"property": "p"} | text("eq", 1)] * properties}
        return {"dateRange": "live", "orderBy": [["lastEventFired", "asc", match]]}

    assert (await ask("/v1/users", fired(VALUE_CHARACTERS_MAX, PROPERTIES_MAX))).status == 200
    assert (await ask("/v1/users", fired(VALUE_CHARACTERS_MAX + 1, 1))).fields == ["orderBy.0.2.name.value"]
    assert (await ask("/v1/users", fired(1, PROPERTIES_MAX + 1))).fields == ["orderBy.0.2.properties"]


async def test_of_events_that_are_sent(ask: Ask) -> None:
    event = {"name": "x", "userIdentifier": "ann"}
    for name, bound in (("name", 1000), ("userIdentifier", 1000), ("id", 200), ("displayName", 1000), ("url", 8000)):
        url = "https://example.com/"
        good = url + "x" * (bound - len(url)) if name == "url" else "x" * bound
        taken = await ask("/v1/events", {"events": [event | {name: good}]}, key=WRITE_KEY)
        assert (taken.status, taken.body["refused"]) == (200, []), name
        answer = await ask("/v1/events", {"events": [event | {name: good + "x"}]}, key=WRITE_KEY)
        assert answer.fields == [f"events.0.{name}"]
    assert (await ask("/v1/events", {"events": [event] * requests.EVENTS_MAX}, key=WRITE_KEY)).status == 200
    many = await ask("/v1/events", {"events": [event] * (requests.EVENTS_MAX + 1)}, key=WRITE_KEY)
    assert many.fields == ["events"]


async def test_what_was_received_is_told_in_part(ask: Ask) -> None:
    answer = await ask("/v1/analytics/query", {"dateRange": "live", "metrics": ["x" * 100_000]})
    message = answer.body["error"]["details"][0]["message"]
    assert message.endswith(f"received '{'x' * RECEIVED_CHARACTERS_MAX}'")


async def test_too_long_a_list_may_hold_anything(ask: Ask) -> None:
    """It is not looked at, and so nothing may lean on what is in it."""
    for content in ({}, [], None, 1):
        asked = {"dateRange": "live", "metrics": [content] * (types.METRICS_MAX + 1), "orderBy": [["users", "asc"]]}
        assert (await ask("/v1/analytics/query", asked)).fields == ["metrics"]
