"""Memory of the built executable: idle, and under load over a large store while every timespan is opened.

python3 build.py bench memory [--events 10000000] [--seconds 60] [--per-second 2000] [--store DIRECTORY]

--store names a store that benchmarks/data.py made; it is copied. Without it one is made, which takes minutes.
"""

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import uvloop

from benchmarks import load
from benchmarks.data import PROJECT_IDS
from tests.kit.process import ROOT, Server
from vemetric.accounts import projects as accounts_projects
from vemetric.clock import SystemClock
from vemetric.database import projects
from vemetric.database.database import Database, file_url
from vemetric.model.data_directory import ANALYTICS_NAME, DATABASE_NAME
from vemetric.model.project import Project
from vemetric.model.timespan import PRESETS

DOMAIN = "bench.example.com"
TOKEN = "benchmark0000000"
IDLE_SECONDS = 15
LOOK_SECONDS = 0.2
VISITORS = 20_000


def make_store(directory: Path, options: argparse.Namespace) -> None:
    """The analytics store, made or copied."""
    if options.store is not None:
        shutil.copytree(options.store, directory, symlinks=True)
        return
    command = [sys.executable, "-m", "benchmarks.data", "--events", str(options.events), "--merge"]
    subprocess.run([*command, "--directory", str(directory)], cwd=ROOT, check=True)


async def name_project(path: Path) -> None:
    """Give the store's largest project a domain and a token."""
    database = await Database.open(file_url(path))
    try:
        clock = SystemClock()
        made = await accounts_projects.create_by_operator(database, clock, "Other", "other.example.com")
        async with database.begin() as connection:
            await projects.create(
                connection,
                Project(PROJECT_IDS[0], made.organization_id, "Bench", DOMAIN, TOKEN, first_event_at_ms=1),
            )
    finally:
        await database.close()


class Watch(threading.Thread):
    """Looks at the memory of a process again and again; `peak_mb` is the most it saw."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._ended = threading.Event()
        self.peak_mb = 0.0

    def run(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            self.peak_mb = max(self.peak_mb, self._server.resident_mb())

    def end(self) -> float:
        self._ended.set()
        self.join()
        return self.peak_mb


def open_dashboards(server: Server, ended: threading.Event) -> None:
    while not ended.is_set():
        for timespan in PRESETS:
            server.run("stats", DOMAIN, "--timespan", timespan)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--per-second", type=float, default=2_000)
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        data_dir.mkdir()
        make_store(data_dir / ANALYTICS_NAME, options)
        asyncio.run(name_project(data_dir / DATABASE_NAME))
        server = Server(data_dir, environ={"VEMETRIC_TRUSTED_PROXIES": "127.0.0.1"}).start()
        time.sleep(IDLE_SECONDS)
        print(f"idle over {options.events:,} events: {server.resident_mb():.0f} MB", flush=True)
        watch, ended = Watch(server), threading.Event()
        watch.start()
        reading = threading.Thread(target=open_dashboards, args=(server, ended))
        reading.start()
        outcome = uvloop.run(
            load.run(
                "127.0.0.1",
                server.port,
                lambda number: load.request(number, host="x.example", token=TOKEN, visitors=VISITORS),
                seconds=options.seconds,
                per_second=options.per_second,
            )
        )
        ended.set()
        reading.join()
        print(f"under load: at most {watch.end():.0f} MB; {outcome.statuses}, {outcome.rate():.0f}/s", flush=True)
        time.sleep(IDLE_SECONDS)
        print(f"idle again: {server.resident_mb():.0f} MB")
        server.stop()


if __name__ == "__main__":
    main()
