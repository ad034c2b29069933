"""The forms of filters: which fields each type has, and what a person chose as a filter. Used by pages/filters.py."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from multidict import MultiMapping

from vemetric import errors
from vemetric.model import filters
from vemetric.model.filters import Choice, Filter, ListOperator, Property, PropertyOperator, Text, TextOperator
from vemetric.model.funnel import Funnel

# Rows of the form for conditions on properties; a filter that has more shows as many as it has, and one more.
PROPERTY_ROWS = 3
OPERATORS = {
    "any": "is anything",
    "is": "is",
    "isNot": "is not",
    "contains": "contains",
    "notContains": "does not contain",
    "startsWith": "starts with",
    "endsWith": "ends with",
    "oneOf": "is one of",
    "noneOf": "is none of",
    "gt": "is more than",
    "gte": "is at least",
    "lt": "is less than",
    "lte": "is at most",
}


class Field(NamedTuple):
    """A line of a form. name: of the filter's field; suggested: a name of stats/suggestions.py, '' for none."""

    name: str
    label: str
    suggested: str
    is_list: bool = False


class Type(NamedTuple):
    """A type of filter with its form. means: what it does, in plain words."""

    kind: str
    label: str
    icon: str
    means: str
    fields: tuple[Field, ...] = ()


TYPES: dict[str, Type] = {
    one.kind: one
    for one in (
        Type(
            "page",
            "Page",
            "link",
            "Users who viewed such a page.",
            (
                Field("path", "Path", "path"),
                Field("origin", "Site", "origin"),
                Field("hash", "Fragment (#)", "hash"),
            ),
        ),
        Type("event", "Event", "bolt", "Users who sent such an event.", (Field("name", "Name", "event"),)),
        Type("funnel", "Funnel", "funnel", "Users who came, or did not come, to a step of a funnel."),
        Type("user", "User", "devices", "Users that were never identified in this timespan, or those that were."),
        Type(
            "location",
            "Location",
            "globe",
            "Users with a visit from such a place.",
            (Field("country", "Country", "country", True), Field("city", "City", "city", True)),
        ),
        Type(
            "referrer",
            "Referrer",
            "share",
            "Users with a visit from such a source; an empty name is no source at all.",
            (Field("referrer", "Referrer", "referrer"),),
        ),
        Type(
            "referrerUrl",
            "Referrer URL",
            "external",
            "Users with a visit from such an address.",
            (Field("url", "Address", "referrerUrl"),),
        ),
        Type(
            "referrerType",
            "Referrer type",
            "search",
            "Users with a visit from such a kind of source.",
            (Field("kind", "Type", "referrerType", True),),
        ),
        Type(
            "utmTags",
            "UTM",
            "tag",
            "Users with a visit of such a campaign.",
            tuple(
                Field(name, name.title(), f"utm{name.title()}")
                for name in ("campaign", "content", "medium", "source", "term")
            ),
        ),
        Type(
            "browser", "Browser", "globe", "Users of such a browser.", (Field("browser", "Browser", "browser", True),)
        ),
        Type("device", "Device", "phone", "Users of such a device.", (Field("device", "Device", "device", True),)),
        Type("os", "Operating system", "desktop", "Users of such a system.", (Field("os", "System", "os", True),)),
    )
}


def blank(kind: str, funnels: Iterable[Funnel]) -> Filter:
    """What a new form shows: the first field compares, the others take anything."""
    if kind == "funnel":
        return filters.FunnelFilter(next((funnel.id for funnel in funnels), ""))
    if kind == "user":
        return filters.UserFilter()
    values: dict[str, Text | Choice] = {}
    for number, field in enumerate(TYPES[kind].fields):
        if field.is_list:
            values[field.name] = Choice(ListOperator.ONE_OF if number == 0 else ListOperator.ANY)
        else:
            values[field.name] = Text(TextOperator.IS if number == 0 else TextOperator.ANY)
    return _made(kind, values)


def read(kind: str, typed: MultiMapping[str]) -> Filter:
    """The filter that a form says. Raises Invalid by field."""
    if kind == "funnel":
        funnel, _, step = typed.get("step", "").rpartition(".")
        return _made(
            kind, {"id": funnel, "step": int(step) if step.isdigit() else 0, "operator": typed.get("done", "")}
        )
    if kind == "user":
        return filters.UserFilter(typed.get("anonymous", "yes") == "yes")
    values: dict[str, object] = {}
    for field in TYPES[kind].fields:
        operator = typed.get(f"{field.name}.op", "any")
        if field.is_list:
            chosen = [*typed.getall(field.name, []), *_listed(typed.get(f"{field.name}.more", ""))]
            values[field.name] = {"operator": operator, "values": list(dict.fromkeys(chosen))}
        else:
            values[field.name] = {"operator": operator, "value": typed.get(field.name, "")}
    if kind == "event":
        values["properties"] = _properties(typed)
    made = _made(kind, values)
    if not has_condition(made):
        first = "name" if kind == "event" else TYPES[kind].fields[0].name
        raise errors.Invalid(None, {first: "Please choose something to filter by."})
    return made


def has_condition(one: Filter) -> bool:
    """Whether a filter restricts anything."""
    conditions = [getattr(one, field.name) for field in TYPES[filters.type_of(one)].fields]
    conditions += list(getattr(one, "properties", ()))
    active = (condition is not None and condition.is_active for condition in conditions)
    return any(active) or isinstance(one, filters.UserFilter | filters.FunnelFilter)


def property_rows(one: Filter) -> list[Property]:
    """The lines of properties that a form shows."""
    given = list(getattr(one, "properties", ()))
    empty = max(PROPERTY_ROWS - len(given), 1 if len(given) < filters.PROPERTIES_MAX else 0)
    return given + [Property("")] * empty


def _properties(typed: MultiMapping[str]) -> list[dict[str, str]]:
    found = []
    for number in range(filters.PROPERTIES_MAX):
        key, value = typed.get(f"property.{number}", ""), typed.get(f"value.{number}", "")
        operator = typed.get(f"property.{number}.op", "is")
        if not key:
            continue
        if operator in tuple(filters.NUMBER_OPERATORS) and filters.number_of(value) is None:
            raise errors.Invalid(None, {f"property.{number}": f"“{value}” is not a number."})
        found.append({"property": key, "operator": operator, "value": value})
    return found


def _listed(text: str) -> list[str]:
    return [one for part in text.split(",") if (one := part.strip())]


def _made(kind: str, values: Mapping[str, object]) -> Filter:
    plain = {name: msgspec.to_builtins(value) for name, value in values.items()}
    try:
        made: Filter = msgspec.convert({"type": kind, **plain}, Filter)
    except msgspec.ValidationError as error:
        raise errors.Invalid(None, {"filter": "This cannot be used as a filter; it may be too long."}) from error
    return made


TEXT_OPERATORS = tuple((str(one), OPERATORS[one]) for one in TextOperator)
LIST_OPERATORS = tuple((str(one), OPERATORS[one]) for one in ListOperator)
PROPERTY_OPERATORS = tuple((str(one), OPERATORS[one]) for one in PropertyOperator if one is not PropertyOperator.ANY)
# On public dashboards nobody can ask by what those keep to themselves: fragments may be secrets, funnels are not shown.
PUBLIC_TYPES = {
    kind: type_._replace(fields=tuple(field for field in type_.fields if field.name != "hash"))
    for kind, type_ in TYPES.items()
    if kind != "funnel"
}
