"""Sends an event a minute through queue, worker and store, and waits until it can be read (model/canary.py). Of several
processes one sends. Health and the operator's pages read what it found from Keys.
"""

import asyncio
import logging
from datetime import UTC, datetime

import msgspec

from vemetric import errors
from vemetric.clickhouse import expirer
from vemetric.ingest import accept, jobs
from vemetric.ingest.hit import decode_event
from vemetric.ingest.live_session import LiveSession
from vemetric.ingest.who import Sender, Who
from vemetric.model import canary, geo, ids
from vemetric.model.canary import Flight
from vemetric.model.project import Project
from vemetric.queues.job import KeySet, NewJob, Write
from vemetric.services import Services

LOOK_SECONDS = 0.25
TURN_KEY = "canary:turn"
DAY_MS = 86_400_000
# Rows of a day lie in a month of their own, long before anybody's: a month is dropped at once, while removing rows from
# among others writes all of those anew. Not at the times at which a machine's clock begins (1970, 1980, 2000).
YEAR = 1987
MONTHS = range(1, 13)
DAY_OF_MONTH = 15
KEPT_DAYS = 2

PROJECT = Project(canary.PROJECT_ID, "", "Canary", "canary.invalid", "")
SENDER = Sender(canary.PROJECT_ID, "", None, None, None, None, allow_cookies=False)
STORED = """
SELECT count() FROM event WHERE projectId = {project:UInt64} AND id = {id:String}
    AND createdAt = fromUnixTimestamp64Milli({created:Int64}, 'UTC')
"""

log = logging.getLogger(__name__)


async def watch(services: Services) -> None:
    """Send one every minute until cancelled; the first after a minute, so that a start has its peace."""
    is_told = False
    while True:
        await asyncio.sleep(canary.PERIOD_SECONDS)
        try:
            async with asyncio.timeout(canary.PERIOD_SECONDS):
                await fly(services)
            if is_told:
                is_told = False
                log.warning("Events arrive again.")
        except (TimeoutError, errors.StoreError, errors.Unavailable) as error:
            if not is_told:
                is_told = True
                log.warning("The minute's own event did not arrive: %s", str(error) or "it waits in line still")
        except Exception:
            log.exception("The canary stumbled")


async def fly(services: Services) -> Flight | None:
    """Send one and wait until it can be read; None where another process does. Raises what the stores raise."""
    now_ms = services.clock.now_ms()
    # A little less than the period: the next turn is anybody's.
    expires_ms = now_ms + canary.PERIOD_SECONDS * 900
    if not await services.keys.set_if_absent(TURN_KEY, b"1", expires_ms):
        return None
    last = await last_flight(services)
    await _note(services, Flight(now_ms, last.arrived_ms, last.latency_ms) if last else Flight(now_ms))
    event_id, created_ms = ids.random_id(), as_stored_ms(now_ms)
    await services.queue.put(Write([_job(event_id, created_ms)]))
    asked = {"project": canary.PROJECT_ID, "created": created_ms, "id": event_id}
    while True:
        [[count]] = await services.engine.lookup(STORED, asked)
        if count:
            break
        await asyncio.sleep(LOOK_SECONDS)
    arrived_ms = services.clock.now_ms()
    flight = Flight(now_ms, arrived_ms, arrived_ms - now_ms)
    await _note(services, flight)
    return flight


async def last_flight(services: Services) -> Flight | None:
    """What is known of the last one."""
    stored = await services.keys.get(canary.KEY)
    return None if stored is None else canary.decode(stored)


async def sweep(services: Services) -> None:
    """Remove those of earlier days."""
    now_ms = services.clock.now_ms()
    kept = {month_of(now_ms - days * DAY_MS) for days in range(KEPT_DAYS)}
    async with services.gate.passing():
        for month in MONTHS:
            for table in expirer.BY_MONTH if month not in kept else ():
                await expirer.drop_month(services.engine, table, YEAR * 100 + month)


def month_of(now_ms: int) -> int:
    """The month, of the year that is ours, in which a day's are stored: the next day's is another."""
    return MONTHS[now_ms // DAY_MS % len(MONTHS)]


def as_stored_ms(now_ms: int) -> int:
    """The time under which one is stored: that of the day it is, in the day's month."""
    return int(datetime(YEAR, month_of(now_ms), DAY_OF_MONTH, tzinfo=UTC).timestamp() * 1000) + now_ms % DAY_MS


def _job(event_id: str, created_ms: int) -> NewJob:
    """As the hub makes them, but counted for nobody. A visit lasts a day."""
    day_ms = created_ms - created_ms % DAY_MS
    session = LiveSession(f"canary-{day_ms // DAY_MS}", day_ms, created_ms)
    who = Who(canary.USER_ID, "", session)
    hit = decode_event(msgspec.json.encode({"name": canary.EVENT_NAME}))
    job = accept.event_job(hit, PROJECT, SENDER, jobs.pack_headers({}), geo.UNKNOWN, who, session, event_id, created_ms)
    return NewJob(jobs.EVENT_QUEUE, jobs.encode(job))


async def _note(services: Services, flight: Flight) -> None:
    await services.keys.set([KeySet(canary.KEY, msgspec.json.encode(flight))])
