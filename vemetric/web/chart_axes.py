"""The axes of the chart: where values lie in its plot. Counts share one; rates and durations have their own."""

from collections.abc import Sequence
from typing import NamedTuple

from vemetric.model.dashboard import Bucket

# Of the plot, in units.
HEIGHT = 300
AXIS_STEPS_MAX = 4
COUNTS = ("users", "pageViews", "visits", "events")
# Neither a count of its own axis nor a rate.
RATIO = "viewsPerVisit"
SECOND_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400)


class Axis(NamedTuple):
    """Where values lie. top: the value at the upper edge; marks: value of each line, from 0 up."""

    top: float
    marks: tuple[float, ...]

    def y(self, value: float) -> float:
        """The distance from the upper edge, in units."""
        return round(HEIGHT - value / self.top * HEIGHT, 1)


def value_of(bucket: Bucket, key: str) -> float | None:
    """A series' value in a bucket; None where there is none."""
    values: dict[str, float | None] = {
        "users": bucket.users,
        "pageViews": bucket.page_views,
        "events": bucket.events,
        "bounceRate": bucket.bounce_rate,
        "visitDuration": bucket.visit_duration,
        "visits": bucket.visits,
        "viewsPerVisit": bucket.views_per_visit,
    }
    return values[key]


def count_axis(highest: float) -> Axis:
    """An axis of whole numbers: its lines at 1, 2 or 5 times a power of ten."""
    size = 1
    while True:
        for step in (size, 2 * size, 5 * size):
            if step * AXIS_STEPS_MAX >= highest:
                return _axis(step, highest)
        size *= 10


def seconds_axis(highest: float) -> Axis:
    """An axis of durations: its lines at whole seconds, minutes or hours."""
    fitting = (step for step in SECOND_STEPS if step * AXIS_STEPS_MAX >= highest)
    return _axis(next(fitting, 0) or count_axis(highest).marks[1], highest)


def _axis(step: float, highest: float) -> Axis:
    steps = max(1, -(-int(-(-highest // 1)) // int(step)))
    return Axis(step * steps, tuple(step * number for number in range(steps + 1)))


def axes_of(buckets: Sequence[Bucket], shown: Sequence[str]) -> dict[str, Axis]:
    """The axis of each series, by what is shown of the buckets."""
    counted = [value_of(bucket, key) or 0 for bucket in buckets for key in COUNTS if key in shown]
    if "users" in shown:
        counted += [bucket.previous_users or 0 for bucket in buckets]
    counts = count_axis(max(counted, default=0))
    seconds = seconds_axis(max((bucket.visit_duration or 0 for bucket in buckets), default=0))
    ratio = count_axis(max((bucket.views_per_visit or 0 for bucket in buckets), default=0))
    rate = Axis(100, (0, 25, 50, 75, 100))
    return dict.fromkeys(COUNTS, counts) | {"bounceRate": rate, "visitDuration": seconds, RATIO: ratio}
