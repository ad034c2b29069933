"""What it costs that rows are synced to disk before their jobs are acknowledged: inserts with and without, in turns.

python build.py bench power_loss [--rows 5000] [--rounds 12]

Both tables are the product's own `event`, one with syncing switched off; the rows are those that the event worker
makes of the load of benchmarks/load.py.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import load
from vemetric.clickhouse import migrate, rows
from vemetric.clickhouse.embedded import EmbeddedEngine
from vemetric.ingest import jobs
from vemetric.ingest.jobs import EventJob
from vemetric.model import ids
from vemetric.model.geo import Geo
from vemetric.workers import event_rows

OFF = "fsync_after_insert = 0, fsync_part_directory = 0"


def row(number: int) -> tuple[Any, ...]:
    """The row of a page view now, of one of a few hundred visitors."""
    now_ms = int(time.time() * 1000)
    headers = {"user-agent": load.BROWSERS[number % len(load.BROWSERS)], "v-referrer": "https://www.google.com/"}
    job = EventJob(
        project_id=1,
        domain="example.com",
        user_id=number % 700,
        session_id=f"{number % 700:012d}",
        session_started_ms=now_ms,
        event_id=ids.random_id(12),
        created_ms=now_ms,
        name="$$pageView",
        url=f"https://www.example.com{load.PATHS[number % len(load.PATHS)]}?utm_source=newsletter&n={number % 50}",
        context_id=f"{number:017d}",
        identifier="",
        display_name="",
        custom_data='{"n":1}',
        headers=jobs.pack_headers(headers),
        geo=Geo("DE", "", None, None),
    )
    client = event_rows.client_of(bytes(job.headers))
    event, _ = event_rows.enrich(job, client, ids.device_id(1, job.user_id, client.device), None, opens=False)
    return event


async def compare(directory: Path, count: int, rounds: int) -> None:
    engine = await EmbeddedEngine.open(directory)
    try:
        await migrate.migrate(engine)
        await engine.command("CREATE TABLE event_unsynced AS event")
        await engine.command(f"ALTER TABLE event_unsynced MODIFY SETTING {OFF}")
        seconds: dict[str, list[float]] = {"event": [], "event_unsynced": []}
        for _ in range(rounds):
            batch = [row(number) for number in range(count)]
            for table, taken in seconds.items():
                began = time.perf_counter()
                await engine.insert(table, rows.EVENT_COLUMNS, batch)
                taken.append(time.perf_counter() - began)
    finally:
        await engine.close()
    synced, unsynced = (statistics.median(seconds[table]) for table in ("event", "event_unsynced"))
    print(
        f"{count} events: {synced * 1000:.1f} ms synced, {unsynced * 1000:.1f} ms not: "
        f"{(synced - unsynced) / count * 1e6:.2f} us an event, {synced / unsynced - 1:.0%} more"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(compare(Path(directory) / "analytics", options.rows, options.rounds))


if __name__ == "__main__":
    main()
