"""Days and seconds as the API reads and writes them."""

import re
from datetime import UTC, date, datetime, timedelta

# What the analytics store can hold, and a little less.
YEAR_MIN, YEAR_MAX = 1970, 2199
SECOND_MS = 1000
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_SECOND = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_bound(text: str) -> bool:
    """Whether a text is a day or a second of UTC that there is."""
    return day_of(text) is not None or second_ms(text) is not None


def day_of(text: str) -> date | None:
    """The day of a text such as 2026-01-31; None for anything else."""
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None
    return day if day is not None and YEAR_MIN <= day.year <= YEAR_MAX else None


def second_ms(text: str) -> int | None:
    """The instant of a text such as 2026-01-31T23:59:59Z; None for anything else."""
    try:
        second = datetime.fromisoformat(text) if _SECOND.fullmatch(text) else None
    except ValueError:
        return None
    if second is None or not YEAR_MIN <= second.year <= YEAR_MAX:
        return None
    return round(second.timestamp()) * SECOND_MS


def has_offset(text: str) -> bool:
    """Whether a text is an instant of ISO 8601 that says its offset, or Z."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def in_seconds(at_ms: int) -> str:
    """An instant, cut to its second, of UTC."""
    return _utc(at_ms).isoformat(timespec="seconds").replace("+00:00", "Z")


def in_milliseconds(at_ms: int) -> str:
    """An instant of UTC with three decimals."""
    return _utc(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _utc(at_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at_ms)
