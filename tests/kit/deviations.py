"""Where the hub answers otherwise than the recording, on purpose: rules over the request, never lists of cases.

Each names the defect of the recorded hub that it mends, by its number in the list of those that are not to be copied,
and says it in words. A request is a dict with method, path, headers (pairs in wire order) and bodyText; an answer has
status, body and headers, names in lower case.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

COMPARED = ("access-control-", "vary", "set-cookie")
# The host that a recorded request asked where its headers do not say.
HUB_HOST = "hub.test"
# Of those RFC 9110 allows once only; the HTTP library refuses a request that repeats one (request smuggling).
ONCE_ONLY = ("content-length", "content-location", "content-range", "content-type", "etag", "host", "max-forwards",
             "server", "transfer-encoding", "user-agent")  # fmt: skip

Expected = dict[str, Any]
Comparable = tuple[int, str, list[tuple[str, str]]]
Rule = tuple[Callable[[Expected, Expected], bool], Callable[[Expected, Expected], None]]


def header(request: Expected, name: str) -> str | None:
    return next((value for key, value in request["headers"] if key.lower() == name), None)


def lacks_cors(request: Expected, expected: Expected) -> bool:
    """Defect 18: early answers (bot, wrong token, exclusion) had no CORS headers."""
    return not any(name.startswith("access-control-") for name, _ in expected["headers"])


def expect_cors(request: Expected, expected: Expected) -> None:
    origin = header(request, "origin")
    expected["headers"] += [
        ["access-control-allow-origin", origin or "*"],
        ["access-control-allow-credentials", "true"],
        *([["vary", "Origin"]] if origin else []),
    ]


def is_json_null(request: Expected, expected: Expected) -> bool:
    """Defect 17: the body `null` was a 500."""
    return (request["bodyText"] or "").strip() == "null"


def expect_invalid(request: Expected, expected: Expected) -> None:
    expected["status"], expected["body"] = 400, "Invalid!"


def echoes_vary(request: Expected, expected: Expected) -> bool:
    """2.4 of the contract: a request's Vary header took Origin's place in the answer, an accident."""
    return any(name.lower() == "vary" for name, _ in request["headers"])


def expect_vary_origin(request: Expected, expected: Expected) -> None:
    expected["headers"] = [pair for pair in expected["headers"] if pair[0] != "vary"]
    if header(request, "origin"):
        expected["headers"].append(["vary", "Origin"])


def is_preflight(request: Expected, expected: Expected) -> bool:
    """Defect 18: without Access-Control-Max-Age nearly every request was preflighted."""
    return bool(request["method"] == "OPTIONS")


def expect_max_age(request: Expected, expected: Expected) -> None:
    expected["headers"].append(["access-control-max-age", "86400"])


def sets_cookie(request: Expected, expected: Expected) -> bool:
    """Defect 5: the Domain was the hub's own, or V-Host as it came, ports and injections included."""
    return any(name == "set-cookie" for name, _ in expected["headers"])


def expect_domain_of_host(request: Expected, expected: Expected) -> None:
    """V-Host counts where it names the host that was asked, or one above it; its port never does."""
    host = without_port(header(request, "host") or HUB_HOST)
    v_host = without_port(header(request, "v-host") or "")
    is_of_host = re.fullmatch(r"[a-z0-9.-]+\.[a-z]+", v_host) is not None and f".{host}".endswith(f".{v_host}")
    domain = f" Domain={v_host}; " if is_of_host else " "
    for pair in expected["headers"]:
        if pair[0] == "set-cookie":
            pair[1] = re.sub(r" Domain=.*?; (?=Path=/; (?:Expires|Secure|HttpOnly))", domain, pair[1])


def deletes_cookie(request: Expected, expected: Expected) -> bool:
    """Defect 6: without SameSite=None browsers ignored the deletion across sites."""
    return any(name == "set-cookie" and "Max-Age=0" in value for name, value in expected["headers"])


def expect_same_site(request: Expected, expected: Expected) -> None:
    for pair in expected["headers"]:
        if pair[0] == "set-cookie":
            pair[1] = re.sub(r"Secure$", "HttpOnly; Secure; SameSite=None", pair[1])


def is_json_by_another_name(request: Expected, expected: Expected) -> bool:
    """Defect 17: beacons and imports name other types; any with a JSON body works, and /u took it for nothing."""
    content_type = header(request, "content-type") or ""
    is_refused = (expected["status"], expected["body"]) == (400, "Invalid!")
    return is_refused and re.match(r"application/([a-z-.]+\+)?json(;|$)", content_type) is None


def expect_judged_by_body(request: Expected, expected: Expected) -> None:
    required = {"/e": "name", "/i": "identifier"}.get(request["path"].partition("?")[0])
    if required is None or json.loads(request["bodyText"] or "{}").get(required):
        expected["status"], expected["body"] = 200, ""


def lost_a_race(request: Expected, expected: Expected) -> bool:
    """Defect 27: of two that identified a user at once, one was a 500."""
    return request["path"] == "/i" and expected["status"] == 500


def expect_identified(request: Expected, expected: Expected) -> None:
    expected["status"], expected["body"] = 200, ""
    if header(request, "allow-cookies") == "true":
        host = header(request, "host") or HUB_HOST
        value = f"_vuid=1; Domain={host}; Path=/; Expires=x; HttpOnly; Secure; SameSite=None"
        expected["headers"].append(["set-cookie", value])


def without_port(host: str) -> str:
    return re.sub(r":\d+$", "", host)


def repeats_header(request: Expected, expected: Expected) -> bool:
    """RFC 9110, 5.3: a header that may stand once stands twice."""
    names = [name.lower() for name, _ in request["headers"]]
    return any(names.count(name) > 1 for name in ONCE_ONLY)


def expect_bad_request(request: Expected, expected: Expected) -> None:
    expected["status"], expected["body"], expected["headers"] = 400, "", []


RULES: tuple[Rule, ...] = (
    (is_json_null, expect_invalid),
    (lacks_cors, expect_cors),
    (echoes_vary, expect_vary_origin),
    (is_preflight, expect_max_age),
    (lost_a_race, expect_identified),
    (is_json_by_another_name, expect_judged_by_body),
    (sets_cookie, expect_domain_of_host),
    (deletes_cookie, expect_same_site),
    (repeats_header, expect_bad_request),
)


def mended(request: Expected, recorded: Expected) -> Expected:
    """What we answer where the original answered as recorded. Leaves the recording as it is."""
    expected = recorded | {"headers": [list(pair) for pair in recorded["headers"]]}
    for applies, mend in RULES:
        if applies(request, expected):
            mend(request, expected)
    return expected


def comparable(status: int, body: str, headers: Iterable[Any]) -> Comparable:
    """What has to be equal. A cookie's random id and date are samples."""
    kept = [(name, value) for name, value in headers if name.startswith(COMPARED)]
    plain = [
        (name, re.sub(r"Expires=[^;]*", "Expires=x", re.sub(r"_vuid=\d+", "_vuid=1", value))) for name, value in kept
    ]
    return status, body, sorted(plain)
