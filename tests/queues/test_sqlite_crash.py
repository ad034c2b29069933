"""Killed processes and full disks: what was acknowledged is there, whole; what was not is not there by half."""

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from vemetric.clock import SystemClock
from vemetric.queues.sqlite import SqliteQueue

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def python(script: str, *arguments: object, **options: object) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, **options)


def killed_after(seconds: float, file: Path, first: int, crowd_per_second: float) -> set[int]:
    """Let the crowd run on the file for a while, kill it, and return the numbers of the hits it was answered for."""
    with python("crowd.py", file, first, crowd_per_second, stdout=subprocess.PIPE) as crowd:
        assert crowd.stdout is not None
        assert crowd.stdout.readline() == b"open\n"
        try:
            crowd.wait(seconds)
        except subprocess.TimeoutExpired:
            crowd.kill()
        *lines, _ = crowd.stdout.read().split(b"\n")
        assert crowd.wait() == -9
    return {int(line) for line in lines}


async def in_the_file(file: Path) -> dict[str, set[int]]:
    """Everything the file says about hits, by where it says so, each hit at most once per place."""
    queue = await SqliteQueue.open(file, SystemClock())
    counters = await queue.counters("")
    keys = [int(key.removeprefix("hit:")) for key, _ in await queue.scan("hit:", 10_000_000)]
    await queue.close()
    with sqlite3.connect(file) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        jobs = db.execute("SELECT queue, key FROM job").fetchall()
        lanes = db.execute(
            "SELECT count(*) FROM job AS head WHERE order_key IS NOT NULL AND state = 4 AND id = (SELECT min(id) FROM"
            " job WHERE queue = head.queue AND order_key = head.order_key) AND NOT EXISTS (SELECT 1 FROM job WHERE"
            " queue = head.queue AND order_key = head.order_key AND state = 1)"
        ).fetchone()
    db.close()
    assert lanes == (0,), "a lane has no head and would never move"
    places = {"key": keys}
    for line in ("hit", "done", "follow-up"):
        places[line] = [int(key.removeprefix("follow-up-")) for queue_name, key in jobs if queue_name == line]
    assert all(len(found) == len(set(found)) for found in places.values())
    assert counters["put"] == sum(counters.get(f"put:{number}", 0) for number in range(3)) == len(keys)
    assert counters.get("done", 0) == len(places["done"])
    return {place: set(found) for place, found in places.items()}


@pytest.mark.parametrize("crowd_per_second", [0, 1e9], ids=["journal", "tables"])
@pytest.mark.parametrize("kills", [6, pytest.param(60, marks=pytest.mark.long)])
async def test_a_killed_process_loses_and_halves_nothing(tmp_path, kills, crowd_per_second):
    file = tmp_path / "queue.db"
    answered: set[int] = set()
    for kill in range(kills):
        seconds = random.uniform(0.01, 0.4)
        answered |= await asyncio.to_thread(killed_after, seconds, file, kill * 1_000_000, crowd_per_second)
        found = await in_the_file(file)
        everything = found["hit"] | found["done"]
        assert answered <= everything, (seconds, len(answered - everything))
        assert not found["hit"] & found["done"]
        assert everything == found["key"] == found["follow-up"]
    assert len(answered) > 10 * kills


async def test_a_full_disk_refuses_and_recovers(tmp_path):
    process = python("full_disk.py", tmp_path, stderr=subprocess.PIPE)
    _, said = await asyncio.to_thread(process.communicate, timeout=120)
    assert process.returncode == 0, said.decode()
    assert (
        said.decode().count("The queue cannot be written") == said.decode().count("The queue can be written again") >= 2
    )
