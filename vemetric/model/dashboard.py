"""What a dashboard shows, as data: made by stats/dashboard.py, drawn by web/pages/dashboard.py and cli.py."""

from enum import StrEnum
from typing import Literal

import msgspec

MetricKey = Literal[
    "users", "pageViews", "bounceRate", "visitDuration", "visitDurationAll", "events", "visits", "viewsPerVisit"
]


class Interval(StrEnum):
    """The width of a chart's bucket. Days and longer are those of the project's time zone; weeks start on Monday."""

    THIRTY_SECONDS = "30s"
    TEN_MINUTES = "10min"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Range(msgspec.Struct, frozen=True):
    """A resolved timespan. [start_ms, end_ms) in UTC; `edges_ms` are the bucket starts plus the final edge, so
    len(edges_ms) == number of buckets + 1. What still runs ends at `now` (end_ms = now_ms + 1); the last edge may lie
    later, and buckets that have not begun are left out.
    """

    timespan: str
    interval: Interval
    start_ms: int
    end_ms: int
    edges_ms: tuple[int, ...]
    now_ms: int
    time_zone: str
    # set for timespan == "custom": the first and last day as YYYY-MM-DD in the project's time zone
    start_date: str | None = None
    end_date: str | None = None


class Tile(msgspec.Struct, frozen=True):
    """One headline figure. bounceRate is a percentage 0-100, durations are seconds; None when there is no visit.

    change: whole percent against `previous` (always >= 0), direction says which way; better says whether that is good.
    """

    key: MetricKey
    value: float | None
    previous: float | None
    change: int
    direction: Literal["up", "down", "same"]
    better: bool | None


class Bucket(msgspec.Struct, frozen=True):
    """One point of the chart. Rates are None where there was no visit, counts are 0."""

    start_ms: int
    end_ms: int
    users: int
    page_views: int
    events: int
    bounce_rate: float | None
    visit_duration: float | None
    visits: int = 0
    views_per_visit: float | None = None
    incomplete: bool = False
    previous_users: int | None = None


class Row(msgspec.Struct, frozen=True):
    """One line of a card. `key` identifies it (path, country code, ...); count is None where a card has none.

    detail: for pages the origin; for sources the referrer's address (first by order, '' if none).
    """

    key: str
    users: int
    count: int | None = None
    detail: str = ""


class City(msgspec.Struct, frozen=True):
    """A city on the map."""

    name: str
    country: str
    users: int
    latitude: float
    longitude: float


class Card(msgspec.Struct, frozen=True):
    """One page of a card's rows. measure_max scales the bars over all pages of the card: the most users, or the
    highest count where rows are ordered by that.

    dimension: which of the card's choices (stats/dimensions.py) the rows are broken down by. cities: for a map, which
    has the rows of all countries.
    """

    rows: list[Row]
    total_rows: int
    page: int
    measure_max: int
    dimension: str = ""
    cities: list[City] = []


class Dashboard(msgspec.Struct, frozen=True):
    """Everything on the dashboard page. has_data: whether any event lies in the range."""

    range: Range
    tiles: dict[str, Tile]
    buckets: list[Bucket]
    cards: dict[str, Card]
    online: int
    events_total: int
    has_data: bool
