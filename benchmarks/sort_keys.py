"""Time the dashboard's questions over several sort keys: `python benchmarks/sort_keys.py --directory D`.

D holds data made by data.py. Each candidate is a copy of the table with another key, merged, plus a tail of recent rows
that is not merged yet, as in a running store. Prints the tables of docs/decisions/0001-sort-keys.md.
"""

import argparse
import asyncio
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.data import PROJECT_IDS  # noqa: E402
from vemetric.clickhouse import migrate, rows  # noqa: E402
from vemetric.clickhouse.embedded import EmbeddedEngine  # noqa: E402
from vemetric.clickhouse.engine import Engine  # noqa: E402

ROUNDS = 5
TAIL_PARTS = 12
KEYS_LOOKED_UP = 500
PROJECT = PROJECT_IDS[0]

EVENT_KEYS = {
    "user": "(projectId, userId, createdAt, id)",
    "day": "(projectId, toDate(createdAt), userId, createdAt, id)",
    "hour": "(projectId, toStartOfHour(createdAt), userId, createdAt, id)",
    "time": "(projectId, createdAt, userId, id)",
}
SESSION_KEYS = {
    "user": "(projectId, userId, id)",
    "day": "(projectId, toDate(startedAt), userId, id)",
    "hour": "(projectId, toStartOfHour(startedAt), userId, id)",
}

RANGE = (
    "projectId = {project:UInt64} "
    "AND createdAt >= {from:DateTime64(3, 'UTC')} AND createdAt < {to:DateTime64(3, 'UTC')}"
)
VISITS = RANGE.replace("createdAt", "startedAt")
COLLAPSED = f"(SELECT userId, any(createdAt) AS at FROM T WHERE {RANGE} GROUP BY userId, id HAVING sum(sign) > 0)"

EVENT_QUESTIONS = {
    "users by bucket": "SELECT toStartOfDay(createdAt, 'Europe/Vienna') AS b, uniqExact(userId) FROM T FINAL "
    f"WHERE {RANGE} GROUP BY b ORDER BY b",
    "users by bucket, sign": "SELECT toStartOfDay(at, 'Europe/Vienna') AS b, uniqExact(userId) "
    f"FROM {COLLAPSED} GROUP BY b ORDER BY b",
    "page views and users": f"SELECT countIf(isPageView = 1), count(), uniqExact(userId) FROM T FINAL WHERE {RANGE}",
    "top pages": "SELECT pathname, uniqExact(userId) AS u, count() AS c FROM T FINAL "
    f"WHERE {RANGE} AND isPageView = 1 GROUP BY pathname ORDER BY u DESC, c DESC, pathname LIMIT 10",
    "browsers": f"SELECT clientName, uniqExact(userId) AS u FROM T FINAL WHERE {RANGE} "
    "GROUP BY clientName ORDER BY u DESC, clientName LIMIT 10",
    "bounces by session": "SELECT countIf(c = 1) / count() FROM (SELECT sessionId, count() AS c FROM T FINAL "
    f"WHERE {RANGE} GROUP BY sessionId)",
}
SESSION_QUESTIONS = {
    "visit duration": f"SELECT avg(duration), count() FROM T FINAL WHERE {VISITS} AND deleted = 0",
    "top sources": "SELECT referrer, uniqExact(userId) AS u FROM T FINAL "
    f"WHERE {VISITS} AND deleted = 0 GROUP BY referrer ORDER BY u DESC, referrer LIMIT 10",
    "countries": "SELECT countryCode, uniqExact(userId) AS u FROM T FINAL "
    f"WHERE {VISITS} AND deleted = 0 GROUP BY countryCode ORDER BY u DESC, countryCode LIMIT 10",
}
ONLINE = f"SELECT uniqExact(userId) FROM T FINAL WHERE {RANGE}"
STORED = f"SELECT DISTINCT projectId, id FROM T WHERE {RANGE} AND id IN {{ids:Array(String)}}"
CURRENT = {
    "user": "(projectId, userId, id) IN {keys:Array(Tuple(UInt64, UInt64, String))}",
    "day": "(projectId, toDate(startedAt), userId, id) IN {keys:Array(Tuple(UInt64, Date, UInt64, String))}",
    "hour": "(projectId, toStartOfHour(startedAt), userId, id) IN "
    "{keys:Array(Tuple(UInt64, DateTime('UTC'), UInt64, String))}",
}

HOUR_MS = 3_600_000
SPANS = {"24 hours": 24 * HOUR_MS, "30 days": 30 * 24 * HOUR_MS, "12 months": 365 * 24 * HOUR_MS}


async def copy(engine: Engine, table: str, name: str, key: str, time_column: str, newest: str) -> None:
    """A merged copy of `table` under another key, with the rows since `newest` in some unmerged parts."""
    statement = next(one for one in migrate.all_migrations() if one.name.endswith(f"_{table}")).statements[0]
    head, tail = statement.split("ORDER BY ")
    settings = tail[tail.index("\nSETTINGS") :]
    await engine.command(f"DROP TABLE IF EXISTS {name}")
    await engine.command(f"{head}ORDER BY {key}{settings}".replace(f"EXISTS {table}\n", f"EXISTS {name}\n"))
    old = f"{time_column} < toDateTime64('{newest}', 3, 'UTC')"
    for (month,) in await engine.query(f"SELECT DISTINCT toYYYYMM({time_column}) AS m FROM {table} ORDER BY m"):
        await engine.command(
            f"INSERT INTO {name} SELECT * FROM {table} WHERE {old} AND toYYYYMM({time_column}) = {month}"
        )
    await engine.command(f"OPTIMIZE TABLE {name} FINAL")
    await engine.command(f"SYSTEM STOP MERGES {name}")
    for part in range(TAIL_PARTS):
        await engine.command(
            f"INSERT INTO {name} SELECT * FROM {table} WHERE NOT {old} AND userId % {TAIL_PARTS} = {part}"
        )


async def milliseconds(engine: Engine, sql: str, values: dict[str, object]) -> float:
    """The median of some runs."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await engine.query(sql, values)
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def span_values(newest_ms: int, span_ms: int) -> dict[str, object]:
    values = {"from": rows.timestamp(newest_ms - span_ms), "to": rows.timestamp(newest_ms)}
    return {"project": PROJECT, **values}


async def compare(engine: Engine, prefix: str, names: list[str], questions: dict[str, str], newest_ms: int) -> None:
    for question, sql in questions.items():
        for span, span_ms in SPANS.items():
            values = span_values(newest_ms, span_ms)
            took = [
                await milliseconds(engine, sql.replace("FROM T ", f"FROM {prefix}_{name} "), values) for name in names
            ]
            print(f"| {question}, {span} | " + " | ".join(f"{one:.0f}" for one in took) + " |")


async def compare_events(engine: Engine, newest_ms: int) -> None:
    names = list(EVENT_KEYS)
    print(f"\n| event, ms | {' | '.join(names)} |\n|---|{'---:|' * len(names)}")
    await compare(engine, "event", names, EVENT_QUESTIONS, newest_ms)
    online = span_values(newest_ms, HOUR_MS // 12)
    took = [await milliseconds(engine, ONLINE.replace("FROM T ", f"FROM event_{name} "), online) for name in names]
    print("| online, 5 minutes | " + " | ".join(f"{one:.1f}" for one in took) + " |")
    values = span_values(newest_ms, 2 * HOUR_MS)
    found = await engine.query(f"SELECT id FROM event WHERE {RANGE} LIMIT {KEYS_LOOKED_UP}", values)
    values["ids"] = [row[0] for row in found]
    took = [await milliseconds(engine, STORED.replace("FROM T ", f"FROM event_{name} "), values) for name in names]
    print(f"| {len(found)} ids of 2 hours looked up | " + " | ".join(f"{one:.1f}" for one in took) + " |")
    await sizes(engine, [f"event_{name}" for name in names])


async def compare_sessions(engine: Engine, newest_ms: int) -> None:
    names = list(SESSION_KEYS)
    print(f"\n| session, ms | {' | '.join(names)} |\n|---|{'---:|' * len(names)}")
    await compare(engine, "session", names, SESSION_QUESTIONS, newest_ms)
    values = span_values(newest_ms, 2 * HOUR_MS)
    found = await engine.query(
        "SELECT projectId, toDate(startedAt), toStartOfHour(startedAt), userId, id FROM session "
        f"WHERE {VISITS} ORDER BY cityHash64(id) LIMIT {KEYS_LOOKED_UP}",
        values,
    )
    keys = {
        "user": [(project, user, session) for project, _, _, user, session in found],
        "day": [(project, day, user, session) for project, day, _, user, session in found],
        "hour": [(project, hour, user, session) for project, _, hour, user, session in found],
    }
    took = []
    for name in names:
        sql = (
            f"SELECT {', '.join(rows.SESSION_COLUMNS[:-1])} FROM session_{name} WHERE {VISITS} AND {CURRENT[name]} "
            "ORDER BY version DESC LIMIT 1 BY projectId, userId, id"
        )
        took.append(await milliseconds(engine, sql, {**values, "keys": keys[name]}))
    print(f"| {len(found)} sessions of 2 hours read | " + " | ".join(f"{one:.1f}" for one in took) + " |")
    await sizes(engine, [f"session_{name}" for name in names])


async def sizes(engine: Engine, tables: list[str]) -> None:
    found = await engine.query(
        "SELECT table, round(sum(bytes_on_disk) / sum(rows), 1) FROM system.parts WHERE active AND level > 0 "
        "GROUP BY table"
    )
    per_row = dict(found)
    print("| bytes per row, merged | " + " | ".join(str(per_row[table]) for table in tables) + " |")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--keep", action="store_true", help="do not drop the copies at the end")
    options = parser.parse_args()
    engine = await EmbeddedEngine.open(options.directory, memory_bytes_max=3_000_000_000)
    try:
        [[newest]] = await engine.query("SELECT max(createdAt) FROM event")
        newest_ms = rows.milliseconds(newest)
        unmerged = rows.timestamp(newest_ms - 24 * HOUR_MS)
        for name, key in EVENT_KEYS.items():
            await copy(engine, "event", f"event_{name}", key, "createdAt", unmerged)
        for name, key in SESSION_KEYS.items():
            await copy(engine, "session", f"session_{name}", key, "startedAt", unmerged)
        await compare_events(engine, newest_ms)
        await compare_sessions(engine, newest_ms)
        for table in [*(f"event_{name}" for name in EVENT_KEYS), *(f"session_{name}" for name in SESSION_KEYS)]:
            if not options.keep:
                await engine.command(f"DROP TABLE {table}")
    finally:
        await engine.close()


if __name__ == "__main__":
    asyncio.run(main())
