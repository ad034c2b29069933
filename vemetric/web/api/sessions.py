"""POST /v1/sessions: the visits of a period, of everybody or of one user."""

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from vemetric.stats import sessions
from vemetric.stats.query import Query
from vemetric.stats.sessions import Mark, Sort, Visit, Wanted
from vemetric.stats.users import USER_IDS
from vemetric.web.api import instants, paging, periods, users
from vemetric.web.api.answers import Session, SessionsAnswer
from vemetric.web.api.call import Call
from vemetric.web.api.failures import Detail, invalid_at
from vemetric.web.api.requests import SessionField, SessionsQuery
from vemetric.web.api.types import Direction

SESSION_ID_CHARACTERS_MAX = 200
SORTS = {SessionField.STARTED: Sort.STARTED, SessionField.DURATION: Sort.DURATION}


class SessionPlace(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of visits ends. A number of 64 bits is a text: JSON's are not that long everywhere."""

    sort: Annotated[int, Meta(ge=0, le=users.INT64_MAX)]
    id: Annotated[str, Meta(max_length=SESSION_ID_CHARACTERS_MAX)]
    user: users.UserId


async def list_(call: Call) -> SessionsAnswer:
    """POST /v1/sessions. The plan is asked before the user is looked up."""
    asked_for, problems = users.read_query(call.request.query, may_be_none=True)
    body = await call.body(SessionsQuery, lambda sent: (*problems, *problems_of(sent)))
    at_ms, place = paging.read(body.cursor, SessionPlace, call.now_ms)
    mark = None if place is None else _mark(place)
    period = call.period(body.date_range, body.timezone, at_ms)
    user_id = None if asked_for == (None, None) else await users.existing(call, *asked_for)
    conditions = await call.conditions(body.filters, body.filters_operator)
    field, direction = body.order_by[0] if body.order_by else (SessionField.STARTED, Direction.DESC)
    wanted = Wanted(
        user_id,
        SORTS[field],
        direction is Direction.DESC,
        mark,
        0 if body.cursor is not UNSET else body.offset,
    )
    query = Query(call.project.id, period.range, conditions)
    page = await sessions.load_page(call.services.engine, query, wanted, body.limit)
    found = list(map(_session, page.visits))
    next_cursor = None
    if page.next is not None:
        next_cursor = paging.write(at_ms, SessionPlace(page.next.sort, page.next.id, str(page.next.user_id)))
    return SessionsAnswer(
        period.told, paging.told(body.limit, body.offset, len(found), body.cursor, next_cursor), found
    )


def problems_of(sent: dict[str, Any]) -> Iterable[Detail]:
    """What does not go together."""
    yield from periods.problems_of(sent)
    if len(sent.get("orderBy", [])) > 1:
        yield Detail("orderBy", "Order by one thing at a time")


def _mark(place: SessionPlace) -> Mark:
    if int(place.user) >= USER_IDS:
        raise invalid_at(paging.FIELD, paging.UNKNOWN)
    return Mark(place.sort, place.id, int(place.user))


def _session(visit: Visit) -> Session:
    return Session(
        id=visit.id,
        user_id=str(visit.user_id),
        user_identifier=visit.identifier or None,
        user_display_name=visit.display_name or None,
        started_at=instants.in_seconds(visit.started_ms),
        ended_at=instants.in_seconds(visit.ended_ms),
        duration=visit.seconds,
        country=visit.country or None,
        city=visit.city or None,
        browser=visit.browser or None,
        os=visit.os or None,
        device_type=visit.device or None,
        referrer=visit.referrer or None,
        referrer_url=visit.referrer_url or None,
        referrer_type=visit.referrer_type or None,
        utm_campaign=visit.utm["campaign"] or None,
        utm_content=visit.utm["content"] or None,
        utm_medium=visit.utm["medium"] or None,
        utm_source=visit.utm["source"] or None,
        utm_term=visit.utm["term"] or None,
        origin=visit.origin or None,
        path=visit.path or None,
        pageviews=visit.page_views,
        events=visit.events,
    )
