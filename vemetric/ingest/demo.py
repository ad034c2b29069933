"""The demo project: its past is put through the queue at once, and a little more every minute while the server runs.

Asked by `vemetric demo` and by the schedule of workers/__init__.py. How far it got is noted with what is put.
"""

import itertools
from collections.abc import Iterable, Iterator

import msgspec

from vemetric.clock import Clock
from vemetric.ingest import demo_visits, jobs
from vemetric.ingest.demo_visits import KNOWN_PEOPLE, Happening
from vemetric.ingest.jobs import CreateUserJob, EventJob, UpdateUserJob
from vemetric.model.project import Project
from vemetric.queues.job import KeySet, NewJob, Write
from vemetric.queues.keys import Keys
from vemetric.queues.queue import Queue

DAYS = 30
DAY_MS = 86_400_000
UNTIL_PREFIX, TURN_PREFIX = "demo:", "demo-turn:"
# Longer than it ever takes; who was killed in it is waited for.
TURN_MS = 60_000
JOBS_PER_WRITE = 500
PLANS = ("Taster", "Regular", "Collector")


async def fill(queue: Queue, keys: Keys, clock: Clock, project: Project) -> int:
    """Put what happened since the last time, the past days the first time. Returns how many events; 0 while somebody
    else does it. Raises QueueFull.
    """
    now_ms = clock.now_ms()
    turn = f"{TURN_PREFIX}{project.id}"
    if not await keys.set_if_absent(turn, b"", now_ms + TURN_MS):
        return 0
    try:
        return await _fill(queue, keys, project, now_ms)
    finally:
        await keys.delete(turn)


async def _fill(queue: Queue, keys: Keys, project: Project, now_ms: int) -> int:
    key = f"{UNTIL_PREFIX}{project.id}"
    noted = await keys.get(key)
    if noted is None:
        began_ms = now_ms - DAYS * DAY_MS
        await queue.put(Write(jobs=list(_people(project, began_ms)), keys=[KeySet(key, b"%d" % began_ms)]))
    else:
        # After a long rest it does not go back further than it began.
        began_ms = max(int(noted), now_ms - DAYS * DAY_MS)
    count = 0
    happened = sorted(demo_visits.happenings(project.id, began_ms, now_ms), key=lambda one: one.at_ms)
    for portion in _portions(happened):
        counters = {jobs.accepted_counter(project.id, now_ms): len(portion)}
        until = KeySet(key, b"%d" % portion[-1].at_ms)
        await queue.put(Write(jobs=[_job(project, one) for one in portion], keys=[until], counters=counters))
        count += len(portion)
    return count


def _portions(happened: Iterable[Happening]) -> Iterator[list[Happening]]:
    """Never cut where two things happen in one millisecond: what is noted is a time."""
    portion: list[Happening] = []
    for _, together in itertools.groupby(happened, key=lambda one: one.at_ms):
        portion += together
        if len(portion) >= JOBS_PER_WRITE:
            yield portion
            portion = []
    if portion:
        yield portion


def _people(project: Project, began_ms: int) -> Iterator[NewJob]:
    for number in range(KNOWN_PEOPLE):
        who = demo_visits.person(project.id, number)
        yield jobs.create_job(
            CreateUserJob(project.id, who.user_id, who.identifier, began_ms, who.place, who.name, avatar_url="")
        )
        data = msgspec.json.encode({"set": {"plan": PLANS[number % len(PLANS)], "orders": number * 7 % 12}})
        yield jobs.update_job(UpdateUserJob(project.id, who.user_id, who.identifier, began_ms, data=data))


def _job(project: Project, one: Happening) -> NewJob:
    headers = {"user-agent": one.person.browser, "v-sdk": "script"}
    if one.referrer:
        headers["v-referrer"] = one.referrer
    job = EventJob(
        project_id=project.id,
        domain=project.domain,
        user_id=one.person.user_id,
        session_id=one.session_id,
        session_started_ms=one.started_ms,
        event_id=one.id,
        created_ms=one.at_ms,
        name=one.name,
        url=f"https://{project.domain}{one.path}",
        context_id=one.session_id,
        identifier=one.person.identifier,
        display_name=one.person.name,
        custom_data=msgspec.json.encode(one.data).decode() if one.data else "",
        headers=jobs.pack_headers(headers),
        geo=one.person.place,
    )
    return NewJob(jobs.EVENT_QUEUE, jobs.encode(job), key=one.session_id if one.opens else None)
