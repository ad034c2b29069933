"""Move a million events from files to servers, killed halfway and run again, and compare: `vemetric move`, timed.

python build.py bench move [--events 1000000] [--kill-after 10]

The store is filled with made traffic (benchmarks/data.py); a load is cut off by SIGKILL, so that jobs wait in the queue
and visits are under way. PostgreSQL and Valkey are real, the ClickHouse server is the tests' front of the engine. Ends
with an error unless every table is equal on both sides, and unless the run after the first finds nothing to copy.
"""

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
from pathlib import Path
from typing import Any

import msgspec

from tests.kit import stores
from tests.kit.ledger import PROXY, Ledger, send_and_kill
from tests.kit.process import EXECUTABLE, ROOT, Server
from tests.kit.stores import DATABASE, Stores
from vemetric.model.data_directory import ANALYTICS_NAME

LOAD_SECONDS, LOAD_PER_SECOND = 5.0, 1_000.0
POLL_SECONDS = 0.2


def fill(data_dir: Path, events: int) -> str:
    """Make the accounts, a million events, and a queue that was cut off at work. Returns the project's token."""
    server = Server(data_dir, environ=PROXY)
    token: str = server.run("project", "create", "--name", "Bench", "--domain", "example.com")["token"]
    command = [sys.executable, str(ROOT / "benchmarks" / "data.py"), "--events", str(events)]
    subprocess.run([*command, "--directory", str(data_dir / ANALYTICS_NAME)], check=True)
    server.start()
    ledger = Ledger()
    send_and_kill(server, token, ledger, LOAD_SECONDS, LOAD_PER_SECOND)
    print(f"{len(ledger.acknowledged):,} more events were accepted until the process was killed")
    return token


def start(data_dir: Path, over: Stores) -> "subprocess.Popen[str]":
    to = {"--to-database": "DATABASE_URL", "--to-queue": "REDIS_URL", "--to-clickhouse": "CLICKHOUSE_URL"}
    options = [part for option, name in to.items() for part in (option, over.settings[name])]
    return subprocess.Popen(
        [sys.executable, str(EXECUTABLE), "move", *options, "--json"],
        env=Server(data_dir).environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def killed(data_dir: Path, over: Stores, after_seconds: float) -> None:
    moving = start(data_dir, over)

    def kill() -> None:
        # However long the executable took to unpack and the tables to be made.
        while moving.poll() is None and not copied_events(over):
            time.sleep(POLL_SECONDS)
        time.sleep(after_seconds)
        moving.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    _, told = moving.communicate()
    killer.join()
    if moving.returncode == 0:
        raise SystemExit(f"it was done before {after_seconds:g} s; give a smaller --kill-after")
    if moving.returncode != -signal.SIGKILL:
        raise SystemExit(f"move ended with {moving.returncode}: {told}")
    print(f"killed {after_seconds:g} s after the first events: {copied_events(over):,} were on the server")


def copied_events(over: Stores) -> int:
    try:
        return int(over.clickhouse.ask("SELECT toInt64(count()) FROM event FINAL", DATABASE)[0][0])
    except urllib.error.HTTPError as error:
        # Neither the database nor its tables are there yet.
        error.close()
        return 0


def whole(data_dir: Path, over: Stores, what: str) -> list[dict[str, Any]]:
    began = time.perf_counter()
    moving = start(data_dir, over)
    result, told = moving.communicate()
    if moving.returncode != 0:
        raise SystemExit(f"move ended with {moving.returncode}: {told}")
    print(f"{what}: {time.perf_counter() - began:.0f} s")
    for line in told.splitlines():
        print(f"  {line}")
    compared: list[dict[str, Any]] = msgspec.json.decode(result)["compared"]
    return compared


def check(compared: list[dict[str, Any]], again: list[dict[str, Any]], over: Stores, events: int) -> None:
    """Visits come to their end between two runs; everything else must be what it was."""
    lasting = [[one for one in run if one["table"] != "keys"] for run in (compared, again)]
    if lasting[0] != lasting[1]:
        raise SystemExit(f"two runs differ: {lasting}")
    found = over.clickhouse.ask("SELECT toInt64(count()), toInt64(uniqExact(id)) FROM event FINAL", DATABASE)[0]
    if not found[0] == found[1] > events * 0.9:
        raise SystemExit(f"the server has {found[0]:,} events with {found[1]:,} ids")
    for one in compared:
        if one["rows"]:
            print(f"{one['store']:>10} {one['table']:20} {one['rows']:>11,} rows equal, checksum {one['checksum']}")


async def run(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as directory:
        data_dir = Path(directory) / "data"
        await asyncio.to_thread(fill, data_dir, options.events)
        async with stores.running(Path(directory), all_own=True) as over:
            await asyncio.to_thread(killed, data_dir, over, options.kill_after)
            compared = await asyncio.to_thread(whole, data_dir, over, "the rest, after the kill")
            again = await asyncio.to_thread(whole, data_dir, over, "once more, with nothing to copy")
            check(compared, again, over, options.events)
        async with stores.running(Path(directory) / "fresh", all_own=True) as over:
            await asyncio.to_thread(whole, data_dir, over, "everything at once, to empty servers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--kill-after", type=float, default=10)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
