"""All events of a range, page views too, piece by piece in the order in which they happened. Called by the API."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from vemetric.clickhouse.engine import Engine
from vemetric.model.dashboard import Range
from vemetric.stats.filters import Conditions
from vemetric.stats.query import Reader

# A piece is held in memory.
PIECE_ROWS = 5_000
# A statement reads so much time at first, that of a piece that is full being read again by the next; where little is
# found, the next one reads more: filters that fit nothing shall not keep anybody waiting for a hundred statements.
PIECE_MS = 6 * 3_600_000
PIECE_MS_MAX = 32 * PIECE_MS
GROWTH = 2


class Happened(msgspec.Struct, frozen=True):
    """One event. identifier: that of its time."""

    id: str
    at_ms: int
    user_id: int
    identifier: str
    session: str
    name: str
    is_page_view: bool
    origin: str
    path: str
    hash: str
    country: str
    city: str
    browser: str
    os: str
    device: str
    data: dict[str, Any]


async def pieces(
    engine: Engine, project_id: int, range_: Range, conditions: Conditions
) -> AsyncIterator[list[Happened]]:
    """Pieces of events until the range ends; filters restrict the events themselves. Raises StoreBusy."""
    reader = Reader(engine)
    [[count, first_ms, last_ms]] = await reader.rows("event_span", _bounds(project_id, range_.start_ms, range_.end_ms))
    start_ms, end_ms = first_ms, (last_ms + 1 if count else first_ms)
    expressions, piece_ms = {"event": conditions.single_events()}, PIECE_MS
    while start_ms < end_ms:
        until_ms, after = min(start_ms + piece_ms, end_ms), (0, "")
        piece_ms = min(piece_ms * GROWTH, PIECE_MS_MAX)
        while True:
            asked = _bounds(project_id, start_ms, until_ms) | conditions.parameters
            asked |= {"afterAt": after[0], "afterId": after[1], "limit": PIECE_ROWS}
            found = [_happened(row) for row in await reader.rows("all_events", asked, expressions)]
            if found:
                yield found
            if len(found) < PIECE_ROWS:
                break
            start_ms, after = found[-1].at_ms, (found[-1].at_ms, found[-1].id)
            until_ms, piece_ms = min(start_ms + PIECE_MS, until_ms), PIECE_MS
        start_ms = until_ms


def _bounds(project_id: int, start_ms: int, end_ms: int) -> dict[str, Any]:
    return {"project": project_id, "start": start_ms, "end": end_ms}


def _happened(row: list[Any]) -> Happened:
    values: dict[str, Any] = dict(zip(Happened.__struct_fields__, row, strict=True))
    data = msgspec.json.decode(values["data"] or "{}")
    values |= {"is_page_view": bool(values["is_page_view"]), "data": data if isinstance(data, dict) else {}}
    return Happened(**values)
