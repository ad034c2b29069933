"""Requests no browser would send: no 5xx, no crash, nothing stuck, and ingestion works as before."""

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit import http
from tests.kit.process import Server, wait_for

CONNECTIONS = 32
ANSWER_SECONDS_MAX = 60
GOOD = {"name": "$$pageView", "url": "https://www.example.com/a", "contextId": "c"}

pytestmark = pytest.mark.journey

Maker = Callable[[random.Random], bytes]


def odd_text(chance: random.Random) -> str:
    """Text with everything that breaks parsers: NULs, quotes, line ends, other planes, halves of pairs."""
    alphabet = [
        "\0",
        '"',
        "\\",
        "\n",
        "\r\n\r\n",
        "'",
        ";",
        "%",
        "{x:T}",
        "é",
        "\U0001f600",
        "a",
        " ",
        "\ufeff",
        "<script>",
    ]
    return "".join(chance.choice(alphabet) for _ in range(chance.randint(0, 40)))


def odd_value(chance: random.Random, depth: int = 0) -> object:
    choices: list[Callable[[], object]] = [
        lambda: odd_text(chance),
        lambda: None,
        lambda: chance.randint(-(2**70), 2**70),
        lambda: chance.random() * 10 ** chance.randint(-300, 300),
        lambda: chance.choice([True, False]),
    ]
    if depth < 3:
        choices.append(lambda: [odd_value(chance, depth + 1) for _ in range(chance.randint(0, 4))])
        choices.append(lambda: {odd_text(chance): odd_value(chance, depth + 1) for _ in range(chance.randint(0, 4))})
    return chance.choice(choices)()


def request(headers: list[tuple[str, str]], body: bytes, path: str = "/e", method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: h", "Connection: close", f"Content-Length: {len(body)}"]
    return ("\r\n".join([*lines, *(f"{k}: {v}" for k, v in headers)]) + "\r\n\r\n").encode("latin-1", "replace") + body


def makers(token: str) -> list[Maker]:
    """Each makes one kind of hostile request."""
    usual = [("Token", token), ("Content-Type", "application/json"), ("User-Agent", "Mozilla/5.0 Chrome/138.0.0.0")]

    def wrong_types(chance: random.Random) -> bytes:
        body = dict(GOOD)
        for key in chance.sample(
            ["name", "url", "contextId", "identifier", "displayName", "customData", "userData"], 2
        ):
            body[key] = odd_value(chance)  # type: ignore[assignment]
        return request(usual, json.dumps(body).encode())

    def good_with_odd_texts(chance: random.Random) -> bytes:
        body = {**GOOD, "name": odd_text(chance) or "x", "customData": {odd_text(chance): odd_value(chance)}}
        return request(usual, json.dumps(body, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass"))

    def lone_surrogates(chance: random.Random) -> bytes:
        return request(
            usual, b'{"name":"\\ud83d","customData":{"a":"\\udc00","\\ud800":1},"url":"https://e.com/\\udfff"}'
        )

    def broken_json(chance: random.Random) -> bytes:
        whole = json.dumps(GOOD).encode()
        return request(usual, whole[: chance.randint(0, len(whole) - 1)] + chance.randbytes(chance.randint(0, 20)))

    def broken_utf8(chance: random.Random) -> bytes:
        # High bytes only: none of them ends the text or the line.
        noise = bytes(chance.choice(range(128, 256)) for _ in range(chance.randint(1, 8)))
        if chance.random() < 0.2:
            return request([("Referer", "http://localhost/@")], b"", "/main.js", "GET").replace(b"@", noise)
        body = {**GOOD, chance.choice(["contextId", "displayName", "Token"]): "@", "customData": {"a": "@"}}
        return request(usual, json.dumps(body).encode().replace(b"@", noise))

    def deep_json(chance: random.Random) -> bytes:
        depth = chance.choice([100, 2_000, 60_000])
        opening, closing = chance.choice([(b"[", b"]"), (b'{"a":', b"}")])
        inner = opening * depth + b"1" + closing * depth if chance.random() < 0.7 else opening * depth
        return request(usual, b'{"name":"deep","customData":{"d":' + inner + b"}}")

    def huge_field(chance: random.Random) -> bytes:
        size = chance.choice([10_000, 200_000, 300_000])
        return request(usual, json.dumps({**GOOD, "name": "n" * size}).encode())

    def odd_headers(chance: random.Random) -> bytes:
        names = ["Origin", "Access-Control-Request-Headers", "V-Host", "V-Referrer", "User-Agent", "Cookie", "Referer",
                 "X-Forwarded-For", "Forwarded", "sec-ch-ua", "Allow-Cookies", "Content-Type", "Content-Encoding",
                 "Expect", "Token", "Purpose", "Transfer-Encoding", "Range", "Upgrade"]  # fmt: skip
        text = "".join(chr(chance.choice([*range(32, 127), *range(160, 256), 9])) for _ in range(chance.randint(0, 60)))
        headers = [*usual, *((chance.choice(names), text) for _ in range(chance.randint(1, 4)))]
        method = chance.choice(["POST", "OPTIONS", "GET", "PUT", "BREW"])
        return request(headers, json.dumps(GOOD).encode(), chance.choice(["/e", "/l", "/up", "/main.js", "/"]), method)

    def odd_paths(chance: random.Random) -> bytes:
        path = "/" + "".join(chance.choice("abc%/?#.=&;~\\0") for _ in range(chance.randint(0, 60)))
        return request(usual, b"", path, chance.choice(["GET", "POST", "HEAD"]))

    def noise(chance: random.Random) -> bytes:
        return chance.randbytes(chance.randint(1, 300)) + b"\r\n\r\n"

    def cookies(chance: random.Random) -> bytes:
        value = chance.choice(["0x10", "-5", "9" * 30, "", "1; _vuid=2", "\xff", "18446744073709551615"])
        return request([*usual, ("Allow-Cookies", "true"), ("Cookie", f"_vuid={value}")], json.dumps(GOOD).encode())

    def broken_gzip(chance: random.Random) -> bytes:
        return request([*usual, ("Content-Encoding", "gzip")], chance.randbytes(50))

    return [wrong_types, good_with_odd_texts, lone_surrogates, broken_json, broken_utf8, deep_json, huge_field,
            odd_headers, odd_paths, noise, cookies, broken_gzip]  # fmt: skip


async def attack(port: int, token: str, requests: int, seed: int) -> dict[int, int]:
    """Send them all and count the statuses; -1 stands for a connection that was closed without an answer."""
    statuses: dict[int, int] = {}
    kinds = makers(token)

    async def line(number: int) -> None:
        chance = random.Random(seed * 1000 + number)
        for _ in range(requests // CONNECTIONS):
            data = chance.choice(kinds)(chance)
            try:
                answer = await asyncio.wait_for(http.send(port, data), ANSWER_SECONDS_MAX)
                status = answer.status
            except (ConnectionError, IndexError, ValueError):
                status = -1
            assert status < 500, data[:2000]
            statuses[status] = statuses.get(status, 0) + 1

    await asyncio.gather(*(line(number) for number in range(CONNECTIONS)))
    return statuses


async def slow_body(port: int, token: str) -> int:
    """A body that never comes is given up, with an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /e HTTP/1.1\r\nHost: h\r\nToken: {token}\r\nContent-Length: 100\r\n\r\n{{"
    writer.write(head.encode())
    line = await asyncio.wait_for(reader.readline(), ANSWER_SECONDS_MAX)
    writer.close()
    return int(line.split()[1])


@pytest.mark.parametrize("requests", [2_000, pytest.param(10_000, marks=pytest.mark.long)])
def test_hostile_requests_do_no_harm(tmp_path: Path, requests: int) -> None:
    server = Server(tmp_path / "data")
    token = server.run("project", "create", "--name", "Hostile", "--domain", "example.com")["token"]
    server.start()

    async def everything() -> tuple[dict[int, int], list[int]]:
        slow = [asyncio.create_task(slow_body(server.port, token)) for _ in range(10)]
        statuses = await attack(server.port, token, requests, seed=random.randrange(2**32))
        return statuses, await asyncio.gather(*slow)

    statuses, slow = asyncio.run(everything())
    assert slow == [408] * 10
    assert statuses.get(200, 0) > requests // 20, statuses
    assert statuses.get(400, 0) > requests // 20, statuses
    # What of the attack was good is stored first, or it would be taken for the event that follows.
    wait_for(lambda: server.run("verify")["inQueue"] == 0, "an empty queue", 120)
    before = server.run("stats", "example.com")["events"]
    visit = request([("Token", token), ("Content-Type", "application/json")], b'{"name":"StillHere"}')
    assert asyncio.run(http.send(server.port, visit)).status == 200
    wait_for(lambda: server.run("stats", "example.com")["events"] == before + 1, "the event after the attack")
    verified = server.run("verify")
    assert verified["difference"] == 0
    assert verified["dead"] == 0, "hostile events were accepted and could not be stored"
    assert server.stop() == 0
