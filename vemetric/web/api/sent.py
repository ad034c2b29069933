"""POST /v1/events: events that a server tells of, by a key that may only do that. Taken as the hub takes a batch."""

from collections.abc import Iterable
from typing import Any

import msgspec

from vemetric.ingest import batch, jobs
from vemetric.ingest import hit as hits
from vemetric.ingest.batch import Dated, OfSender
from vemetric.ingest.who import Sender
from vemetric.model import geo
from vemetric.web.api.answers import RefusedEvent, SentAnswer
from vemetric.web.api.call import Call
from vemetric.web.api.failures import Detail
from vemetric.web.api.requests import SentEvent, SentEvents
from vemetric.web.hub_answers import Refused as HubRefused
from vemetric.web.hub_checks import check_hit

# What a server's events are told apart by.
HEADERS = jobs.pack_headers({"v-sdk": "api"})
_encode = msgspec.json.Encoder().encode


async def take(call: Call) -> SentAnswer:
    """Queue the good ones. The answer is a success once they are on disk, whatever else was refused."""
    body = await call.body(SentEvents, nothing)
    dated: list[Dated] = []
    refused: list[RefusedEvent] = []
    for index, event in enumerate(body.events):
        try:
            dated.append(_dated(event, call))
        except HubRefused as error:
            refused.append(RefusedEvent(index, error.refusal.value, error.body or "The project's settings exclude it"))
        except (hits.Malformed, msgspec.ValidationError) as error:
            refused.append(RefusedEvent(index, "invalid", str(error)))
        except _NotNow:
            refused.append(RefusedEvent(index, "invalid", "timestamp is not within the last 72 hours"))
    sender = Sender(call.project.id, "", None, None, None, None, allow_cookies=False)
    taken = await call.services.batches.take(dated, OfSender(call.project, sender, HEADERS, geo.UNKNOWN))
    return SentAnswer(taken.accepted, taken.repeated, refused)


def nothing(_: dict[str, Any]) -> Iterable[Detail]:
    """Nothing of a batch can fail to go together."""
    return ()


def _dated(event: SentEvent, call: Call) -> Dated:
    hit = hits.decode_batch_event(_encode(event))
    check_hit(hit, call.project, {})
    at_ms = batch.when(hit.timestamp, call.now_ms)
    if at_ms is None:
        raise _NotNow
    return Dated(hit, at_ms, hit.id if isinstance(hit.id, str) else "")


class _NotNow(Exception):
    """The event is too old, or of the future."""
