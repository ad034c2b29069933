from fractions import Fraction

import pytest

from vemetric.stats import metrics
from vemetric.stats.metrics import Sums


@pytest.mark.parametrize(
    ("value", "previous", "change"),
    [
        (0, 0, (0, "same")),
        (5, 0, (100, "up")),
        (0, 5, (100, "down")),
        (15, 10, (50, "up")),
        (10, 15, (33, "down")),
        (1000, 1001, (0, "same")),
        (201, 200, (1, "up")),  # half a percent is one
        (1995, 2000, (0, "same")),
        (229, 200, (15, "up")),  # 14.5 exactly, though not in floating point
        (Fraction(201, 5), 40, (1, "up")),
    ],
)
def test_change_is_a_whole_percentage(value, previous, change):
    assert metrics.change(value, previous) == change


def test_a_lower_bounce_rate_is_better():
    before = Sums(users=1, page_views=3, viewing=2, bounces=2)
    after = Sums(users=2, page_views=3, viewing=2, bounces=1)
    tiles = metrics.tiles(after, before)
    assert (tiles["bounceRate"].direction, tiles["bounceRate"].better) == ("down", True)
    assert (tiles["users"].direction, tiles["users"].better) == ("up", True)
    tiles = metrics.tiles(before, after)
    assert (tiles["bounceRate"].direction, tiles["bounceRate"].better) == ("up", False)
    assert (tiles["users"].direction, tiles["users"].better) == ("down", False)
    assert (tiles["pageViews"].direction, tiles["pageViews"].better) == ("same", None)


def test_rates_without_a_base_are_nothing_and_have_no_trend():
    tiles = metrics.tiles(Sums(), Sums(visits=4, viewing=4, bounces=1, views=9, lasting=2, seconds=90))
    for key, previous in (("bounceRate", 25), ("visitDuration", 45), ("viewsPerVisit", 2.25)):
        assert (tiles[key].value, tiles[key].previous, tiles[key].direction) == (None, previous, "same")
    assert (tiles["visits"].value, tiles["visits"].change, tiles["visits"].direction) == (0, 100, "down")


def test_visits_that_ended_at_once_lasted_no_time():
    assert metrics.visit_duration(Sums(visits=3)) == 0
    assert metrics.visit_duration(Sums(visits=3, lasting=2, seconds=61)) == Fraction(61, 2)
    assert metrics.visit_duration(Sums()) is None


@pytest.mark.parametrize(
    ("value", "digits", "result"), [(3.145, 2, 3.15), (-3.6, 0, -4), (2.5, 0, 3), (33.333, 2, 33.33), (-0.1, 0, 0)]
)
def test_rounds_halves_away_from_zero(value, digits, result):
    assert metrics.rounded(value, digits) == result
