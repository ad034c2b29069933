"""POST /v1/users, GET /v1/users/single and POST /v1/users/events: the users of a project, one of them, what one did."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from vemetric.database import identities
from vemetric.model.filters import TextOperator
from vemetric.stats import journey, person, users
from vemetric.stats.journey import LATEST, Step
from vemetric.stats.person import Facts
from vemetric.stats.users import Listed, Mark, Sort, Wanted
from vemetric.web.api import filters, instants, paging, periods
from vemetric.web.api.answers import ListedUser, User, UserAnswer, UserEvent, UserEventsAnswer, UsersAnswer
from vemetric.web.api.call import Call
from vemetric.web.api.failures import Code, Detail, Refused, invalid, invalid_at
from vemetric.web.api.requests import Fired, UserEventsQuery, UserField, UsersQuery
from vemetric.web.api.types import Direction

DIGITS_MAX = 20
EVENT_ID_CHARACTERS_MAX = 200
IDENTIFIER_LENGTH_MAX = 1000
SORTS = {
    UserField.LAST_SEEN: Sort.SEEN,
    UserField.NAME: Sort.NAME,
    UserField.IDENTIFIER: Sort.IDENTIFIER,
    UserField.COUNTRY: Sort.COUNTRY,
}
NUMERIC = (Sort.SEEN, Sort.EVENT)
INT64_MAX = (1 << 63) - 1
UserId = Annotated[str, Meta(pattern=r"^\d{1,20}$")]


class UserPlace(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of users ends. A number of 64 bits is a text: JSON's are not that long everywhere."""

    is_last: Annotated[int, Meta(ge=0, le=1)]
    sort: str
    id: UserId


EventPlace = tuple[Annotated[int, Meta(ge=0, le=INT64_MAX)], Annotated[str, Meta(max_length=EVENT_ID_CHARACTERS_MAX)]]


async def list_(call: Call) -> UsersAnswer:
    """POST /v1/users."""
    body = await call.body(UsersQuery, problems_of)
    at_ms, place = paging.read(body.cursor, UserPlace, call.now_ms)
    period = call.period(body.date_range, body.timezone, at_ms)
    conditions = await call.conditions(body.filters, body.filters_operator)
    wanted = _wanted(body, place)
    engine = call.services.engine
    page = await users.load_page(engine, call.project, period.range, wanted, conditions, body.limit)
    told = await users.load_told(engine, call.project, [user.id for user in page.users])
    found = [_listed(user, *told.get(user.id, ({}, ""))) for user in page.users]
    next_cursor = None
    if page.next is not None and body.cursor is not UNSET:
        next_cursor = paging.write(at_ms, UserPlace(page.next.is_last, page.next.sort, str(page.next.id)))
    return UsersAnswer(period.told, paging.told(body.limit, body.offset, len(found), body.cursor, next_cursor), found)


def problems_of(sent: dict[str, Any]) -> Iterable[Detail]:
    """What does not go together."""
    yield from periods.problems_of(sent)
    if len(sent.get("orderBy", [])) > 1:
        yield Detail("orderBy", "Order by one thing at a time")


async def single(call: Call) -> UserAnswer:
    """GET /v1/users/single."""
    asked_for, problems = read_query(call.request.query)
    if problems:
        raise invalid(problems)
    user_id = await find(call, *asked_for)
    facts = None
    if user_id is not None:
        facts = await person.load_facts(call.services.engine, call.project, user_id, call.now_ms)
    if facts is None:
        raise _no_user()
    return UserAnswer(_user(facts))


async def events(call: Call) -> UserEventsAnswer:
    """POST /v1/users/events."""
    asked_for, problems = read_query(call.request.query)
    body = await call.body(UserEventsQuery, lambda sent: (*problems, *periods.problems_of(sent)))
    at_ms, place = paging.read(body.cursor, EventPlace, call.now_ms)  # type: ignore[arg-type]
    period = call.period(body.date_range, body.timezone, at_ms)
    user_id = await existing(call, *asked_for)
    done = await journey.load_journey(
        call.services.engine,
        call.project,
        user_id,
        window_ms=(period.range.start_ms, period.range.end_ms),
        before=place or LATEST,
        group=filters.group_of(body.filters, body.filters_operator),
        limit=body.limit,
        offset=0 if body.cursor is not UNSET else body.offset,
    )
    next_cursor = None if done.next is None else paging.write(at_ms, done.next)
    pagination = paging.told(body.limit, body.offset, len(done.steps), body.cursor, next_cursor)
    return UserEventsAnswer(period.told, pagination, list(map(_event, done.steps)))


def _wanted(body: UsersQuery, place: UserPlace | None) -> Wanted:
    field, direction, *rest = body.order_by[0] if body.order_by else (UserField.LAST_SEEN, Direction.DESC)
    is_descending = direction == Direction.DESC
    offset = 0 if body.cursor is not UNSET else body.offset
    sort, fires = Sort.SEEN, None
    if not rest:
        sort = SORTS[UserField(field)]
    else:
        event = filters.event_of(msgspec.convert(rest[0], Fired))
        # Without a name there is no event to go by.
        if event.name is not None and event.name.operator is not TextOperator.ANY:
            sort, fires = Sort.EVENT, event
    return Wanted(sort=sort, is_descending=is_descending, fires=fires, offset=offset, after=_mark(place, sort))


def _mark(place: UserPlace | None, sort: Sort) -> Mark | None:
    if place is None:
        return None
    is_number = place.sort.isascii() and place.sort.isdigit() and len(place.sort) <= DIGITS_MAX
    if int(place.id) >= users.USER_IDS or (sort in NUMERIC and not (is_number and int(place.sort) <= INT64_MAX)):
        raise invalid_at(paging.FIELD, paging.UNKNOWN)
    return Mark(place.is_last, place.sort, int(place.id))


def read_query(
    query: Mapping[str, str], *, may_be_none: bool = False
) -> tuple[tuple[str | None, str | None], list[Detail]]:
    """The id or the identifier that a query names, one of the two, or none where that may be; and what is wrong."""
    id_, identifier = query.get("id"), query.get("identifier")
    problems = []
    if id_ is not None and not (id_.isascii() and id_.isdigit()):
        problems.append(Detail("id", "Use the digits of a user's id"))
    if identifier == "":
        problems.append(Detail("identifier", "String must contain at least 1 character(s)"))
    names_one = (id_ is None) != (identifier is None)
    if not problems and not names_one and not (may_be_none and id_ is None):
        problems = [Detail(field, "Send either id or identifier") for field in ("id", "identifier")]
    return (id_, identifier), problems


async def existing(call: Call, id_: str | None, identifier: str | None) -> int:
    """The id of a user that the project has. Raises Refused."""
    user_id = await find(call, id_, identifier)
    if user_id is None or await person.load_facts(call.services.engine, call.project, user_id, call.now_ms) is None:
        raise _no_user()
    return user_id


async def find(call: Call, id_: str | None, identifier: str | None) -> int | None:
    """The user's id; None where nobody can be called so."""
    if id_ is not None:
        digits = id_.lstrip("0") or "0"
        return int(digits) if len(digits) <= DIGITS_MAX and int(digits) < users.USER_IDS else None
    if identifier is None or len(identifier) > IDENTIFIER_LENGTH_MAX or "\0" in identifier:
        return None
    async with call.services.database.connect() as connection:
        return await identities.by_identifier(connection, call.project.id, identifier)


def _no_user() -> Refused:
    return Refused(404, Code.USER_NOT_FOUND, "The project has no such user.")


def _listed(user: Listed, data: Mapping[str, Any], avatar_url: str) -> ListedUser:
    return ListedUser(
        id=str(user.id),
        identifier=user.identifier or None,
        display_name=user.display_name or None,
        country=user.country or None,
        city=user.city or None,
        last_seen_at=instants.in_seconds(user.last_seen_ms),
        last_event_fired_at=None if user.fired_ms is None else instants.in_seconds(user.fired_ms),
        avatar_url=avatar_url or None,
        data=data,
        anonymous=not user.identifier,
    )


def _user(facts: Facts) -> User:
    return User(
        id=str(facts.id),
        identifier=facts.identifier or None,
        display_name=facts.display_name or None,
        country=facts.country or None,
        city=facts.city or None,
        last_seen_at=instants.in_seconds(facts.last_ms) if facts.events else None,
        avatar_url=(facts.known.avatar_url if facts.known else "") or None,
        data=facts.known.attributes if facts.known else {},
        anonymous=not facts.identifier,
    )


def _event(step: Step) -> UserEvent:
    return UserEvent(
        session_id=step.session,
        name=step.name,
        is_page_view=step.is_page_view,
        created_at=instants.in_seconds(step.at_ms),
        origin=step.origin or None,
        path=step.path or None,
        hash=step.hash or None,
        data=step.data,
    )
