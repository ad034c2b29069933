"""What the hub hands to the workers: the payloads of the queues, and the names of the counters that verify reads."""

import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from vemetric.model.geo import Geo
from vemetric.queues.job import NewJob

EVENT_QUEUE = "event"
SESSION_QUEUE = "session"
DEVICE_QUEUE = "device"
MERGE_USER_QUEUE = "merge-user"
CREATE_USER_QUEUE = "create-user"
UPDATE_USER_QUEUE = "update-user"
ENRICH_USER_QUEUE = "enrich-user"

# The lines of the session queue: the sessions of a batch are spread over so many jobs, each line in order.
SESSION_LINES = 8

HOUR_MS = 3_600_000
# Arrays of up to so many values have a frame of one byte in msgpack, longer ones (up to 65,535) of three.
SHORT_LENGTH_MAX = 15
LONG_FRAME_BYTES = 3
# A merge runs so long after it was asked for: what the visitor sends meanwhile without knowing it moves along.
MERGE_DELAY_MS = 6_000
SAME_MERGE_MS = 5_000
# Merges of one user are in order by the day: one that a clock ahead asked for holds up no other of a day before.
MERGES_IN_ORDER_MS = 86_400_000
# What the names of all counters of accepted events begin with.
ACCEPTED_PREFIX = "accepted:"
# ... and those of events that were erased before they were stored.
ERASED_PREFIX = "erased:"
# ... of those that were dropped because they were older than is kept, and of those that were sent once more.
EXPIRED_PREFIX = "expired:"
REPEATED_PREFIX = "repeated:"
REFUSED_PREFIX = "refused:"
# Every hit names one of them.
COUNTERS_REMEMBERED_MAX = 1_000


class EventJob(msgspec.Struct, tag="e", array_like=True, frozen=True, gc=False):
    """One accepted event. session_started_ms is fixed by the hub when it opens the session; times are ms since 1970.

    domain: the project's at the time of the hit. headers: the kept ones, lower-case, as `pack_headers` makes them: many
    hits have the same, and who has read their bytes once need not again. custom_data: JSON text or ''.
    identifier: what the sender called the user, whom a row of the store may know better.
    """

    project_id: int
    domain: str
    user_id: int
    session_id: str
    session_started_ms: int
    event_id: str
    created_ms: int
    name: str
    url: str | None
    context_id: str
    identifier: str
    display_name: str
    custom_data: str
    headers: Raw
    geo: Geo


class LeaveJob(msgspec.Struct, tag="l", array_like=True, frozen=True, gc=False):
    """A page was left: the session is extended to `left_ms`. Travels behind its events, in their queue."""

    project_id: int
    user_id: int
    session_id: str
    session_started_ms: int
    left_ms: int


class EventHead(msgspec.Struct, tag="e", array_like=True, frozen=True, gc=False):
    """The first fields of an EventJob, for who only counts or looks for some."""

    project_id: int
    domain: str
    user_id: int
    session_id: str
    session_started_ms: int
    event_id: str
    created_ms: int


class LeaveHead(msgspec.Struct, tag="l", array_like=True, frozen=True, gc=False):
    """The first field of a LeaveJob."""

    project_id: int


class SessionPart(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What one batch of events says of one session; a job holds those of one line.

    attributes: the columns of its opening event as `pack_attributes` makes them, which most often nobody needs to read;
    NO_ATTRIBUTES when only leaves speak.
    opens: whether the attributes are those of the event that opened the session; otherwise they are only a stand-in
    until the opening event's job arrives.
    first_ms: when the earliest of the events happened, which may be before the visit's start by a clock set back; 0 in
    jobs of older programs.
    is_placeless: whether the attributes, if there are any, surely name no place.
    """

    project_id: int
    user_id: int
    session_id: str
    started_ms: int
    ended_ms: int
    opens: bool
    attributes: Raw
    first_ms: int = 0
    is_placeless: bool = False


class SessionAttributes(msgspec.Struct, array_like=True, frozen=True, rename="camel", gc=False):
    """A session's landing page, source, place and identity. In camel case the names are the store's columns."""

    user_identifier: str
    user_display_name: str
    country_code: str
    city: str
    latitude: float | None
    longitude: float | None
    user_agent: str
    referrer: str
    referrer_url: str
    referrer_type: str
    origin: str
    pathname: str
    query_params: str
    url_hash: str
    utm_source: str
    utm_medium: str
    utm_campaign: str
    utm_content: str
    utm_term: str


NO_ATTRIBUTES = Raw(b"\xc0")
# The frame of an array of 19 values.
ATTRIBUTES_FRAME = b"\xdc" + len(SessionAttributes.__struct_fields__).to_bytes(2)


class SeenDevice(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A device, perhaps one that was not seen before with this user. A job holds those of a batch."""

    project_id: int
    user_id: int
    device_id: int
    created_ms: int
    os_name: str
    os_version: str
    client_name: str
    client_version: str
    client_type: str
    device_type: str


class CreateUserJob(msgspec.Struct, tag="c", array_like=True, frozen=True):
    """A user is known by an identifier from now on, unless somebody else is already: then it is merged into that one.

    Holds all that the identity and the user's row are made of. display_name and avatar_url: '' when not given.
    """

    project_id: int
    user_id: int
    identifier: str
    created_ms: int
    place: Geo
    display_name: str
    avatar_url: str


class UserSource(msgspec.Struct, array_like=True, frozen=True, rename="camel"):
    """Where a user came from: what the first page view says. In camel case the names are the store's columns."""

    first_seen_at: str
    country_code: str
    city: str
    latitude: float | None
    longitude: float | None
    initial_device_id: int
    user_agent: str
    referrer: str
    referrer_url: str
    referrer_type: str
    origin: str
    pathname: str
    query_params: str
    url_hash: str
    utm_source: str
    utm_medium: str
    utm_campaign: str
    utm_content: str
    utm_term: str


class UpdateUserJob(msgspec.Struct, tag="u", array_like=True, frozen=True):
    """What is said of a user; None where nothing is said. Those of one user are handled in the order they came.

    identifier: whoever is known by it is meant, even if that is somebody else by now; '': the user, whoever that is.
    data: the JSON text of a UserData.
    source: where the user came from, as enrich-user has found out.
    """

    project_id: int
    user_id: int
    identifier: str
    updated_ms: int
    display_name: str | None = None
    avatar_url: str | None = None
    data: bytes | None = None
    source: UserSource | None = None


class EnrichUserJob(msgspec.Struct, tag="n", array_like=True, frozen=True):
    """Look where a user came from, if that is not known yet."""

    project_id: int
    user_id: int


class MergeUserJob(msgspec.Struct, tag="m", array_like=True, frozen=True):
    """What a user did until the merge was asked for, and shortly after (`until_ms`), belongs to another user."""

    project_id: int
    from_user_id: int
    into_user_id: int
    requested_ms: int

    @property
    def until_ms(self) -> int:
        """Events before this time move; later ones are of somebody who uses the same browser."""
        return self.requested_ms + MERGE_DELAY_MS


_encoder = msgspec.msgpack.Encoder()
_headers_decoder = msgspec.msgpack.Decoder(dict[str, str])
_event_decoder: msgspec.msgpack.Decoder[EventJob | LeaveJob] = msgspec.msgpack.Decoder(EventJob | LeaveJob)
_head_decoder: msgspec.msgpack.Decoder[EventHead | LeaveHead] = msgspec.msgpack.Decoder(EventHead | LeaveHead)
_sessions_decoder = msgspec.msgpack.Decoder(list[SessionPart])
_attributes_decoder: msgspec.msgpack.Decoder[SessionAttributes | None] = msgspec.msgpack.Decoder(
    SessionAttributes | None
)
_devices_decoder = msgspec.msgpack.Decoder(list[SeenDevice])
_merge_decoder = msgspec.msgpack.Decoder(MergeUserJob)
_create_decoder = msgspec.msgpack.Decoder(CreateUserJob)
_update_decoder = msgspec.msgpack.Decoder(UpdateUserJob)
_enrich_decoder = msgspec.msgpack.Decoder(EnrichUserJob)

OfUser = CreateUserJob | UpdateUserJob | EnrichUserJob | MergeUserJob


def encode(payload: EventJob | LeaveJob | list[SessionPart] | list[SeenDevice] | OfUser) -> bytes:
    return _encoder.encode(payload)


def pack_headers(headers: dict[str, str]) -> Raw:
    """Headers as they stand in an event's job."""
    return Raw(_encoder.encode(headers))


def decode_headers(packed: bytes) -> dict[str, str]:
    """The headers of an event's job."""
    return _headers_decoder.decode(packed)


def pack_attributes(attributes: SessionAttributes) -> Raw:
    """Attributes as they stand in a session's job."""
    return Raw(_encoder.encode(attributes))


def pack_values(values: Sequence[Any]) -> bytes:
    """Some neighbouring values of what is packed, without a frame: for who puts it together of ready pieces."""
    packed = _encoder.encode(values)
    return packed[1:] if len(values) <= SHORT_LENGTH_MAX else packed[LONG_FRAME_BYTES:]


def attributes_of(part: SessionPart) -> SessionAttributes | None:
    """The attributes of a part, None when it has none."""
    return _attributes_decoder.decode(part.attributes)


def decode_event(payload: bytes) -> EventJob | LeaveJob:
    return _event_decoder.decode(payload)


def decode_head(payload: bytes) -> EventHead | LeaveHead:
    """Whose event it is, without reading the rest."""
    return _head_decoder.decode(payload)


def decode_sessions(payload: bytes) -> list[SessionPart]:
    return _sessions_decoder.decode(payload)


def decode_devices(payload: bytes) -> list[SeenDevice]:
    return _devices_decoder.decode(payload)


def decode_create(payload: bytes) -> CreateUserJob:
    return _create_decoder.decode(payload)


def decode_update(payload: bytes) -> UpdateUserJob:
    return _update_decoder.decode(payload)


def decode_enrich(payload: bytes) -> EnrichUserJob:
    return _enrich_decoder.decode(payload)


def decode_merge(payload: bytes) -> MergeUserJob:
    return _merge_decoder.decode(payload)


def user_key(project_id: int, user_id: int) -> str:
    """The key of the job that makes a user's row: what must not come before it waits for that key."""
    return f"user:{project_id}:{user_id}"


def create_job(job: CreateUserJob) -> NewJob:
    return NewJob(CREATE_USER_QUEUE, encode(job), key=user_key(job.project_id, job.user_id))


def update_job(job: UpdateUserJob) -> NewJob:
    """Comes after the user's row, if that is still to be made, and after what was said of the user before."""
    key = user_key(job.project_id, job.user_id)
    return NewJob(UPDATE_USER_QUEUE, encode(job), order_key=key, after=key)


def enrich_job(project_id: int, user_id: int, after: str | None = None) -> NewJob:
    """after: the key of a job that may bring older page views; without it, the one that makes the user's row."""
    payload = encode(EnrichUserJob(project_id, user_id))
    return NewJob(ENRICH_USER_QUEUE, payload, after=after or user_key(project_id, user_id))


def merge_job(project_id: int, from_user_id: int, into_user_id: int, requested_ms: int) -> NewJob:
    """The job that merges one user into another, to be put with whatever decided it.

    One that is asked for again within seconds is one merge. Those of one user and day are in order: the earlier takes
    first, though the worker that had it was killed.
    """
    payload = encode(MergeUserJob(project_id, from_user_id, into_user_id, requested_ms))
    key = f"{project_id}:{from_user_id}:{into_user_id}:{requested_ms // SAME_MERGE_MS}"
    order_key = f"{project_id}:{from_user_id}:{requested_ms // MERGES_IN_ORDER_MS}"
    run_at_ms = requested_ms + MERGE_DELAY_MS
    return NewJob(MERGE_USER_QUEUE, payload, key=key, order_key=order_key, run_at_ms=run_at_ms)


def session_line(session_id: str) -> int:
    """The line of a session, always the same: what is said of it is folded in order, by one worker at a time."""
    return zlib.crc32(session_id.encode()) % SESSION_LINES


def accepted_counter(project_id: int, now_ms: int) -> str:
    """Events accepted for a project in an hour; written in the transaction that puts their jobs."""
    return _accepted_counter(project_id, now_ms // HOUR_MS)


@lru_cache(COUNTERS_REMEMBERED_MAX)
def _accepted_counter(project_id: int, hour: int) -> str:
    return f"{ACCEPTED_PREFIX}{project_id}:{hour}"


def accepted_ms(job: EventJob | LeaveJob) -> int:
    """When the hub accepted it."""
    return job.created_ms if isinstance(job, EventJob) else job.left_ms


def erased_counter(project_id: int, now_ms: int) -> str:
    """Accepted events dropped in an hour because their user or project had been erased before they were stored."""
    return f"{ERASED_PREFIX}{project_id}:{now_ms // HOUR_MS}"


def expired_counter(project_id: int, now_ms: int) -> str:
    """Stored events dropped in an hour because they were older than the project keeps them."""
    return f"{EXPIRED_PREFIX}{project_id}:{now_ms // HOUR_MS}"


def repeated_counter(project_id: int, now_ms: int) -> str:
    """Events answered as taken in an hour whose id had been taken before; they are not in accepted_counter."""
    return f"{REPEATED_PREFIX}{project_id}:{now_ms // HOUR_MS}"


def refused_counter(project_id: int, reason: str, now_ms: int) -> str:
    """Requests refused in an hour; project 0 stands for requests of no project."""
    return f"{REFUSED_PREFIX}{project_id}:{reason}:{now_ms // HOUR_MS}"
