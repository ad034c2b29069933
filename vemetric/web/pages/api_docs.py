"""GET /docs/reference and /api/openapi.json: the API's reference as a page and as a document, made of its types."""

from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from vemetric.web import context, headers, render
from vemetric.web.api import openapi
from vemetric.web.api.failures import Code
from vemetric.web.context import SERVICES

DEPTH_MAX = 6
BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "minLength": "length at least {}",
    "maxLength": "length at most {}",
}


class Field(NamedTuple):
    """A line of a table: a field at its depth, what it is, and what it may be."""

    depth: int
    name: str
    kind: str
    is_required: bool
    words: str
    allowed: str


async def show(request: web.Request) -> web.Response:
    """The page."""
    document_ = openapi.document(context.of(request).origin)
    groups = [(tag, [one for one in _operations(document_) if tag["name"] in one["tags"]]) for tag in document_["tags"]]
    return render.page(request, "pages/api_docs.html", document=document_, groups=groups)


async def document(request: web.Request) -> web.Response:
    """The document; anybody may read it."""
    config = request.app[SERVICES].config
    public_url = config.public_url or f"{request.scheme}://{request.host}{config.base_path}"
    body = msgspec.json.encode(openapi.document(public_url))
    return web.Response(body=body, content_type="application/json", headers=headers.NO_STORE)


def _operations(document_: dict[str, Any]) -> list[dict[str, Any]]:
    made = []
    for path, operations in document_["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            example = body.get("example")
            made.append(
                operation
                | {
                    "method": method.upper(),
                    "path": f"/api{path}",
                    "fields": _fields(body["schema"]) if body else [],
                    "query": [one for one in operation["parameters"] if one["in"] != "header"],
                    "curl": _curl(document_["servers"][0]["url"] + path, method.upper(), example),
                    "answers": [_answer(status, one) for status, one in operation["responses"].items()],
                }
            )
    return made


def _answer(status: str, response: dict[str, Any]) -> dict[str, Any]:
    schema = next(iter(response["content"].values()))["schema"]
    is_failure = not status.startswith("2")
    documented = schema["properties"]["error"]["properties"]["code"]["enum"] if is_failure else []
    codes = [code for code in documented if code in list(Code)]
    return {
        "status": status,
        "words": response["description"],
        "codes": codes,
        "fields": [] if is_failure else _fields(schema),
    }


def _curl(url: str, method: str, example: Any) -> str:
    lines = [f"curl {url}", '-H "Authorization: Bearer $VEMETRIC_KEY"']
    if example is not None:
        text = msgspec.json.format(msgspec.json.encode(example), indent=2).decode()
        lines += ["-H 'Content-Type: application/json'", f"-d '{text}'"]
    elif method != "GET":
        lines.append(f"-X {method}")
    return " \\\n  ".join(lines)


def _fields(schema: dict[str, Any], depth: int = 0) -> list[Field]:
    """The fields of an object, those within them below, each at its depth."""
    found: list[Field] = []
    required = schema.get("required", [])
    for name, inner in schema.get("properties", {}).items():
        words = [inner.get("description", "")]
        if "default" in inner:
            words.append(f"Default: {msgspec.json.encode(inner['default']).decode()}.")
        found.append(Field(depth, name, _kind(inner), name in required, " ".join(filter(None, words)), _allowed(inner)))
        if depth < DEPTH_MAX:
            found += _within(inner, depth + 1)
    return found


def _within(schema: dict[str, Any], depth: int) -> list[Field]:
    items = schema.get("items", schema)
    branches = items.get("oneOf") or items.get("anyOf")
    if branches is None:
        return _fields(items, depth)
    found: list[Field] = []
    for branch in branches:
        tag = branch.get("properties", {}).get("type", {}).get("enum", [])
        if tag:
            rest = {name: one for name, one in branch["properties"].items() if name != "type"}
            found.append(Field(depth, "type", "string", True, "", tag[0]))
            found += _fields(branch | {"properties": rest}, depth + 1)
    return found


def _kind(schema: dict[str, Any]) -> str:
    branches = schema.get("oneOf") or schema.get("anyOf")
    if branches:
        kinds = " or ".join(dict.fromkeys(map(_kind, branches)))
    elif schema.get("type") == "array":
        kinds = f"list of {_kind(schema['items'])}"
    else:
        kinds = schema.get("format") or schema.get("type") or "anything"
    return f"{kinds} or null" if schema.get("nullable") and kinds != "anything" else kinds


def _allowed(schema: dict[str, Any]) -> str:
    """The words or numbers that a field may be, or those of a list in it."""
    bounds = [words.format(schema[name]) for name, words in BOUNDS.items() if name in schema]
    return ", ".join((*_words(schema), *bounds))


def _words(schema: dict[str, Any]) -> list[str]:
    words: list[str] = schema.get("enum", [])
    for part in (*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else [])):
        words = [*words, *_words(part)]
    pattern = schema.get("pattern", "")
    return [*words, "event:prop:…"] if pattern.startswith("^event:prop:") else words
