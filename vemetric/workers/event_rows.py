"""From an event's job to its row, and to what it says about its session and device. Pure; used by workers/event.py."""

from typing import Any, NamedTuple

import msgspec

from vemetric.clickhouse.rows import timestamp
from vemetric.clickhouse.sink import KnownUser
from vemetric.enrich import page, referrer, user_agent
from vemetric.ingest.hit import PAGE_VIEW
from vemetric.ingest.jobs import EventJob, LeaveJob, SeenDevice, SessionAttributes, SessionPart
from vemetric.model import ids
from vemetric.model.geo import Geo

SERVER = "server"

_json = msgspec.json.Encoder()


class Enriched(NamedTuple):
    """What one event job comes to: the row in the order of EVENT_COLUMNS, and what follows from it."""

    row: tuple[Any, ...]
    session: SessionPart
    device: SeenDevice


def enrich(job: EventJob, user: KnownUser | None, *, opens: bool) -> Enriched:
    """Parse browser, address and source once, and lay the columns out.

    opens: whether this event opened its session.

    The identity of a known user stands above what the sender claimed; a display name sent with the event above the
    stored one.
    """
    device = user_agent.device(job.headers)
    place = place_of(job.geo, user if device.client_type == SERVER else None)
    url = page.parse(job.url)
    source = referrer.classify(job.domain, job.headers.get("v-referrer"), job.url)
    device_id = ids.device_id(job.project_id, job.user_id, device)
    identifier = user.identifier if user is not None else job.identifier
    display_name = job.display_name or (user.display_name if user is not None else "")
    agent = job.headers.get("user-agent", "")
    is_page_view = 1 if job.name == PAGE_VIEW else 0
    row = (
        1, job.project_id, job.user_id, job.session_id, job.context_id, device_id, job.event_id, job.name,
        timestamp(job.created_ms), is_page_view, place.country_code, place.city, device.os_name, device.os_version,
        device.client_name, device.client_version, device.client_type, device.device_type, identifier, display_name,
        agent, source.name, url.origin, url.pathname, url.query_params, url.url_hash, url.utm_source, url.utm_medium,
        url.utm_campaign, url.utm_content, url.utm_term, job.custom_data, source.url, place.latitude, place.longitude,
        source.type, _json.encode(job.headers).decode(), "",
    )  # fmt: skip
    attributes = SessionAttributes(
        identifier, display_name, place.country_code, place.city, place.latitude, place.longitude, agent, source.name,
        source.url, source.type, url.origin, url.pathname, url.query_params, url.url_hash, url.utm_source,
        url.utm_medium, url.utm_campaign, url.utm_content, url.utm_term,
    )  # fmt: skip
    session = SessionPart(
        job.project_id, job.user_id, job.session_id, job.session_started_ms, job.created_ms,
        opens, attributes,
    )  # fmt: skip
    seen = SeenDevice(job.project_id, job.user_id, device_id, job.created_ms, *msgspec.structs.astuple(device))
    return Enriched(row, session, seen)


def session_of_leave(job: LeaveJob) -> SessionPart:
    """A page leave says only that the visit lasted until then."""
    return SessionPart(
        job.project_id, job.user_id, job.session_id, job.session_started_ms, job.left_ms, opens=False, attributes=None
    )


def combine(first: SessionPart, second: SessionPart) -> SessionPart:
    """One job that says what both say of a session. `first` came first; the order matters only for stand-ins."""
    if first.opens or (first.attributes is not None and not second.opens):
        leading, other = first, second
    else:
        leading, other = second, first
    attributes = leading.attributes if leading.attributes is not None else other.attributes
    return SessionPart(
        first.project_id, first.user_id, first.session_id, first.started_ms, max(first.ended_ms, second.ended_ms),
        first.opens or second.opens, attributes,
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
