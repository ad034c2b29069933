"""Filters between the words of the API and those of the model, which all of the product counts with."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from vemetric.model import filters as model
from vemetric.model.filters import Group, Joined
from vemetric.model.funnel import Funnel
from vemetric.stats.filters import Conditions, compile_filters
from vemetric.web.api import types
from vemetric.web.api.requests import Fired
from vemetric.web.api.types import AnyFilter, Choice, FiltersOperator, Part, TextOperator

TO_MODEL = {TextOperator.EQUAL: "is", TextOperator.NOT_EQUAL: "isNot"}
FROM_MODEL = {word: operator for operator, word in TO_MODEL.items()}


def group_of(sent: Sequence[AnyFilter] | UnsetType, operator: FiltersOperator) -> Group:
    """A set of filters of the model."""
    filters = () if isinstance(sent, UnsetType) else tuple(map(_leaf, sent))
    return Group(Joined(operator.value), filters)


def conditions_of(
    sent: Sequence[AnyFilter] | UnsetType, operator: FiltersOperator, funnels: Sequence[Funnel]
) -> Conditions:
    """Filters, compiled. funnels: those of the project."""
    return compile_filters(group_of(sent, operator), funnels)


def names_funnels(sent: Sequence[AnyFilter] | UnsetType) -> bool:
    """Whether the project's funnels must be known to compile the filters."""
    return sent is not UNSET and any(isinstance(one, types.FunnelFilter) for one in sent)


def event_of(fired: Fired) -> model.EventFilter:
    """The event that an order of users goes by."""
    return model.EventFilter(_text(fired.name), _properties(fired.properties))


def told(one: model.PageFilter | model.EventFilter) -> types.PageFilter | types.EventFilter:
    """The filter of a funnel's step, as the API has it; what it does not name is left out."""
    if isinstance(one, model.PageFilter):
        return types.PageFilter(*(_part(part) for part in (one.origin, one.path, one.hash)))
    properties = [_told_property(each) for each in one.properties]
    return types.EventFilter(_part(one.name), properties or UNSET)


def _leaf(one: AnyFilter) -> model.Leaf:
    made: model.Leaf
    match one:
        case types.PageFilter():
            made = model.PageFilter(_text(one.path), _text(one.origin), _text(one.hash))
        case types.EventFilter():
            made = model.EventFilter(_text(one.name), _properties(one.properties))
        case types.UserFilter():
            made = model.UserFilter(one.anonymous)
        case types.LocationFilter():
            made = model.LocationFilter(_choice(one.country), _choice(one.city))
        case types.UtmFilter():
            parts = (one.utm_campaign, one.utm_content, one.utm_medium, one.utm_source, one.utm_term)
            made = model.UtmFilter(*map(_text, parts))
        case types.FunnelFilter():
            # A step that no funnel can have restricts nothing, however far it is.
            made = model.FunnelFilter(one.id.lower(), one.step, model.FunnelOperator(one.operator.value))
        case types.ReferrerFilter():
            made = model.ReferrerFilter(_flat(one))
        case types.ReferrerUrlFilter():
            made = model.ReferrerUrlFilter(_flat(one))
        case types.ReferrerTypeFilter():
            made = model.ReferrerTypeFilter(_flat_choice(one))
        case types.BrowserFilter():
            made = model.BrowserFilter(_flat_choice(one))
        case types.DeviceFilter():
            made = model.DeviceFilter(_flat_choice(one))
        case types.OsFilter():
            made = model.OsFilter(_flat_choice(one))
    return made


def _flat(one: types.ReferrerFilter | types.ReferrerUrlFilter) -> model.Text:
    return model.Text(_operator(one.operator), one.value)


def _flat_choice(
    one: types.ReferrerTypeFilter | types.BrowserFilter | types.DeviceFilter | types.OsFilter,
) -> model.Choice:
    return model.Choice(model.ListOperator(one.operator.value), tuple(one.value))


def _operator(operator: TextOperator) -> model.TextOperator:
    return model.TextOperator(TO_MODEL.get(operator, operator.value))


def _text(part: Part | UnsetType) -> model.Text | None:
    return None if isinstance(part, UnsetType) else model.Text(_operator(part.operator), part.value)


def _choice(choice: Choice | UnsetType) -> model.Choice | None:
    if isinstance(choice, UnsetType):
        return None
    return model.Choice(model.ListOperator(choice.operator.value), tuple(choice.value))


def _properties(sent: Sequence[types.Property] | UnsetType) -> tuple[model.Property, ...]:
    if isinstance(sent, UnsetType):
        return ()
    return tuple(
        model.Property(one.property, model.PropertyOperator(_operator(one.operator).value), one.value) for one in sent
    )


def _part(text: model.Text | None) -> Part | UnsetType:
    if text is None:
        return UNSET
    return Part(text.value, FROM_MODEL.get(text.operator.value) or TextOperator(text.operator.value))


def _told_property(one: model.Property) -> types.Property:
    word = one.operator.value
    return types.Property(one.key, one.value, FROM_MODEL.get(word) or TextOperator(word))
