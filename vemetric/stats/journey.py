"""What one user did, step by step and visit by visit. Called by web/pages/user.py.

A journey is read in bounded pages, the latest first; where one ends, the next begins.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from vemetric.clickhouse.engine import Engine
from vemetric.model import filters as model
from vemetric.model.filters import Group
from vemetric.model.project import Project
from vemetric.stats import filters
from vemetric.stats.query import Reader

STEPS_ROWS = 50


class Step(msgspec.Struct, frozen=True):
    """One thing a user did. seconds: how long the page was looked at, None where nobody can know."""

    id: str
    at_ms: int
    session: str
    name: str
    is_page_view: bool
    origin: str
    path: str
    query: str
    hash: str
    data: dict[str, Any]
    browser: str
    os: str
    device: str
    seconds: int | None


class Session(msgspec.Struct, frozen=True):
    """A visit. Instants in milliseconds."""

    id: str
    started_ms: int
    ended_ms: int
    referrer: str
    referrer_url: str
    referrer_type: str


class Journey(msgspec.Struct, frozen=True):
    """A page of what a user did, the latest first, with its visits by id. next: (at_ms, id) where the rest begins."""

    steps: list[Step]
    sessions: Mapping[str, Session]
    next: tuple[int, str] | None


FOREVER_MS = 1 << 62
LATEST = (FOREVER_MS, "")


async def load_journey(
    engine: Engine,
    project: Project,
    user_id: int,
    *,
    window_ms: tuple[int, int] = (0, FOREVER_MS),
    before: tuple[int, str] = LATEST,
    group: Group = model.NOTHING,
    limit: int = STEPS_ROWS,
    offset: int = 0,
) -> Journey:
    """What a user did within a window, before a mark; group: filters on the single events. Raises StoreBusy.

    offset: how many of those to leave out first.
    """
    reader, compiled = Reader(engine), filters.compile_filters(group)
    asked: dict[str, Any] = {"project": project.id, "user": user_id, "limit": limit + 1, "offset": offset}
    asked |= {"start": window_ms[0], "end": window_ms[1], "beforeAt": before[0], "beforeId": before[1]}
    asked |= compiled.parameters
    rows = await reader.rows("user_journey", asked, {"event": compiled.single_events()})
    shown = rows[:limit]
    sessions = await _sessions(reader, project.id, user_id, sorted({row[2] for row in shown if row[2]}))
    steps = [_step(row, sessions.get(row[2])) for row in shown]
    return Journey(steps, sessions, (steps[-1].at_ms, steps[-1].id) if len(rows) > limit else None)


async def _sessions(reader: Reader, project_id: int, user_id: int, ids: list[str]) -> dict[str, Session]:
    if not ids:
        return {}
    rows = await reader.rows("user_sessions", {"project": project_id, "user": user_id, "sessions": ids})
    return {row[0]: Session(*row) for row in rows}


def _step(row: list[Any], session: Session | None) -> Step:
    id_, at_ms, session_id, name, is_view, origin, path, query, hash_, data, client, version, os, os_version, device = (
        row[:15]
    )
    until_ms = row[15] or (session.ended_ms if session is not None else 0)
    seconds = (until_ms - at_ms) // 1000 if is_view and until_ms >= at_ms else None
    decoded = msgspec.json.decode(data or "{}")
    return Step(
        id_,
        at_ms,
        session_id,
        name,
        bool(is_view),
        origin,
        path,
        query_text(query),
        hash_,
        dict(sorted(decoded.items())) if isinstance(decoded, dict) else {},
        " ".join(filter(None, (client, version))),
        " ".join(filter(None, (os, os_version))),
        device,
        seconds,
    )


def query_text(stored: str) -> str:
    """The query of an address as people know it: it is stored as a JSON object. '' for none."""
    try:
        values = msgspec.json.decode(stored or "{}")
    except msgspec.DecodeError:
        return stored
    return f"?{urlencode(values, doseq=True)}" if isinstance(values, dict) and values else ""
