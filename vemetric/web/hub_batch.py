"""The hub's path /batch: events in one request, each judged by itself, those that are good taken together."""

import msgspec
from multidict import CIMultiDict

from vemetric.ingest import batch
from vemetric.ingest import hit as hits
from vemetric.ingest.batch import Dated, OfSender
from vemetric.ingest.refuse import Refusal
from vemetric.services import Services
from vemetric.web.ask import Answer
from vemetric.web.hub_answers import Asked, Refused, answer, bad_body
from vemetric.web.hub_checks import check_hit
from vemetric.web.hub_cookies import Cookies

EVENTS_MAX = 500
CLIENT_ID_CHARACTERS_MAX = 200

_encoder = msgspec.json.Encoder()


class RefusedEvent(msgspec.Struct, frozen=True):
    """Which event of a batch was not taken, and why."""

    index: int
    reason: str
    message: str


class Outcome(msgspec.Struct, frozen=True):
    """The answer to a batch. repeated: events whose id was taken before; they are not taken again."""

    accepted: int
    repeated: int
    refused: list[RefusedEvent]


class BatchPath:
    """The handler of /batch."""

    def __init__(self, services: Services, cookies: Cookies) -> None:
        self._services = services
        self._cookies = cookies

    async def batch(self, asked: Asked) -> Answer:
        """POST /batch. 200 once everything that is good is on disk, whatever else was refused."""
        try:
            raw = hits.decode_batch(asked.ask.body)
        except (hits.Malformed, msgspec.ValidationError):
            raise bad_body(asked) from None
        if len(raw) > EVENTS_MAX:
            raise Refused(Refusal.TOO_LARGE, 413, f"At most {EVENTS_MAX} events", asked.project.id)
        dated: list[Dated] = []
        refused: list[RefusedEvent] = []
        now_ms = self._services.clock.now_ms()
        for index, item in enumerate(raw):
            try:
                dated.append(check(item, asked, now_ms))
            except Refused as error:
                self._services.tap.refused(asked.project.id, error.refusal, url=asked.ask.path)
                refused.append(RefusedEvent(index, error.refusal, error.body))
        of = OfSender(asked.project, asked.sender(), asked.ask.packed_headers, asked.place)
        taken = await self._services.batches.take(dated, of)
        if taken.accepted and self._services.tap.notes_accepted(asked.project):
            self._services.tap.accepted(asked.project.id, f"{taken.accepted} events", "")
        return self._answer(asked, Outcome(taken.accepted, taken.repeated, refused), taken.new_cookie_user_id)

    def _answer(self, asked: Asked, outcome: Outcome, new_cookie_user_id: int | None) -> Answer:
        cookie = None if new_cookie_user_id is None else self._cookies.set(asked.ask, new_cookie_user_id)
        headers = CIMultiDict(answer(asked.ask.headers, 200, cookie=cookie).headers)
        headers["Content-Type"] = "application/json"
        return Answer(200, headers, _encoder.encode(outcome))


def check(item: msgspec.Raw, asked: Asked, now_ms: int) -> Dated:
    """An event of a batch; Refused says what is wrong with it."""
    try:
        hit = hits.decode_batch_event(bytes(item))
    except (hits.Malformed, msgspec.ValidationError) as error:
        raise Refused(Refusal.INVALID, 400, f"Invalid! {error}", asked.project.id) from None
    check_hit(hit, asked.project, asked.ask.headers)
    client_id = hit.id if isinstance(hit.id, str) else ""
    if len(client_id) > CLIENT_ID_CHARACTERS_MAX:
        raise Refused(
            Refusal.INVALID, 400, f"id is longer than {CLIENT_ID_CHARACTERS_MAX} characters", asked.project.id
        )
    at_ms = batch.when(hit.timestamp, now_ms)
    if at_ms is None:
        raise Refused(Refusal.INVALID, 400, "timestamp is not within the last 72 hours", asked.project.id)
    return Dated(hit, at_ms, client_id)
