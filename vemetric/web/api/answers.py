"""What the API answers: the bodies of successes, of which the document is made too."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from vemetric.web.api.requests import Comparison
from vemetric.web.api.types import (
    Bound,
    Count,
    Direction,
    EventFilter,
    FieldToken,
    Filters,
    GroupToken,
    Joined,
    Metric,
    Millisecond,
    OrderToken,
    Page,
    PageFilter,
    Pagination,
    Percent,
    Period,
    Preset,
    Second,
)

# A period as it was asked for.
Range = Preset | tuple[Bound, Bound]


class Project(msgspec.Struct, frozen=True, rename="camel"):
    """The project that the key opens."""

    id: str
    name: str
    domain: str
    token: str
    created_at: Millisecond
    first_event_at: Millisecond | None
    has_public_dashboard: bool
    excluded_ips: Sequence[str]
    excluded_countries: Sequence[str]


class ProjectAnswer(msgspec.Struct, frozen=True):
    """GET /v1/project."""

    project: Project


class WholeGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The only row, without grouping."""


class DateGroup(msgspec.Struct, frozen=True):
    """The beginning of a bucket."""

    date: Second


class FieldGroup(msgspec.Struct, frozen=True):
    """A value of a field."""

    country: str | UnsetType = UNSET
    city: str | UnsetType = UNSET
    page_origin: str | UnsetType = msgspec.field(name="page:origin", default=UNSET)
    page_path: str | UnsetType = msgspec.field(name="page:path", default=UNSET)
    browser: str | UnsetType = UNSET
    device: str | UnsetType = msgspec.field(name="deviceType", default=UNSET)
    os: str | UnsetType = UNSET
    referrer: str | UnsetType = UNSET
    referrer_type: str | UnsetType = msgspec.field(name="referrerType", default=UNSET)
    utm_campaign: str | UnsetType = msgspec.field(name="utmCampaign", default=UNSET)
    utm_content: str | UnsetType = msgspec.field(name="utmContent", default=UNSET)
    utm_medium: str | UnsetType = msgspec.field(name="utmMedium", default=UNSET)
    utm_source: str | UnsetType = msgspec.field(name="utmSource", default=UNSET)
    utm_term: str | UnsetType = msgspec.field(name="utmTerm", default=UNSET)
    event: str | UnsetType = msgspec.field(name="event:name", default=UNSET)


Group = Annotated[Mapping[str, str], Meta(extra={"union": (WholeGroup, DateGroup, FieldGroup, dict[str, str])})]


class Figures(msgspec.Struct, frozen=True, rename="camel"):
    """Figures that were asked for; null where one says nothing of such rows."""

    users: float | UnsetType = UNSET
    pageviews: float | UnsetType = UNSET
    events: float | UnsetType = UNSET
    bounce_rate: float | UnsetType | None = UNSET
    visit_duration: float | UnsetType | None = UNSET


class Row(msgspec.Struct, frozen=True):
    """A row of figures."""

    group: Group
    metrics: Figures
    previous: Figures | UnsetType = UNSET


class AnalyticsEcho(msgspec.Struct, frozen=True, rename="camel"):
    """What was asked."""

    date_range: Range
    group_by: Annotated[Sequence[GroupToken], Meta(extra_json_schema={"maxItems": 1})]
    metrics: Annotated[Sequence[Metric], Meta(min_length=1)]
    order_by: Annotated[Sequence[tuple[OrderToken, Direction]], Meta(extra_json_schema={"maxItems": 1})]
    limit: Page
    offset: Count
    filters: Filters | UnsetType = UNSET
    filters_operator: Joined | UnsetType = UNSET


class Compared(msgspec.Struct, frozen=True):
    """What the figures are compared with."""

    type: Comparison
    period: Period


class AnalyticsAnswer(msgspec.Struct, frozen=True):
    """POST /v1/analytics/query."""

    period: Period
    query: AnalyticsEcho
    pagination: Pagination
    data: Sequence[Row]
    comparison: Compared | UnsetType = UNSET


class FieldValues(msgspec.Struct, frozen=True):
    """The values of one field."""

    field: FieldToken
    pagination: Pagination
    values: Sequence[str]


class ValuesEcho(msgspec.Struct, frozen=True, rename="camel"):
    """What was asked."""

    date_range: Range
    fields: Annotated[Sequence[FieldToken], Meta(min_length=1)]
    limit: Page
    offset: Count


class ValuesAnswer(msgspec.Struct, frozen=True):
    """POST /v1/filters/values."""

    period: Period
    query: ValuesEcho
    data: Sequence[FieldValues]


class User(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A user."""

    id: str
    identifier: str | None
    display_name: str | None
    country: str | None
    city: str | None
    last_seen_at: Second | None
    avatar_url: str | None
    data: Mapping[str, Any]
    anonymous: bool


class ListedUser(User, frozen=True, rename="camel", kw_only=True):
    """A user in a list; lastEventFiredAt only where that is the order."""

    last_event_fired_at: Second | None


class UsersAnswer(msgspec.Struct, frozen=True):
    """POST /v1/users."""

    period: Period
    pagination: Pagination
    users: Sequence[ListedUser]


class UserAnswer(msgspec.Struct, frozen=True):
    """GET /v1/users/single."""

    user: User


class UserEvent(msgspec.Struct, frozen=True, rename="camel"):
    """One thing a user did."""

    session_id: str
    name: str
    is_page_view: bool
    created_at: Second
    origin: str | None
    path: str | None
    hash: str | None
    data: Mapping[str, Any]


class UserEventsAnswer(msgspec.Struct, frozen=True):
    """POST /v1/users/events."""

    period: Period
    pagination: Pagination
    events: Sequence[UserEvent]


class Session(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A visit: whose it is, when it was, where it came from and began, and how much happened in it."""

    id: str
    user_id: str
    user_identifier: str | None
    user_display_name: str | None
    started_at: Second
    ended_at: Second
    duration: Annotated[int, Meta(ge=0, description="Seconds.")]
    country: str | None
    city: str | None
    browser: str | None
    os: str | None
    device_type: str | None
    referrer: str | None
    referrer_url: str | None
    referrer_type: str | None
    utm_campaign: str | None
    utm_content: str | None
    utm_medium: str | None
    utm_source: str | None
    utm_term: str | None
    origin: str | None
    path: str | None
    pageviews: Count
    events: Count


class SessionsAnswer(msgspec.Struct, frozen=True):
    """POST /v1/sessions."""

    period: Period
    pagination: Pagination
    sessions: Sequence[Session]


StepId = Annotated[str, Meta(extra_json_schema={"minLength": 3})]


class FunnelStep(msgspec.Struct, frozen=True):
    """A step of a funnel."""

    id: StepId
    name: str
    filter: Annotated[PageFilter | EventFilter, Meta(extra={"any_of": True})]


class Funnel(msgspec.Struct, frozen=True, rename="camel"):
    """A funnel."""

    id: str
    name: str
    icon: str | None
    steps: Sequence[FunnelStep]
    created_at: Millisecond
    updated_at: Millisecond


class FunnelsAnswer(msgspec.Struct, frozen=True):
    """GET /v1/funnels."""

    funnels: Sequence[Funnel]


class StepResult(msgspec.Struct, frozen=True, rename="camel"):
    """How many users reached a step, and which part of those who had reached the one before."""

    id: StepId
    name: str
    users: Count
    conversion_rate: Percent


class FunnelResults(msgspec.Struct, frozen=True, rename="camel"):
    """How far users got."""

    active_users: Count
    steps: Sequence[StepResult]
    conversion_rate: Percent
    active_user_conversion_rate: Percent


class FunnelEcho(msgspec.Struct, frozen=True, rename="camel"):
    """What was asked."""

    date_range: Range
    filters: Filters | UnsetType = UNSET
    filters_operator: Joined | UnsetType = UNSET


class FunnelAnswer(msgspec.Struct, frozen=True):
    """POST /v1/funnels/{id}."""

    period: Period
    query: FunnelEcho
    funnel: Funnel
    results: FunnelResults


class ExportedEvent(msgspec.Struct, frozen=True, rename="camel"):
    """A line of an export."""

    id: str
    user_id: str
    user_identifier: str | None
    session_id: str
    name: str
    is_page_view: bool
    created_at: Millisecond
    origin: str | None
    path: str | None
    hash: str | None
    country: str | None
    city: str | None
    browser: str | None
    os: str | None
    device_type: str | None
    data: Mapping[str, Any]


class RefusedEvent(msgspec.Struct, frozen=True):
    """Which event was not taken, and why."""

    index: Count
    reason: str
    message: str


class SentAnswer(msgspec.Struct, frozen=True):
    """POST /v1/events. repeated: events whose id was taken before; they are not taken again."""

    accepted: Count
    repeated: Count
    refused: Sequence[RefusedEvent]
