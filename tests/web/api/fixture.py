"""The project that clients of the original's API are tested with: five users, their visits and what they did."""

import json
from datetime import datetime
from typing import Any

import msgspec

from vemetric.clickhouse import rows
from vemetric.clickhouse.engine import Engine
from vemetric.clickhouse.user_row import USER_COLUMNS, new_row
from vemetric.database import funnels as stored_funnels
from vemetric.database import identities
from vemetric.database import projects as stored_projects
from vemetric.database.database import Database
from vemetric.model.filters import EventFilter, PageFilter, Text
from vemetric.model.funnel import Funnel, Step
from vemetric.model.project import Project

ORIGIN = "https://example.com"
FUNNEL_ID = "018d4f2e-0000-7000-8000-000000000001"
STEPS = (
    Step("step-1", "", PageFilter(path=Text(value="/"))),
    Step("step-2", "Signed Up", EventFilter(name=Text(value="signup"))),
)
NAMES = {1: "Zulu", 2: "Echo", 3: "Bravo", 4: "Charlie"}
DATA: dict[int, dict[str, Any]] = {1: {"plan": "pro", "company": "Acme Inc"}, 3: {"plan": "starter"}}
COLUMNS = (
    *("countryCode", "city", "clientName", "deviceType", "osName", "referrer", "referrerUrl", "referrerType"),
    *("utmSource", "utmMedium", "utmCampaign", "utmContent", "utmTerm"),
)
# What each user is like, in the order of COLUMNS.
LIKE = {
    1: "US|New York|Chrome|desktop|macOS|Google|https://google.com|search|google|cpc|winter_launch|hero_cta|analytics",
    2: "US||Firefox|mobile|Windows||https://news.ycombinator.com|social|hn|social|winter_launch|text_link|opensource",
    3: "US|San Francisco|Safari|desktop|macOS|Newsletter|https://newsletter.example.com|email|newsletter|email|jan_push"
    "|button|metrics",
    4: "DE|Berlin|Chrome|tablet|Linux|Bing|https://bing.com|search|bing|cpc|jan_push|ad_1|privacy",
    5: "DE|Berlin|Chrome|desktop|macOS|||direct|||||",
}
VISITS = (
    ("s1", 1, "2026-01-18 09:00", "2026-01-18 09:05", 60),
    ("s2", 2, "2026-01-18 10:00", "2026-01-18 10:15", 120),
    ("s3", 3, "2026-01-19 09:00", "2026-01-19 09:20", 120),
    ("s4", 4, "2026-01-19 11:00", "2026-01-19 11:25", 180),
    ("s5", 5, "2025-12-25 08:00", "2025-12-25 08:03", 45),
)
VIEW = "$$pageView"
EVENTS = (
    (1, "2026-01-18 09:01", VIEW, "/", {}),
    (1, "2026-01-18 09:02", "signup", "/signup", {"plan": "pro"}),
    (2, "2026-01-18 10:01", VIEW, "/", {}),
    (2, "2026-01-18 10:03", VIEW, "/pricing", {}),
    (2, "2026-01-18 10:05", VIEW, "/signup", {}),
    (2, "2026-01-18 10:06", "click", "/pricing", {}),
    (3, "2026-01-19 09:01", VIEW, "/", {}),
    (3, "2026-01-19 09:05", VIEW, "/features", {}),
    (3, "2026-01-19 09:10", VIEW, "/pricing", {}),
    (3, "2026-01-19 09:11", "signup", "/signup", {"plan": "starter"}),
    (3, "2026-01-19 09:15", "signup", "/signup", {"plan": "pro"}),
    (4, "2026-01-19 11:05", VIEW, "/", {}),
    (4, "2026-01-19 11:20", "purchase", "/checkout", {}),
    (5, "2025-12-25 08:01", VIEW, "/landing", {}),
)


def at(text: str) -> int:
    """Milliseconds of a time of UTC."""
    return round(datetime.fromisoformat(f"{text}+00:00").timestamp() * 1000)


async def insert_rows(engine: Engine, project_id: int) -> None:
    """What the workers would have stored."""
    events = [_event(project_id, number, *one) for number, one in enumerate(EVENTS)]
    visits = [visit(project_id, *one) for one in VISITS]
    users = []
    for id_, name in NAMES.items():
        row = new_row(project_id, id_, f"user-{id_}", at("2026-01-18 08:00"))
        like = {"countryCode": _like(id_)["countryCode"], "city": _like(id_)["city"]}
        known = {"displayName": name, "customData": json.dumps(DATA.get(id_, {})), **like}
        users.append(msgspec.structs.replace(row, **known).to_tuple())
    await engine.insert("event", rows.EVENT_COLUMNS, events)
    await engine.insert("session", rows.SESSION_COLUMNS, visits)
    await engine.insert("user", USER_COLUMNS, users)


async def insert_visitors(engine: Engine, project_id: int, active: int, viewed: int, signed_up: int) -> None:
    """So many users, of whom the first ones saw the front page, and the first of those signed up."""
    did: list[tuple[int, str, str, str, Any]] = [
        *((user, "2026-01-18 09:00", "click", "/pricing", {}) for user in range(active)),
        *((user, "2026-01-18 09:01", VIEW, "/", {}) for user in range(viewed)),
        *((user, "2026-01-18 09:02", "signup", "/signup", {}) for user in range(signed_up)),
    ]
    # Nothing of the five counts here but the columns that every row has.
    events = [_event(project_id, number, 5, *one[1:]) for number, one in enumerate(did)]
    place = rows.EVENT_COLUMNS.index("userId")
    placed = [(*row[:place], 1000 + one[0], *row[place + 1 :]) for row, one in zip(events, did, strict=True)]
    await engine.insert("event", rows.EVENT_COLUMNS, placed)


async def insert_project(database: Database, project: Project, now_ms: int) -> None:
    """The project, who its users are, and its funnel."""
    made_ms = at("2026-01-10 00:00")
    async with database.begin() as connection:
        await stored_projects.create(connection, project)
        for id_ in NAMES:
            await identities.insert_if_absent(connection, project.id, id_, f"user-{id_}", now_ms)
        funnel = Funnel(FUNNEL_ID, "Sign-up", STEPS, "rocket", created_at_ms=made_ms, updated_at_ms=made_ms)
        await stored_funnels.create(connection, project.id, funnel)


def _like(user: int) -> dict[str, str]:
    return dict(zip(COLUMNS, LIKE[user].split("|"), strict=True))


def _event(project_id: int, number: int, user: int, time: str, name: str, path: str, data: Any) -> tuple[Any, ...]:
    named = {"userIdentifier": f"user-{user}", "userDisplayName": NAMES[user]} if user in NAMES else {}
    values = {
        "sign": 1,
        "projectId": project_id,
        "userId": user,
        "sessionId": f"s{user}",
        "deviceId": 1,
        "id": f"event-{number}",
        "name": name,
        "createdAt": rows.timestamp(at(time)),
        "isPageView": int(name == VIEW),
        "clientType": "browser",
        "origin": ORIGIN,
        "pathname": path,
        "customData": json.dumps(data),
        "latitude": None,
        "longitude": None,
        **named,
        **_like(user),
    }
    return tuple(values.get(column, "") for column in rows.EVENT_COLUMNS)


def visit(project_id: int, id_: str, user: int, start: str, end: str, seconds: int) -> tuple[Any, ...]:
    """A row of `session`, of the values of VISITS."""
    values = {
        "deleted": 0,
        "projectId": project_id,
        "userId": user,
        "id": id_,
        "startedAt": rows.timestamp(at(start)),
        "endedAt": rows.timestamp(at(end)),
        "duration": seconds,
        "userIdentifier": None,
        "userDisplayName": None,
        "origin": ORIGIN,
        "pathname": "/",
        "latitude": None,
        "longitude": None,
        "version": 1,
        "mergeId": 0,
        **_like(user),
    }
    return tuple(values.get(column, "") for column in rows.SESSION_COLUMNS)
