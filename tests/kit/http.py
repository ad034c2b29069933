"""One HTTP exchange written byte by byte: odd headers and bodies go out exactly as a test has them."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple


class Answer(NamedTuple):
    """A response. Header names are in lower case; repeated ones stay repeated."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name.lower()), None)


async def exchange(
    port: int,
    method: str,
    path: str,
    headers: list[tuple[str, str]],
    body: bytes = b"",
    *,
    host: str = "hub.test",
    encoding: str = "latin-1",
    keep_alive: bool = False,
) -> Answer:
    """Send one request on a connection of its own and read the whole answer.

    keep_alive: do not ask the server to close, as browsers do not.
    """
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Connection: {'keep-alive' if keep_alive else 'close'}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    request = ("\r\n".join(lines) + "\r\n\r\n").encode(encoding) + body
    return await send_and_stay(port, request) if keep_alive else await send(port, request)


async def replay(port: int, method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
    """Send a recorded request with exactly its own headers and read its answer; the connection may stay open."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return await send_and_stay(port, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)


async def send_and_stay(port: int, request: bytes) -> Answer:
    """Send the bytes of one request and read its answer, whether the server closes or not."""
    [answer] = await send_in_turn(port, [request])
    return answer


async def send_in_turn(port: int, requests: Sequence[bytes]) -> list[Answer]:
    """Send the bytes of requests on one connection, each once the one before is answered."""
    answers = []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for request in requests:
            writer.write(request)
            answer = parsed(await reader.readuntil(b"\r\n\r\n"))
            body = await reader.readexactly(int(answer.header("content-length") or 0))
            answers.append(answer._replace(body=body))
    finally:
        writer.close()
        await writer.wait_closed()
    return answers


async def send(port: int, request: bytes) -> Answer:
    """Send bytes and read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        await writer.drain()
        raw = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    return parsed(raw)


def parsed(raw: bytes) -> Answer:
    """An answer of its bytes."""
    head, _, content = raw.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    pairs = [tuple(field.split(": ", 1)) for field in fields]
    return Answer(int(status.split()[1]), [(name.lower(), value) for name, value in pairs], content)
