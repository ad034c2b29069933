import pytest

from vemetric.stats import text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (999, "999"), (1_234_567, "1,234,567"), (-3.6, "-4"), (-0.4, "0"), (2.5, "3"), (None, "–")],
)
def test_numbers_are_grouped(value, shown):
    assert text.number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (100, "100"),
        (999, "999"),
        (1_000, "1k"),
        (1_234, "1.23k"),
        (-1_500, "-1.5k"),
        (999_994, "999.99k"),
        (999_996, "1M"),
        (1_234_567, "1.23M"),
        (1_500_000, "1.5M"),
        (2.125, "2.13"),
        (None, "–"),
    ],
)
def test_short_numbers_have_two_digits_at_most(value, shown):
    assert text.short_number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(12.5, "12.50%"), (50, "50%"), (50.0, "50%"), (3.145, "3.15%"), (33.333333, "33.33%"), (0, "0%"), (None, "–")],
)
def test_percentages_have_two_digits_or_none(value, shown):
    assert text.percent(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(49.5, "50%"), (49.4, "49%"), (None, "–")])
def test_whole_percentages_round_half_up(value, shown):
    assert text.whole_percent(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (45, "45s"),
        (65, "1m 5s"),
        (3665, "1h 1m 5s"),
        (3600, "1h 0m 0s"),
        (-45, "-45s"),
        (59.6, "1m 0s"),  # the original shows 60s
        (3599.5, "1h 0m 0s"),
        (0.4, "0s"),
        (90_061, "25h 1m 1s"),
        (None, "–"),
    ],
)
def test_durations_are_rounded_before_they_are_taken_apart(seconds, shown):
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "short", "long"),
    [
        (0, "0s", "0 seconds"),
        (1, "1s", "1 second"),
        (119, "1m", "1 minute"),
        (3_600, "1h", "1 hour"),
        (-7_200, "2h", "2 hours"),
        (86_400 * 6, "6d", "6 days"),
        (86_400 * 8, "1w", "1 week"),
        (86_400 * 65, "2mo", "2 months"),
        (86_400 * 800, "2y", "2 years"),
    ],
)
def test_distances_are_told_in_their_largest_unit(seconds, short, long):
    assert (text.distance(seconds * 1000), text.long_distance(seconds * 1000)) == (short, long)
