"""The map: countries by users, cities where they lie, links that filter."""

import re
from datetime import UTC, date, datetime
from urllib.parse import unquote_plus

import pytest

from tests.stats import history
from tests.stats.history import Rows, Visit
from tests.web.conftest import Browser, Cast
from tests.web.test_dashboard_page import alice as alice  # noqa: PLC0414 - a fixture
from tests.web.test_dashboard_page import path
from vemetric.clickhouse.engine import Engine
from vemetric.model import filters, mercator, timespan
from vemetric.model.dashboard import Row
from vemetric.model.timespan import Timespan
from vemetric.stats import dashboard


@pytest.mark.parametrize(
    ("longitude", "latitude", "place"),
    [
        (-180, mercator.NORTH, (0, 0)),
        (180, mercator.NORTH, (mercator.WIDTH, 0)),
        (0, 90, (mercator.WIDTH / 2, 0)),
        (0, -90, (mercator.WIDTH / 2, pytest.approx(mercator.HEIGHT, abs=1))),
    ],
)
def test_places_lie_on_the_map(longitude: float, latitude: float, place: tuple[float, float]) -> None:
    assert mercator.place(longitude, latitude) == place


def test_north_is_up_and_east_is_right() -> None:
    oslo, rome, tokyo = mercator.place(10.7, 59.9), mercator.place(12.5, 41.9), mercator.place(139.7, 35.7)
    assert oslo[1] < rome[1] < tokyo[1]
    assert oslo[0] < rome[0] < tokyo[0]


async def test_the_map_is_the_default_and_filters(alice: Browser, cast: Cast) -> None:
    page = await alice.get(path(cast))
    assert '#c-de" class="map__c map__c--6"' in page.text
    [address] = re.findall(r'<a href="([^"]*)" data-nav aria-label="Germany: 9 users">', page.text)
    assert unquote_plus(address).endswith("cl=cities&f=location(country:oneOf:DE)".replace("&", "&amp;"))
    assert "map__c" not in (await alice.get(path(cast, "?cl=countries"))).text


async def test_the_map_is_told_to_readers_in_a_box_that_hides_it_and_leads_nowhere(alice: Browser, cast: Cast) -> None:
    """A table that hides itself cannot be lower than its rows: the page got longer, its links took the focus unseen."""
    text = (await alice.get(path(cast))).text
    [hidden] = re.findall(r'<div class="vh">(<table><caption>Locations.*?</table>)</div>', text, re.DOTALL)
    assert re.search(r'<th scope="row">Germany</th><td>9</td>', hidden)
    assert "<a " not in hidden
    assert not re.findall(r'<table[^>]*class="[^"]*vh', text)


async def test_a_country_is_drawn_without_a_link_that_no_address_can_say(alice: Browser, cast: Cast) -> None:
    """The link led to a page without any of the filters."""
    full = ";".join(["page(path:contains:page)"] * filters.FILTERS_MAX)
    text = (await alice.get(path(cast, f"?f={full}"))).text
    assert "Germany: 9 users" in text
    assert 'aria-label="Germany: 9 users"' not in text


async def test_cities_lie_where_their_visits_came_from(engine: Engine) -> None:
    project = history.a_project()
    start_ms = round(datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp() * 1000)
    rows = Rows(project.id)
    for user, (north, east) in enumerate(((48.0, 16.0), (49.0, 17.0), (52.5, 13.4))):
        country, city = ("AT", "Wien") if user < 2 else ("DE", "Berlin")
        rows.visit(Visit(user, start_ms, country=country, city=city, north=north, east=east))
    rows.visit(Visit(9, start_ms, country="FR", city="Paris"))
    await rows.insert(engine)
    day = date(2026, 3, 10)
    range_ = timespan.resolve(Timespan(timespan.CUSTOM, day, day), start_ms + 1, "UTC")
    card = await dashboard.load_map(engine, project, range_)
    assert card.rows == [Row("AT", 2), Row("DE", 1), Row("FR", 1)]
    assert [(city.name, city.users, city.latitude, round(city.longitude, 3)) for city in card.cities] == [
        ("Wien", 2, 48.5, 16.5),
        ("Berlin", 1, 52.5, 13.4),
    ]
