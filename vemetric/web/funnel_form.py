"""The form in which a funnel is drawn up: what was typed, what its buttons do to it, and the funnel that it says.

Every button posts the whole form, so that it works without scripts. Used by pages/funnel_editor.py.
"""

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from vemetric import errors
from vemetric.accounts.funnels import STEPS_MAX, Drawn
from vemetric.model import filters
from vemetric.model.filters import EventFilter, PageFilter, Property, Text, TextOperator
from vemetric.model.funnel import DEFAULT_WINDOW_SECONDS, Funnel, Step

PAGE, EVENT = "page", "event"
UNITS = {"minutes": 60, "hours": 3600, "days": 86_400}
# Lines for properties that a step shows: those it has, and one more.
EMPTY_LINES = 1
ID_CHARACTERS_MAX = 36


class Line(msgspec.Struct, frozen=True):
    """A condition as it is typed. key: of a property, '' elsewhere."""

    operator: str
    value: str = ""
    key: str = ""


ANYTHING, EQUAL = Line("any"), Line("is")


class StepForm(msgspec.Struct, frozen=True):
    """A step as it is typed. Both kinds keep what was typed; only the chosen one counts."""

    id: str
    name: str = ""
    kind: str = PAGE
    path: Line = EQUAL
    origin: Line = ANYTHING
    hash: Line = ANYTHING
    event: Line = EQUAL
    properties: tuple[Line, ...] = (EQUAL,)


class Form(msgspec.Struct, frozen=True):
    """A funnel as it is typed."""

    name: str
    icon: str
    amount: str
    unit: str
    steps: tuple[StepForm, ...]


def blank() -> Form:
    """What a new funnel begins with."""
    return _form("", "", DEFAULT_WINDOW_SECONDS, (_new_step(),))


def of_funnel(funnel: Funnel) -> Form:
    """A funnel as the form shows it."""
    return _form(funnel.name, funnel.icon or "", funnel.window_seconds, tuple(map(_of_step, funnel.steps)))


def read(typed: Mapping[str, str]) -> Form:
    """What was typed, one step more than allowed at most."""
    steps: list[StepForm] = []
    while (prefix := f"step.{len(steps)}") + ".id" in typed and len(steps) <= STEPS_MAX:
        steps.append(_read_step(typed, prefix))
    name, icon, amount = (typed.get(field, "") for field in ("name", "icon", "amount"))
    unit = typed.get("unit", "")
    return Form(name, icon, amount, unit if unit in UNITS else "days", tuple(steps))


def acted(form: Form, button: str) -> Form:
    """The form after one of its buttons: `add`, or `up`, `down` or `remove` with the number of a step."""
    action, _, text = button.partition(".")
    steps = list(form.steps)
    if action == "add" and len(steps) < STEPS_MAX:
        steps.append(_new_step())
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else -1
    if 0 <= number < len(steps):
        if action == "remove" and len(steps) > 1:
            steps.pop(number)
        elif action in ("up", "down"):
            other = min(max(number + (-1 if action == "up" else 1), 0), len(steps) - 1)
            steps[number], steps[other] = steps[other], steps[number]
    return msgspec.structs.replace(form, steps=tuple(steps))


def drawn(form: Form) -> Drawn:
    """The funnel that the form says. Raises Invalid by field; what else must hold accounts/funnels.py checks."""
    problems: dict[str, str] = {}
    seconds = _seconds(form)
    if seconds is None:
        problems["window"] = "Use a whole number."
    steps = []
    for number, step in enumerate(form.steps):
        try:
            steps.append(Step(step.id, step.name, _filter(step)))
        except (errors.Invalid, msgspec.ValidationError):
            wrong = "path" if step.kind == PAGE else "event"
            problems[f"step.{number}.{wrong}"] = "This cannot be used: too long, or not a number to compare with."
    if problems:
        raise errors.Invalid("Please look at the marked fields.", problems)
    return Drawn(form.name, form.icon, seconds or 0, tuple(steps))


def _form(name: str, icon: str, seconds: int, steps: tuple[StepForm, ...]) -> Form:
    unit = next((unit for unit, length in reversed(UNITS.items()) if seconds % length == 0), "minutes")
    return Form(name, icon, str(seconds // UNITS[unit]), unit, steps)


def _seconds(form: Form) -> int | None:
    amount = form.amount.strip()
    return int(amount) * UNITS[form.unit] if amount.isascii() and amount.isdigit() and len(amount) < 9 else None


def _new_step() -> StepForm:
    return StepForm(uuid.uuid4().hex)


def _of_step(step: Step) -> StepForm:
    form, one = StepForm(step.id, step.name), step.filter
    if isinstance(one, PageFilter):
        parts = {"path": _line(one.path), "origin": _line(one.origin), "hash": _line(one.hash)}
        return msgspec.structs.replace(form, kind=PAGE, **parts)
    lines = tuple(Line(p.operator, p.value, p.key) for p in one.properties)
    return msgspec.structs.replace(form, kind=EVENT, event=_line(one.name), properties=_with_empty(lines))


def _line(condition: Text | None) -> Line:
    return ANYTHING if condition is None else Line(condition.operator, condition.value)


def _with_empty(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    return lines + (EQUAL,) * EMPTY_LINES if len(lines) < filters.PROPERTIES_MAX else lines


def _read_step(typed: Mapping[str, str], prefix: str) -> StepForm:
    def line(name: str, default: Line) -> Line:
        field = f"{prefix}.{name}"
        key = typed.get(f"{field}.key", "")
        return Line(typed.get(f"{field}.op", default.operator), typed.get(field, default.value), key)

    lines = (line(f"property.{number}", EQUAL) for number in range(filters.PROPERTIES_MAX))
    return StepForm(
        id=typed[f"{prefix}.id"][:ID_CHARACTERS_MAX] or uuid.uuid4().hex,
        name=typed.get(f"{prefix}.name", ""),
        kind=EVENT if typed.get(f"{prefix}.kind") == EVENT else PAGE,
        path=line("path", EQUAL),
        origin=line("origin", ANYTHING),
        hash=line("hash", ANYTHING),
        event=line("event", EQUAL),
        properties=_with_empty(tuple(one for one in lines if one.key)),
    )


def _filter(step: StepForm) -> PageFilter | EventFilter:
    """Raises Invalid or ValidationError."""
    if step.kind == PAGE:
        return PageFilter(*(_condition(line) for line in (step.path, step.origin, step.hash)))
    properties = []
    for line in step.properties:
        if not line.key:
            continue
        if line.operator in tuple(filters.NUMBER_OPERATORS) and filters.number_of(line.value) is None:
            raise errors.Invalid
        plain: dict[str, Any] = {"property": line.key, "operator": line.operator, "value": line.value}
        properties.append(msgspec.convert(plain, Property))
    return EventFilter(_condition(step.event), tuple(properties))


def _condition(line: Line) -> Text | None:
    condition = msgspec.convert({"operator": line.operator, "value": line.value}, Text)
    return None if condition.operator is TextOperator.ANY else condition
