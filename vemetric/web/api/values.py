"""POST /v1/filters/values: what fields can be filtered by."""

from collections.abc import Iterable
from typing import Any

from vemetric.stats import suggestions
from vemetric.stats.query import Reader
from vemetric.web.api import periods
from vemetric.web.api.analytics import OFFSET_MAX
from vemetric.web.api.answers import FieldValues, ValuesAnswer, ValuesEcho
from vemetric.web.api.call import Call
from vemetric.web.api.failures import Detail
from vemetric.web.api.requests import FIELDS_MAX, ValuesQuery
from vemetric.web.api.types import FieldToken, Pagination

# What stats/suggestions.py calls the fields that have another name there.
NAMES = {
    FieldToken.ORIGIN: "origin",
    FieldToken.PATH: "path",
    FieldToken.DEVICE: "device",
    FieldToken.EVENT: "event",
}


async def values(call: Call) -> ValuesAnswer:
    """The values of some fields in the order asked for, each a page of its own."""
    body = await call.body(ValuesQuery, problems_of)
    period = call.period(body.date_range, body.timezone, call.now_ms)
    reader, found = Reader(call.services.engine), list[FieldValues]()
    for field in body.fields:
        page = await suggestions.page_of_field(
            reader,
            call.project.id,
            period.range,
            NAMES.get(field, field.value),
            body.limit,
            min(body.offset, OFFSET_MAX),
        )
        found.append(FieldValues(field, Pagination(body.limit, body.offset, len(page)), page))
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
