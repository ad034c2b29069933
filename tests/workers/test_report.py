"""How much workers did in the last minute: told by each process, added up over all of them."""

import asyncio
from collections import deque

import msgspec

from vemetric.model import report
from vemetric.model.meters import Meters
from vemetric.model.report import Rate, Report
from vemetric.services import Services
from vemetric.workers import report as reporting

STEPS = report.WINDOW_SECONDS // report.REPORT_SECONDS


def test_a_rate_is_of_the_last_minute() -> None:
    meters, past = Meters(0), deque(maxlen=STEPS + 1)
    for step in range(3 * STEPS):
        meters.of_queue("event").done += step
        told = reporting.rates(meters, past)
    last = 3 * STEPS - 1
    assert told["event"].done == sum(range(last - STEPS + 1, last + 1))
    assert told["event"].done_ever == sum(range(last + 1))


def test_a_queue_that_is_new_counts_from_nothing() -> None:
    meters, past = Meters(0), deque(maxlen=STEPS + 1)
    assert reporting.rates(meters, past) == {}
    meters.of_queue("email").done, meters.of_queue("email").failed = 3, 1
    assert reporting.rates(meters, past) == {"email": Rate(3, 1, 3, 1)}


def test_processes_are_added_up() -> None:
    one = Report(1, 0, {"event": Rate(1, 2, 3, 4)})
    other = Report(1, 0, {"event": Rate(10, 20, 30, 40), "email": Rate(1, 0, 1, 0)})
    assert report.total([one, other]) == {"event": Rate(11, 22, 33, 44), "email": Rate(1, 0, 1, 0)}


async def test_it_is_told_and_forgotten(live_services: Services) -> None:
    services = live_services
    services.meters.of_queue("event").done = 7
    telling = asyncio.create_task(reporting.keep(services))
    async with asyncio.timeout(30):
        while not (found := await services.keys.scan(report.PREFIX, 9)):
            continue
    telling.cancel()
    [(_, told)] = found
    assert msgspec.json.decode(told, type=Report).queues["event"].done_ever == 7
