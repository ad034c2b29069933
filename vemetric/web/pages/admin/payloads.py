"""A job's data as people read it: by its queue the names of what it holds, else what can be told of the bytes."""

import json
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from vemetric.accounts import errands
from vemetric.ingest import accounted, jobs
from vemetric.model import canary, erasure
from vemetric.queues.job import DeadJob, ListedJob
from vemetric.services import Services

# More of it is cut: pages are for looking, not for archives.
SHOWN_CHARACTERS_MAX = 100_000
# Control and format characters (among them those for writing from right to left), separators of lines.
UNSEEN = ("Cc", "Cf", "Zl", "Zp")

DECODERS: dict[str, Callable[[bytes], Any]] = {
    jobs.EVENT_QUEUE: jobs.decode_event,
    jobs.SESSION_QUEUE: jobs.decode_sessions,
    jobs.DEVICE_QUEUE: jobs.decode_devices,
    jobs.CREATE_USER_QUEUE: jobs.decode_create,
    jobs.UPDATE_USER_QUEUE: jobs.decode_update,
    jobs.ENRICH_USER_QUEUE: jobs.decode_enrich,
    jobs.MERGE_USER_QUEUE: jobs.decode_merge,
    erasure.ERASE_QUEUE: erasure.decode,
    errands.QUEUE: errands.decode,
}


def shown(queue: str, payload: bytes) -> str:
    """The data as indented JSON; the bytes in hexadecimal where nobody can read them."""
    try:
        found = DECODERS.get(queue, msgspec.msgpack.decode)(payload)
        text = _visible(json.dumps(_plain(found), indent=2, ensure_ascii=False))
    except (ValueError, msgspec.MsgspecError):
        text = payload.hex(" ")
    return text if len(text) <= SHOWN_CHARACTERS_MAX else text[:SHOWN_CHARACTERS_MAX] + "\n..."


def _visible(text: str) -> str:
    """Characters that are not seen, or that turn others round, as JSON escapes them."""
    if text.isprintable():
        return text
    return "".join(
        json.dumps(one)[1:-1] if unicodedata.category(one) in UNSEEN and one != "\n" else one for one in text
    )


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return {name: _plain(one) for name, one in msgspec.structs.asdict(value).items()}
    if isinstance(value, msgspec.Raw):
        return _plain(msgspec.msgpack.decode(value))
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


async def counters_of(services: Services, jobs_seen: Sequence[ListedJob | DeadJob]) -> dict[int, str]:
    """By the id of each job that is an accepted event what to raise when it is removed by hand: it counts as erased.

    One that verify accounts for already needs nothing. Raises StoreError where the store cannot tell.
    """
    now_ms = services.clock.now_ms()
    events = [(job, event) for job in jobs_seen if (event := _event_of(job)) and event.project_id != canary.PROJECT_ID]
    again = [event for job, event in events if job.deliveries]
    known = await accounted.among(services.engine, services.keys, again)
    return {
        job.id: jobs.erased_counter(event.project_id, now_ms)
        for job, event in events
        if (event.project_id, event.event_id) not in known
    }


def _event_of(job: ListedJob | DeadJob) -> jobs.EventJob | None:
    if job.queue != jobs.EVENT_QUEUE:
        return None
    try:
        found = jobs.decode_event(job.payload)
    except (ValueError, msgspec.MsgspecError):
        return None
    return found if isinstance(found, jobs.EventJob) else None
