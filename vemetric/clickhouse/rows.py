"""The columns of the analytics tables in the order in which rows are written, and what reads and writes them.

A row is a tuple in the order of its table's columns, in which a `piece` may stand for several that follow one another.
Made by the workers, written by sink.py.
"""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Self

import msgspec

# What an event says by itself comes first; what many have in common is written once and stands in a row as one piece:
# what its client says, and its page with its source.
EVENT_COLUMNS = (
    "sign", "projectId", "userId", "sessionId", "contextId", "deviceId", "id", "name", "createdAt", "isPageView",
    "userIdentifier", "userDisplayName", "customData", "importSource", "countryCode", "city", "latitude", "longitude",
    "osName", "osVersion", "clientName", "clientVersion", "clientType", "deviceType", "userAgent", "requestHeaders",
    "referrer", "referrerUrl", "referrerType", "origin", "pathname", "queryParams", "urlHash", "utmSource", "utmMedium",
    "utmCampaign", "utmContent", "utmTerm",
)  # fmt: skip

DEVICE_COLUMNS = (
    "sign", "projectId", "userId", "id", "createdAt", "osName", "osVersion", "clientName", "clientVersion",
    "clientType", "deviceType", "importSource",
)  # fmt: skip

EVENT_PROJECT_ID = EVENT_COLUMNS.index("projectId")
EVENT_ID = EVENT_COLUMNS.index("id")
EVENT_CREATED_AT = EVENT_COLUMNS.index("createdAt")

# The events of a batch lie within few seconds.
SECONDS_REMEMBERED = 4096
# Several of them are of one millisecond, and their visits end with them.
TIMES_REMEMBERED = 4096

_json = msgspec.json.Encoder()

SECOND_CHARACTERS = len("YYYY-MM-DD HH:MM:SS")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def piece(values: Iterable[Any]) -> msgspec.Raw:
    """Neighbouring columns of a row, ready as they travel to the engine (see encoding.py): made once for many rows."""
    return msgspec.Raw(_json.encode(list(values))[1:-1])


@lru_cache(TIMES_REMEMBERED)
def timestamp(ms: int) -> str:
    """Milliseconds since 1970 UTC as the store's text: 'YYYY-MM-DD HH:MM:SS.mmm'."""
    seconds, milliseconds = divmod(ms, 1000)
    return f"{_second(seconds)}.{milliseconds:03d}"


@lru_cache(SECONDS_REMEMBERED)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def milliseconds(timestamp: str) -> int:
    """The inverse of `timestamp`, for texts with fewer or more digits, or none, after the seconds as well."""
    fraction = timestamp[SECOND_CHARACTERS + 1 : SECOND_CHARACTERS + 4].ljust(3, "0")
    return _whole_seconds(timestamp[:SECOND_CHARACTERS]) * 1000 + int(fraction)


@lru_cache(SECONDS_REMEMBERED)
def _whole_seconds(second: str) -> int:
    since = datetime.fromisoformat(second + "+00:00") - EPOCH
    return since.days * 86_400 + since.seconds


class SessionRow(msgspec.Struct, gc=False):
    """A row of `session`, for read, change and write. Times as the store's text; duration in whole seconds.

    `version` decides which row of a session counts: the writer raises it with every write. mergeId: the merge of users
    that made the row, 0 without one; only the last one's row is not deleted. A deleted row whose end is not after its
    start was replaced by one that starts at that end.
    """

    deleted: int
    projectId: int
    userId: int
    id: str
    startedAt: str
    endedAt: str
    duration: int
    userIdentifier: str | None
    userDisplayName: str | None
    countryCode: str
    city: str
    userAgent: str
    referrer: str
    referrerUrl: str
    referrerType: str
    origin: str
    pathname: str
    queryParams: str
    urlHash: str
    utmSource: str
    utmMedium: str
    utmCampaign: str
    utmContent: str
    utmTerm: str
    latitude: float | None
    longitude: float | None
    importSource: str
    version: int
    mergeId: int = 0

    @property
    def is_replaced(self) -> bool:
        """Whether another row stands for this session, one that starts at this row's `endedAt`."""
        return self.deleted == 1 and self.endedAt <= self.startedAt

    def to_tuple(self) -> tuple[Any, ...]:
        return msgspec.structs.astuple(self)

    @classmethod
    def from_list(cls, values: list[Any]) -> Self:
        """From a row read in the order of SESSION_COLUMNS; an absent country reads back as ''."""
        row = cls(*values)
        row.countryCode = row.countryCode.rstrip("\0")
        return row


SESSION_COLUMNS = SessionRow.__struct_fields__
