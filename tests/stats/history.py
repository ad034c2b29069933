"""Logical events and visits, and the rows a store holds of them after repeats, corrections, moves and deletions."""

import itertools
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from vemetric.clickhouse import rows
from vemetric.clickhouse.engine import Engine
from vemetric.clickhouse.user_row import USER_COLUMNS, new_row
from vemetric.model.project import Project

PAGE_VIEW = "$$pageView"

_NUMBERS = itertools.count(1)
_PROJECT_IDS = itertools.count(7_700_000_000_000_000_001)


class Event(msgspec.Struct, frozen=True):
    """One thing a user did. session: '' for none."""

    user: int
    at_ms: int
    session: str = ""
    name: str = PAGE_VIEW
    origin: str = "https://example.com"
    pathname: str = "/"
    hash: str = ""
    data: dict[str, Any] = {}
    identifier: str = ""
    client_type: str = "browser"
    client: str = "Chrome"
    client_version: str = ""
    device: str = "desktop"
    os: str = "macOS"
    os_version: str = ""
    id: str = msgspec.field(default_factory=lambda: f"event-{next(_NUMBERS)}")

    @property
    def is_page_view(self) -> bool:
        return self.name == PAGE_VIEW


class Visit(msgspec.Struct, frozen=True):
    """One session. seconds: its length."""

    user: int
    start_ms: int
    seconds: int = 0
    referrer: str = ""
    referrer_url: str = ""
    referrer_type: str = "unknown"
    utm_source: str = ""
    country: str = ""
    city: str = ""
    origin: str = "https://example.com"
    pathname: str = "/"
    utm_campaign: str = ""
    north: float | None = None
    east: float | None = None
    id: str = msgspec.field(default_factory=lambda: f"visit-{next(_NUMBERS)}")


def a_project() -> Project:
    """A project that no other test has."""
    number = next(_PROJECT_IDS)
    return Project(id=number, organization_id="o", name="Example", domain="example.com", token=f"t{number}")


class Rows:
    """The rows of one project in the order of their writing; `insert` writes each batch apart, as workers do."""

    def __init__(self, project_id: int) -> None:
        self._project_id = project_id
        self._batches: dict[int, dict[str, list[Sequence[Any]]]] = {}

    def event(self, event: Event, sign: int = 1, batch: int = 0) -> None:
        values = {
            "sign": sign,
            "projectId": self._project_id,
            "userId": event.user,
            # The original retracts without the session id; only the sort key may matter.
            "sessionId": event.session if sign > 0 else "",
            "deviceId": 1,
            "id": event.id,
            "name": event.name,
            "createdAt": rows.timestamp(event.at_ms),
            "isPageView": int(event.is_page_view),
            "clientName": event.client,
            "clientVersion": event.client_version,
            "osVersion": event.os_version,
            "urlHash": event.hash,
            "customData": json.dumps(event.data),
            "userIdentifier": event.identifier,
            "clientType": event.client_type,
            "deviceType": event.device,
            "osName": event.os,
            "origin": event.origin,
            "pathname": event.pathname,
            "latitude": None,
            "longitude": None,
        }
        self._add(batch, "event", tuple(values.get(column, "") for column in rows.EVENT_COLUMNS))

    def visit(self, visit: Visit, version: int = 1, deleted: bool = False, batch: int = 0) -> None:
        values = {
            "deleted": int(deleted),
            "projectId": self._project_id,
            "userId": visit.user,
            "id": visit.id,
            "startedAt": rows.timestamp(visit.start_ms),
            "endedAt": rows.timestamp(visit.start_ms + visit.seconds * 1000),
            "duration": visit.seconds,
            "userIdentifier": None,
            "userDisplayName": None,
            "countryCode": visit.country,
            "city": visit.city,
            "referrer": visit.referrer,
            "referrerUrl": visit.referrer_url,
            "referrerType": visit.referrer_type,
            "utmSource": visit.utm_source,
            "utmCampaign": visit.utm_campaign,
            "origin": visit.origin,
            "pathname": visit.pathname,
            "latitude": visit.north,
            "longitude": visit.east,
            "version": version,
            "mergeId": 0,
        }
        self._add(batch, "session", tuple(values.get(column, "") for column in rows.SESSION_COLUMNS))

    async def insert(self, engine: Engine) -> None:
        for batch in sorted(self._batches):
            for table, values in self._batches[batch].items():
                await engine.insert(table, COLUMNS[table], values)

    def _add(self, batch: int, table: str, values: Sequence[Any]) -> None:
        self._batches.setdefault(batch, {}).setdefault(table, []).append(values)


async def write(engine: Engine, project: Project, *items: Event | Visit) -> None:
    """Store events and visits of a project as they are."""
    stored = Rows(project.id)
    for item in items:
        (stored.event if isinstance(item, Event) else stored.visit)(item)
    await stored.insert(engine)


COLUMNS: dict[str, Sequence[str]] = {"event": rows.EVENT_COLUMNS, "session": rows.SESSION_COLUMNS}


async def know(engine: Engine, project: Project, user: int, identifier: str, at_ms: int, **values: object) -> None:
    """Store a user whom the site has named, with other columns of the row."""
    row = msgspec.structs.replace(new_row(project.id, user, identifier, at_ms), **values)
    await engine.insert("user", USER_COLUMNS, [row.to_tuple()])


async def merge(engine: Engine) -> None:
    """Let the store do now what it does in the background some time."""
    for table in COLUMNS:
        await engine.command(f"OPTIMIZE TABLE {table} FINAL")
