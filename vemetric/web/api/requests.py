"""What the API is asked: the bodies of requests, from which checks and the document are made."""

from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from vemetric.web.api import instants
from vemetric.web.api.types import (
    LIMIT_DEFAULT,
    METRICS_MAX,
    Cursor,
    DateRange,
    Direction,
    FieldToken,
    Filters,
    FiltersOperator,
    GroupToken,
    Joined,
    Limit,
    Metric,
    Offset,
    OrderToken,
    Part,
    Properties,
    RowFilters,
    Zone,
)

FIELDS_MAX = 25
EVENTS_MAX = 500
FLAT_TUPLES: dict[str, Any] = {"x-vemetric-docs": {"hideTupleVariantChildren": True}}
DEFAULT_METRICS = [Metric.USERS, Metric.PAGE_VIEWS, Metric.EVENTS]

GroupBy = Annotated[list[GroupToken], Meta(extra_json_schema={"maxItems": 1})]
OrderBy = Annotated[list[tuple[OrderToken, Direction]], Meta(extra_json_schema={"maxItems": 1} | FLAT_TUPLES)]


class Comparison(StrEnum):
    """What figures are compared with."""

    PREVIOUS = "previousPeriod"


class Format(StrEnum):
    """How lines are written."""

    LINES = "ndjson"
    TABLE = "csv"


class AnalyticsQuery(msgspec.Struct, frozen=True, rename="camel"):
    """Figures of a period, whole or in rows."""

    date_range: DateRange
    metrics: Annotated[list[Metric], Meta(max_length=METRICS_MAX)] = msgspec.field(default_factory=DEFAULT_METRICS.copy)
    group_by: GroupBy = []
    order_by: OrderBy = []
    limit: Limit = LIMIT_DEFAULT
    offset: Offset = 0
    filters: Filters | UnsetType = UNSET
    filters_operator: Joined = FiltersOperator.AND
    timezone: Zone = "UTC"
    fill_gaps: Annotated[
        bool, Meta(description="With interval:auto, rows also for buckets in which nothing happened.")
    ] = False
    compare: (
        Annotated[
            Comparison,
            Meta(description="Adds the figures of the period before as `previous` to every row, and `comparison`."),
        ]
        | UnsetType
    ) = UNSET
    cursor: Cursor | UnsetType = UNSET


class ValuesQuery(msgspec.Struct, frozen=True, rename="camel"):
    """The values that some fields have in a period."""

    date_range: DateRange
    fields: Annotated[list[FieldToken], Meta(extra_json_schema={"minItems": 1, "maxItems": FIELDS_MAX})]
    limit: Limit = LIMIT_DEFAULT
    offset: Offset = 0
    timezone: Zone = "UTC"
    cursor: Cursor | UnsetType = UNSET


class UserField(StrEnum):
    """What users can be ordered by."""

    LAST_SEEN = "lastSeenAt"
    NAME = "displayName"
    IDENTIFIER = "identifier"
    COUNTRY = "country"


class FiredField(StrEnum):
    """The order by when users last sent an event."""

    FIRED = "lastEventFired"


class Fired(msgspec.Struct, frozen=True):
    """Which event; without a name the order is by lastSeenAt."""

    name: Part | UnsetType = UNSET
    properties: Properties | UnsetType = UNSET


UserOrder = Annotated[
    list[Any], Meta(extra={"union": (tuple[UserField, Direction], tuple[FiredField, Direction, Fired])})
]


class UsersQuery(msgspec.Struct, frozen=True, rename="camel"):
    """The users of a period."""

    date_range: DateRange
    filters: Filters | UnsetType = UNSET
    filters_operator: Joined = FiltersOperator.AND
    order_by: Annotated[list[UserOrder], Meta(extra_json_schema={"maxItems": 1} | FLAT_TUPLES)] = msgspec.field(
        default_factory=lambda: [["lastSeenAt", "desc"]]
    )
    limit: Limit = LIMIT_DEFAULT
    offset: Offset = 0
    timezone: Zone = "UTC"
    cursor: Cursor | UnsetType = UNSET


class SessionField(StrEnum):
    """What visits can be ordered by."""

    STARTED = "startedAt"
    DURATION = "duration"


class SessionsQuery(msgspec.Struct, frozen=True, rename="camel"):
    """The visits that began in a period."""

    date_range: DateRange
    filters: Filters | UnsetType = UNSET
    filters_operator: Joined = FiltersOperator.AND
    order_by: Annotated[list[tuple[SessionField, Direction]], Meta(extra_json_schema={"maxItems": 1} | FLAT_TUPLES)] = (
        msgspec.field(default_factory=lambda: [(SessionField.STARTED, Direction.DESC)])
    )
    limit: Limit = LIMIT_DEFAULT
    offset: Offset = 0
    timezone: Zone = "UTC"
    cursor: Cursor | UnsetType = UNSET


class UserEventsQuery(msgspec.Struct, frozen=True, rename="camel"):
    """What one user did in a period."""

    date_range: DateRange
    filters: RowFilters | UnsetType = UNSET
    filters_operator: Joined = FiltersOperator.AND
    limit: Limit = LIMIT_DEFAULT
    offset: Offset = 0
    timezone: Zone = "UTC"
    cursor: Cursor | UnsetType = UNSET


class FunnelQuery(msgspec.Struct, frozen=True, rename="camel"):
    """How far users of a period got in a funnel."""

    date_range: DateRange
    filters: Filters | UnsetType = UNSET
    filters_operator: Joined = FiltersOperator.AND
    timezone: Zone = "UTC"


class ExportQuery(msgspec.Struct, frozen=True, rename="camel"):
    """All events of a period, in the order in which they happened."""

    date_range: DateRange
    filters: RowFilters | UnsetType = UNSET
    filters_operator: Joined = FiltersOperator.AND
    timezone: Zone = "UTC"
    format: Format = Format.LINES


class SentEvent(msgspec.Struct, frozen=True, rename="camel"):
    """An event that a server tells of."""

    name: Annotated[
        str,
        Meta(min_length=1, max_length=1000, extra_json_schema={"example": "signup"}, description="$$pageView is one."),
    ]
    user_identifier: Annotated[str, Meta(min_length=1, max_length=1000, description="The user, as the site calls it.")]
    id: (
        Annotated[
            str, Meta(max_length=200, description="Your own. An event of the same id is taken once within 73 hours.")
        ]
        | UnsetType
    ) = UNSET
    timestamp: (
        Annotated[
            str,
            Meta(
                max_length=40,
                description="When it happened, within the last 72 hours, as ISO 8601 with an offset. Now by default.",
                extra={"check": instants.has_offset, "message": "Use ISO 8601 with an offset"},
                extra_json_schema={"format": "date-time"},
            ),
        ]
        | UnsetType
    ) = UNSET
    url: Annotated[str, Meta(max_length=8000, description="Where it happened; page views need it.")] | UnsetType = UNSET
    display_name: Annotated[str, Meta(max_length=1000)] | UnsetType = UNSET
    custom_data: Annotated[dict[str, Any], Meta(description="Properties of the event.")] | UnsetType = UNSET


class SentEvents(msgspec.Struct, frozen=True):
    """Events that a server tells of, each judged by itself."""

    events: Annotated[list[SentEvent], Meta(min_length=1, max_length=EVENTS_MAX)]
