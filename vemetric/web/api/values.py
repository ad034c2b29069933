"""POST /v1/filters/values: what fields can be filtered by."""

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET

from vemetric.stats import suggestions
from vemetric.stats.query import Reader
from vemetric.web.api import paging, periods
from vemetric.web.api.answers import FieldValues, ValuesAnswer, ValuesEcho
from vemetric.web.api.call import Call
from vemetric.web.api.failures import Detail
from vemetric.web.api.requests import FIELDS_MAX, ValuesQuery
from vemetric.web.api.types import OFFSET_MAX, FieldToken, Place

# What stats/suggestions.py calls the fields that have another name there.
NAMES = {
    FieldToken.ORIGIN: "origin",
    FieldToken.PATH: "path",
    FieldToken.DEVICE: "device",
    FieldToken.EVENT: "event",
}


async def values(call: Call) -> ValuesAnswer:
    """The values of some fields in the order asked for, each a page of its own; one cursor leads on in all of them."""
    body = await call.body(ValuesQuery, problems_of)
    at_ms, place = paging.read(body.cursor, Place, call.now_ms)
    period = call.period(body.date_range, body.timezone, at_ms)
    offset = body.offset if body.cursor is UNSET else place or 0
    reader, found = Reader(call.services.engine), list[FieldValues]()
    for field in body.fields:
        name = NAMES.get(field, field.value)
        page = await suggestions.page_of_field(reader, call.project.id, period.range, name, body.limit + 1, offset)
        shown = page[: body.limit]
        has_more = len(page) > len(shown) and offset + len(shown) <= OFFSET_MAX
        next_cursor = paging.write(at_ms, offset + len(shown)) if has_more else None
        found.append(
            FieldValues(field, paging.told(body.limit, body.offset, len(shown), body.cursor, next_cursor), shown)
        )
    echo = ValuesEcho(body.date_range, body.fields, body.limit, body.offset)
    return ValuesAnswer(period.told, echo, found)


def problems_of(sent: dict[str, Any]) -> Iterable[Detail]:
    """What does not go together."""
    yield from periods.problems_of(sent)
    fields = sent["fields"]
    if not fields:
        yield Detail("fields", "Ask for a field at least")
    if len(fields) > FIELDS_MAX:
        yield Detail("fields", f"Ask for {FIELDS_MAX} fields at most")
    if len(set(fields)) < len(fields):
        yield Detail("fields", "Ask for each field once")
