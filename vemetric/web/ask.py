"""What the hub is asked and what it answers, apart from the way either takes over the wire.

Made by web/hub.py from the HTTP library's requests and by web/hub_protocol.py from bytes; decided upon in web/hub.py.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Self

import msgspec
from multidict import CIMultiDict

KEPT_HEADERS = frozenset(("user-agent", "referer", "allow-cookies", "v-sdk", "v-sdk-version", "v-host", "v-referrer"))
KEPT_PREFIX = "sec-ch-"
HEADER_NAMES_MAX = 1000


class Headers(dict[str, str]):
    """Headers by their names in lower case; of a repeated one the first value, all of them by `getall`."""

    repeated: Mapping[str, list[str]] = {}

    def getall(self, name: str, default: list[str]) -> list[str]:
        """Every value of a header, in order."""
        if name not in self:
            return default
        return self.repeated.get(name) or [self[name]]

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self:
        """From a mapping of any case, a multi-dict with its repetitions."""
        made = cls()
        repeated: dict[str, list[str]] = {}
        for name, value in headers.items():
            lower = name.lower()
            if lower in made:
                repeated.setdefault(lower, [made[lower]]).append(value)
            else:
                made[lower] = value
        if repeated:
            made.repeated = repeated
        return made


class Ask(msgspec.Struct, gc=False):
    """A request to one of the hub's paths, its body read.

    headers: by their names in lower case; Headers where some are repeated.
    kept_headers: those that go into the job; packed_headers: as they stand there.
    peer: the other end of the connection, None if it has no address.
    scheme, host: as the request came, whatever a proxy says. ip: the visitor's address, '' if unknown, None until the
    hub has looked.
    """

    method: str
    path: str
    headers: dict[str, str]
    kept_headers: dict[str, str]
    packed_headers: msgspec.Raw
    body: bytes
    peer: str | None
    scheme: str
    host: str
    ip: str | None = None


class Answer(msgspec.Struct):
    """What is sent back. headers: all but those of the connection, the date and the length.

    wire: how it was written last, in the second `wire_second`: one answer serves all that are answered alike.
    """

    status: int
    headers: CIMultiDict[str]
    body: bytes = b""
    wire: bytes = b""
    wire_second: int = 0


def keep_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that go into the job, in lower case; repeated ones are joined. Never an address or a cookie."""
    kept: dict[str, str] = {}
    for name, value in headers.items():
        lower = kept_name(name)
        if lower is not None:
            text = latin1_text(value)
            kept[lower] = f"{kept[lower]}, {text}" if lower in kept else text
    return kept


@lru_cache(HEADER_NAMES_MAX)
def kept_name(name: str) -> str | None:
    """The name a header is kept under, None for those that are not kept."""
    lower = name.lower()
    return lower if lower in KEPT_HEADERS or lower.startswith(KEPT_PREFIX) else None


def latin1_text(value: str) -> str:
    """A header's bytes read as Latin-1, as the hash of a visitor has to see them."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("latin-1")
