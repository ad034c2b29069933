"""Pages that follow each other: a cursor says when the first one was asked for, so that all look at the same period,
and where the next one begins. It says nothing of whose rows they are: that says the key.
"""

import base64
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from vemetric.web.api.failures import invalid_at
from vemetric.web.api.types import Pagination

T = TypeVar("T")
FIELD = "cursor"
UNKNOWN = "This cursor is none of such a query"
OLD = "This cursor is of yesterday or older. Begin anew"
# A cursor holds the period still that it was made in; an older one would lead further back than a plan allows.
CURSOR_HOURS_MAX = 24
HOUR_MS = 3_600_000


def read(cursor: str | UnsetType, place: type[T], now_ms: int) -> tuple[int, T | None]:
    """When the first page was asked for, and where this one begins: None for the first, and without a cursor.

    Raises Refused for what write did not make.
    """
    if isinstance(cursor, UnsetType) or not cursor:
        return now_ms, None
    try:
        text = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
        at_ms, found = msgspec.json.decode(text, type=tuple[int, place])  # type: ignore[valid-type]
    except (ValueError, msgspec.DecodeError, RecursionError):
        raise invalid_at(FIELD, UNKNOWN) from None
    if not 0 <= at_ms <= now_ms:
        raise invalid_at(FIELD, UNKNOWN)
    if at_ms < now_ms - CURSOR_HOURS_MAX * HOUR_MS:
        raise invalid_at(FIELD, OLD)
    return at_ms, found


def write(at_ms: int, place: Any) -> str:
    """A cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode((at_ms, place))).decode()


def told(limit: int, offset: int, returned: int, cursor: str | UnsetType, next_cursor: str | None) -> Pagination:
    """Where a page stands; with a cursor only for those who sent one."""
    return Pagination(limit, offset, returned, UNSET if cursor is UNSET else next_cursor)
