"""The chart's coordinates."""

from datetime import date

import pytest

from vemetric.model.dashboard import Bucket, Dashboard, Interval, Range
from vemetric.model.timespan import Timespan
from vemetric.web import chart, chart_axes

HOUR_MS = 3_600_000
NOON_MS = 1_773_144_000_000


def a_dashboard(users: list[int], *, events: int = 0, rates: list[float | None] | None = None) -> Dashboard:
    """Hours with these users; the last one still runs."""
    count = len(users)
    start_ms = NOON_MS - count * HOUR_MS
    edges_ms = tuple(start_ms + number * HOUR_MS for number in range(count + 1))
    buckets = [
        Bucket(
            edges_ms[number],
            edges_ms[number + 1],
            users=value,
            page_views=value * 3,
            events=events,
            bounce_rate=rates[number] if rates else None,
            visit_duration=None,
            incomplete=number == count - 1,
            previous_users=value // 2,
        )
        for number, value in enumerate(users)
    ]
    range_ = Range("24hrs", Interval.HOUR, start_ms, NOON_MS, edges_ms, NOON_MS - 1, "UTC")
    return Dashboard(range_, {}, buckets, {}, 0, events * count, has_data=any(users))


def draw(dashboard: Dashboard, *shown: str) -> chart.Chart:
    return chart.draw(dashboard, shown, Timespan())


@pytest.mark.parametrize("highest", [0, 1, 2, 3, 4, 5, 7, 10, 11, 99, 101, 890, 2950, 12_483, 10**9 + 1])
def test_count_axis_holds_its_values_on_few_whole_lines(highest: int) -> None:
    axis = chart_axes.count_axis(highest)
    assert axis.top >= max(highest, 1)
    assert 2 <= len(axis.marks) <= chart_axes.AXIS_STEPS_MAX + 1
    assert all(mark == int(mark) for mark in axis.marks)
    assert axis.marks[-1] == axis.top
    assert (axis.y(0), axis.y(axis.top)) == (chart_axes.HEIGHT, 0)


@pytest.mark.parametrize(("seconds", "top"), [(0, 1), (7, 8), (134, 180), (900, 900), (7000, 7200), (999_999, 1e6)])
def test_seconds_axis_ends_at_whole_units(seconds: float, top: float) -> None:
    assert chart_axes.seconds_axis(seconds).top == top


def test_what_still_runs_is_dashed_and_joined_to_what_is_over() -> None:
    series = draw(a_dashboard([2, 4, 2]), "users").series[0]
    assert series.line == "M166.7 150.0 500.0 0.0"
    assert series.part == "M500.0 0.0 833.3 150.0"
    assert series.area.endswith("833.3 300 166.7 300z")


def test_a_rate_without_visits_is_a_gap() -> None:
    series = draw(a_dashboard([1, 0, 1, 1, 0], rates=[50.0, None, 25.0, 100.0, None]), "bounceRate").series[0]
    assert series.line == "M100.0 150.0h0M500.0 225.0 700.0 0.0"
    assert series.area == ""
    assert series.part == "M700.0 0.0h0"


def test_counts_share_an_axis_and_rates_have_their_own() -> None:
    drawn = draw(a_dashboard([5, 10, 1], rates=[50.0, 50.0, 50.0]), "users", "pageViews", "bounceRate")
    users, views, rate = drawn.series
    assert [label for _, label in drawn.lines] == ["0", "10", "20", "30"]
    assert users.line == "M166.7 250.0 500.0 200.0"
    assert views.line == "M166.7 150.0 500.0 0.0"
    assert rate.line == "M166.7 150.0 500.0 150.0"
    assert [label for _, label in draw(a_dashboard([5]), "bounceRate").lines] == [
        "0 %",
        "25 %",
        "50 %",
        "75 %",
        "100 %",
    ]


def test_events_are_bars_where_there_are_any() -> None:
    drawn = draw(a_dashboard([1, 1], events=3), "events")
    assert [bar.path for bar in drawn.bars] == ["M250.0 300V0.0", "M750.0 300V0.0"]
    assert [bar.is_part for bar in drawn.bars] == [False, True]
    assert drawn.series == []
    assert draw(a_dashboard([1, 1]), "events").bars == []


def test_ghost_stands_behind_the_users_only() -> None:
    assert draw(a_dashboard([4, 2]), "users").ghost == "M250.0 150.0 750.0 225.0"
    assert draw(a_dashboard([4, 2]), "pageViews").ghost == ""


@pytest.mark.parametrize("count", [1, 6, 10, 13, 24, 48, 200])
def test_few_labels_whatever_the_number_of_buckets(count: int) -> None:
    drawn = draw(a_dashboard([1] * count), "users")
    assert 1 <= len(drawn.ticks) <= chart.TICKS_MAX
    assert drawn.is_dense == (count > chart.BARS_MAX)
    assert len(drawn.records) == count


def test_table_says_what_the_picture_shows() -> None:
    record = draw(a_dashboard([4, 2], events=1), "users", "events").records[0]
    cells = {cell.key: (cell.text, cell.y) for cell in record.cells}
    assert cells == {
        "users": ("4", 0.0),
        "pageViews": ("12", None),
        "bounceRate": ("–", None),
        "visitDuration": ("–", None),
        "visits": ("0", None),
        "viewsPerVisit": ("–", None),
        "events": ("1", 225.0),
    }
    assert (record.before, record.change) == ("2", "+100 %")


def test_change_is_told_with_a_sign_and_not_against_nothing() -> None:
    records = draw(a_dashboard([1, 4]), "users").records
    assert [record.change for record in records] == ["", "+100 %"]


def test_caption_of_a_lonely_peak_speaks_of_one_user() -> None:
    assert " with 1 user." in draw(a_dashboard([1, 0]), "users").caption


def test_caption_names_series_peak_and_what_runs() -> None:
    caption = draw(a_dashboard([4, 9, 2]), "users", "pageViews").caption
    assert caption == (
        "Users and page views per hour, last 24 hours. Peak Today, 10:00 – 10:59 with 9 users. "
        "The last one is still running."
    )


def test_caption_keeps_the_capital_of_a_month() -> None:
    chosen = Timespan("custom", date(2026, 3, 10), date(2026, 3, 11))
    caption = chart.draw(a_dashboard([1, 0]), ("users",), chosen).caption
    assert caption.startswith("Users per hour, Mar 10 - 11.")
