"""Made-up visits of the demo project: a shop for tea, with people who come back, seasons of a day, and orders.

What happens in a minute follows from the project and the minute alone, so that the past can be made at once, the
present goes on from it minute by minute, and nothing has to be remembered but how far it got. Put by demo.py.
"""

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from vemetric.ingest.hit import PAGE_VIEW
from vemetric.model import ids
from vemetric.model.geo import Geo

MINUTE_MS = 60_000
# A visit is over by then.
VISIT_MINUTES_MAX = 30
VISITS_PER_DAY = 190
PEOPLE, KNOWN_PEOPLE = 2_400, 36
# Of the visits, those of customers.
KNOWN_SHARE = 0.12
PAGES_MAX = 9
# Most turn back at the first page, fewer at each further one.
GO_ON_SHARE = 0.62
ID_LENGTH = 12

PAGES = (
    ("/", 30),
    ("/teas", 22),
    ("/teas/green", 12),
    ("/teas/oolong", 7),
    ("/teas/assam-second-flush", 9),
    ("/journal/how-to-brew-sencha", 11),
    ("/journal/water", 5),
    ("/about", 4),
    ("/basket", 8),
    ("/checkout", 4),
)
SOURCES = (
    ("", 38),
    ("https://www.google.com/", 27),
    ("https://news.ycombinator.com/item?id=1", 6),
    ("https://www.reddit.com/r/tea/", 8),
    ("https://duckduckgo.com/", 5),
    ("https://chatgpt.com/", 4),
    ("https://www.bing.com/", 3),
    ("https://www.instagram.com/", 5),
    ("https://blog.example.org/best-tea-shops", 4),
)
CAMPAIGNS = (
    ("", 86),
    ("utm_source=newsletter&utm_medium=email&utm_campaign=spring-harvest", 8),
    ("utm_source=instagram&utm_medium=social&utm_campaign=new-oolong", 6),
)
PLACES = (
    (Geo("DE", "Berlin", 52.52, 13.4), 20),
    (Geo("DE", "Munich", 48.14, 11.58), 8),
    (Geo("AT", "Vienna", 48.21, 16.37), 11),
    (Geo("US", "New York", 40.71, -74.01), 14),
    (Geo("US", "Portland", 45.52, -122.68), 7),
    (Geo("GB", "London", 51.51, -0.13), 12),
    (Geo("FR", "Lyon", 45.76, 4.84), 7),
    (Geo("JP", "Kyoto", 35.01, 135.77), 5),
    (Geo("IN", "Kolkata", 22.57, 88.36), 5),
    (Geo("NL", "Utrecht", 52.09, 5.12), 4),
    (Geo("BR", "São Paulo", -23.55, -46.63), 4),
    (Geo("AU", "Melbourne", -37.81, 144.96), 3),
)
_CHROME = "(KHTML, like Gecko) Chrome/138.0.0.0"
BROWSERS = (
    (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 {_CHROME} Safari/537.36", 30),
    (f"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 {_CHROME} Mobile Safari/537.36", 22),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/18.5 Mobile/15E148 Safari/604.1",
        24,
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
        "Safari/605.1.15",
        12,
    ),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", 7),
    (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 {_CHROME} Safari/537.36 Edg/138.0.0.0", 5),
)
FIRST_NAMES = ("Mira", "Jonas", "Aiko", "Priya", "Tom", "Elena", "Luca", "Noor", "Sara", "Ben", "Ines", "Pavel")
LAST_NAMES = ("Berger", "Tanaka", "Okafor")
TEAS = ("Sencha", "Assam", "Oolong", "Gunpowder", "Earl Grey")


class Person(NamedTuple):
    """Somebody of the demo, always the same. name: '' where the shop does not know who it is."""

    number: int
    user_id: int
    browser: str
    place: Geo
    name: str

    @property
    def identifier(self) -> str:
        return f"customer-{self.number + 1:03d}" if self.name else ""


class Happening(NamedTuple):
    """One event of a visit. opens: whether the visit begins with it. referrer: '' where there is none."""

    at_ms: int
    id: str
    person: Person
    session_id: str
    started_ms: int
    opens: bool
    name: str
    path: str
    referrer: str
    data: dict[str, Any]


def person(project_id: int, number: int) -> Person:
    """The person of a number below PEOPLE; the first are those the shop knows."""
    chance = random.Random(f"{project_id}:person:{number}")  # noqa: S311 - made up
    name = ""
    if number < KNOWN_PEOPLE:
        name = f"{FIRST_NAMES[number % len(FIRST_NAMES)]} {LAST_NAMES[number // len(FIRST_NAMES)]}"
    user_id = ids.siphash(ids.USER_KEY, f"{project_id}:demo:{number}")
    return Person(number, user_id, _one_of(chance, BROWSERS), _one_of(chance, PLACES), name)


def happenings(project_id: int, after_ms: int, until_ms: int) -> Iterator[Happening]:
    """Everything that happens in (after_ms, until_ms], each minute's visits in turn."""
    first = after_ms // MINUTE_MS - VISIT_MINUTES_MAX
    for minute in range(first, until_ms // MINUTE_MS + 1):
        for happening in _of_minute(project_id, minute):
            if after_ms < happening.at_ms <= until_ms:
                yield happening


def _of_minute(project_id: int, minute: int) -> Iterator[Happening]:
    chance = random.Random(f"{project_id}:{minute}")  # noqa: S311
    visits, left = 0, math.exp(-_visits_expected(minute))
    # Poisson's distribution, by products of chances.
    while (left_now := chance.random()) > left:
        visits, left = visits + 1, left / left_now
    for number in range(visits):
        yield from _visit(project_id, minute, number, chance)


def _visits_expected(minute: int) -> float:
    at = datetime.fromtimestamp(minute * 60, UTC)
    by_day = 0.75 if at.weekday() >= 5 else 1.1
    by_hour = 1 + 0.75 * math.sin((at.hour + at.minute / 60 - 9) / 24 * 2 * math.pi)
    # Every other week an article is passed round.
    is_talked_about = minute // 1_440 % 13 == 4
    return VISITS_PER_DAY / 1_440 * by_day * by_hour * (1.9 if is_talked_about else 1)


def _visit(project_id: int, minute: int, number: int, chance: random.Random) -> Iterator[Happening]:
    who = person(project_id, chance.randrange(KNOWN_PEOPLE if chance.random() < KNOWN_SHARE else PEOPLE))
    session_id = f"demo{ids.siphash(ids.USER_KEY, f'{project_id}:{minute}:{number}'):016x}"
    started_ms = at_ms = minute * MINUTE_MS + chance.randrange(MINUTE_MS)
    ends_before_ms = (minute + VISIT_MINUTES_MAX) * MINUTE_MS
    referrer, campaign = _one_of(chance, SOURCES), _one_of(chance, CAMPAIGNS)
    path = _one_of(chance, PAGES) + (f"?{campaign}" if campaign else "")
    steps: list[tuple[str, str, dict[str, Any]]] = [(PAGE_VIEW, path, {})]
    while len(steps) < PAGES_MAX and chance.random() < GO_ON_SHARE:
        steps += _next_steps(_one_of(chance, PAGES), chance)
    for place, (name, path, data) in enumerate(steps):
        if at_ms >= ends_before_ms:
            break
        event_id = f"{session_id[-10:]}{place:02d}"
        opens = place == 0
        yield Happening(
            at_ms, event_id, who, session_id, started_ms, opens, name, path, referrer if opens else "", data
        )
        at_ms += chance.randrange(4_000, 150_000)


def _next_steps(path: str, chance: random.Random) -> list[tuple[str, str, dict[str, Any]]]:
    """A page, and what is done on it."""
    steps: list[tuple[str, str, dict[str, Any]]] = [(PAGE_VIEW, path, {})]
    if path.startswith("/teas/") and chance.random() < 0.4:
        steps.append(("AddToBasket", path, {"tea": chance.choice(TEAS), "grams": chance.choice((50, 100, 250))}))
    elif path == "/checkout" and chance.random() < 0.55:
        steps.append(("Order", path, {"total": chance.randrange(9, 85), "payment": chance.choice(("card", "invoice"))}))
    elif path.startswith("/journal") and chance.random() < 0.12:
        steps.append(("Newsletter", path, {"where": "footer"}))
    return steps


def _one_of(chance: random.Random, choices: tuple[tuple[Any, int], ...]) -> Any:
    return chance.choices([value for value, _ in choices], [weight for _, weight in choices])[0]
