"""The OpenAPI document, made of the endpoints' table and the types of what goes in and out.

It says all that the original's document said (version 3.0, schemas where they are used, the header Authorization as a
parameter too), and more: servers, the security scheme, tags, ids, words and examples.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, inspect

from vemetric.model.api_key import Scope
from vemetric.web.api import checks
from vemetric.web.api.failures import Code, Detail
from vemetric.web.api.routes import ENDPOINTS, Endpoint

VERSION = "1.0.0"
TITLE = "Vemetric API"
SCHEME = "key"
JSON = "application/json"
WORDS = (
    "Figures, users and funnels of one project. Every request bears a key of the project, which an admin makes in its "
    "settings. All times are UTC unless a request sends `timezone`. A project may ask so often in a minute, which the "
    "headers `X-RateLimit-*` tell."
)
TAGS = {
    "Project": "What the key opens.",
    "Analytics": "Figures of all users.",
    "Users": "Users one by one.",
    "Funnels": "Steps that users take one after another.",
    "Events": "Events one by one: sent by a server, and taken away as a whole.",
}
# The original's document names another code than it sends.
DOCUMENTED_TOO = {Code.INTERNAL: ["INTERNAL_SERVER_ERROR"]}
STATUS = {
    400: (Code.VALIDATION, "Something sent is not valid; `details` says where."),
    408: (Code.HTTP, "The body came too slowly."),
    413: (Code.HTTP, "The body is too large."),
    415: (Code.HTTP, "The body is packed by a coding that is not known; send it plain, or as gzip."),
    401: (Code.UNAUTHORIZED, "The key is missing, no key at all, unknown or revoked."),
    403: (Code.PLAN, "The plan does not reach so far back, or the key is for something else."),
    404: (Code.NOT_FOUND, "There is no such thing in the project."),
    429: (Code.RATE_LIMIT, "Too many requests in this minute; `Retry-After` says how long to wait."),
    500: (Code.INTERNAL, "Something went wrong on our side."),
    503: (Code.UNAVAILABLE, "A store is busy; `Retry-After` says when to try again."),
}
RATE_HEADERS = {
    "X-RateLimit-Limit": "Requests allowed in a minute.",
    "X-RateLimit-Remaining": "Requests left in this minute.",
    "X-RateLimit-Reset": "When the next minute begins, in seconds since 1970.",
}
RETRY_HEADER = {"Retry-After": "Seconds to wait before the next try."}
# What answers bear beside those of the rate, which all have but those to nobody we know.
HEADERS = {
    401: {"WWW-Authenticate": "`Bearer`."},
    429: RATE_HEADERS | RETRY_HEADER,
    503: RATE_HEADERS | RETRY_HEADER,
}
FILE_HEADERS = {"Content-Disposition": "What the file is called."}
TEXT_HEADERS = {"WWW-Authenticate", "Content-Disposition"}
USER_PARAMETERS = (
    ("id", {"type": "string", "pattern": r"^\d+$"}, "The user's id. Send it or identifier.", "7310554821650432001"),
    ("identifier", {"type": "string", "minLength": 1}, "What the site calls the user.", "user-17"),
)


def document(server: str) -> dict[str, Any]:
    """The whole document. server: where the API is, without a path."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(f"/v1{endpoint.path}", {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.0.0",
        "info": {"title": TITLE, "version": VERSION, "description": WORDS},
        "servers": [{"url": f"{server}/api"}],
        "security": [{SCHEME: []}],
        "tags": [{"name": name, "description": words} for name, words in TAGS.items()],
        "components": {
            "schemas": {},
            "parameters": {},
            "securitySchemes": {
                SCHEME: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of the project: `vem_` and 32 letters and digits.",
                }
            },
        },
        "paths": paths,
    }


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON schema of a type, as OpenAPI 3.0 has them."""
    return _schema(inspect.type_info(kind))


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    words = endpoint.words + (" Needs a key that may write." if endpoint.scope is Scope.WRITE else "")
    made: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": words if "may write" not in endpoint.words else endpoint.words,
        "tags": [endpoint.tag],
        "parameters": _parameters(endpoint),
        "responses": _responses(endpoint),
    }
    if endpoint.request is not None:
        content: dict[str, Any] = {"schema": schema_of(endpoint.request), "example": endpoint.example}
        made["requestBody"] = {"required": True, "content": {JSON: content}}
    return made


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    if endpoint.query:
        made += [
            {"schema": schema, "required": False, "name": name, "in": "query", "description": words, "example": example}
            for name, schema, words, example in USER_PARAMETERS
        ]
    if "{id}" in endpoint.path:
        words = "As GET /v1/funnels tells it."
        made.append({"schema": {"type": "string"}, "required": True, "name": "id", "in": "path", "description": words})
    made.append(
        {
            "schema": {"type": "string"},
            "required": True,
            "name": "authorization",
            "in": "header",
            "description": "`Bearer` and the key.",
        }
    )
    return made


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.is_stream:
        line = schema_of(endpoint.answer)
        content: dict[str, Any] = {
            "application/x-ndjson": {"schema": line},
            "text/csv": {"schema": {"type": "string"}},
        }
    else:
        content = {JSON: {"schema": schema_of(endpoint.answer)}}
    headers = RATE_HEADERS | (FILE_HEADERS if endpoint.is_stream else {})
    answers: dict[str, Any] = {"200": {"description": "Done.", "headers": _headers(headers), "content": content}}
    statuses = [
        400,
        401,
        403,
        *([404] if endpoint.refusals else []),
        *([408, 413, 415] if endpoint.request else []),
        429,
        500,
        503,
    ]
    for status in statuses:
        code, words = STATUS[status]
        codes = [*endpoint.refusals] if status == 404 else [code]
        if status == 400:
            codes.append(Code.HTTP)
        if status == 403:
            codes = [*([Code.PLAN] if endpoint.has_plan else []), Code.SCOPE]
        answers[str(status)] = {
            "description": words,
            "headers": _headers(HEADERS.get(status, RATE_HEADERS)),
            "content": {JSON: {"schema": _failure(status, codes)}},
        }
    return answers


def _headers(told: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: {"description": words, "schema": {"type": "string" if name in TEXT_HEADERS else "integer"}}
        for name, words in told.items()
    }


def _failure(status: int, codes: list[Code]) -> dict[str, Any]:
    words = [word for code in codes for word in (code.value, *DOCUMENTED_TOO.get(code, []))]
    properties: dict[str, Any] = {"code": {"type": "string", "enum": words}, "message": {"type": "string"}}
    required = ["code", "message"]
    if status == 400:
        properties["details"] = {"type": "array", "items": schema_of(Detail)}
        required.append("details")
    error = {"type": "object", "properties": properties, "required": required}
    return {"type": "object", "properties": {"error": error}, "required": ["error"]}


def _schema(info: Any) -> dict[str, Any]:
    info, extra, added = checks.bare(info)
    branches = checks.branches_of(info, extra)
    if branches:
        return _union(branches, extra) | added
    if extra.get("apart"):
        return {"anyOf": [{"type": "string", "enum": [one.value]} for one in info.cls]} | added
    return _plain(info) | added


def _union(branches: list[Any], extra: dict[str, Any]) -> dict[str, Any]:
    named = [one for one in branches if not isinstance(checks.bare(one)[0], inspect.NoneType)]
    if len(named) < len(branches):
        inner = _schema(named[0]) if len(named) == 1 else _union(named, extra)
        return inner | {"nullable": True}
    word = "oneOf" if checks.is_tagged(branches) and not extra.get("any_of") else "anyOf"
    return {word: [_schema(one) for one in branches]}


def _plain(info: Any) -> dict[str, Any]:
    made: dict[str, Any]
    match info:
        case inspect.StrType():
            made = _bounded("string", minLength=info.min_length, maxLength=info.max_length, pattern=info.pattern)
        case inspect.IntType():
            made = _bounded("integer", minimum=info.ge, maximum=info.le)
        case inspect.FloatType():
            made = _bounded("number", minimum=info.ge, maximum=info.le)
        case inspect.BoolType():
            made = {"type": "boolean"}
        case inspect.EnumType():
            made = {"type": "string", "enum": [one.value for one in info.cls]}
        case inspect.StructType():
            made = _object(info)
        case inspect.DictType():
            made = {"type": "object", "additionalProperties": _schema(info.value_type)}
        case inspect.TupleType():
            made = _tuple([_schema(one) for one in info.item_types])
        case inspect.AnyType():
            made = {"nullable": True}
        case _:
            made = _bounded("array", minItems=info.min_length, maxItems=info.max_length)
            made["items"] = _schema(info.item_type)
    return made


def _bounded(kind: str, **bounds: Any) -> dict[str, Any]:
    return {"type": kind} | {name: bound for name, bound in bounds.items() if bound is not None}


def _tuple(items: list[dict[str, Any]]) -> dict[str, Any]:
    each = items[0] if all(one == items[0] for one in items) else {"anyOf": items}
    return {"type": "array", "items": each, "minItems": len(items), "maxItems": len(items)}


def _object(info: Any) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    if info.tag is not None:
        properties[info.tag_field] = {"type": "string", "enum": [info.tag]}
    for field in info.fields:
        properties[field.encode_name] = _schema(field.type) | _default(field)
    required = [*([info.tag_field] if info.tag is not None else [])]
    required += [field.encode_name for field in info.fields if field.required]
    made: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        made["required"] = required
    if info.forbid_unknown_fields:
        made["additionalProperties"] = False
    return made


def _default(field: Any) -> dict[str, Any]:
    if field.default is not msgspec.NODEFAULT:
        default = field.default
    elif field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    else:
        return {}
    return {} if default is UNSET else {"default": msgspec.to_builtins(default)}
