"""From an event's job to its row, and to what it says about its session and device. Pure; used by workers/event.py."""

from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from vemetric.clickhouse.rows import piece, timestamp
from vemetric.clickhouse.sink import KnownUser
from vemetric.enrich import page, referrer, user_agent
from vemetric.ingest import jobs
from vemetric.ingest.hit import PAGE_VIEW
from vemetric.ingest.jobs import NO_ATTRIBUTES, EventJob, LeaveJob, SeenDevice, SessionPart
from vemetric.model import ids
from vemetric.model.device import Device
from vemetric.model.geo import Geo

SERVER = "server"
# Clients, and pages with their sources, that were read before; longer ones are rare, mostly unique, and not kept.
REMEMBERED_MAX = 8_192
REMEMBERED_BYTES_MAX = 2_048
# What is read of an address is many times as long as it is.
REMEMBERED_CHARACTERS_MAX = 1_024

_json = msgspec.json.Encoder()


class Client(NamedTuple):
    """What the headers of a hit say, and its columns in an event's row and in a session's attributes."""

    device: Device
    referrer: str | None
    is_server: bool
    columns: Raw
    attributes: bytes


class Visited(NamedTuple):
    """The page of a hit and where its visitor came from, as columns of an event's row and of a session's attributes."""

    columns: Raw
    attributes: bytes


def enrich(
    job: EventJob, client: Client, device_id: int, user: KnownUser | None, *, opens: bool
) -> tuple[tuple[Any, ...], SessionPart]:
    """The row of an event in the order of EVENT_COLUMNS, and what it says of its session.

    client: as `client_of` reads it; opens: whether this event opened its session.

    The identity of a known user stands above what the sender claimed; a display name sent with the event above the
    stored one.
    """
    of_page, page_attributes = visited(job.domain, client.referrer, job.url)
    place, created_ms = job.geo, job.created_ms
    identifier, display_name = job.identifier, job.display_name
    if user is not None:
        identifier, display_name = user.identifier, display_name or user.display_name
        if client.is_server:
            place = place_of(place, user)
    country_code, city, latitude, longitude = place.country_code, place.city, place.latitude, place.longitude
    row = (
        1, job.project_id, job.user_id, job.session_id, job.context_id, device_id, job.event_id, job.name,
        timestamp(created_ms), 1 if job.name == PAGE_VIEW else 0, identifier, display_name, job.custom_data, "",
        country_code, city, latitude, longitude, client.columns, of_page,
    )  # fmt: skip
    own = jobs.pack_values((identifier, display_name, country_code, city, latitude, longitude))
    attributes = Raw(b"".join((jobs.ATTRIBUTES_FRAME, own, client.attributes, page_attributes)))
    is_placeless = not country_code and not city and latitude is None and longitude is None
    part = SessionPart(
        job.project_id, job.user_id, job.session_id, job.session_started_ms, created_ms, opens, attributes, created_ms,
        is_placeless,
    )  # fmt: skip
    return row, part


def seen_device(job: EventJob, device: Device) -> SeenDevice:
    """What an event says of its user's device."""
    device_id = ids.device_id(job.project_id, job.user_id, device)
    return SeenDevice(job.project_id, job.user_id, device_id, job.created_ms, *msgspec.structs.astuple(device))


def client_of(headers: bytes) -> Client:
    """The client of a hit, by the headers as they stand in its job: the bytes that most hits have in common."""
    return _client(headers) if len(headers) > REMEMBERED_BYTES_MAX else _client_remembered(headers)


def visited(domain: str, referrer_header: str | None, url: str | None) -> Visited:
    """The page and the source of a hit. domain: the project's."""
    sent = f"{url or ''}{referrer_header or ''}"
    # Browsers send ASCII; other characters take four bytes each, in every text that is made of them.
    if len(sent) > REMEMBERED_CHARACTERS_MAX or not sent.isascii():
        return _visited(domain, referrer_header, url)
    return _visited_remembered(domain, referrer_header, url)


def _client(headers: bytes) -> Client:
    read = jobs.decode_headers(headers)
    device, agent = user_agent.device(read), read.get("user-agent", "")
    return Client(
        device=device,
        referrer=read.get("v-referrer"),
        is_server=device.client_type == SERVER,
        columns=piece((*msgspec.structs.astuple(device), agent, _json.encode(read).decode())),
        attributes=jobs.pack_values([agent]),
    )


def _visited(domain: str, referrer_header: str | None, url: str | None) -> Visited:
    source, read = referrer.classify(domain, referrer_header, url), page.parse(url)
    columns = (
        source.name, source.url, source.type, read.origin, read.pathname, read.query_params, read.url_hash,
        read.utm_source, read.utm_medium, read.utm_campaign, read.utm_content, read.utm_term,
    )  # fmt: skip
    return Visited(piece(columns), jobs.pack_values(columns))


_client_remembered = lru_cache(REMEMBERED_MAX)(_client)
_visited_remembered = lru_cache(REMEMBERED_MAX)(_visited)


def session_of_leave(job: LeaveJob) -> SessionPart:
    """A page leave says only that the visit lasted until then."""
    return SessionPart(
        job.project_id, job.user_id, job.session_id, job.session_started_ms, job.left_ms,
        opens=False, attributes=NO_ATTRIBUTES, first_ms=job.left_ms, is_placeless=True,
    )  # fmt: skip


def combine(first: SessionPart, second: SessionPart) -> SessionPart:
    """One job that says what both say of a session. `first` came first; the order matters only for stand-ins."""
    if first.opens or (first.attributes != NO_ATTRIBUTES and not second.opens):
        leading, other = first, second
    else:
        leading, other = second, first
    speaking = leading if leading.attributes != NO_ATTRIBUTES else other
    return SessionPart(
        first.project_id, first.user_id, first.session_id, first.started_ms, max(first.ended_ms, second.ended_ms),
        first.opens or second.opens, speaking.attributes, min(first.first_ms, second.first_ms), speaking.is_placeless,
    )  # fmt: skip


def place_of(sent_from: Geo, user: KnownUser) -> Geo:
    """A server's event happens where its user was seen, as far as that is known."""
    return Geo(
        user.country_code or sent_from.country_code,
        user.city or sent_from.city,
        user.latitude if user.latitude is not None else sent_from.latitude,
        user.longitude if user.longitude is not None else sent_from.longitude,
    )
