from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vemetric import errors
from vemetric.model import calendar, timespan
from vemetric.model.dashboard import Interval, Range
from vemetric.model.timespan import Timespan


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


def iso(at_ms: int, zone: str = "UTC") -> str:
    return calendar.local(at_ms, calendar.zone(zone)).isoformat()


def days(start: str, end: str | None = None) -> Timespan:
    return Timespan(timespan.CUSTOM, date.fromisoformat(start), date.fromisoformat(end or start))


def hours(range_: Range) -> list[float]:
    return [(after - before) / calendar.HOUR_MS for before, after in pairwise(range_.edges_ms)]


NOON = ms("2024-01-15T12:00:00Z")


@pytest.mark.parametrize(
    ("key", "start", "buckets"),
    [
        ("live", "2024-01-15T11:55:30Z", 10),
        ("1hr", "2024-01-15T11:10:00Z", 6),
        ("24hrs", "2024-01-14T13:00:00Z", 24),
        ("7days", "2024-01-09T00:00:00Z", 7),
        ("30days", "2023-12-17T00:00:00Z", 30),
        ("3months", "2023-10-30T00:00:00Z", 12),
        ("6months", "2023-08-01T00:00:00Z", 6),
        ("1year", "2023-02-01T00:00:00Z", 12),  # the original starts a month earlier and shows 13 (D14)
    ],
)
def test_presets_start_at_a_bucket_edge_and_end_now(key, start, buckets):
    range_ = timespan.resolve(Timespan(key), NOON, "UTC")
    assert range_.start_ms == range_.edges_ms[0] == ms(start)
    assert range_.end_ms == NOON + 1
    assert len(range_.edges_ms) == buckets + 1
    assert range_.edges_ms[-2] <= NOON < range_.edges_ms[-1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Timespan()),
        ({"t": "7days", "sd": "2024-01-01", "ed": "2024-01-02"}, Timespan("7days")),
        ({"t": "9days"}, Timespan()),
        ({"t": "custom"}, Timespan()),
        ({"sd": "2024-01-01"}, Timespan()),
        ({"t": "custom", "ed": "2024-01-02"}, Timespan()),
        ({"t": "custom", "sd": "2024-01-03"}, days("2024-01-03")),
        ({"t": "custom", "sd": "2024-01-03", "ed": "2024-01-05"}, days("2024-01-03", "2024-01-05")),
        ({"t": "custom", "sd": "2024-01-03", "ed": "2024-01-03"}, days("2024-01-03")),
        ({"t": "custom", "sd": "2024-01-03", "ed": "2024-01-02"}, days("2024-01-03")),
        ({"t": "custom", "sd": "2024-01-03", "ed": "2024-02-01"}, days("2024-01-03")),
        ({"t": "custom", "sd": "2024-01-03", "ed": "2024-01-31"}, days("2024-01-03", "2024-01-31")),
        ({"t": "custom", "sd": "2024-01-03", "ed": "soon"}, days("2024-01-03")),
        ({"t": "custom", "sd": "2010-01-01"}, days("2010-01-01")),
        ({"t": "custom", "sd": "2009-12-31"}, Timespan()),
        ({"t": "custom", "sd": "2024-02-01"}, Timespan()),
        ({"t": "custom", "sd": "2023-13-01"}, Timespan()),
        ({"t": "custom", "sd": "2023-02-29"}, Timespan()),
        ({"t": "custom", "sd": "2023/01/01"}, Timespan()),
        ({"t": "custom", "sd": "20230101"}, Timespan()),
        ({"t": "custom", "sd": "٢٠٢٣-01-01"}, Timespan()),
    ],
)
def test_reads_url_values(values, expected):
    assert timespan.parse(values, NOON, "UTC") == expected
    assert timespan.parse(timespan.url_values(expected), NOON, "UTC") == expected


def test_the_current_month_is_that_of_the_projects_zone():
    new_year = ms("2023-12-31T12:00:00Z")
    values = {"t": "custom", "sd": "2024-01-10"}
    assert timespan.parse(values, new_year, "UTC") == Timespan()
    assert timespan.parse(values, new_year, "Pacific/Apia") == days("2024-01-10")


@pytest.mark.parametrize(
    ("chosen", "interval", "buckets"),
    [
        (days("2023-03-10"), Interval.HOUR, 24),
        (days("2023-03-10", "2023-03-11"), Interval.HOUR, 48),
        (days("2023-03-10", "2023-03-12"), Interval.DAY, 3),
        (days("2023-03-01", "2023-03-31"), Interval.DAY, 31),
        (days("2023-03-01", "2023-04-01"), Interval.WEEK, 5),
        (days("2023-03-01", "2023-05-29"), Interval.WEEK, 14),
        (days("2023-03-01", "2023-05-30"), Interval.MONTH, 3),
        (days("2010-01-01", "2024-01-31"), Interval.MONTH, 169),
    ],
)
def test_custom_ranges_choose_a_bucket_by_their_length(chosen, interval, buckets):
    range_ = timespan.resolve(chosen, NOON, "UTC")
    assert (range_.interval, len(range_.edges_ms) - 1) == (interval, buckets)


def test_a_custom_range_holds_the_last_millisecond_of_its_last_day():
    range_ = timespan.resolve(days("2023-03-10", "2023-03-12"), NOON, "Europe/Vienna")
    assert iso(range_.start_ms, "Europe/Vienna") == "2023-03-10T00:00:00+01:00"
    assert iso(range_.end_ms - 1, "Europe/Vienna") == "2023-03-12T23:59:59.999000+01:00"  # D29
    assert (range_.start_date, range_.end_date) == ("2023-03-10", "2023-03-12")


def test_a_custom_range_in_weeks_has_partial_weeks_at_both_ends():
    range_ = timespan.resolve(days("2023-03-01", "2023-04-04"), NOON, "UTC")
    assert [iso(edge)[:10] for edge in range_.edges_ms] == [
        "2023-03-01",  # a Wednesday; the original counts weeks from here and loses the last one (D13)
        "2023-03-06",
        "2023-03-13",
        "2023-03-20",
        "2023-03-27",
        "2023-04-03",
        "2023-04-05",
    ]


def test_buckets_that_have_not_begun_are_left_out():
    range_ = timespan.resolve(days("2024-01-14", "2024-01-20"), NOON, "UTC")
    assert [iso(edge)[:10] for edge in range_.edges_ms] == ["2024-01-14", "2024-01-15", "2024-01-16"]
    assert range_.end_ms == NOON + 1
    assert (range_.start_date, range_.end_date) == ("2024-01-14", "2024-01-20")
    tomorrow = timespan.resolve(days("2024-01-16"), NOON, "UTC")
    assert [iso(edge) for edge in tomorrow.edges_ms] == ["2024-01-16T00:00:00+00:00", "2024-01-16T01:00:00+00:00"]
    assert tomorrow.start_ms == tomorrow.end_ms


def test_weeks_start_on_monday_around_new_year():
    range_ = timespan.resolve(Timespan("3months"), ms("2025-01-05T23:00:00Z"), "UTC")  # a Sunday
    assert [iso(edge)[:10] for edge in range_.edges_ms[-4:]] == ["2024-12-16", "2024-12-23", "2024-12-30", "2025-01-06"]


def test_days_are_those_of_the_zone():
    range_ = timespan.resolve(Timespan("7days"), ms("2024-03-31T22:30:00Z"), "Europe/Vienna")
    assert iso(range_.edges_ms[-2], "Europe/Vienna") == "2024-04-01T00:00:00+02:00"
    assert hours(range_) == [24, 24, 24, 24, 24, 23, 24]  # the clock went forward on March 31


def test_a_day_of_25_hours():
    range_ = timespan.resolve(days("2023-10-29"), NOON, "Europe/Vienna")
    assert len(range_.edges_ms) == 26
    assert {*hours(range_)} == {1.0}
    assert range_.end_ms - range_.start_ms == 25 * calendar.HOUR_MS


def test_a_day_without_midnight_starts_when_the_clock_has_jumped():
    range_ = timespan.resolve(days("2018-11-02", "2018-11-06"), NOON, "America/Sao_Paulo")
    assert iso(range_.edges_ms[2], "America/Sao_Paulo") == "2018-11-04T01:00:00-02:00"
    assert hours(range_) == [24, 24, 23, 24, 24]


def test_a_day_that_the_zone_left_out_has_no_bucket():
    range_ = timespan.resolve(days("2011-12-28", "2012-01-01"), NOON, "Pacific/Apia")
    assert [iso(edge, "Pacific/Apia")[:10] for edge in range_.edges_ms] == [
        "2011-12-28",
        "2011-12-29",
        "2011-12-31",
        "2012-01-01",
        "2012-01-02",
    ]
    assert {*hours(range_)} == {24.0}


def test_a_repeated_midnight_belongs_to_one_day():
    range_ = timespan.resolve(days("2023-11-04", "2023-11-06"), NOON, "America/Havana")
    assert iso(range_.edges_ms[1], "America/Havana") == "2023-11-05T00:00:00-04:00"
    assert hours(range_) == [24, 25, 24]


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "Asia/Kolkata", "Australia/Eucla"])
def test_hours_are_those_of_a_half_hour_zone(zone):
    range_ = timespan.resolve(Timespan("24hrs"), NOON, zone)
    assert {calendar.local(edge, calendar.zone(zone)).minute for edge in range_.edges_ms} == {0}
    assert {*hours(range_)} == {1.0}


def test_hours_stay_whole_where_the_clock_moves_by_half_an_hour():
    zone = "Australia/Lord_Howe"
    for day, lengths in (("2023-04-02", {1.0, 1.5}), ("2023-10-01", {1.0, 1.5})):
        range_ = timespan.resolve(days(day), NOON, zone)
        assert {calendar.local(edge, calendar.zone(zone)).minute for edge in range_.edges_ms} == {0}
        assert {*hours(range_)} == lengths


def test_the_previous_range_is_cut_at_the_same_elapsed_time():
    now_ms = ms("2024-01-15T12:20:00Z")
    day = timespan.previous(timespan.resolve(Timespan("24hrs"), now_ms, "UTC"))
    assert (iso(day.start_ms), iso(day.end_ms - 1)) == ("2024-01-13T13:00:00+00:00", "2024-01-14T12:20:00+00:00")
    year = timespan.previous(timespan.resolve(Timespan("1year"), now_ms, "UTC"))
    assert (iso(year.start_ms), iso(year.end_ms - 1)) == ("2022-02-01T00:00:00+00:00", "2023-01-15T12:20:00+00:00")


def test_the_previous_range_ends_with_a_shorter_bucket():
    now_ms = ms("2024-05-31T10:00:00Z")
    half = timespan.previous(timespan.resolve(Timespan("6months"), now_ms, "UTC"))
    assert (iso(half.start_ms)[:10], iso(half.end_ms)[:10]) == ("2023-06-01", "2023-12-01")


@pytest.mark.parametrize(
    ("chosen", "first", "last"),
    [
        (days("2023-03-10"), "2023-03-09", "2023-03-09"),
        (days("2023-03-10", "2023-03-12"), "2023-03-07", "2023-03-09"),
        (days("2023-03-01", "2023-03-31"), "2023-02-01", "2023-02-28"),
        (days("2023-03-01", "2023-05-31"), "2022-12-01", "2023-02-28"),
        (days("2023-03-01", "2023-04-09"), "2023-01-18", "2023-02-26"),  # six weeks earlier
        (days("2023-01-15", "2023-07-31"), "2022-06-15", "2022-12-31"),
    ],
)
def test_the_previous_custom_range_lies_whole_buckets_earlier(chosen, first, last):
    before = timespan.previous(timespan.resolve(chosen, NOON, "Europe/Vienna"))
    assert (before.start_date, before.end_date) == (first, last)
    assert iso(before.start_ms, "Europe/Vienna").startswith(f"{first}T00:00:00+")
    assert iso(before.end_ms - 1, "Europe/Vienna").startswith(f"{last}T23:59:59.999")


def test_the_previous_range_of_a_running_custom_range_is_cut_too():
    before = timespan.previous(timespan.resolve(days("2024-01-14", "2024-01-16"), NOON, "UTC"))
    assert (iso(before.start_ms)[:10], iso(before.end_ms - 1)) == ("2024-01-11", "2024-01-12T12:00:00+00:00")
    ahead = timespan.previous(timespan.resolve(days("2024-01-16", "2024-01-17"), NOON, "UTC"))
    assert ahead.start_ms == ahead.end_ms


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        ("2024-03-15", "2024-03-15", "Mar 15"),
        ("2023-03-15", "2023-03-15", "Mar 15, 2023"),
        ("2024-03-01", "2024-03-31", "March"),
        ("2023-03-01", "2023-03-31", "March 2023"),
        ("2024-03-01", "2024-05-31", "March - May"),
        ("2023-03-01", "2023-05-31", "March - May 2023"),
        ("2023-11-01", "2024-01-31", "November 2023 - January 2024"),
        ("2024-03-15", "2024-03-25", "Mar 15 - 25"),
        ("2023-03-15", "2023-03-25", "Mar 15 - 25, 2023"),
        ("2024-03-15", "2024-04-25", "Mar 15 - Apr 25"),
        ("2023-03-15", "2023-04-25", "Mar 15 - Apr 25, 2023"),
        ("2023-12-15", "2024-01-25", "Dec 15, 2023 - Jan 25, 2024"),
    ],
)
def test_labels_of_custom_ranges(first, last, text):
    assert timespan.label(days(first, last), date(2024, 6, 1)) == text


def test_labels_of_presets():
    assert timespan.label(Timespan("3months"), date(2024, 6, 1)) == "Last 3 months"


def test_refuses_an_unknown_zone():
    for name in ("Europe/Atlantis", "", "../../etc/passwd"):
        with pytest.raises(errors.Invalid):
            calendar.zone(name)


ZONES = ["UTC", "Europe/Vienna", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe"]
INSTANTS = st.integers(ms("2010-02-01T00:00:00Z"), ms("2035-01-01T00:00:00Z"))


@given(INSTANTS, st.sampled_from([*timespan.PRESETS]), st.sampled_from(ZONES))
def test_edges_are_whole_and_previous_ranges_touch(now_ms, key, zone):
    range_ = timespan.resolve(Timespan(key), now_ms, zone)
    before = timespan.previous(range_)
    tz = calendar.zone(zone)
    for edges in (before.edges_ms, range_.edges_ms):
        assert list(edges) == sorted(set(edges))
        for edge in edges:
            assert calendar.floor(edge, range_.interval, tz) == edge
            assert calendar.floor(edge - 1, range_.interval, tz) < edge
    assert before.edges_ms[-1] == range_.edges_ms[0]
    assert before.start_ms < before.end_ms <= range_.start_ms


@given(
    st.dates(date(2010, 1, 1), date(2034, 12, 31)), st.integers(0, 400), st.sampled_from(ZONES), st.integers(0, 10**10)
)
def test_custom_ranges_cover_their_days_without_a_gap(start, length, zone, later_ms):
    end = start + timedelta(days=length)
    tz = calendar.zone(zone)
    now_ms = calendar.day_start(end, tz) + later_ms
    range_ = timespan.resolve(Timespan(timespan.CUSTOM, start, end), now_ms, zone)
    assert list(range_.edges_ms) == sorted(set(range_.edges_ms))
    assert range_.edges_ms[0] == range_.start_ms
    assert range_.end_ms <= range_.edges_ms[-1]
    last_ms = calendar.day_start(end + timedelta(days=1), tz)
    assert range_.end_ms == min(last_ms, now_ms + 1)
    assert calendar.local(last_ms - 1, tz).date() <= end < calendar.local(last_ms, tz).date()
    before = timespan.previous(range_)
    assert before.end_ms <= range_.start_ms
