"""The client that services are asked with, for whom an answer has an end. Used by oauth.py and paddle.py.

Imported where a service is asked, not before: every start would pay for its library and few servers use it.
"""

from collections.abc import AsyncIterator

import httpx2

# Of documents of a few kilobytes: an endless one, or one that unpacks to no end, would be held in memory.
BYTES_MAX = 1_000_000
# Answers come as they are counted.
PLAIN = {"Accept-Encoding": "identity"}


class _Bounded(httpx2.AsyncByteStream):
    """The bytes of an answer, until there are too many."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        count = 0
        async for piece in self._stream:
            count += len(piece)
            if count > BYTES_MAX:
                raise httpx2.ReadError(f"it sent more than {BYTES_MAX} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


async def bound(response: httpx2.Response) -> None:
    """Hold an answer to the bound before it is read: a hook of a client, whose requests have the headers PLAIN."""
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise httpx2.ReadError("it packed an answer that was to be plain")
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Bounded(response.stream)
