"""The figures of a dashboard, each made of the sums that one window or bucket has, and how two of them compare."""

import math
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Literal

import msgspec

from vemetric.model.dashboard import MetricKey, Tile

Direction = Literal["up", "down", "same"]
SAME: Direction = "same"

HALF = Fraction(1, 2)


class Sums(msgspec.Struct):
    """What was counted. viewing: visits with a page view; bounces: those with exactly one; lasting: visits over 0 s.

    views are the page views of the visits, over their whole life; page_views those that lie in the window.
    """

    users: int = 0
    page_views: int = 0
    events: int = 0
    visits: int = 0
    viewing: int = 0
    bounces: int = 0
    views: int = 0
    lasting: int = 0
    seconds: int = 0

    def add_visits(self, visits: int, viewing: int, bounces: int, views: int, lasting: int, seconds: int) -> None:
        """Count more visits; each visit belongs to one piece of a window."""
        self.visits += visits
        self.viewing += viewing
        self.bounces += bounces
        self.views += views
        self.lasting += lasting
        self.seconds += seconds


def bounce_rate(sums: Sums) -> Fraction | None:
    """Percent of the visits with page views that had just one; None without such visits."""
    return Fraction(100 * sums.bounces, sums.viewing) if sums.viewing else None


def visit_duration(sums: Sums) -> Fraction | None:
    """Seconds, the mean of the visits that lasted; 0 when none did, None when there was no visit."""
    if sums.lasting:
        return Fraction(sums.seconds, sums.lasting)
    return Fraction(0) if sums.visits else None


def visit_duration_all(sums: Sums) -> Fraction | None:
    """Seconds, the mean of all visits; None without any."""
    return Fraction(sums.seconds, sums.visits) if sums.visits else None


def views_per_visit(sums: Sums) -> Fraction | None:
    """Page views of a visit, of those that had any."""
    return Fraction(sums.views, sums.viewing) if sums.viewing else None


class Metric(msgspec.Struct, frozen=True):
    """A figure that has a tile."""

    key: MetricKey
    value: Callable[[Sums], Fraction | int | None]
    lower_is_better: bool = False


METRICS = (
    Metric("users", lambda sums: sums.users),
    Metric("pageViews", lambda sums: sums.page_views),
    Metric("bounceRate", bounce_rate, lower_is_better=True),
    Metric("visitDuration", visit_duration),
    Metric("visitDurationAll", visit_duration_all),
    Metric("events", lambda sums: sums.events),
    Metric("visits", lambda sums: sums.visits),
    Metric("viewsPerVisit", views_per_visit),
)


def tiles(current: Sums, previous: Sums) -> dict[str, Tile]:
    """Every figure of a window beside that of the window before it."""
    return {metric.key: _tile(metric, metric.value(current), metric.value(previous)) for metric in METRICS}


def change(value: Fraction | int, previous: Fraction | int) -> tuple[int, Direction]:
    """By how many whole percent a figure changed, and which way. From nothing to something is 100 percent."""
    if previous == 0:
        return (0, SAME) if value == 0 else (100, "up")
    difference = Fraction(value) - previous
    percent = math.floor(abs(difference) * 100 / previous + HALF)
    if percent == 0:
        return 0, SAME
    return percent, "up" if difference > 0 else "down"


def as_float(value: Fraction | int | None) -> float | None:
    """The nearest number that a page can be given; counts stay whole numbers."""
    return float(value) if isinstance(value, Fraction) else value


def rounded(value: float, digits: int) -> float:
    """Rounded as people do, halves away from zero: 3.145 to two digits is 3.15."""
    # Adding zero turns -0.0, which would be shown as -0, into 0.0.
    return float(Decimal(repr(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)) + 0.0


def _tile(metric: Metric, value: Fraction | int | None, previous: Fraction | int | None) -> Tile:
    percent, direction = 0, SAME
    # A rate of no visits is no number, so nothing can be said to have changed.
    if value is not None and previous is not None:
        percent, direction = change(value, previous)
    better = None if direction == SAME else (direction == "down") is metric.lower_is_better
    return Tile(metric.key, as_float(value), as_float(previous), percent, direction, better)
