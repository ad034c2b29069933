"""The types that several endpoints of the API share: data that schemas, checks and the document are made of.

What a type cannot say stands in the `extra` of its Meta: `check` and `message` (see checks.py), `union` where msgspec
knows no union of such types, `apart` where a list of words is a union of single words to clients.
"""

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from vemetric.model import calendar
from vemetric.model.filters import FILTERS_MAX, PROPERTIES_MAX, VALUE_CHARACTERS_MAX, VALUES_MAX
from vemetric.web.api import instants

LIMIT_DEFAULT = 100
LIMIT_MAX = 1000
# So many rows at most are paged through by number; what lies beyond is reached with a cursor, or by filters.
OFFSET_MAX = 1_000_000_000
METRICS_MAX = 25
STEP_MAX = 1_000_000
BOUND_CHARACTERS_MAX = 40
CURSOR_CHARACTERS_MAX = 4000
ZONE_CHARACTERS_MAX = 64
EVENT_PROPERTY = r"^event:prop:([^\r\n]+)$"
EVENT_TOKEN_CHARACTERS_MAX = len("event:prop:") + VALUE_CHARACTERS_MAX
SECONDS = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$"


class Preset(StrEnum):
    """A period that ends now."""

    LIVE = "live"
    HOUR = "1hr"
    DAY = "24hrs"
    WEEK = "7days"
    MONTH = "30days"
    QUARTER = "3months"
    HALF = "6months"
    YEAR = "1year"


class Metric(StrEnum):
    """What is counted."""

    USERS = "users"
    PAGE_VIEWS = "pageviews"
    EVENTS = "events"
    BOUNCE_RATE = "bounceRate"
    VISIT_DURATION = "visitDuration"


class FieldToken(StrEnum):
    """What rows can be grouped by, and values asked of."""

    COUNTRY = "country"
    CITY = "city"
    ORIGIN = "page:origin"
    PATH = "page:path"
    BROWSER = "browser"
    DEVICE = "deviceType"
    OS = "os"
    REFERRER = "referrer"
    REFERRER_TYPE = "referrerType"
    CAMPAIGN = "utmCampaign"
    CONTENT = "utmContent"
    MEDIUM = "utmMedium"
    SOURCE = "utmSource"
    TERM = "utmTerm"
    EVENT = "event:name"


class IntervalToken(StrEnum):
    """Rows by time."""

    AUTO = "interval:auto"


class DateToken(StrEnum):
    """The order of rows by time."""

    DATE = "date"


class Direction(StrEnum):
    """Which way an order goes."""

    ASC = "asc"
    DESC = "desc"


class FiltersOperator(StrEnum):
    """How filters go together."""

    AND = "and"
    OR = "or"


class TextOperator(StrEnum):
    """How a text compares. `eq` and `notEq` are exact; the others do not tell upper from lower case."""

    ANY = "any"
    EQUAL = "eq"
    NOT_EQUAL = "notEq"
    CONTAINS = "contains"
    NOT_CONTAINS = "notContains"
    STARTS_WITH = "startsWith"
    ENDS_WITH = "endsWith"


class ListOperator(StrEnum):
    """How a list compares; an empty list is no condition."""

    ANY = "any"
    ONE_OF = "oneOf"
    NONE_OF = "noneOf"


class FunnelOperator(StrEnum):
    """Whether a step was reached."""

    COMPLETED = "completed"
    NOT_COMPLETED = "notCompleted"


def is_uuid(text: str) -> bool:
    """Whether the text is written as UUIDs are."""
    try:
        return len(text) == 36 and str(UUID(text)) == text.lower()
    except ValueError:
        return False


def is_zone(text: str) -> bool:
    """Whether there is a time zone of that name."""
    return text in calendar.zone_names()


Value = Annotated[str, Meta(max_length=VALUE_CHARACTERS_MAX)]
Values = Annotated[list[Value], Meta(max_length=VALUES_MAX)]
Apart = Meta(extra={"apart": True})
Ways = Annotated[ListOperator, Apart]
Joined = Annotated[FiltersOperator, Apart]
Bound = Annotated[
    str,
    Meta(
        max_length=BOUND_CHARACTERS_MAX,
        extra={"check": instants.is_bound, "message": "Use YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ, of 1970 to 2199"},
    ),
]
DateRange = Preset | tuple[Bound, Bound]
Zone = Annotated[
    str,
    Meta(
        max_length=ZONE_CHARACTERS_MAX,
        extra={"check": is_zone, "message": "There is no such time zone"},
        extra_json_schema={"example": "Europe/Vienna"},
        description="The zone whose days, weeks and months count, also those of dateRange. UTC unless it is sent.",
    ),
]
Limit = Annotated[int, Meta(ge=1, le=LIMIT_MAX)]
Offset = Annotated[int, Meta(ge=0, le=OFFSET_MAX)]
# Where a page begins that a cursor of grouped rows or values leads to.
Place = Annotated[int, Meta(ge=0, le=OFFSET_MAX)]
Cursor = Annotated[
    str,
    Meta(
        max_length=CURSOR_CHARACTERS_MAX,
        description="Pages that follow each other without gaps: an empty text asks for the first one, and every answer "
        "has the `nextCursor` of the page after it, null on the last one. `offset` does not count then.",
    ),
]


class Part(msgspec.Struct, frozen=True):
    """A condition on a text."""

    value: Value
    operator: TextOperator


class Choice(msgspec.Struct, frozen=True):
    """A condition on a list."""

    value: Values
    operator: Ways


class Property(msgspec.Struct, frozen=True):
    """A condition on a property of an event."""

    property: Value
    value: Value
    operator: TextOperator


Properties = Annotated[list[Property], Meta(max_length=PROPERTIES_MAX)]


class PageFilter(msgspec.Struct, frozen=True, tag="page"):
    """Page views. The hash may be sent with or without its #."""

    origin: Part | UnsetType = UNSET
    path: Part | UnsetType = UNSET
    hash: Part | UnsetType = UNSET


class EventFilter(msgspec.Struct, frozen=True, tag="event"):
    """Events that are no page views, by name, properties or both."""

    name: Part | UnsetType = UNSET
    properties: Properties | UnsetType = UNSET


class UserFilter(msgspec.Struct, frozen=True, tag="user"):
    """Users that were never identified, or those that were."""

    anonymous: bool


class LocationFilter(msgspec.Struct, frozen=True, tag="location"):
    """Where visits came from."""

    country: Choice | UnsetType = UNSET
    city: Choice | UnsetType = UNSET


class ReferrerFilter(msgspec.Struct, frozen=True, tag="referrer"):
    """The name of the source, '' for none."""

    value: Value
    operator: TextOperator


class ReferrerUrlFilter(msgspec.Struct, frozen=True, tag="referrerUrl"):
    """The address of the source, '' for none."""

    value: Value
    operator: TextOperator


class ReferrerTypeFilter(msgspec.Struct, frozen=True, tag="referrerType"):
    """The kind of the source."""

    value: Values
    operator: Ways


class UtmFilter(msgspec.Struct, frozen=True, tag="utmTags", rename="camel"):
    """Campaign parameters of visits."""

    utm_campaign: Part | UnsetType = UNSET
    utm_content: Part | UnsetType = UNSET
    utm_medium: Part | UnsetType = UNSET
    utm_source: Part | UnsetType = UNSET
    utm_term: Part | UnsetType = UNSET


class BrowserFilter(msgspec.Struct, frozen=True, tag="browser"):
    """Names of browsers."""

    value: Values
    operator: Ways


class DeviceFilter(msgspec.Struct, frozen=True, tag="device"):
    """Kinds of devices."""

    value: Values
    operator: Ways


class OsFilter(msgspec.Struct, frozen=True, tag="os"):
    """Names of operating systems."""

    value: Values
    operator: Ways


class FunnelFilter(msgspec.Struct, frozen=True, tag="funnel"):
    """Users that got through a funnel up to a step, which counts from 0, or did not."""

    id: Annotated[str, Meta(extra={"check": is_uuid, "message": "Invalid uuid"}, extra_json_schema={"format": "uuid"})]
    step: Annotated[int, Meta(ge=0, le=STEP_MAX)]
    operator: FunnelOperator


AnyFilter = (
    PageFilter
    | EventFilter
    | UserFilter
    | LocationFilter
    | ReferrerFilter
    | ReferrerUrlFilter
    | ReferrerTypeFilter
    | UtmFilter
    | BrowserFilter
    | DeviceFilter
    | OsFilter
    | FunnelFilter
)
RowFilter = EventFilter | PageFilter | BrowserFilter | DeviceFilter | OsFilter
FILTER_HINTS: dict[str, Any] = {"x-vemetric-docs": {"collapseByDefault": True}}
Filters = Annotated[list[AnyFilter], Meta(max_length=FILTERS_MAX, extra_json_schema=FILTER_HINTS)]
RowFilters = Annotated[list[RowFilter], Meta(max_length=FILTERS_MAX, extra_json_schema=FILTER_HINTS)]
Count = Annotated[int, Meta(ge=0)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Second = Annotated[str, Meta(pattern=SECONDS)]
Millisecond = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Page = Annotated[int, Meta(ge=1)]
EventToken = Annotated[str, Meta(max_length=EVENT_TOKEN_CHARACTERS_MAX, pattern=EVENT_PROPERTY)]
GroupToken = Annotated[
    str,
    Meta(
        extra={
            "union": (FieldToken, IntervalToken, EventToken),
            "message": "Unknown grouping token",
        }
    ),
]
OrderToken = Annotated[str, Meta(extra={"union": (Metric, FieldToken, DateToken, EventToken)})]


class Period(msgspec.Struct, frozen=True):
    """What was counted; `to` is the end asked for, or now."""

    from_: Second = msgspec.field(name="from")
    to: Second


class Pagination(msgspec.Struct, frozen=True, rename="camel"):
    """Where a page stands. returned: its rows; as many as limit may mean that there are more."""

    limit: Page
    offset: Count
    returned: Count
    next_cursor: (
        Annotated[str | None, Meta(description="Of the page after this one; only where a cursor was sent.")] | UnsetType
    ) = UNSET
