"""Ingest against the bare handler, in one run: events accepted, durable and stored per second, latency, memory, start.

python build.py bench ingest [--seconds 20] [--connections 64] [--rounds 3]

Rounds alternate between the bare handler (benchmarks/bare.py) and the built executable, with the same requests over the
same connections. A rate of ours counts until the backlog is drained. Half load is half of our own rate, for both.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

from benchmarks import load
from tests.kit.process import Server, free_port, wait_for
from vemetric import control

VISITORS = 20_000
DRAIN_SECONDS_MAX = 600

Make = Callable[[int], bytes]


def maker(token: str) -> Make:
    """Requests made before they are needed, so that making them costs the machine nothing while it is measured."""
    made = [load.request(number, host="x.example", token=token, visitors=VISITORS) for number in range(50_000)]
    return lambda number: made[number % len(made)]


def run(port: int, make: Make, options: argparse.Namespace, per_second: float | None = None) -> load.Outcome:
    return uvloop.run(
        load.run(
            "127.0.0.1",
            port,
            make,
            connections=options.connections,
            seconds=options.seconds,
            per_second=per_second,
        )
    )


class Bare:
    """The bare handler as a process."""

    def __enter__(self) -> int:
        port = free_port()
        command = [sys.executable, str(Path(__file__).with_name("bare.py")), str(port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()
        return port

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()


def in_queue(server: Server) -> int:
    """Asked as `vemetric verify` asks, without a process that would take the processor which drains the queue."""
    counted: int = control.ask(server.data_dir, "verify", {})["inQueue"]
    return counted


def drained_rate(server: Server, make: Make, options: argparse.Namespace) -> tuple[float, float, load.Outcome]:
    """Events per second until the last one is stored; the seconds the backlog took; what the load saw."""
    outcome = run(server.port, make, options)
    began = time.perf_counter()
    wait_for(lambda: in_queue(server) == 0, "an empty queue", DRAIN_SECONDS_MAX)
    drain_seconds = time.perf_counter() - began
    return outcome.statuses.get(200, 0) / (outcome.seconds + drain_seconds), drain_seconds, outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory) / "data", environ={"VEMETRIC_TRUSTED_PROXIES": "127.0.0.1"})
        token = server.run("project", "create", "--name", "Bench", "--domain", "example.com")["token"]
        make = maker(token)
        started = time.perf_counter()
        server.start()
        print(f"ready after {time.perf_counter() - started:.2f} s, {server.resident_mb():.0f} MB")
        bare_rates, our_rates, accepted_rates = [], [], []
        for _ in range(options.rounds):
            with Bare() as port:
                bare_rates.append(run(port, make, options).rate())
            rate, drain_seconds, outcome = drained_rate(server, make, options)
            our_rates.append(rate)
            accepted_rates.append(outcome.rate())
            print(
                f"bare {bare_rates[-1]:.0f}/s, accepted {outcome.rate():.0f}/s, stored {rate:.0f}/s "
                f"({rate / bare_rates[-1]:.0%}), drained in {drain_seconds:.1f} s, {outcome.statuses}, "
                f"{server.resident_mb():.0f} MB"
            )
        ours, bare = statistics.median(our_rates), statistics.median(bare_rates)
        half = ours / 2
        with Bare() as port:
            bare_half = run(port, make, options, per_second=half)
        our_half = run(server.port, make, options, per_second=half)
        print(f"median: stored {ours:.0f}/s = {ours / bare:.0%} of the bare handler's {bare:.0f}/s")
        print(
            f"p99 at {half:.0f}/s: {our_half.percentile_ms(0.99):.1f} ms, bare {bare_half.percentile_ms(0.99):.1f} ms "
            f"(p50 {our_half.percentile_ms(0.5):.1f} and {bare_half.percentile_ms(0.5):.1f} ms)"
        )
        server.stop()


if __name__ == "__main__":
    main()
