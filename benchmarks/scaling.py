"""One process over files, one over servers, two hubs and two workers over servers: the same load on each, in one run.

python build.py bench scaling [--seconds 10] [--connections 64] [--rounds 2] [--only files]

Everything shares one machine: load, processes, PostgreSQL, Valkey and the tests' ClickHouse front. So this tells what a
set-up costs, not what more machines would bring. A rate counts until every event is stored. Latency is at a fixed rate.
What an event costs, in time of the processor and in calls of Redis and PostgreSQL, is of the last full round.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import asyncpg
import uvloop
from redis import Redis

from benchmarks import load
from benchmarks.ingest import DRAIN_SECONDS_MAX, Make, maker
from tests.kit import stores
from tests.kit.ledger import PROXY
from tests.kit.process import Server, wait_for
from tests.kit.stores import Stores

PACED_PER_SECOND = 300.0
# The roles of each process; one without has all of them.
SETUPS = {
    "one process, files": [""],
    "one process, servers": [""],
    "two hubs, two workers": ["hub,web", "hub", "worker", "worker"],
}


class Setup(NamedTuple):
    """Processes that share the work. asked: the one that commands are given to."""

    name: str
    processes: list[Server]
    hubs: list[Server]

    @property
    def asked(self) -> Server:
        return self.processes[-1]


class Measured(NamedTuple):
    """Events per second accepted and stored, the middle and the slowest hundredth of the answers, memory.

    costs: what an event cost, by a text that says of what.
    """

    accepted: float
    stored: float
    median_ms: float
    p99_ms: float
    megabytes: float
    costs: dict[str, float]


def setup(name: str, folder: Path, roles: Sequence[str], environ: dict[str, str]) -> Setup:
    shared = PROXY | environ | {"VEMETRIC_SECRET": "the same for all of these processes"}
    processes = [
        Server(folder / f"{name}-{at}", environ=shared | ({"VEMETRIC_ROLES": role} if role else {}))
        for at, role in enumerate(roles)
    ]
    return Setup(name, processes, [each for each, role in zip(processes, roles, strict=True) if role != "worker"])


async def run(
    hubs: Sequence[Server], make: Make, options: argparse.Namespace, per_second: float | None
) -> load.Outcome:
    """The load in equal parts at each hub."""
    share = len(hubs)
    parts = await asyncio.gather(
        *(
            load.run(
                "127.0.0.1",
                hub.port,
                make,
                connections=options.connections // share,
                seconds=options.seconds,
                per_second=per_second / share if per_second else None,
                first=number * 25_000,
            )
            for number, hub in enumerate(hubs)
        )
    )
    whole = load.Outcome(seconds=max(part.seconds for part in parts))
    for part in parts:
        whole.latencies_ms += part.latencies_ms
        whole.broken += part.broken
        for status, count in part.statuses.items():
            whole.statuses[status] = whole.statuses.get(status, 0) + count
    return whole


def is_drained(asked: Server) -> bool:
    counted = asked.run("verify", check=False)
    return bool(counted["inQueue"] == counted["behindInQueue"] == 0)


def measure(of: Setup, options: argparse.Namespace, over: Stores | None = None) -> Measured:
    token = of.asked.run("project", "create", "--name", "Bench", "--domain", "example.com")["token"]
    with ExitStack() as stack:
        for process in of.processes:
            stack.callback(process.kill)
            process.start()
        make = maker(token)
        accepted, stored, costs = [], [], dict[str, float]()
        for _ in range(options.rounds):
            spent_before = spent(of, over)
            outcome = uvloop.run(run(of.hubs, make, options, None))
            began = time.perf_counter()
            wait_for(lambda: is_drained(of.asked), "an empty queue", DRAIN_SECONDS_MAX)
            events = outcome.statuses.get(200, 0)
            accepted.append(events / outcome.seconds)
            stored.append(events / (outcome.seconds + time.perf_counter() - began))
            costs = {name: (total - spent_before[name]) / events for name, total in spent(of, over).items()}
            print(
                f"{of.name}: {accepted[-1]:.0f}/s accepted, {stored[-1]:.0f}/s stored, {outcome.statuses}", flush=True
            )
        paced = uvloop.run(run(of.hubs, make, options, PACED_PER_SECOND))
        wait_for(lambda: is_drained(of.asked), "an empty queue", DRAIN_SECONDS_MAX)
        if of.asked.run("verify")["difference"] != 0:
            raise SystemExit(f"{of.name}: not every event is stored")
        megabytes = sum(process.resident_mb() for process in of.processes)
        for process in of.processes:
            process.stop()
    return Measured(
        statistics.median(accepted),
        statistics.median(stored),
        paced.percentile_ms(0.5),
        paced.percentile_ms(0.99),
        megabytes,
        costs,
    )


def spent(of: Setup, over: Stores | None) -> dict[str, float]:
    """Microseconds of the processor that each kind of process has taken, and calls of the stores, by what it is."""
    taken: dict[str, float] = {}
    for process in of.processes:
        name = f"µs {process.environ.get('VEMETRIC_ROLES', 'all roles').partition(',')[0]}"
        taken[name] = taken.get(name, 0.0) + processor_us(process.pid)
    if over is None or over.postgresql is None:
        return taken
    taken |= {
        "µs Redis": processor_us(over.redis.pid),
        "µs ClickHouse": processor_us(over.clickhouse.pid),
        "µs PostgreSQL": processor_us(over.postgresql.pid),
    }
    with Redis(port=over.redis.port) as client:
        scripts = client.info("commandstats").get("cmdstat_evalsha", {})
    taken |= {"scripts of Redis": scripts.get("calls", 0), "µs in them": scripts.get("usec", 0)}
    return taken | {"transactions of PostgreSQL": asyncio.run(transactions(over.settings["DATABASE_URL"]))}


def processor_us(pid: int) -> float:
    """What a process and those that it started have taken of the processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    children = " ".join(task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/children")).split()
    return ticks / os.sysconf("SC_CLK_TCK") * 1e6 + sum(map(processor_us, map(int, children)))


async def transactions(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database"))
    finally:
        await connection.close()


async def everything(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        table: dict[str, Measured] = {}
        for name, roles in SETUPS.items():
            if options.only and options.only not in name:
                continue
            if name.endswith("files"):
                table[name] = await asyncio.to_thread(measure, setup("files", folder, roles, {}), options)
                continue
            own = folder / str(len(table))
            async with stores.running(own, all_own=True) as over:
                of = setup(f"servers-{len(roles)}", own, roles, over.settings)
                table[name] = await asyncio.to_thread(measure, of, options, over)
    print(
        f"{'':24} {'accepted/s':>10} {'stored/s':>9} {'p50 ms':>7} {'p99 ms':>7} {'MB':>6}   at {PACED_PER_SECOND:g}/s"
    )
    for name, found in table.items():
        print(
            f"{name:24} {found.accepted:>10.0f} {found.stored:>9.0f} {found.median_ms:>7.1f} {found.p99_ms:>7.1f} "
            f"{found.megabytes:>6.0f}"
        )
    for name, found in table.items():
        print(f"{name}, per event: " + ", ".join(f"{cost:.3g} {what}" for what, cost in found.costs.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="", help="a part of the name of one set-up")
    asyncio.run(everything(parser.parse_args()))


if __name__ == "__main__":
    main()
