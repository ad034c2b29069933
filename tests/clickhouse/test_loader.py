"""The engine's library as it lies in memory."""

import os
import threading
from pathlib import Path

from vemetric.clickhouse import loader
from vemetric.clickhouse.engine import Engine


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_code_that_was_given_back_is_there_when_it_is_needed(engine: Engine) -> None:
    before = resident_bytes()
    assert loader.give_back_code() > 100_000_000
    assert resident_bytes() < before
    rows = await engine.query("SELECT sum(number), uniqExact(number % 7), max(toString(number)) FROM numbers(100000)")
    assert rows == [[4999950000, 7, "99999"]]


async def test_the_engines_own_threads_give_way_and_ours_do_not(engine: Engine) -> None:
    assert loader.give_way() > 10
    pythons = {thread.native_id for thread in threading.enumerate()}
    niceness = {int(path.name): os.getpriority(os.PRIO_PROCESS, int(path.name)) for path in loader.THREADS.iterdir()}
    ours = os.getpriority(os.PRIO_PROCESS, os.getpid())
    assert {niceness[thread] for thread in pythons} == {ours}
    assert {value for thread, value in niceness.items() if thread not in pythons} == {max(ours, loader.MERGE_NICENESS)}
