"""POST /v1/events/export: all events of a period as lines, sent while they are read, however many they are."""

from collections.abc import Sequence

import msgspec
from aiohttp import ClientConnectionResetError, web

from vemetric.stats import all_events
from vemetric.stats.all_events import Happened
from vemetric.web import csv_table
from vemetric.web.api import filters, instants, periods
from vemetric.web.api.answers import ExportedEvent
from vemetric.web.api.call import Call
from vemetric.web.api.failures import BrokenOff
from vemetric.web.api.requests import ExportQuery, Format
from vemetric.web.headers import NO_STORE, SECURITY

TYPES = {Format.LINES: "application/x-ndjson", Format.TABLE: "text/csv"}
HEADS = [field.encode_name for field in msgspec.structs.fields(ExportedEvent)]
_encoder = msgspec.json.Encoder()


async def send(call: Call) -> web.StreamResponse:
    """The lines. What fails before the first piece is an answer of its own; after it, the connection breaks off."""
    body = await call.body(ExportQuery, periods.problems_of)
    period = call.period(body.date_range, body.timezone, call.now_ms)
    conditions = filters.conditions_of(body.filters, body.filters_operator, ())
    pieces = all_events.pieces(call.services.engine, call.project.id, period.range, conditions)
    first = await anext(pieces, None)
    response = web.StreamResponse(headers={**SECURITY, **NO_STORE, **call.headers})
    response.content_type, response.charset = TYPES[body.format], "utf-8"
    name = f"{call.project.domain}-events.{body.format.value}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    await response.prepare(call.request)
    try:
        if body.format is Format.TABLE:
            await response.write(csv_table.written([HEADS]))
        if first is not None:
            await response.write(_written(first, body.format))
            async for piece in pieces:
                await response.write(_written(piece, body.format))
        await response.write_eof()
    except ClientConnectionResetError:
        # Who asked has left.
        return response
    except Exception as error:
        # Whatever it is, no other answer can follow the one that has begun; what went wrong is logged with it.
        raise BrokenOff from error
    return response


def _written(piece: Sequence[Happened], format_: Format) -> bytes:
    lines = [_line(event) for event in piece]
    if format_ is Format.LINES:
        return _encoder.encode_lines(lines)
    return csv_table.written(msgspec.structs.astuple(line) for line in lines)


def _line(event: Happened) -> ExportedEvent:
    return ExportedEvent(
        id=event.id,
        user_id=str(event.user_id),
        user_identifier=event.identifier or None,
        session_id=event.session,
        name=event.name,
        is_page_view=event.is_page_view,
        created_at=instants.in_milliseconds(event.at_ms),
        origin=event.origin or None,
        path=event.path or None,
        hash=event.hash or None,
        country=event.country or None,
        city=event.city or None,
        browser=event.browser or None,
        os=event.os or None,
        device_type=event.device or None,
        data=event.data,
    )
