"""Weigh two ways to merge users over 1 million events: `python3 build.py bench merges`.

Rewriting rows (what workers/merge_user.py does): how long a plan takes, and what readers pay while one is under way.
An alias resolved at read time: what every reader pays for ever, by how many users were merged. `--directory D` takes a
store that benchmarks/data.py has made; it is changed. Milliseconds are of CPU, all threads together: they mean the same
on a busy machine.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.data import PROJECT_IDS  # noqa: E402
from vemetric import config, services  # noqa: E402
from vemetric.accounts import projects  # noqa: E402
from vemetric.clickhouse import migrate, user_merge_sql  # noqa: E402
from vemetric.clickhouse.embedded import EmbeddedEngine  # noqa: E402
from vemetric.clickhouse.engine import Engine  # noqa: E402
from vemetric.clock import FrozenClock  # noqa: E402
from vemetric.database import tables  # noqa: E402
from vemetric.ingest import jobs  # noqa: E402
from vemetric.model import timespan  # noqa: E402
from vemetric.model.project import Project  # noqa: E402
from vemetric.model.timespan import Timespan  # noqa: E402
from vemetric.queues.job import Job  # noqa: E402
from vemetric.queues.lease import Lease  # noqa: E402
from vemetric.services import Services  # noqa: E402
from vemetric.stats import dashboard  # noqa: E402
from vemetric.workers.merge_user import MergeUserWorker  # noqa: E402

EVENTS = 1_000_000
ROUNDS = 5
PROJECT_ID = PROJECT_IDS[0]
ALIASES = (0, 1_000, 10_000, 100_000)
HOUR_MS = 3_600_000

COUNT = """
SELECT uniqExact(user), count(), countIf(isPageView = 1) FROM (
    SELECT {user} AS user, isPageView FROM event FINAL {join}
    WHERE projectId = {{project:UInt64}} AND createdAt >= fromUnixTimestamp64Milli({{start:Int64}}, 'UTC')
)
"""
FROMS = f"(SELECT groupArray(fromId) FROM alias WHERE projectId = {PROJECT_ID})"
INTOS = f"(SELECT groupArray(intoId) FROM alias WHERE projectId = {PROJECT_ID})"
READS = {
    "rows as they are": ("userId", ""),
    "alias, transform": (f"transform(userId, {FROMS}, {INTOS}, userId)", ""),
    "alias, join": (
        "if(intoId != 0, intoId, userId)",
        "ANY LEFT JOIN alias ON alias.projectId = event.projectId AND alias.fromId = event.userId",
    ),
}
USERS = """
SELECT userId FROM event WHERE projectId = {project:UInt64} GROUP BY userId
ORDER BY cityHash64(userId, {seed:UInt64}) LIMIT {count:UInt64}
"""
BUSIEST = """
SELECT userId, count() AS events FROM event FINAL WHERE projectId = {project:UInt64} GROUP BY userId
ORDER BY events DESC LIMIT 2
"""
LATEST = "SELECT toUnixTimestamp64Milli(max(createdAt)) FROM event WHERE projectId = {project:UInt64}"


async def median(run: Callable[[], Awaitable[Any]]) -> float:
    """Milliseconds of CPU; the first run does not count."""
    taken = []
    for _ in range(ROUNDS + 1):
        began = time.process_time()
        await run()
        taken.append((time.process_time() - began) * 1000)
    return statistics.median(taken[1:])


async def time_aliases(engine: Engine, now_ms: int) -> None:
    """What a reader pays for resolving users."""
    await engine.command(
        "CREATE TABLE IF NOT EXISTS alias (projectId UInt64, fromId UInt64, intoId UInt64) "
        "ENGINE = ReplacingMergeTree ORDER BY (projectId, fromId)"
    )
    spans = {"30 days": 30 * 24 * HOUR_MS, "12 months": 365 * 24 * HOUR_MS}
    print("| users and page views, ms | aliases | " + " | ".join(spans) + " |\n|---|---:|---:|---:|")
    for count in ALIASES:
        await engine.command("TRUNCATE TABLE alias")
        found = await engine.query(USERS, {"project": PROJECT_ID, "seed": 1, "count": count})
        rows = [(PROJECT_ID, user_id, user_id // 10 + 1) for (user_id,) in found]
        await engine.insert("alias", ("projectId", "fromId", "intoId"), rows)
        for name, (user, join) in READS.items():
            if count == 0 and join == "" and user != "userId":
                continue
            sql = COUNT.format(user=user, join=join)
            cells = []
            for length_ms in spans.values():
                values = {"project": PROJECT_ID, "start": now_ms - length_ms}
                cells.append(await median(lambda values=values, sql=sql: engine.query(sql, values)))
            print(f"| {name} | {len(rows):,} | " + " | ".join(f"{cell:.0f}" for cell in cells) + " |")
    await engine.command("DROP TABLE alias")


async def time_merges(opened: Services, now_ms: int) -> None:
    """How long plans of some users take."""
    worker = MergeUserWorker(opened)
    print("| one plan of | events moved | ms |\n|---|---:|---:|")
    for number, users in enumerate((1, 1, 20, 200, 200)):
        values = {"project": PROJECT_ID, "seed": 100 + number, "count": 2 * users}
        found = [user_id for (user_id,) in await opened.engine.query(USERS, values)]
        await merge(opened, worker, list(zip(found[:users], found[users:], strict=True)), now_ms)
    [[first, _], [second, _]] = await opened.engine.query(BUSIEST, {"project": PROJECT_ID})
    await merge(opened, worker, [(first, second)], now_ms)


async def merge(opened: Services, worker: MergeUserWorker, pairs: list[tuple[int, int]], now_ms: int) -> None:
    of_users = "SELECT count() FROM event FINAL WHERE projectId = {p:UInt64} AND userId IN {u:Array(UInt64)}"
    leaving = {"p": PROJECT_ID, "u": [first for first, _ in pairs]}
    [[events]] = await opened.engine.query(of_users, leaving)
    claimed = [
        Job(0, jobs.MERGE_USER_QUEUE, jobs.merge_job(PROJECT_ID, *pair, now_ms).payload, None, None, 0, 1, 0, 0, 0)
        for pair in pairs
    ]
    began = time.process_time()
    await worker.handle(claimed, Lease(opened.clock, now_ms + 100 * HOUR_MS))
    took = (time.process_time() - began) * 1000
    [[left]] = await opened.engine.query(of_users, leaving)
    if left:
        raise SystemExit(f"{left} events were not moved.")
    print(f"| {len(pairs)} users | {events:,} | {took:.0f} |")


async def time_dashboards(engine: Engine, now_ms: int, when: str) -> None:
    """What readers wait for: a whole dashboard."""
    project = Project(id=PROJECT_ID, organization_id="", name="", domain="", token="")
    cells = []
    for key in ("24hrs", "30days", "1year"):
        range_ = timespan.resolve(Timespan(key), now_ms, "UTC")
        cells.append(await median(lambda range_=range_: dashboard.load(engine, project, range_)))
    print(f"| {when} | " + " | ".join(f"{cell:.0f}" for cell in cells) + " |")


async def measure(directory: Path) -> None:
    """Print all tables."""
    engine = await EmbeddedEngine.open(directory)
    await migrate.migrate(engine)
    [[now_ms]] = await engine.query(LATEST, {"project": PROJECT_ID})
    with tempfile.TemporaryDirectory() as data_dir:
        settings = config.load({"VEMETRIC_DATA_DIR": data_dir})[0]
        async with services.open_services(settings, FrozenClock(now_ms + HOUR_MS), engine) as opened:
            made = await projects.create_by_operator(opened.database, opened.clock, "Merges", "example.com", "UTC")
            async with opened.database.begin() as connection:
                await connection.change(
                    tables.project.update().where(tables.project.c.id == made.id).values(id=PROJECT_ID)
                )
            await time_aliases(engine, now_ms)
            print("| dashboard, ms | 24 hours | 30 days | 1 year |\n|---|---:|---:|---:|")
            await time_dashboards(engine, now_ms, "no merge under way")
            engine.leave_out(user_merge_sql.READER_FILTERS)
            await time_dashboards(engine, now_ms, "while one is")
            engine.leave_out({})
            await time_merges(opened, now_ms)
            await time_dashboards(engine, now_ms, "after these merges")
    await engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path)
    arguments = parser.parse_args()
    if arguments.directory:
        asyncio.run(measure(arguments.directory))
        return
    with tempfile.TemporaryDirectory() as made:
        fill = [sys.executable, "benchmarks/data.py", "--events", str(EVENTS), "--directory", made, "--merge"]
        subprocess.run(fill, cwd=ROOT, check=True)
        asyncio.run(measure(Path(made)))


if __name__ == "__main__":
    main()
