"""One filter as conditions on the columns of a row, with its values bound. Called by filters.py."""

import math
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import msgspec

from vemetric.model import filters as model
from vemetric.model.filters import Choice, Leaf, ListOperator, Property, PropertyOperator, Text, TextOperator

COUNTRY = "toStringCutToZero(countryCode)"
# Cities whose name says nothing are no city.
CITY = "if(lower(trimBoth(city)) IN ('', 'unknown'), '', city)"
# The names of an event's properties; what is null is not there.
PROPERTIES = "arrayMap(one -> one.1, arrayFilter(one -> one.2 != 'null', JSONExtractKeysAndValuesRaw(customData)))"
# Fragments are compared without their #.
HASH = "if(startsWith(urlHash, '#'), substring(urlHash, 2), urlHash)"
NUMBERS = r"'^-?[0-9]+([.][0-9]+)?$'"
# Whole numbers that fit 256 bits; beyond them nothing is told apart.
WHOLE_NUMBERS, WHOLE_MAX = r"'^-?[0-9]{1,70}([.]0+)?$'", 10**71
# From here on not every whole number is a Float64, and every Float64 is a whole number.
EXACT_BELOW = 2**53
COMPARISONS = {
    PropertyOperator.GREATER: ">",
    PropertyOperator.GREATER_OR_EQUAL: ">=",
    PropertyOperator.LESS: "<",
    PropertyOperator.LESS_OR_EQUAL: "<=",
}
DENIALS = {TextOperator.IS_NOT: TextOperator.IS, TextOperator.NOT_CONTAINS: TextOperator.CONTAINS}


class Binder:
    """Names values for a statement; two of one statement need different prefixes."""

    def __init__(self, prefix: str = "f") -> None:
        self._prefix = prefix
        self.values: dict[str, Any] = {}

    def bind(self, value: Any, kind: str = "String") -> str:
        """The place of a value in the text."""
        name = f"{self._prefix}{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:{kind}}}"


class Part(msgspec.Struct, frozen=True):
    """One condition. fits: as it is asked; denied: what a negative one denies, None for a positive one."""

    fits: str
    denied: str | None = None


class Parts(msgspec.Struct, frozen=True):
    """The conditions of one filter. base: which rows they speak of at all, '' for any."""

    base: str
    parts: tuple[Part, ...]

    @property
    def is_empty(self) -> bool:
        return not self.parts

    @property
    def is_negative(self) -> bool:
        """Whether all of them deny something."""
        return all(part.denied is not None for part in self.parts)

    def row(self) -> str:
        """What a single row must fulfil."""
        return f"({' AND '.join((*self._base, *(part.fits for part in self.parts)))})"

    def denied(self) -> str:
        """A row that fulfils any of what a negative filter denies."""
        denied = " OR ".join(part.denied for part in self.parts if part.denied is not None)
        return f"({' AND '.join((*self._base, f'({denied})'))})"

    @property
    def _base(self) -> tuple[str, ...]:
        return (self.base,) if self.base else ()


def conditions(leaf: Leaf, binder: Binder) -> Parts:
    """The conditions of a filter that are active; none for a funnel, which is no matter of one row."""
    base, found = "", list[Part | None]()
    match leaf:
        case model.PageFilter(path=path, origin=origin, hash=hash_):
            base = "isPageView = 1"
            bare = None if hash_ is None else msgspec.structs.replace(hash_, value=hash_.value.removeprefix("#"))
            found = [_address("pathname", path, binder), _text("origin", origin, binder), _address(HASH, bare, binder)]
        case model.EventFilter(name=name, properties=properties):
            base = "isPageView = 0"
            found = [_text("name", name, binder), *(_property(one, binder) for one in properties)]
        case model.UserFilter(anonymous=anonymous):
            identified = "userIdentifier != ''"
            found = [Part(f"NOT ({identified})", identified) if anonymous else Part(identified)]
        case model.LocationFilter(country=country, city=city):
            found = [_choice(COUNTRY, country, binder), _choice(CITY, city, binder)]
        case model.ReferrerFilter(referrer=referrer):
            found = [_text("referrer", referrer, binder)]
        case model.ReferrerUrlFilter(url=url):
            found = [_address("referrerUrl", url, binder)]
        case model.ReferrerTypeFilter(kind=kind):
            found = [_choice("referrerType", kind, binder)]
        case model.UtmFilter():
            names = ("campaign", "content", "medium", "source", "term")
            found = [_text(f"utm{name.title()}", getattr(leaf, name), binder) for name in names]
        case model.BrowserFilter(browser=browser):
            found = [_choice("clientName", browser, binder)]
        case model.DeviceFilter(device=device):
            found = [_choice("deviceType", device, binder)]
        case model.OsFilter(os=os):
            found = [_choice("osName", os, binder)]
    return Parts(base, tuple(part for part in found if part is not None))


def without_escapes(column: str, typed: str) -> tuple[str, str]:
    """A column of addresses and what was typed, to be compared: addresses have escapes in the place of letters that are
    not ASCII, and people type these letters.
    """
    return (column, typed) if typed.isascii() else (f"decodeURLComponent({column})", unquote(typed))


def _address(column: str, text: Text | None, binder: Binder) -> Part | None:
    if text is None:
        return None
    column, typed = without_escapes(column, text.value)
    return _text(column, msgspec.structs.replace(text, value=typed), binder)


def _text(column: str, text: Text | None, binder: Binder) -> Part | None:
    if text is None or not text.is_active:
        return None
    value = binder.bind(text.value)
    if text.operator in DENIALS:
        denied = compare(column, DENIALS[text.operator], value)
        return Part(f"NOT ({denied})", denied)
    return Part(compare(column, text.operator, value))


def compare(text: str, operator: TextOperator, value: str) -> str:
    """A positive comparison of two texts. Only `is` tells upper from lower case; no character stands for others."""
    folded, wanted = f"lowerUTF8({text})", f"lowerUTF8({value})"
    match operator:
        case TextOperator.CONTAINS:
            return f"position({folded}, {wanted}) > 0"
        case TextOperator.STARTS_WITH:
            return f"startsWith({folded}, {wanted})"
        case TextOperator.ENDS_WITH:
            return f"endsWith({folded}, {wanted})"
    return f"{text} = {value}"


def _choice(column: str, choice: Choice | None, binder: Binder) -> Part | None:
    if choice is None or not choice.is_active:
        return None
    listed = f"{column} IN {binder.bind(list(choice.values), 'Array(String)')}"
    return Part(f"NOT ({listed})", listed) if choice.operator is ListOperator.NONE_OF else Part(listed)


def _property(one: Property, binder: Binder) -> Part | None:
    if not one.is_active:
        return None
    key = binder.bind(one.key)
    text = f"JSONExtractString(customData, {key})"
    has = f"JSONType(customData, {key}) != 'Null'"
    if one.operator in COMPARISONS:
        return Part(_compare_numbers(one, key, binder))
    operator = TextOperator(one.operator)
    positive = DENIALS.get(operator, operator)
    if positive is TextOperator.IS:
        compared = f"{text} IN {binder.bind(_spellings(one.value), 'Array(String)')}"
    else:
        compared = compare(text, positive, binder.bind(one.value))
    fits = f"({has} AND {compared})"
    return Part(f"NOT {fits}", fits) if one.is_negative else Part(fits)


def _compare_numbers(one: Property, key: str, binder: Binder) -> str:
    """Whole numbers compare as such, to the last digit; others as Float64, as which they were sent."""
    text, kind = f"JSONExtractString(customData, {key})", f"JSONType(customData, {key})"
    is_whole = f"{kind} != 'Double' AND match({text}, {WHOLE_NUMBERS})"
    whole = f"if({is_whole}, toInt256OrNull(extract({text}, '^-?[0-9]+')), NULL)"
    number = (
        f"multiIf({kind} = 'Double', JSONExtractFloat(customData, {key}),"
        f" match({text}, {NUMBERS}), toFloat64OrNull({text}), NULL)"
    )
    wanted_whole, wanted = _bounds(one)
    sign = COMPARISONS[one.operator]
    return (
        f"coalesce({whole} {sign} {binder.bind(str(wanted_whole), 'Int256')},"
        f" {number} {sign} {binder.bind(wanted, 'Float64')}, false)"
    )


def _bounds(one: Property) -> tuple[int, float]:
    """What whole numbers and Float64 are held against, so that no rounding changes the answer: a whole number is more
    than 2.5 when it is more than 2, and less when it is less than 3.
    """
    number = model.number_of(one.value) or 0.0
    is_down = one.operator in (PropertyOperator.GREATER, PropertyOperator.LESS_OR_EQUAL)
    exact = Decimal(one.value) if abs(number) >= EXACT_BELOW else Decimal(number)
    whole = math.floor(exact) if is_down else math.ceil(exact)
    if abs(number) >= EXACT_BELOW and (Decimal(number) > exact if is_down else Decimal(number) < exact):
        number = math.nextafter(number, -math.inf if is_down else math.inf)
    return max(-WHOLE_MAX, min(whole, WHOLE_MAX)), number


def _spellings(value: str) -> list[str]:
    """The ways a value is stored: a number is one however it is written, 5.0 as 5."""
    number = model.number_of(value)
    if number is None or abs(number) >= EXACT_BELOW:
        return [value]
    return sorted({value, f"{number:.0f}" if number.is_integer() else repr(number)})
