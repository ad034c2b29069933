"""The figures of known histories; each defect of the original that they could show is named by its number."""

from datetime import UTC, date, datetime

import msgspec
import pytest

from tests.stats.history import Event, Rows, Visit, a_project, merge, write
from vemetric import errors
from vemetric.model import timespan
from vemetric.model.dashboard import Row
from vemetric.model.timespan import Timespan
from vemetric.stats import dashboard
from vemetric.stats.dashboard import Choice

HOUR_MS = 3_600_000


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def days(start: str, end: str) -> Timespan:
    return Timespan(timespan.CUSTOM, date.fromisoformat(start), date.fromisoformat(end))


def values(shown):
    return {key: tile.value for key, tile in shown.tiles.items()}


def counts(shown):
    """Users, page views and events of the buckets in which anything happened, by their start."""
    return {
        datetime.fromtimestamp(bucket.start_ms / 1000, UTC).strftime("%m-%d %H:%M"): (
            bucket.users,
            bucket.page_views,
            bucket.events,
        )
        for bucket in shown.buckets
        if bucket.users
    }


class Store:
    """Writes a project's history and reads its figures."""

    def __init__(self, backend, project):
        self.engine = backend
        self.project = project

    async def write(self, *logs):
        """Each log is one insert."""
        rows = Rows(self.project.id)
        for batch, log in enumerate(logs):
            for item in log:
                (rows.event if isinstance(item, Event) else rows.visit)(item, batch=batch)
        await rows.insert(self.engine)

    async def load(self, chosen=Timespan(), now="2026-03-10T12:20:00", zone="UTC", **cards):  # noqa: B008
        range_ = timespan.resolve(chosen, at(now), zone)
        return await dashboard.load(self.engine, self.project, range_, cards=cards)

    async def card(self, card, dimension="", page=1, chosen=Timespan(), now="2026-03-10T12:20:00"):  # noqa: B008
        range_ = timespan.resolve(chosen, at(now), "UTC")
        return await dashboard.load_card(self.engine, self.project, range_, card, Choice(dimension, page))


@pytest.fixture
def store(backend, project):
    return Store(backend, project)


# The fixture of the original's own integration tests, and the numbers those assert.
PEOPLE = {
    1: {"client": "Chrome", "device": "desktop", "os": "macOS"},
    2: {"client": "Firefox", "device": "mobile", "os": "Windows"},
    3: {"client": "Safari", "device": "desktop", "os": "macOS"},
    4: {"client": "Chrome", "device": "tablet", "os": "Linux"},
    5: {"client": "Chrome", "device": "desktop", "os": "macOS"},
}
VISITS = [
    Visit(1, at("2026-01-18T09:00:00"), 60, "Google", "https://google.com", "search", "google", "US", "New York"),
    Visit(2, at("2026-01-18T10:00:00"), 120, "", "https://news.ycombinator.com", "social", "hn", "US", ""),
    Visit(3, at("2026-01-19T09:00:00"), 120, "Newsletter", "https://newsletter.example.com", "email", "newsletter",
          "US", "San Francisco"),
    Visit(4, at("2026-01-19T11:00:00"), 180, "Bing", "https://bing.com", "search", "bing", "DE", "Berlin"),
    Visit(5, at("2025-12-25T08:00:00"), 45, country="DE", city="Berlin"),
]  # fmt: skip
VIEWS = [
    (1, "2026-01-18T09:01:00", "/"),
    (2, "2026-01-18T10:01:00", "/"),
    (2, "2026-01-18T10:03:00", "/pricing"),
    (2, "2026-01-18T10:05:00", "/signup"),
    (3, "2026-01-19T09:01:00", "/"),
    (3, "2026-01-19T09:05:00", "/features"),
    (3, "2026-01-19T09:10:00", "/pricing"),
    (4, "2026-01-19T11:05:00", "/"),
    (5, "2025-12-25T08:01:00", "/landing"),
]
EVENTS = [
    (1, "2026-01-18T09:02:00", "signup", "/signup"),
    (2, "2026-01-18T10:06:00", "click", "/pricing"),
    (3, "2026-01-19T09:11:00", "signup", "/signup"),
    (3, "2026-01-19T09:15:00", "signup", "/signup"),
    (4, "2026-01-19T11:20:00", "purchase", "/checkout"),
]
TWO_DAYS = days("2026-01-18", "2026-01-19")
MONTH_LATER = "2026-02-17T23:59:59"


@pytest.fixture
async def fixture(store):
    sessions = {visit.user: visit.id for visit in VISITS}
    views = [Event(user, at(when), sessions[user], pathname=path, **PEOPLE[user]) for user, when, path in VIEWS]
    events = [
        Event(user, at(when), sessions[user], name, pathname=path, **PEOPLE[user]) for user, when, name, path in EVENTS
    ]
    await store.write(VISITS, views, events)
    return store


async def test_properties_and_their_values_count_alike(backend, project):
    """A property with null counted, its values did not."""
    data = ({"plan": "pro"}, {"plan": None}, {"plan": "null"}, {"plan": ""}, {"plan": None, "seats": [None]}, {})
    await write(backend, project, *(Event(1, at("2026-03-10T12:00:00"), name="signup", data=one) for one in data))
    range_ = timespan.resolve(Timespan(), at("2026-03-10T12:00:01"), "UTC")

    async def found(**choice):
        card = await dashboard.load_card(backend, project, range_, "events", Choice(event="signup", **choice))
        return {row.key: row.count for row in card.rows}

    assert await found(dimension="properties") == {"plan": 3, "seats": 1}
    assert await found(dimension="values", property="plan") == {"pro": 1, "null": 1, "": 1}
    assert await found(dimension="values", property="seats") == {"[null]": 1}


async def test_the_fixtures_two_days(fixture):
    shown = await fixture.load(TWO_DAYS, MONTH_LATER)
    assert values(shown) == {
        "users": 4,
        "pageViews": 8,
        "events": 5,
        "bounceRate": 50,
        "visitDuration": 120,
        "visitDurationAll": 120,
        "visits": 4,
        "viewsPerVisit": 2,
    }
    assert counts(shown) == {
        "01-18 09:00": (1, 1, 1),
        "01-18 10:00": (1, 3, 1),
        "01-19 09:00": (1, 3, 2),
        "01-19 11:00": (1, 1, 1),
    }
    assert len(shown.buckets) == 48
    assert (shown.events_total, shown.has_data) == (5, True)


async def test_the_fixtures_thirty_days(fixture):
    shown = await fixture.load(Timespan("30days"), MONTH_LATER)
    assert {key: values(shown)[key] for key in ("users", "pageViews", "events", "bounceRate", "visitDuration")} == {
        "users": 2,
        "pageViews": 4,
        "events": 3,
        "bounceRate": 50,
        "visitDuration": 150,
    }
    assert shown.tiles["users"].previous == 3


@pytest.mark.parametrize(
    ("card", "dimension", "expected"),
    [
        ("pages", "pages", {"/": 4, "/pricing": 2, "/features": 1, "/signup": 1}),
        ("events", "events", {"signup": 2, "click": 1, "purchase": 1}),
        ("locations", "countries", {"US": 3, "DE": 1}),
        ("locations", "cities", {"": 1, "Berlin": 1, "New York": 1, "San Francisco": 1}),
        ("clients", "browsers", {"Chrome": 2, "Firefox": 1, "Safari": 1}),
        ("clients", "devices", {"desktop": 2, "mobile": 1, "tablet": 1}),
        ("clients", "os", {"macOS": 2, "Windows": 1, "Linux": 1}),
        ("sources", "referrer", {"": 1, "Bing": 1, "Google": 1, "Newsletter": 1}),
        ("sources", "referrerType", {"search": 2, "email": 1, "social": 1}),
        ("sources", "utmSource", {"bing": 1, "google": 1, "hn": 1, "newsletter": 1}),
        ("sources", "utmTerm", {}),
    ],
)
async def test_the_fixtures_cards(fixture, card, dimension, expected):
    shown = await fixture.card(card, dimension, chosen=TWO_DAYS, now=MONTH_LATER)
    assert {row.key: row.users for row in shown.rows} == expected
    assert [row.key for row in shown.rows] == [*expected]
    assert shown.total_rows == len(expected)
    assert shown.measure_max == max(expected.values(), default=0)
    assert (shown.dimension, shown.page) == (dimension, 1)


async def test_pages_are_found_by_the_letters_that_people_read(store):
    await store.write([Event(1, NOON, pathname="/%C3%BCber-uns"), Event(1, NOON, pathname="/uber")])
    for search in ("\u00fcber", "\u00dcBER"):
        shown = await store.load(pages=Choice("pages", search=search))
        assert [row.key for row in shown.cards["pages"].rows] == ["/%C3%BCber-uns"]


async def test_counts_stand_beside_users_where_a_card_has_them(fixture):
    shown = await fixture.load(TWO_DAYS, MONTH_LATER)
    assert shown.cards["pages"].rows[0] == Row("/", 4, 4, "https://example.com")
    assert shown.cards["events"].rows[0] == Row("signup", 2, 3)
    assert shown.cards["sources"].rows[1] == Row("Bing", 1, None, "https://bing.com")


NOON = at("2026-03-10T12:00:00")


async def test_a_project_without_events_has_empty_panels(store):
    shown = await store.load()
    assert not shown.has_data
    assert [len(shown.buckets), shown.online, shown.events_total] == [24, 0, 0]
    assert {bucket.users for bucket in shown.buckets} == {0}
    assert {bucket.bounce_rate for bucket in shown.buckets} == {None}
    assert all(card.rows == [] for card in shown.cards.values())
    assert shown.tiles["users"].direction == "same"


async def test_other_projects_are_not_counted(store, backend):
    await store.write([Event(1, NOON), Visit(1, NOON)])
    assert not (await Store(backend, a_project()).load()).has_data


@pytest.mark.parametrize("merged", [False, True], ids=["as written", "after background merges"])
async def test_a_moved_event_counts_once_for_its_new_user(store, backend, merged):
    """D1: a merge of users writes the event with sign -1 under the old user and with +1 under the new one."""
    visit = Visit(1, NOON, 60)
    event = Event(1, NOON, visit.id)
    moved = [Event(2, NOON, visit.id, id=event.id), Visit(2, NOON, 60, id=visit.id)]
    rows = Rows(store.project.id)
    rows.event(event, batch=0)
    rows.visit(visit, batch=0)
    rows.event(moved[0], batch=1)
    rows.visit(moved[1], batch=1)
    rows.event(event, sign=-1, batch=2)
    rows.visit(visit, version=2, deleted=True, batch=2)
    await rows.insert(backend)
    if merged:
        await merge(backend)
    shown = await store.load(now="2026-03-10T12:01:00")
    assert shown.online == 1
    assert values(shown) == {
        "users": 1,
        "pageViews": 1,
        "events": 0,
        "bounceRate": 100,
        "visitDuration": 60,
        "visitDurationAll": 60,
        "visits": 1,
        "viewsPerVisit": 1,
    }
    assert shown.cards["pages"].rows == [Row("/", 1, 1, "https://example.com")]
    assert shown.cards["clients"].rows == [Row("Chrome", 1)]
    assert shown.cards["sources"].rows == [Row("", 1)]


@pytest.mark.parametrize("merged", [False, True], ids=["as written", "after background merges"])
async def test_a_corrected_event_counts_once_as_it_is_now(store, backend, merged):
    """D1, D28: of the rows of one event only the last stored one may show."""
    first = Event(1, NOON, pathname="/old", client="Unknown")
    last = Event(1, NOON, pathname="/new", client="Firefox", id=first.id)
    rows = Rows(store.project.id)
    rows.event(first, batch=0)
    rows.event(first, sign=-1, batch=1)
    rows.event(last, batch=2)
    await rows.insert(backend)
    if merged:
        await merge(backend)
    shown = await store.load()
    assert (values(shown)["users"], values(shown)["pageViews"]) == (1, 1)
    assert shown.cards["pages"].rows == [Row("/new", 1, 1, "https://example.com")]
    assert shown.cards["clients"].rows == [Row("Firefox", 1)]


async def test_a_row_written_twice_is_one_event(store, backend):
    event = Event(1, NOON)
    await store.write([event], [event], [event])
    shown = await store.load()
    assert values(shown)["pageViews"] == 1
    assert shown.cards["pages"].rows == [Row("/", 1, 1, "https://example.com")]


async def test_two_events_of_one_millisecond_are_two(store):
    """D3."""
    await store.write([Event(1, NOON, pathname="/a"), Event(1, NOON, pathname="/b"), Visit(1, NOON), Visit(1, NOON)])
    shown = await store.load()
    assert (values(shown)["pageViews"], values(shown)["visits"]) == (2, 2)


@pytest.mark.parametrize("merged", [False, True], ids=["as written", "after background merges"])
async def test_only_the_last_version_of_a_visit_counts(store, backend, merged):
    """D2: superseded places and sources do not show, and a deleted visit is gone at once."""
    opened = Visit(1, NOON, 0)
    closed = Visit(1, NOON, 90, referrer="Google", referrer_url="https://google.com", country="AT", id=opened.id)
    deleted = Visit(2, NOON, 30, referrer="Bing", country="DE")
    rows = Rows(store.project.id)
    rows.visit(opened, version=1, batch=0)
    rows.visit(deleted, version=1, batch=0)
    rows.visit(closed, version=2, batch=1)
    rows.visit(deleted, version=2, deleted=True, batch=1)
    rows.visit(opened, version=1, batch=2)
    await rows.insert(backend)
    if merged:
        await merge(backend)
    shown = await store.load()
    assert (values(shown)["visits"], values(shown)["visitDuration"]) == (1, 90)
    assert shown.cards["sources"].rows == [Row("Google", 1, None, "https://google.com")]
    assert shown.cards["locations"].rows == [Row("AT", 1)]


async def test_a_visit_is_judged_once_over_its_whole_life(store):
    """D15: by the bucket it starts in, also by page views before or after the bucket or the range."""
    crossing, early, late = Visit(1, NOON - 60_000, 120), Visit(2, NOON - 24 * HOUR_MS, HOUR_MS // 1000), Visit(3, NOON)
    views = [
        Event(1, crossing.start_ms, crossing.id),
        Event(1, NOON + 60_000, crossing.id),
        Event(2, early.start_ms, early.id),
        Event(2, at("2026-03-09T13:00:01"), early.id),
        Event(3, NOON, late.id),
    ]
    await store.write([crossing, early, late], views)
    shown = await store.load()
    assert [bucket.bounce_rate for bucket in shown.buckets] == [*[None] * 22, 0, 100]
    assert (values(shown)["bounceRate"], values(shown)["visits"]) == (50, 2)
    assert values(shown)["pageViews"] == 4
    assert shown.tiles["bounceRate"].previous == 0  # the early one, begun in the window before, has two


async def test_a_visit_that_goes_on_beyond_a_custom_range_is_no_bounce(store):
    visit = Visit(1, at("2026-03-01T23:59:00"), 240)
    views = [Event(1, visit.start_ms, visit.id), Event(1, visit.start_ms + 240_000, visit.id)]
    await store.write([visit], views)
    shown = await store.load(days("2026-03-01", "2026-03-01"))
    assert (values(shown)["bounceRate"], values(shown)["pageViews"], values(shown)["viewsPerVisit"]) == (0, 1, 2)


async def test_custom_events_neither_make_nor_break_a_bounce(store):
    """D32: a visit of custom events alone is a visit, but none that could bounce."""
    viewing, silent = Visit(1, NOON, 5), Visit(2, NOON)
    await store.write(
        [viewing, silent],
        [Event(1, NOON, viewing.id), Event(1, NOON, viewing.id, "click"), Event(2, NOON, silent.id, "a")],
    )
    shown = await store.load()
    assert (values(shown)["bounceRate"], values(shown)["visits"], values(shown)["events"]) == (100, 2, 2)


async def test_a_project_may_say_that_custom_events_prevent_a_bounce(backend, project):
    """D15: over the whole life of the visit, also after the end of the range."""
    store = Store(backend, msgspec.structs.replace(project, events_prevent_bounce=True))
    quiet, busy, later = Visit(1, NOON), Visit(2, NOON, 5), Visit(3, at("2026-03-01T23:59:00"), 240)
    await store.write(
        [quiet, busy, later],
        [Event(visit.user, visit.start_ms, visit.id) for visit in (quiet, busy, later)],
        [Event(2, NOON + 1000, busy.id, "click"), Event(3, later.start_ms + 240_000, later.id, "click")],
    )
    assert values(await store.load())["bounceRate"] == 50
    assert values(await store.load(days("2026-03-01", "2026-03-01")))["bounceRate"] == 0


async def test_rates_of_buckets_have_two_digits_and_the_headline_is_weighted(store):
    visits = [Visit(user, NOON - HOUR_MS * (user == 9), 10 * user) for user in (1, 2, 3, 9)]
    views = [Event(visit.user, visit.start_ms, visit.id) for visit in visits for _ in range(1 + (visit.user == 1))]
    await store.write(visits, views)
    shown = await store.load()
    assert [bucket.bounce_rate for bucket in shown.buckets[-2:]] == [100, 66.67]
    assert [bucket.visit_duration for bucket in shown.buckets[-2:]] == [90, 20]
    assert (values(shown)["bounceRate"], values(shown)["visitDuration"]) == (75, 37.5)


async def test_days_are_those_of_the_project(store):
    """D12, D17: one instant lies in different days of different zones; Sundays belong to the week before."""
    late_sunday = at("2026-03-08T23:30:00")
    await store.write([Event(1, late_sunday), Event(2, at("2026-03-08T12:00:00"))])
    week = (await store.load(Timespan("3months"))).buckets
    assert [bucket.users for bucket in week[-2:]] == [2, 0]
    week = (await store.load(Timespan("3months"), zone="Europe/Vienna")).buckets
    assert [bucket.users for bucket in week[-2:]] == [1, 1]
    for zone, users in (("UTC", [2, 0, 0]), ("Asia/Kathmandu", [1, 1, 0]), ("America/Sao_Paulo", [2, 0, 0])):
        day = (await store.load(Timespan("7days"), zone=zone)).buckets
        assert [bucket.users for bucket in day[-3:]] == users


async def test_a_custom_range_holds_its_last_second_and_last_partial_week(store):
    """D13, D29."""
    await store.write([Event(1, at("2026-02-04T23:59:59") + 999), Event(2, at("2026-02-05T00:00:00"))])
    shown = await store.load(days("2026-01-01", "2026-02-04"))
    assert (values(shown)["users"], shown.buckets[-1].users, len(shown.buckets)) == (1, 1, 6)


async def test_the_trend_compares_windows_cut_at_the_same_time(store):
    """D16: of yesterday only what had happened by this time of the day before counts."""
    await store.write([
        Event(1, at("2026-03-10T12:10:00")),
        Event(2, at("2026-03-10T12:15:00")),
        Event(3, at("2026-03-09T12:10:00")),
        Event(4, at("2026-03-09T12:30:00")),  # after 12:20 of the window before: in neither
    ])  # fmt: skip
    shown = await store.load()
    tile = shown.tiles["users"]
    assert (tile.value, tile.previous, tile.change, tile.direction) == (2, 1, 100, "up")
    assert [shown.buckets[-1].users, shown.buckets[-1].previous_users] == [2, 1]
    assert [bucket.incomplete for bucket in shown.buckets] == [*[False] * 23, True]


async def test_a_year_has_twelve_months(store):
    """D14."""
    await store.write([Event(1, at("2025-03-31T23:00:00")), Event(2, at("2025-04-01T00:00:00"))])
    shown = await store.load(Timespan("1year"))
    assert [len(shown.buckets), values(shown)["users"], shown.buckets[0].users] == [12, 1, 1]


@pytest.mark.parametrize("code", ["", "\0\0"])
async def test_an_unknown_place_is_one_row(store, code):
    """D19: two NULs are no country; cities that say they are unknown are unknown."""
    await store.write([
        Visit(1, NOON, country=code),
        Visit(2, NOON, country="AT", city=" Unknown "),
        Visit(3, NOON, country="DE", city=""),
        Visit(4, NOON, country="AT", city="Linz"),
        Visit(5, NOON, country="DE", city="Linz"),
    ])  # fmt: skip
    shown = await store.load()
    assert shown.cards["locations"].rows == [Row("AT", 2), Row("DE", 2), Row("", 1)]
    cities = await store.card("locations", "cities")
    assert cities.rows == [Row("", 3), Row("Linz", 1, None, "AT"), Row("Linz", 1, None, "DE")]


async def test_the_address_beside_a_source_is_always_the_same_one(store):
    """D28."""
    urls = ["https://b.example", "", "https://a.example", "https://c.example"]
    await store.write(*([Visit(user, NOON, referrer="News", referrer_url=url)] for user, url in enumerate(urls)))
    assert (await store.card("sources", "referrer")).rows == [Row("News", 4, None, "https://a.example")]
    by_url = await store.card("sources", "referrerUrl")
    assert [row.key for row in by_url.rows] == ["https://a.example", "https://b.example", "https://c.example"]


async def test_direct_visits_are_a_source_but_not_an_address_or_campaign(store):
    await store.write([Visit(1, NOON), Visit(2, NOON, referrer="", referrer_url="https://example.com/a")])
    assert (await store.card("sources", "referrer")).rows == [Row("", 2, None, "https://example.com/a")]
    assert (await store.card("sources", "referrerUrl")).rows == []
    assert (await store.card("sources", "utmSource")).rows == []


async def test_browsers_are_those_of_page_views_in_browsers(store):
    await store.write([
        Event(1, NOON, client="Chrome"),
        Event(2, NOON, client="Firefox", name="click"),
        Event(3, NOON, client="curl", client_type="server"),
    ])  # fmt: skip
    assert (await store.card("clients", "browsers")).rows == [Row("Chrome", 1)]


async def test_cards_are_paged_in_the_store_in_a_fixed_order(store):
    """D20: seven rows at a time, and equal rows never change places between pages."""
    await store.write([Event(user, NOON, pathname=f"/{user % 17:02}") for user in range(18)])
    pages = [await store.card("pages", page=page) for page in (1, 2, 3)]
    assert [row.key for page in pages for row in page.rows] == [f"/{number:02}" for number in range(17)]
    assert {(page.total_rows, page.measure_max) for page in pages} == {(17, 2)}
    assert [len(page.rows) for page in pages] == [7, 7, 3]


@pytest.mark.parametrize("page", [4, 0, -3, 10**30])
async def test_a_page_that_is_not_there_is_the_first(store, page):
    await store.write([Event(user, NOON, pathname=f"/{user:02}") for user in range(17)])
    shown = await store.card("pages", page=page)
    assert (shown.page, shown.rows[0].key, len(shown.rows)) == (1, "/00", 7)


async def test_a_dashboard_shows_the_chosen_dimension_and_page(store):
    await store.write([Event(user, NOON, os=f"os-{user}") for user in range(9)])
    shown = await store.load(clients=Choice("os", 2))
    assert (shown.cards["clients"].dimension, shown.cards["clients"].page) == ("os", 2)
    assert [row.key for row in shown.cards["clients"].rows] == ["os-7", "os-8"]
    assert shown.cards["pages"].dimension == "pages"


async def test_refuses_a_dimension_that_a_card_does_not_have(store):
    with pytest.raises(errors.Invalid):
        await store.load(clients=Choice("moods"))


async def test_entry_pages_are_where_visits_began(store):
    await store.write([
        Visit(1, NOON, pathname="/a"),
        Visit(1, NOON, pathname="/a"),
        Visit(2, NOON, pathname="/b"),
        Visit(2, NOON, pathname=""),
    ])  # fmt: skip
    assert (await store.card("pages", "entryPages")).rows == [
        Row("/a", 1, 2, "https://example.com"),
        Row("/b", 1, 1, "https://example.com"),
    ]


async def test_names_in_any_script_come_back_as_they_were(store):
    names = ["日本語", "a'b\"c\\d", "tab\there", "{project:UInt64}", "/*key{*/", "-- no comment"]
    await store.write([Event(1, NOON, name=name) for name in names])
    assert {row.key for row in (await store.card("events")).rows} == {*names}


@pytest.mark.parametrize(
    ("when", "online"),
    [
        ("2026-03-10T12:15:30.000", 1),
        ("2026-03-10T12:15:29.999", 0),
        ("2026-03-10T12:20:00.000", 1),
        ("2026-03-10T12:20:00.001", 0),
    ],
)
async def test_online_are_those_of_the_running_half_minute_and_the_nine_before(store, backend, when, online):
    await store.write([Event(1, at(when), name="click"), Event(1, at(when))])
    assert await dashboard.online(backend, store.project.id, at("2026-03-10T12:20:00")) == online
    assert (await store.load()).online == online


async def test_a_failing_store_fails_the_page_as_itself(project):
    class Busy:
        async def query(self, sql, parameters=None):
            raise errors.StoreBusy

    range_ = timespan.resolve(Timespan(), NOON, "UTC")
    with pytest.raises(errors.StoreBusy):
        await dashboard.load(Busy(), project, range_)
