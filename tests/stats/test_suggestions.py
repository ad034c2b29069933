"""What filters can be set to."""

from datetime import UTC, date, datetime

import msgspec
import pytest

from tests.stats.history import Event, Rows, Visit
from vemetric.model import timespan
from vemetric.model.timespan import Timespan
from vemetric.stats import suggestions

NOON = round(datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp() * 1000)
DAY_MS = 86_400_000


@pytest.fixture
async def values(backend, project):
    project = msgspec.structs.replace(project, domain="example.com")
    rows = Rows(project.id)
    for item in (
        Event(1, NOON, pathname="/b", hash="#top", client="Firefox"),
        Event(1, NOON, pathname="/A"),
        Event(2, NOON, name="signup", data={"plan": "pro", "seats": 5}),
        Event(2, NOON, name="click", data={"where": "nav", "gone": None}),
        Event(2, NOON - 80 * DAY_MS, pathname="/old"),
        Event(2, NOON - 100 * DAY_MS, pathname="/older"),
    ):
        rows.event(item)
    for visit in (
        Visit(1, NOON, referrer_url="https://example.com/x", country="DE", city="Köln"),
        Visit(2, NOON, referrer_url="https://docs.example.com/x", country="AT", city="unknown"),
        Visit(3, NOON, referrer="Google", referrer_url="https://google.com", country="ZZ", utm_source="news"),
        Visit(4, NOON, country="\0\0"),
    ):
        rows.visit(visit)
    await rows.insert(backend)

    async def of(*names, chosen=Timespan(), **rest):  # noqa: B008
        range_ = timespan.resolve(chosen, NOON + 1, "UTC")
        return await suggestions.of_fields(backend, project, range_, names, **rest)

    return of


async def test_values_in_order_and_of_ninety_days(values):
    found = await values("path", "hash", "event", "browser", "city", "utmSource", "referrer")
    assert found == {
        "path": ["/A", "/b", "/old"],
        "hash": ["top"],
        "event": ["click", "signup"],
        "browser": ["Chrome", "Firefox"],
        "city": ["Köln"],
        "utmSource": ["news"],
        "referrer": ["Google"],
    }


@pytest.mark.parametrize(
    ("first", "last", "paths"),
    [
        # Longer than what is looked back at least.
        (date(2025, 11, 1), date(2026, 3, 10), ["/A", "/b", "/old", "/older"]),
        # Over before the latest pages were there.
        (date(2025, 11, 29), date(2025, 12, 1), ["/older"]),
    ],
)
async def test_values_are_those_of_a_custom_range(values, first, last, paths):
    """D26: of a range longer than 90 days there were none, and the end of a range was not looked at."""
    assert await values("path", chosen=Timespan("custom", first, last)) == {"path": paths}


async def test_countries_are_known_ones_in_the_order_of_their_names(values):
    """D19: no NULs among them."""
    assert (await values("country"))["country"] == ["AT", "DE"]


async def test_own_addresses_are_no_referrers(values):
    assert (await values("referrerUrl"))["referrerUrl"] == ["https://google.com"]


async def test_properties_and_values_of_an_event_or_of_all(values):
    assert (await values("property"))["property"] == ["plan", "seats", "where"]
    assert (await values("property", event="signup"))["property"] == ["plan", "seats"]
    assert (await values("value", event="signup", property_="seats"))["value"] == ["5"]


async def test_there_are_not_too_many(values, monkeypatch):
    """D20."""
    monkeypatch.setattr(suggestions, "VALUES_MAX", 2)
    assert len((await values("path"))["path"]) == 2
