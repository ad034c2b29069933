"""Copy the analytics store piece by piece, as it counts (collapsed). A piece that is equal on both sides is skipped, so
that a run after an interruption goes on where the first one stopped.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from vemetric import errors
from vemetric.clickhouse.engine import Engine
from vemetric.moving.compared import SUM_BITS, Compared, hexadecimal

STORE = "analytics"
# Rows of one insert: few enough for the memory of a small source.
PIECE_ROWS = 20_000

# Each table with the column of its time, if it has one, and the expression its pieces are cut by.
TABLES = {
    "event": ("createdAt", "cityHash64(id)"),
    "session": ("startedAt", "cityHash64(id)"),
    "user": (None, "cityHash64(projectId, id)"),
    "device": (None, "cityHash64(projectId, userId, id)"),
    "user_merge": (None, "mergeId"),
}
COLUMNS = """
SELECT name FROM system.columns
WHERE database = currentDatabase() AND table = {table:String} AND default_kind NOT IN ('ALIAS', 'MATERIALIZED')
ORDER BY position
"""

Tell = Callable[[str], None]


class Piece(NamedTuple):
    """Some rows of a table: a condition and the values it binds."""

    condition: str
    values: dict[str, Any]


class Found(NamedTuple):
    """What a piece, or a table, holds on one side."""

    rows: int
    total: int


async def copy(source: Engine, target: Engine, tell: Tell = lambda _: None) -> list[Compared]:
    """Bring every table of `target` to what it is in `source`, and compare. `tell` gets a line per table.

    Raises Conflict when the target holds rows that the source does not.
    """
    return [await _copy_table(source, target, table, tell) for table in TABLES]


async def _copy_table(source: Engine, target: Engine, table: str, tell: Tell) -> Compared:
    columns = [name for (name,) in await source.lookup(COLUMNS, {"table": table})]
    copied = rows = total = 0
    async for piece in _pieces(source, table):
        wanted = await _found(source, table, columns, piece)
        if await _found(target, table, columns, piece) != wanted:
            await _copy_piece(source, target, table, columns, piece)
            copied += wanted.rows
            if await _found(target, table, columns, piece) != wanted:
                raise errors.Conflict(
                    f"The analytics store to move to holds other rows of {table} than were copied; give an empty one."
                )
        rows += wanted.rows
        total = (total + wanted.total) % (1 << SUM_BITS)
    held = (await target.lookup(f"SELECT count() FROM {table} FINAL"))[0][0]  # noqa: S608 - a table of ours
    if held != rows:
        raise errors.Conflict(f"The analytics store to move to holds {held:,} rows of {table} instead of {rows:,}.")
    tell(f"{table}: {rows:,} rows, {copied:,} of them copied now")
    return Compared(STORE, table, rows, hexadecimal(total))


async def _pieces(source: Engine, table: str) -> AsyncIterator[Piece]:
    """Conditions that divide the table, each of at most about PIECE_ROWS rows: some days together, or a part of one."""
    time, spread = TABLES[table]
    part = f"{spread} % {{parts:UInt64}} = {{part:UInt64}}"
    if time is None:
        [[count]] = await source.lookup(f"SELECT count() FROM {table}")  # noqa: S608 - a table of ours
        spans: list[tuple[str, dict[str, Any], int]] = [("", {}, count)]
    else:
        by_day = f"SELECT toString(toDate({time})) AS day, count() FROM {table} GROUP BY day ORDER BY day"  # noqa: S608
        between = f"toDate({time}) BETWEEN {{first:Date}} AND {{last:Date}} AND "
        spans = [
            (between, {"first": first, "last": last}, count)
            for first, last, count in _spans(await source.lookup(by_day))
        ]
    for condition, values, count in spans:
        parts = -(-count // PIECE_ROWS)
        for number in range(parts):
            yield Piece(condition + part, {**values, "parts": parts, "part": number})


def _spans(days: Iterable[Sequence[Any]]) -> Iterator[tuple[str, str, int]]:
    """Days with their counts as spans of days that hold PIECE_ROWS at most, or are one day: first, last, count."""
    first = last = ""
    held = 0
    for day, count in days:
        if held and held + count > PIECE_ROWS:
            yield first, last, held
            held = 0
        first, last, held = first if held else day, day, held + count
    if held:
        yield first, last, held


async def _found(engine: Engine, table: str, columns: list[str], piece: Piece) -> Found:
    text = f"toString(({', '.join(columns)}))"
    sql = f"SELECT count(), sum(cityHash64({text})) FROM {table} FINAL WHERE {piece.condition}"  # noqa: S608
    return Found(*(await engine.lookup(sql, piece.values))[0])


async def _copy_piece(source: Engine, target: Engine, table: str, columns: list[str], piece: Piece) -> None:
    sql = f"SELECT {', '.join(columns)} FROM {table} FINAL WHERE {piece.condition}"  # noqa: S608 - names of ours
    rows = await source.lookup(sql, piece.values)
    await target.insert(table, columns, rows)
