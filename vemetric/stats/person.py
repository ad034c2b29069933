"""One user of a project: what is known, and on which days anything was done. Called by web/pages/user.py."""

from typing import Any

import msgspec

from vemetric.clickhouse.engine import Engine
from vemetric.model.project import Project
from vemetric.stats.dashboard import online_since
from vemetric.stats.journey import query_text
from vemetric.stats.query import Reader


class Known(msgspec.Struct, frozen=True):
    """What a site and the first visit told about a user. attributes: as the site named them, in order of names."""

    created_ms: int
    first_seen_ms: int
    avatar_url: str
    attributes: dict[str, Any]
    landing: str
    referrer: str
    utm: dict[str, str]


class Facts(msgspec.Struct, frozen=True):
    """A user. known: None for one that was never identified; online by the last event."""

    id: int
    events: int
    first_ms: int
    last_ms: int
    identifier: str
    display_name: str
    country: str
    city: str
    browser: str
    os: str
    device: str
    is_online: bool
    known: Known | None


async def load_facts(engine: Engine, project: Project, user_id: int, now_ms: int) -> Facts | None:
    """What is known of a user; None where there is nothing. Raises StoreBusy."""
    reader, asked = Reader(engine), {"project": project.id, "user": user_id}
    [row] = await reader.rows("user_facts", asked)
    rows = await reader.rows("user", asked)
    events, first_ms, last_ms, identifier, name, country, city, client, os, device = row
    if not events and not rows:
        return None
    known, stored_identifier, stored_name = _known(rows[0]) if rows else (None, "", "")
    if known is not None and not events:
        first_ms = last_ms = known.first_seen_ms
    return Facts(
        user_id,
        events,
        first_ms,
        last_ms,
        stored_identifier or identifier,
        stored_name or name,
        country or (rows[0][-2] if rows else ""),
        city or (rows[0][-1] if rows else ""),
        " ".join(filter(None, client)),
        " ".join(filter(None, os)),
        device,
        bool(events) and last_ms >= online_since(now_ms),
        known,
    )


def _known(row: list[Any]) -> tuple[Known, str, str]:
    identifier, name, created_ms, first_seen_ms, data, avatar_url, referrer, landing, *utm, _, _ = row
    attributes = msgspec.json.decode(data or "{}")
    names = ("source", "medium", "campaign", "content", "term")
    known = Known(
        created_ms,
        first_seen_ms,
        avatar_url,
        dict(sorted(attributes.items())) if isinstance(attributes, dict) else {},
        "".join((landing[0], landing[1], query_text(landing[2]), landing[3])),
        referrer,
        {key: value for key, value in zip(names, utm, strict=True) if value},
    )
    return known, identifier, name


async def count_days(engine: Engine, project: Project, user_id: int, edges_ms: list[int]) -> dict[int, int]:
    """How many events lie in each day, by its start; days without any are left out. The last edge ends the last day."""
    starts, end_ms = edges_ms[:-1], edges_ms[-1]
    asked = {"project": project.id, "user": user_id, "start": starts[0], "end": end_ms, "starts": starts}
    return dict(await Reader(engine).rows("user_days", asked))
