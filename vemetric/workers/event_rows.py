"""From an event's job to its row, and to what it says about its session and device. Pure; used by workers/event.py."""

from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from vemetric.clickhouse.rows import timestamp
from vemetric.clickhouse.sink import KnownUser
from vemetric.enrich import page, referrer, user_agent
from vemetric.ingest import jobs
from vemetric.ingest.hit import PAGE_VIEW
from vemetric.ingest.jobs import EventJob, LeaveJob, SeenDevice, SessionAttributes, SessionPart
from vemetric.model import ids
from vemetric.model.device import Device
from vemetric.model.geo import Geo
from vemetric.model.page import Page, Referrer

SERVER = "server"
# Clients, and pages with their sources, that were read before; longer ones are rare, mostly unique, and not kept.
REMEMBERED_MAX = 8_192
REMEMBERED_BYTES_MAX = 2_048

_json = msgspec.json.Encoder()


class Enriched(NamedTuple):
    """What one event job comes to: the row in the order of EVENT_COLUMNS, and what follows from it."""

    row: tuple[Any, ...]
    session: SessionPart
    device: SeenDevice


class Client(NamedTuple):
    """What the headers of a hit say. device_columns: its names, in every table's order; text: the headers' JSON."""

    device: Device
    device_columns: tuple[str, ...]
    agent: str
    referrer: str | None
    text: str


class Visited(NamedTuple):
    """The page of a hit and where its visitor came from."""

    page: Page
    source: Referrer


def enrich(job: EventJob, user: KnownUser | None, *, opens: bool) -> Enriched:
    """Parse browser, address and source once, and lay the columns out.

    opens: whether this event opened its session.

    The identity of a known user stands above what the sender claimed; a display name sent with the event above the
    stored one.
    """
    client = client_of(bytes(job.headers))
    device, agent = client.device, client.agent
    url, source = visited(job.domain, client.referrer, job.url)
    place = place_of(job.geo, user if device.client_type == SERVER else None)
    country_code, city, latitude, longitude = place.country_code, place.city, place.latitude, place.longitude
    device_id = ids.device_id(job.project_id, job.user_id, device)
    identifier = user.identifier if user is not None else job.identifier
    display_name = job.display_name or (user.display_name if user is not None else "")
    is_page_view = 1 if job.name == PAGE_VIEW else 0
    row = (
        1, job.project_id, job.user_id, job.session_id, job.context_id, device_id, job.event_id, job.name,
        timestamp(job.created_ms), is_page_view, country_code, city, *client.device_columns, identifier, display_name,
        agent, source.name, url.origin, url.pathname, url.query_params, url.url_hash, url.utm_source, url.utm_medium,
        url.utm_campaign, url.utm_content, url.utm_term, job.custom_data, source.url, latitude, longitude,
        source.type, client.text, "",
    )  # fmt: skip
    attributes = SessionAttributes(
        identifier, display_name, country_code, city, latitude, longitude, agent, source.name,
        source.url, source.type, url.origin, url.pathname, url.query_params, url.url_hash, url.utm_source,
        url.utm_medium, url.utm_campaign, url.utm_content, url.utm_term,
    )  # fmt: skip
    session = SessionPart(
        job.project_id, job.user_id, job.session_id, job.session_started_ms, job.created_ms,
        opens, attributes, job.created_ms,
    )  # fmt: skip
    seen = SeenDevice(job.project_id, job.user_id, device_id, job.created_ms, *client.device_columns)
    return Enriched(row, session, seen)


def client_of(headers: bytes) -> Client:
    """The client of a hit, by the headers as they stand in its job: the bytes that most hits have in common."""
    return _client(headers) if len(headers) > REMEMBERED_BYTES_MAX else _client_remembered(headers)


def visited(domain: str, referrer_header: str | None, url: str | None) -> Visited:
    """The page and the source of a hit. domain: the project's."""
    if len(url or "") + len(referrer_header or "") > REMEMBERED_BYTES_MAX:
        return _visited(domain, referrer_header, url)
    return _visited_remembered(domain, referrer_header, url)


def _client(headers: bytes) -> Client:
    read = jobs.decode_headers(headers)
    device = user_agent.device(read)
    text = _json.encode(read).decode()
    return Client(device, msgspec.structs.astuple(device), read.get("user-agent", ""), read.get("v-referrer"), text)


def _visited(domain: str, referrer_header: str | None, url: str | None) -> Visited:
    return Visited(page.parse(url), referrer.classify(domain, referrer_header, url))


_client_remembered = lru_cache(REMEMBERED_MAX)(_client)
_visited_remembered = lru_cache(REMEMBERED_MAX)(_visited)


def session_of_leave(job: LeaveJob) -> SessionPart:
    """A page leave says only that the visit lasted until then."""
    return SessionPart(
        job.project_id, job.user_id, job.session_id, job.session_started_ms, job.left_ms,
        opens=False, attributes=None, first_ms=job.left_ms,
    )  # fmt: skip


def combine(first: SessionPart, second: SessionPart) -> SessionPart:
    """One job that says what both say of a session. `first` came first; the order matters only for stand-ins."""
    if first.opens or (first.attributes is not None and not second.opens):
        leading, other = first, second
    else:
        leading, other = second, first
    attributes = leading.attributes if leading.attributes is not None else other.attributes
    return SessionPart(
        first.project_id, first.user_id, first.session_id, first.started_ms, max(first.ended_ms, second.ended_ms),
        first.opens or second.opens, attributes, min(first.first_ms, second.first_ms),
    )  # fmt: skip


def place_of(sent_from: Geo, user: KnownUser | None) -> Geo:
    """A server's event happens where its user was seen, as far as that is known."""
    if user is None:
        return sent_from
    return Geo(
        user.country_code or sent_from.country_code,
        user.city or sent_from.city,
        user.latitude if user.latitude is not None else sent_from.latitude,
        user.longitude if user.longitude is not None else sent_from.longitude,
    )
