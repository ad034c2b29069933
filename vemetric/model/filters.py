"""What a person filters by: conditions of twelve types, joined by and/or, in groups. Data only.

Written to and read from a URL by filter_text.py, compiled to SQL by stats/filters.py, kept as JSON by the database.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import msgspec

# Bounds of one set of filters; filter_text.py and `from_json` refuse what is larger.
FILTERS_MAX = 30
DEPTH_MAX = 4
VALUES_MAX = 100
PROPERTIES_MAX = 10
VALUE_CHARACTERS_MAX = 1000

Value = Annotated[str, msgspec.Meta(max_length=VALUE_CHARACTERS_MAX)]


class Joined(StrEnum):
    """How the filters of a group go together."""

    AND = "and"
    OR = "or"


class TextOperator(StrEnum):
    """How a text compares. `is` and `isNot` are exact; the others do not tell upper from lower case."""

    ANY = "any"
    IS = "is"
    IS_NOT = "isNot"
    CONTAINS = "contains"
    NOT_CONTAINS = "notContains"
    STARTS_WITH = "startsWith"
    ENDS_WITH = "endsWith"


class PropertyOperator(StrEnum):
    """How the value of a property compares. The last four compare numbers; a text that is a number is one too."""

    ANY = "any"
    IS = "is"
    IS_NOT = "isNot"
    CONTAINS = "contains"
    NOT_CONTAINS = "notContains"
    STARTS_WITH = "startsWith"
    ENDS_WITH = "endsWith"
    GREATER = "gt"
    GREATER_OR_EQUAL = "gte"
    LESS = "lt"
    LESS_OR_EQUAL = "lte"


class ListOperator(StrEnum):
    """How a list compares; an empty list is no condition."""

    ANY = "any"
    ONE_OF = "oneOf"
    NONE_OF = "noneOf"


class FunnelOperator(StrEnum):
    """Whether a step of a funnel was reached."""

    COMPLETED = "completed"
    NOT_COMPLETED = "notCompleted"


NUMBER_OPERATORS = frozenset(
    {
        PropertyOperator.GREATER,
        PropertyOperator.GREATER_OR_EQUAL,
        PropertyOperator.LESS,
        PropertyOperator.LESS_OR_EQUAL,
    }
)


class Text(msgspec.Struct, frozen=True):
    """A condition on a text."""

    operator: TextOperator = TextOperator.IS
    value: Value = ""

    @property
    def is_active(self) -> bool:
        return self.operator is not TextOperator.ANY

    @property
    def is_negative(self) -> bool:
        return self.operator in (TextOperator.IS_NOT, TextOperator.NOT_CONTAINS)


class Choice(msgspec.Struct, frozen=True):
    """A condition on one of a list of values; '' is the value of what is not known."""

    operator: ListOperator = ListOperator.ONE_OF
    values: Annotated[tuple[Value, ...], msgspec.Meta(max_length=VALUES_MAX)] = ()

    @property
    def is_active(self) -> bool:
        return self.operator is not ListOperator.ANY and bool(self.values)

    @property
    def is_negative(self) -> bool:
        return self.operator is ListOperator.NONE_OF


class Property(msgspec.Struct, frozen=True):
    """A condition on one property of an event. An event without the property, or with null, has no value of it."""

    key: Value = msgspec.field(name="property")
    operator: PropertyOperator = PropertyOperator.IS
    value: Value = ""

    @property
    def is_active(self) -> bool:
        if self.operator in NUMBER_OPERATORS and number_of(self.value) is None:
            return False
        return bool(self.key) and self.operator is not PropertyOperator.ANY

    @property
    def is_negative(self) -> bool:
        return self.operator in (PropertyOperator.IS_NOT, PropertyOperator.NOT_CONTAINS)


class PageFilter(msgspec.Struct, frozen=True, tag="page"):
    """Page views. hash: the fragment, with or without its `#`."""

    path: Text | None = None
    origin: Text | None = None
    hash: Text | None = None


class EventFilter(msgspec.Struct, frozen=True, tag="event"):
    """Events that are no page views; name, properties or both."""

    name: Text | None = None
    properties: Annotated[tuple[Property, ...], msgspec.Meta(max_length=PROPERTIES_MAX)] = ()


class UserFilter(msgspec.Struct, frozen=True, tag="user"):
    """Users that were never identified, or those that were."""

    anonymous: bool = True


class LocationFilter(msgspec.Struct, frozen=True, tag="location"):
    """Where visits came from: codes of countries, names of cities."""

    country: Choice | None = None
    city: Choice | None = None


class ReferrerFilter(msgspec.Struct, frozen=True, tag="referrer"):
    """The name of the source; '' for none."""

    referrer: Text = Text()


class ReferrerUrlFilter(msgspec.Struct, frozen=True, tag="referrerUrl"):
    """The address of the source; '' for none."""

    url: Text = Text()


class ReferrerTypeFilter(msgspec.Struct, frozen=True, tag="referrerType"):
    """The kind of the source."""

    kind: Choice = Choice()


class UtmFilter(msgspec.Struct, frozen=True, tag="utmTags"):
    """Campaign parameters of visits."""

    campaign: Text | None = None
    content: Text | None = None
    medium: Text | None = None
    source: Text | None = None
    term: Text | None = None


class BrowserFilter(msgspec.Struct, frozen=True, tag="browser"):
    """Names of browsers."""

    browser: Choice = Choice()


class DeviceFilter(msgspec.Struct, frozen=True, tag="device"):
    """Kinds of devices: desktop, mobile, tablet and so on."""

    device: Choice = Choice()


class OsFilter(msgspec.Struct, frozen=True, tag="os"):
    """Names of operating systems."""

    os: Choice = Choice()


class FunnelFilter(msgspec.Struct, frozen=True, tag="funnel"):
    """Users that did, or did not, get through a funnel up to a step, which counts from 0."""

    id: Annotated[str, msgspec.Meta(max_length=36)]
    step: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    operator: FunnelOperator = FunnelOperator.COMPLETED


class Group(msgspec.Struct, frozen=True, tag="group"):
    """Filters that go together. The whole set is one too; one without filters is no restriction."""

    operator: Joined = Joined.AND
    filters: tuple["Filter", ...] = ()


Leaf = (
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
Filter = Leaf | Group

NOTHING = Group()


def type_of(one: Filter) -> str:
    """The name of a filter's type, as in URLs and JSON."""
    return str(one.__struct_config__.tag)


def leaves(group: Group) -> Iterator[Leaf]:
    """Every filter of a set, also those within groups."""
    for one in group.filters:
        if isinstance(one, Group):
            yield from leaves(one)
        else:
            yield one


def depth(group: Group) -> int:
    """How deep groups stand in one another; 1 for a set without groups."""
    return 1 + max((depth(one) for one in group.filters if isinstance(one, Group)), default=0)


def is_bounded(group: Group) -> bool:
    """Whether a set is within the bounds."""
    return depth(group) <= DEPTH_MAX and sum(1 for _ in leaves(group)) <= FILTERS_MAX


def from_json(value: Any) -> Group | None:
    """A set from what `to_json` made; None for anything else, or for one that is out of bounds."""
    try:
        group = msgspec.convert(value, Group, strict=True)
    except (msgspec.ValidationError, RecursionError):
        return None
    return group if is_bounded(group) else None


def to_json(group: Group) -> Any:
    """A set as plain lists and dicts."""
    return msgspec.to_builtins(group)


def number_of(text: str) -> float | None:
    """The number that a text is; None when it is none, or not a finite one."""
    try:
        number = float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return None
    return number if number is not None and abs(number) != float("inf") and number == number else None  # noqa: PLR0124
