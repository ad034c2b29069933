"""Events that verify accounts for although a job of theirs is still there: they are stored, or were counted when their
row was taken. Who drops such a job does not count its event once more.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from vemetric.clickhouse import eraser
from vemetric.clickhouse.engine import Engine
from vemetric.clock import Clock
from vemetric.ingest import jobs
from vemetric.ingest.jobs import EventHead, EventJob
from vemetric.queues.job import KeySet
from vemetric.queues.keys import Keys
from vemetric.queues.queue import Queue

# By project and id an event that was counted when its row was taken. Its job may stand in a queue that is paused, or
# dead, for long.
COUNTED_PREFIX = "erased-event:"
COUNTED_KEPT_MS = 400 * 86_400_000
PAGE = 1_000

Event = tuple[int, str]


async def among(engine: Engine, keys: Keys, events: Iterable[EventJob | EventHead]) -> set[Event]:
    """Those (project, id) of the events whose jobs were delivered before that are accounted for. Raises StoreError.

    The store is asked first: who takes rows notes those that may be delivered once more before the first one goes.
    """
    wanted = list(events)
    if not wanted:
        return set()
    found = await _stored(engine, wanted)
    names = {counted_key(event.project_id, event.event_id): (event.project_id, event.event_id) for event in wanted}
    return found | {names[name] for name in await keys.get_many(list(names))}


async def note_undecided(
    engine: Engine, queue: Queue, keys: Keys, clock: Clock, is_taken: Callable[[EventHead], bool]
) -> None:
    """Note which of the events whose rows are about to be counted and taken may be delivered once more.

    The dead ones first, and last: one may be buried, or revived, between two looks.
    """
    found = {head.event_id: head async for _, head in dead(queue) if is_taken(head)}
    async for page in queue.live(jobs.EVENT_QUEUE):
        for job in page:
            head = head_of(job.payload) if job.deliveries else None
            if head is not None and is_taken(head):
                found[head.event_id] = head
    found |= {head.event_id: head async for _, head in dead(queue) if is_taken(head)}
    until_ms = clock.now_ms() + COUNTED_KEPT_MS
    heads = list(found.values())
    for start in range(0, len(heads), PAGE):
        stored = await _stored(engine, heads[start : start + PAGE])
        await keys.set([KeySet(counted_key(*event), b"1", until_ms) for event in sorted(stored)])


async def dead(queue: Queue) -> AsyncIterator[tuple[int, EventHead]]:
    """The dead letters that are events, with their ids."""
    before_id = None
    while page := await queue.dead(jobs.EVENT_QUEUE, PAGE, before_id):
        before_id = page[-1].id
        for letter in page:
            head = head_of(letter.payload)
            if head is not None:
                yield letter.id, head


def head_of(payload: bytes) -> EventHead | None:
    """Whose event it is; None of a page leave, and of what nobody can read."""
    try:
        head = jobs.decode_head(payload)
    except ValueError:
        return None
    return head if isinstance(head, EventHead) else None


def counted_key(project_id: int, event_id: str) -> str:
    return f"{COUNTED_PREFIX}{project_id}:{event_id}"


async def _stored(engine: Engine, events: Sequence[EventJob | EventHead]) -> set[Event]:
    by_project: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for event in events:
        by_project[event.project_id][event.event_id] = event.created_ms
    return {
        (project_id, event_id)
        for project_id, of_project in by_project.items()
        for event_id in await eraser.stored_events(engine, project_id, of_project)
    }
