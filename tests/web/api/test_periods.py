"""Periods: days of zones that jump, half hours, buckets, gaps and the period before."""

from itertools import pairwise

import pytest

from tests.web.api import fixture
from tests.web.api.conftest import Ask
from vemetric.web.api import instants, periods
from vemetric.web.api.types import Preset

HOUR_MS = 3_600_000
NOW_MS = fixture.at("2026-12-01 10:20")
RANGES = (*Preset, ("2026-10-01", "2026-11-30"), ("2026-10-24T10:00:00Z", "2026-10-26T09:00:00Z"))


def edges(start: str, end: str, zone: str) -> list[str]:
    return [instants.in_seconds(edge) for edge in periods.resolve((start, end), zone, NOW_MS).range.edges_ms]


def hours(start: str, end: str, zone: str) -> list[float]:
    """How long the buckets of a range are."""
    found = periods.resolve((start, end), zone, NOW_MS).range.edges_ms
    return [(after - before) / HOUR_MS for before, after in pairwise(found)]


@pytest.mark.parametrize(
    ("zone", "start", "end", "long"),
    [
        ("Europe/Vienna", "2026-03-27", "2026-03-31", [24, 24, 23, 24, 24]),
        ("Europe/Vienna", "2026-10-23", "2026-10-27", [24, 24, 25, 24, 24]),
        ("America/New_York", "2026-11-01", "2026-11-05", [25, 24, 24, 24, 24]),
        # Half an hour forth and back.
        ("Australia/Lord_Howe", "2026-10-03", "2026-10-07", [24, 23.5, 24, 24, 24]),
        ("Asia/Kolkata", "2026-10-23", "2026-10-27", [24] * 5),
        # Where midnight is skipped, the day begins at one.
        ("Africa/Cairo", "2026-04-22", "2026-04-26", [24, 24, 23, 24, 24]),
    ],
)
def test_days_are_as_long_as_they_are(zone: str, start: str, end: str, long: list[float]) -> None:
    assert hours(start, end, zone) == long


def test_a_day_of_a_zone_has_the_hours_it_has() -> None:
    assert hours("2026-03-29", "2026-03-29", "Europe/Vienna") == [1] * 23
    assert hours("2026-10-25", "2026-10-25", "Europe/Vienna") == [1] * 25
    assert edges("2026-10-25", "2026-10-25", "Asia/Kathmandu")[:2] == ["2026-10-24T18:15:00Z", "2026-10-24T19:15:00Z"]
    # The period is told in UTC, its end being the last second.
    told = periods.resolve(("2026-10-25", "2026-10-25"), "Europe/Vienna", NOW_MS).told
    assert (told.from_, told.to) == ("2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z")


def test_seconds_are_what_they_are_in_every_zone() -> None:
    bounds = ("2026-10-25T00:30:00Z", "2026-10-25T02:29:59Z")
    for zone in ("UTC", "Europe/Vienna", "Asia/Kolkata"):
        asked = periods.resolve(bounds, zone, NOW_MS)
        # The last second of a minute means the minute's end.
        assert (asked.range.end_ms - asked.range.start_ms) == 2 * HOUR_MS
        assert (asked.told.from_, asked.told.to) == bounds
    # Buckets are cut where the zone's hours begin.
    assert edges(*bounds, "Europe/Vienna")[1:3] == ["2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"]
    assert edges(*bounds, "Asia/Kolkata")[1:3] == ["2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Vienna", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"])
@pytest.mark.parametrize("asked", RANGES)
def test_the_period_before_ends_where_this_one_begins(zone: str, asked: Preset | tuple[str, str]) -> None:
    range_ = periods.resolve(asked, zone, NOW_MS).range
    before = periods.previous(range_)
    assert before.start_ms < before.end_ms <= range_.start_ms == before.edges_ms[-1]
    assert list(before.edges_ms) == sorted(set(before.edges_ms))
    assert list(range_.edges_ms) == sorted(set(range_.edges_ms))


async def test_gaps_are_filled_with_the_days_of_the_zone(ask: Ask) -> None:
    """Over a change of the clocks: one row a day from its midnight, with the one before beside it."""
    asked = {
        "dateRange": ["2025-10-24", "2025-10-28"],
        "groupBy": ["interval:auto"],
        "timezone": "Europe/Vienna",
        "metrics": ["users"],
        "fillGaps": True,
        "compare": "previousPeriod",
    }
    body = (await ask("/v1/analytics/query", asked)).body
    midnights = ["2025-10-23T22", "2025-10-24T22", "2025-10-25T22", "2025-10-26T23", "2025-10-27T23"]
    assert [row["group"]["date"] for row in body["data"]] == [f"{midnight}:00:00Z" for midnight in midnights]
    assert {(row["metrics"]["users"], row["previous"]["users"]) for row in body["data"]} == {(0, 0)}
    assert body["comparison"]["period"] == {"from": "2025-10-18T22:00:00Z", "to": "2025-10-23T21:59:59Z"}
    without = (await ask("/v1/analytics/query", asked | {"fillGaps": False})).body
    assert without["data"] == []
