"""The chart as coordinates: made of a dashboard's buckets, drawn by templates/panels/chart.html as SVG.

The plot is 1000 by 300 units, stretched to its place; lines keep their width. Counts share one axis; rates and
durations have their own.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from vemetric.model import calendar, timespan
from vemetric.model.dashboard import Bucket, Dashboard, Interval
from vemetric.model.timespan import Timespan
from vemetric.stats import metrics
from vemetric.web import figures
from vemetric.web.chart_axes import COUNTS, HEIGHT, Axis, axes_of, value_of

WIDTH = 1000
# The most labels below the plot.
TICKS_MAX = 8
# With more buckets than this, bars are drawn thin.
BARS_MAX = 48

LABELS = {
    "users": "Users",
    "pageViews": "Page views",
    "bounceRate": "Bounce rate",
    "visitDuration": "Visit duration",
    "visits": "Visits",
    "viewsPerVisit": "Views per visit",
    "events": "Events",
}
MEANINGS = {
    "users": "Different users with any activity in the timespan: page views, events, or both.",
    "pageViews": "How often pages were viewed, the same page by the same user counted each time.",
    "bounceRate": "Of the visits with page views, those with exactly one. A visit is judged by its whole life.",
    "visitDuration": "The mean of the visits that lasted longer than 0 seconds; beside it that of all visits.",
    "visits": "Series of activity of one user without a pause of 30 minutes, counted where they begin.",
    "viewsPerVisit": "Page views of a visit, of those that had any.",
    "events": "Everything that was sent and is no page view.",
}
COLOURS = {
    "users": "is-users",
    "pageViews": "is-views",
    "bounceRate": "is-bounce",
    "visitDuration": "is-duration",
    "visits": "is-visits",
    "viewsPerVisit": "is-per-visit",
    "events": "is-events",
}
UNITS = {
    Interval.THIRTY_SECONDS: "half minute",
    Interval.TEN_MINUTES: "10 minutes",
    Interval.HOUR: "hour",
    Interval.DAY: "day",
    Interval.WEEK: "week",
    Interval.MONTH: "month",
}

SIGNS = {"up": "+", "down": "−", "same": "±"}

Point = tuple[float, float]


class Series(NamedTuple):
    """One line, or bars. Every text is the data of an SVG path; part: of buckets that still run."""

    key: str
    line: str
    part: str
    area: str


class Bar(NamedTuple):
    """One bar."""

    path: str
    is_part: bool


class Tick(NamedTuple):
    """A label below the plot. left: percent of its width; minor ones give way on small screens."""

    left: str
    text: str
    is_minor: bool


class Cell(NamedTuple):
    """A value of the table. y: where it lies in the plot, None for a series that is not shown or has no value."""

    key: str
    text: str
    y: float | None


class Record(NamedTuple):
    """A bucket as the table says it."""

    label: str
    x: float
    cells: list[Cell]
    before: str
    change: str


class Chart(NamedTuple):
    """Everything that is drawn."""

    series: list[Series]
    bars: list[Bar]
    is_dense: bool
    ghost: str
    lines: list[tuple[float, str]]
    ticks: list[Tick]
    records: list[Record]
    caption: str
    unit: str
    is_running: bool


def draw(dashboard: Dashboard, shown: Sequence[str], chosen: Timespan) -> Chart:
    """The chart of a dashboard with the series that are shown."""
    buckets = dashboard.buckets
    axes = axes_of(buckets, shown)
    return Chart(
        series=[_series(key, buckets, axes[key]) for key in shown if key != "events"],
        bars=_bars(buckets, axes["events"]) if "events" in shown else [],
        is_dense=len(buckets) > BARS_MAX,
        ghost=_ghost(buckets, axes["users"]) if "users" in shown else "",
        lines=_lines(axes, shown),
        ticks=_ticks(dashboard),
        records=[_record(dashboard, position, axes, shown) for position in range(len(buckets))],
        caption=_caption(dashboard, shown, chosen),
        unit=UNITS[dashboard.range.interval],
        is_running=bool(buckets) and buckets[-1].incomplete,
    )


def _x(position: int, count: int) -> float:
    return round((position + 0.5) / count * WIDTH, 1)


def _series(key: str, buckets: Sequence[Bucket], axis: Axis) -> Series:
    count = len(buckets)
    points = [
        None if (value := value_of(bucket, key)) is None else (_x(position, count), axis.y(value))
        for position, bucket in enumerate(buckets)
    ]
    # The last point of what is over belongs to both parts.
    over = sum(not bucket.incomplete for bucket in buckets)
    solid, running = points[:over], points[max(over - 1, 0) :] if over < count else []
    area = "" if key not in COUNTS else "".join(_area(run) for run in _runs(points))
    return Series(
        key,
        "".join(map(_path, _runs(solid))),
        "".join(map(_path, _runs(running))),
        area,
    )


def _runs(points: Sequence[Point | None]) -> list[list[Point]]:
    """The stretches without a gap."""
    return [
        [point for point in run if point is not None]
        for there, run in groupby(points, lambda point: point is not None)
        if there
    ]


def _path(points: Sequence[Point]) -> str:
    """A line through points; a lonely one is a dot."""
    if len(points) == 1:
        return f"M{points[0][0]} {points[0][1]}h0"
    return "M" + " ".join(f"{x} {y}" for x, y in points)


def _area(points: Sequence[Point]) -> str:
    if len(points) < 2:
        return ""
    return f"{_path(points)} {points[-1][0]} {HEIGHT} {points[0][0]} {HEIGHT}z"


def _bars(buckets: Sequence[Bucket], axis: Axis) -> list[Bar]:
    return [
        Bar(f"M{_x(position, len(buckets))} {HEIGHT}V{axis.y(bucket.events)}", bucket.incomplete)
        for position, bucket in enumerate(buckets)
        if bucket.events
    ]


def _ghost(buckets: Sequence[Bucket], axis: Axis) -> str:
    points = [
        None if bucket.previous_users is None else (_x(position, len(buckets)), axis.y(bucket.previous_users))
        for position, bucket in enumerate(buckets)
    ]
    return "".join(map(_path, _runs(points)))


def _lines(axes: dict[str, Axis], shown: Sequence[str]) -> list[tuple[float, str]]:
    """The lines across the plot with their labels: of the counts, else of the first series that is shown."""
    key = next((key for key in shown if key in COUNTS), shown[0])
    axis = axes[key]
    label = figures.short if key in COUNTS else figures.FORMATS[key]
    return [(axis.y(mark), label(mark)) for mark in axis.marks]


def _ticks(dashboard: Dashboard) -> list[Tick]:
    count = len(dashboard.buckets)
    every = max(1, -(-count // TICKS_MAX))
    return [
        Tick(
            f"{_x(position, count) / WIDTH * 100:.4g}%",
            figures.tick(dashboard.buckets[position], dashboard.range),
            is_minor=number % 2 == 1 and count > TICKS_MAX // 2,
        )
        for number, position in enumerate(range(0, count, every))
    ]


def _record(dashboard: Dashboard, position: int, axes: dict[str, Axis], shown: Sequence[str]) -> Record:
    bucket = dashboard.buckets[position]
    cells = []
    for key in LABELS:
        value = value_of(bucket, key)
        y = axes[key].y(value) if key in shown and value is not None else None
        cells.append(Cell(key, figures.figure(key, value), y))
    before = bucket.previous_users
    return Record(
        label=figures.span(bucket, dashboard.range),
        x=_x(position, len(dashboard.buckets)),
        cells=cells,
        before=figures.NOTHING if before is None else figures.number(before),
        change=_change(bucket.users, before),
    )


def _change(now: int, before: int | None) -> str:
    if not before:
        return ""
    percent, direction = metrics.change(now, before)
    return f"{SIGNS[direction]}{percent} %"


def _caption(dashboard: Dashboard, shown: Sequence[str], chosen: Timespan) -> str:
    """What the picture says, for those who do not see it."""
    range_ = dashboard.range
    names = [LABELS[key].lower() for key in shown]
    listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    today = calendar.local(range_.now_ms, calendar.zone(range_.time_zone)).date()
    label = timespan.label(chosen, today)
    # A preset is named within the sentence; a custom range begins with the name of a month.
    named = label[0].lower() + label[1:] if chosen.start is None else label
    text = f"{listed.capitalize()} per {UNITS[range_.interval]}, {named}."
    if dashboard.buckets and dashboard.has_data:
        peak = max(dashboard.buckets, key=lambda bucket: bucket.users)
        users = f"{figures.number(peak.users)} user{'' if peak.users == 1 else 's'}"
        text += f" Peak {figures.span(peak, range_)} with {users}."
    if dashboard.buckets and dashboard.buckets[-1].incomplete:
        text += " The last one is still running."
    return text
