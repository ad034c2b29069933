"""The map of the world as it is drawn: countries by how many users came from them, cities as circles.

The shapes are in img/world.svg, made by building/world.py; a page only names them.
"""

import math
from typing import Any, NamedTuple

from vemetric.enrich import countries
from vemetric.model import filter_text, filter_tree, mercator, text
from vemetric.model.dashboard import Card, City, Row
from vemetric.web import card_rows, cards, figures, view
from vemetric.web.view import View

# How many shades there are; 1 is the lightest.
SHADES = 6
RADIUS_MIN, RADIUS_MAX = 2.5, 11.0


class Country(NamedTuple):
    """A country with users. shape: its id in the file; link: sets its filter, or takes it away, '' where no address can
    say it.
    """

    shape: str
    label: str
    shade: int
    link: str
    is_on: bool


class Circle(NamedTuple):
    """A city."""

    x: float
    y: float
    radius: float
    label: str


class World(NamedTuple):
    """Everything that is drawn."""

    width: int
    height: int
    countries: list[Country]
    cities: list[Circle]


def draw(path: str, state: View, card: Card) -> World:
    """The map of a card that has the rows of all countries."""
    most = max((city.users for city in card.cities), default=1)
    return World(
        mercator.WIDTH,
        mercator.HEIGHT,
        [_country(path, state, row, card.measure_max) for row in card.rows if row.key in countries.names()],
        [_circle(city, most) for city in card.cities],
    )


def values(path: str, state: View, choice: cards.Choice, card: Card | None) -> dict[str, Any]:
    """What the template of a card needs for its map, if it is one."""
    return {"world": draw(path, state, card) if choice.value == cards.MAP and card is not None else None}


def _country(path: str, state: View, row: Row, users_max: int) -> Country:
    one = card_rows.row_filter("countries", row, card_rows.Deeper())
    is_on = one in state.filters.filters
    changed = view.with_filters(state, filter_tree.toggled(state.filters, one)) if one is not None else state
    if not is_on:
        # Who picks a country wants to see what is in it.
        changed = view.with_choice(changed, "locations", "cities")
    users = "1 user" if row.users == 1 else f"{figures.number(row.users)} users"
    shade = max(1, math.ceil(row.users / users_max * SHADES)) if users_max else 1
    link = view.url(path, changed) if filter_text.is_writable(changed.filters) else ""
    return Country(f"c-{row.key.lower()}", f"{countries.name(row.key)}: {users}", shade, link, is_on)


def _circle(city: City, users_max: int) -> Circle:
    x, y = mercator.place(city.longitude, city.latitude)
    radius = RADIUS_MIN + (RADIUS_MAX - RADIUS_MIN) * math.sqrt(city.users / users_max)
    return Circle(x, y, round(radius, 1), f"{text.shown(city.name)}: {figures.number(city.users)}")
