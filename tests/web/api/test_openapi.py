"""The document: all that the original's said, and true of what is answered, whatever is asked."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tests.web.api.conftest import KEY, WRITE_KEY, Ask
from tests.web.conftest import Site
from vemetric.web.api import openapi
from vemetric.web.api.routes import ENDPOINTS

SKELETON = Path(__file__).with_name("openapi-skeleton.json")
EXAMPLES, EXAMPLES_LONG = 8, 80
# A schema cannot say which days there are, which fields go together and what a project has.
UNSAID = [positive_data_acceptance]
# Names that nobody knows are ignored, in a query as in a body; there the schema does not forbid them.
UNSAID_OF_QUERIES = [*UNSAID, negative_data_rejection]
SETS = ("enum", "required")
NOTED = {
    *("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
    *("Retry-After", "WWW-Authenticate", "Content-Disposition"),
}


def missing(said: Any, ours: Any, path: str = "") -> Iterator[str]:
    """Where the document says less than another, or something else."""
    if isinstance(said, dict) and isinstance(ours, dict):
        for key, value in said.items():
            if key in ours:
                yield from missing(value, ours[key], f"{path}/{key}")
            else:
                yield f"{path}/{key}"
    elif isinstance(said, list) and isinstance(ours, list) and path.rpartition("/")[2] in SETS:
        if not set(said) <= set(ours):
            yield path
    elif isinstance(said, list) and isinstance(ours, list) and len(said) == len(ours):
        for number, (one, other) in enumerate(zip(said, ours, strict=True)):
            yield from missing(one, other, f"{path}/{number}")
    elif said != ours:
        yield path


async def test_says_all_that_the_original_says(ask: Ask) -> None:
    answer = await ask("/openapi.json", key="")
    assert answer.status == 200
    assert list(missing(json.loads(SKELETON.read_text("utf-8")), answer.body)) == []
    assert answer.body["servers"][0]["url"].endswith("/api")
    assert answer.body["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    operations = [one for path in answer.body["paths"].values() for one in path.values()]
    assert len({one["operationId"] for one in operations}) == len(operations) == len(ENDPOINTS)
    tags = {tag["name"] for tag in answer.body["tags"]}
    assert all(one["summary"] and set(one["tags"]) <= tags for one in operations)


async def test_answers_bear_the_headers_that_are_told(ask: Ask) -> None:
    paths = (await ask("/openapi.json", key="")).body["paths"]
    whole = {"dateRange": "30days"}
    for path, body, key, status in (
        ("/v1/users", whole, KEY, 200),
        ("/v1/events/export", whole, KEY, 200),
        ("/v1/users", {}, KEY, 400),
        ("/v1/users", whole, "vem_" + "none".rjust(32, "0"), 401),
        ("/v1/users", whole, WRITE_KEY, 403),
        ("/v1/users", {"dateRange": "x" * 1_000_001}, KEY, 413),
    ):
        answer = await ask(path, body, key=key)
        told = paths[path]["post"]["responses"][str(status)]["headers"]
        assert (answer.status, NOTED & set(answer.headers)) == (status, set(told)), path


async def test_examples_are_answered(ask: Ask) -> None:
    for endpoint in ENDPOINTS:
        if endpoint.example is not None and "{" not in endpoint.path:
            key = WRITE_KEY if endpoint.scope == "write" else KEY
            query = "?id=3" if endpoint.query else ""
            assert (await ask(f"/v1{endpoint.path}{query}", endpoint.example, key=key)).status == 200, endpoint.path


def test_examples_are_as_their_schemas_say() -> None:
    for operations in openapi.document("https://stats.example.com")["paths"].values():
        for operation in operations.values():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body is not None:
                jsonschema_rs.validator_for(body["schema"], validate_formats=True).validate(body["example"])
            for parameter in operation["parameters"]:
                if "example" in parameter:
                    jsonschema_rs.validator_for(parameter["schema"]).validate(parameter["example"])


@pytest.mark.parametrize("examples", [EXAMPLES, pytest.param(EXAMPLES_LONG, marks=pytest.mark.long)])
async def test_whatever_is_asked_is_answered_as_it_says(site: Site, ask: Ask, examples: int) -> None:
    """schemathesis over every operation: what fits the schemas and what does not."""
    url = str(site.client.make_url("")).rstrip("/")
    await asyncio.to_thread(_examine, openapi.document(url), f"{url}/api", examples)


def _examine(document: dict[str, Any], url: str, examples: int) -> None:
    for path in document["paths"].values():
        for operation in path.values():
            # The security scheme says the same; what is said twice is left out by one of them.
            operation["parameters"] = [one for one in operation["parameters"] if one["in"] != "header"]
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = found.ok()
        raw = operation.definition.raw
        key = WRITE_KEY if raw["operationId"] == "sendEvents" else KEY
        has_query = any(one["in"] == "query" for one in raw["parameters"])
        for mode in schemathesis.GenerationMode:
            cases = operation.as_strategy(generation_mode=mode)
            _examine_operation(cases, url, key, examples, UNSAID_OF_QUERIES if has_query else UNSAID)


def _examine_operation(cases: Any, url: str, key: str, examples: int, unsaid: list[Any]) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=examples == EXAMPLES,
        database=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=cases)
    def is_answered_as_said(case: schemathesis.Case) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        case.call_and_validate(base_url=url, headers=headers, excluded_checks=unsaid, timeout=120)

    is_answered_as_said()
