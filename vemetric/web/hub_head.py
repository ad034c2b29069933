"""Plain hits read from a connection's bytes: whole requests with nothing in them that could be read in two ways.

Called by hub_protocol.py for every hit. Browsers repeat themselves: a head without the lines that are its visitor's own
is mostly one that was read before, and costs a look-up then.
"""

import re
from collections.abc import Sequence
from functools import cache
from itertools import count
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple

import msgspec

from vemetric.ingest import jobs
from vemetric.web.ask import Ask, kept_name, latin1_text
from vemetric.web.hub import EVENT_PATH, LEAVE_PATH

PLAIN_PATHS = (EVENT_PATH, LEAVE_PATH)
# The HTTP library's own bound of a header line is larger; such heads are its business.
HEAD_BYTES_MAX = 8_000
# Header lines that were read before are known by their bytes: browsers, origins and SDKs repeat themselves.
FIELDS_REMEMBERED_MAX = 8_192
FIELD_BYTES_REMEMBERED_MAX = 512
# So are whole heads, but for what differs from visitor to visitor and from hit to hit.
HEADS_REMEMBERED_MAX = 2_048
# Each line of one takes more memory than its bytes; browsers send about twenty.
LINES_REMEMBERED_MAX = 48
SHARED_BYTES_REMEMBERED_MAX = 2_000
# One of so many unknown heads is remembered: frequent ones soon are, and rare ones cost little.
REMEMBERED_EVERY = 16
LENGTH = "content-length"
# Visitors have these to themselves: remembered, they would push out what all of them share. None goes into the job.
VISITORS_OWN_NAMES = frozenset(
    ("x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "fly-client-ip", "true-client-ip", "cookie")
)
FIELD = re.compile(
    # Possessive: blanks in front of what is no value must not be tried at every length.
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*+"
    rb"((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*"
)
# Headers that change how a request is to be read or answered.
UNPLAIN_NAMES = frozenset(
    (
        "transfer-encoding",
        "content-encoding",
        "expect",
        "upgrade",
        "te",
        "trailer",
        "proxy-connection",
        "http2-settings",
    )
)
END, HEAD_END = b"\r\n", b"\r\n\r\n"


class Field(NamedTuple):
    """A header line, read. header: name and value. kept: name and text as they go into the job, None if they do not."""

    header: tuple[str, str]
    kept: tuple[str, str] | None


class Head(msgspec.Struct, frozen=True, gc=False):
    """What is alike in the heads of many hits, for all of them: every header but a visitor's own and the length."""

    headers: dict[str, str]
    kept: dict[str, str]
    packed: msgspec.Raw
    host: str


class Cut(NamedTuple):
    """How a line of a visitor's own begins: the end of the line before it, its name as it was spelled, and a blank."""

    opening: bytes
    opening_bytes: int
    name: str


HEADER: Any = itemgetter(0)
KEPT: Any = itemgetter(1)

_fields: dict[bytes, Field] = {}
# By what is left of them without the lines of visitors' own.
_heads: dict[tuple[bytes, ...], Head] = {}
_unknown = count(1)


class HitReader:
    """Reads the plain hits of one connection.

    peer, scheme: as in Ask. Proxies write the lines of visitors' own always alike: where they were last is tried first.
    """

    latest_cuts: ClassVar[Sequence[Cut]] = ()

    def __init__(self, base_path: str, peer: str | None = None, scheme: str = "http") -> None:
        self._lines = request_lines(base_path)
        self._line_bytes = len(next(iter(self._lines)))
        self._peer = peer
        self._scheme = scheme
        self._cuts = HitReader.latest_cuts

    def read(self, data: bytes) -> Ask | None:
        """A whole plain hit; None for anything else."""
        path = self._lines.get(data[: self._line_bytes])
        if path is None:
            return None
        # From behind, because bodies are short. Where that is not the end of the head, what stands before is not known.
        end = data.rfind(HEAD_END, self._line_bytes, HEAD_BYTES_MAX)
        if end < 0:
            return None
        # Lines with the end of the one before each, and that of the last.
        pieces, own = _cut(data[self._line_bytes - 2 : end + 2], self._cuts)
        head = _heads.get(pieces)
        if head is None or not all(map(_is_plain, own.values())):
            return self._read_lines(data, path)
        body = data[end + 4 :]
        if own.get(LENGTH) != str(len(body)):
            return None
        headers = head.headers | own
        return Ask("POST", path, headers, head.kept, head.packed, body, self._peer, self._scheme, head.host)

    def _read_lines(self, data: bytes, path: str) -> Ask | None:
        """Read every line; None if one is not plain or a header comes twice."""
        end = data.find(HEAD_END, self._line_bytes, HEAD_BYTES_MAX)
        lines = data[self._line_bytes : end].split(END)
        fields = list(map(_fields.get, lines))
        if None in fields:
            fields = [known or read_field(line) for known, line in zip(fields, lines, strict=True)]
            if None in fields:
                return None
        # In C from end to end: where heads are seldom alike this is done for every header of every hit.
        headers = dict(map(HEADER, fields))
        if len(headers) != len(fields):
            return None
        kept = dict(filter(None, map(KEPT, fields)))
        host = headers.get("host")
        if not host or headers.get(LENGTH) != str(len(data) - end - 4):
            return None
        packed = jobs.pack_headers(kept)
        if not next(_unknown) % REMEMBERED_EVERY:
            shared = {name: value for name, value in headers.items() if not _is_own(name)}
            self._remember(data[self._line_bytes - 2 : end + 2], Head(shared, kept, packed, host))
        return Ask("POST", path, headers, kept, packed, data[end + 4 :], self._peer, self._scheme, host)

    def _remember(self, text: bytes, head: Head) -> None:
        names = [line.partition(b": ")[0] for line in text[2:-2].split(END)]
        cuts = [Cut(END + name + b": ", len(name) + 4, lower) for name in names if _is_own(lower := _lower(name))]
        pieces, found = _cut(text, cuts)
        # One of a visitor's own without a blank behind its colon is not cut out.
        is_whole = len(found) + len(head.headers) == len(names)
        if is_whole and len(names) <= LINES_REMEMBERED_MAX and sum(map(len, pieces)) <= SHARED_BYTES_REMEMBERED_MAX:
            if len(_heads) >= HEADS_REMEMBERED_MAX:
                _heads.clear()
            _heads[pieces] = head
            self._cuts = HitReader.latest_cuts = cuts


@cache
def request_lines(base_path: str) -> dict[bytes, str]:
    """The first lines of plain hits, all of one length, with the path of each."""
    return {f"POST {base_path}{path} HTTP/1.1\r\n".encode(): path for path in PLAIN_PATHS}


def read_field(line: bytes) -> Field | None:
    """A header line; None if it is not plain."""
    found = FIELD.fullmatch(line)
    if found is None:
        return None
    name = found[1].decode("ascii").lower()
    # As the library decodes them.
    value = found[2].decode("utf-8", "surrogateescape")
    if name in UNPLAIN_NAMES or (name == "connection" and value.lower() != "keep-alive"):
        return None
    field = Field((name, value), None if kept_name(name) is None else (name, latin1_text(value)))
    if len(line) <= FIELD_BYTES_REMEMBERED_MAX and name not in VISITORS_OWN_NAMES:
        if len(_fields) >= FIELDS_REMEMBERED_MAX:
            _fields.clear()
        _fields[line] = field
    return field


def _cut(lines: bytes, cuts: Sequence[Cut]) -> tuple[tuple[bytes, ...], dict[str, str]]:
    """What is left of a head without the lines that are cut out, and what these say. One that is not there is left."""
    pieces, values, begin = [], {}, 0
    for opening, opening_bytes, name in cuts:
        at = lines.find(opening, begin)
        if at >= 0:
            pieces.append(lines[begin:at])
            begin = lines.find(END, at + opening_bytes)
            values[name] = lines[at + opening_bytes : begin].decode("latin-1")
    pieces.append(lines[begin:])
    return tuple(pieces), values


def _is_plain(value: str) -> bool:
    """Whether a header's value is text that is read in one way and is whole as it stands."""
    return value.isascii() and value.isprintable() and value.strip() == value


def _is_own(name: str) -> bool:
    return name == LENGTH or name in VISITORS_OWN_NAMES


def _lower(name: bytes) -> str:
    return name.decode("latin-1").lower()
