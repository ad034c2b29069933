"""Figures as people read them: on pages, in mails and on the command line."""

import math

from vemetric.stats.metrics import rounded

NOTHING = "–"
SHORT_UNITS = ((1, ""), (1_000, "k"), (1_000_000, "M"), (1_000_000_000, "B"))
# The units of a distance in time, in seconds, with their short and long names.
DISTANCES = (
    (31_536_000, "y", "year"),
    (2_592_000, "mo", "month"),
    (604_800, "w", "week"),
    (86_400, "d", "day"),
    (3_600, "h", "hour"),
    (60, "m", "minute"),
    (1, "s", "second"),
)


def number(value: float | None) -> str:
    """A count in full: 1,234,567."""
    return NOTHING if value is None else f"{rounded(value, 0):,.0f}"


def short_number(value: float | None) -> str:
    """A count in little room: 999, 1.23k, 1.5M, -1.5k. Thousands that round up to a million are a million."""
    if value is None:
        return NOTHING
    size, unit = next((unit for unit in SHORT_UNITS if abs(rounded(value / unit[0], 2)) < 1_000), SHORT_UNITS[-1])
    return f"{rounded(value / size, 2):.2f}".rstrip("0").rstrip(".") + unit


def percent(value: float | None) -> str:
    """Two digits unless the number is whole: 12.50%, 50%."""
    return NOTHING if value is None else f"{rounded(value, 2):.2f}".removesuffix(".00") + "%"


def whole_percent(value: float | None) -> str:
    """A percentage where room is short: 43%."""
    return NOTHING if value is None else f"{rounded(value, 0):.0f}%"


def duration(seconds: float | None) -> str:
    """Hours, minutes and seconds, rounded once as a whole: 1h 1m 5s, 45s, 0s; 59.6 seconds are 1m 0s."""
    if seconds is None:
        return NOTHING
    whole = int(rounded(seconds, 0))
    minutes, rest = divmod(abs(whole), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h"] * (hours > 0) + [f"{minutes}m"] * (hours > 0 or minutes > 0) + [f"{rest}s"]
    return ("-" if whole < 0 else "") + " ".join(parts)


def distance(milliseconds: float) -> str:
    """How long ago, shortly, in its largest unit: 2h, 5d, 3mo."""
    count, unit, _ = _distance(milliseconds)
    return f"{count}{unit}"


def long_distance(milliseconds: float) -> str:
    """How long ago, in words: 1 hour, 2 hours."""
    count, _, unit = _distance(milliseconds)
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _distance(milliseconds: float) -> tuple[int, str, str]:
    seconds = math.floor(abs(milliseconds) / 1000)
    for size, short, long in DISTANCES:
        if seconds >= size:
            return seconds // size, short, long
    return 0, "s", "second"
