"""Everything the store holds of some users of a project, row by row, as the law lets people ask for it."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from vemetric.clickhouse.engine import Engine
from vemetric.clickhouse.eraser import TABLES

ROWS_PER_QUERY = 2_000


async def rows(engine: Engine, project_id: int, user_ids: Sequence[int]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Table and row, columns by name. Raises StoreError."""
    for table, (column, _) in TABLES.items():
        # The collapsed view, in the order of the table's key, a part at a time: a diligent user has many rows.
        text = (
            f"SELECT formatRow('JSONEachRow', *) FROM {table} FINAL "  # noqa: S608 - names of ours
            f"WHERE projectId = {{project:UInt64}} AND {column} IN {{users:Array(UInt64)}} "
            "ORDER BY ALL LIMIT {limit:UInt64} OFFSET {offset:UInt64}"
        )
        offset = 0
        while True:
            asked = {"project": project_id, "users": list(user_ids), "limit": ROWS_PER_QUERY, "offset": offset}
            found = await engine.query(text, asked)
            for (line,) in found:
                yield table, msgspec.json.decode(line)
            if len(found) < ROWS_PER_QUERY:
                break
            offset += ROWS_PER_QUERY
