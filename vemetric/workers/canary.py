"""Sends an event a minute through queue, worker and store, and waits until it can be read (model/canary.py). Of several
processes one sends. Health and the operator's pages read what it found from Keys.
"""

import asyncio
import logging

import msgspec

from vemetric import errors
from vemetric.clickhouse import eraser
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
KEPT_DAYS = 2

PROJECT = Project(canary.PROJECT_ID, "", "Canary", "canary.invalid", "")
SENDER = Sender(canary.PROJECT_ID, "", None, None, None, None, allow_cookies=False)
STORED = """
SELECT count() FROM event WHERE projectId = {project:UInt64} AND id = {id:String}
    AND createdAt >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
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
    event_id = ids.random_id()
    await services.queue.put(Write([_job(event_id, now_ms)]))
    asked = {"project": canary.PROJECT_ID, "since": now_ms, "id": event_id}
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
    until_ms = services.clock.now_ms() - KEPT_DAYS * DAY_MS
    async with services.gate.passing():
        await eraser.erase_until(services.engine, canary.PROJECT_ID, until_ms)


def _job(event_id: str, now_ms: int) -> NewJob:
    """As the hub makes them, but counted for nobody. A visit lasts a day."""
    day_ms = now_ms - now_ms % DAY_MS
    session = LiveSession(f"canary-{day_ms // DAY_MS}", day_ms, now_ms)
    who = Who(canary.USER_ID, "", session)
    hit = decode_event(msgspec.json.encode({"name": canary.EVENT_NAME}))
    job = accept.event_job(hit, PROJECT, SENDER, {}, geo.UNKNOWN, who, session, event_id, now_ms)
    return NewJob(jobs.EVENT_QUEUE, jobs.encode(job))


async def _note(services: Services, flight: Flight) -> None:
    await services.keys.set([KeySet(canary.KEY, msgspec.json.encode(flight))])
