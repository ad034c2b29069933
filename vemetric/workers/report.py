"""Tells every few seconds, by a key with a short life, how much the workers of this process did (model/report.py)."""

import asyncio
import secrets
from collections import deque
from contextlib import suppress

import msgspec

from vemetric import errors
from vemetric.model import report
from vemetric.model.meters import Meters
from vemetric.model.report import Rate, Report
from vemetric.queues.job import KeySet
from vemetric.services import Services

Counts = dict[str, tuple[int, int]]


async def keep(services: Services) -> None:
    """Report until cancelled."""
    key = f"{report.PREFIX}{secrets.token_hex(8)}"
    past: deque[Counts] = deque(maxlen=report.WINDOW_SECONDS // report.REPORT_SECONDS + 1)
    while True:
        now_ms = services.clock.now_ms()
        made = Report(now_ms, services.meters.started_ms, rates(services.meters, past))
        # Where it cannot be told, the queue's own words stand in the log already.
        with suppress(errors.Unavailable):
            await services.keys.set([KeySet(key, msgspec.json.encode(made), now_ms + report.EXPIRES_SECONDS * 1000)])
        await asyncio.sleep(report.REPORT_SECONDS)


def rates(meters: Meters, past: deque[Counts]) -> dict[str, Rate]:
    """The rates now. past: what was counted at the last reports; now is added."""
    past.append({name: (of.done, of.failed) for name, of in meters.queues.items()})
    now, then = past[-1], past[0]
    return {
        name: Rate(done - then.get(name, (0, 0))[0], failed - then.get(name, (0, 0))[1], done, failed)
        for name, (done, failed) in now.items()
    }
