"""What a site sends, decoded and checked: the first step of the hub. Unknown keys are dropped."""

import json
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from vemetric.enrich import page
from vemetric.model.text import well_formed
from vemetric.model.user import UserData

T = TypeVar("T")
E = TypeVar("E", bound="EventHit")

PAGE_VIEW = "$$pageView"
OUTBOUND_LINK = "$$outboundLink"


class Gate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The keys that are read from any body before its schema is looked at; their types are the sender's."""

    token: Any = msgspec.field(default=UNSET, name="Token")
    allow_cookies: Any = msgspec.field(default=UNSET, name="Allow-Cookies")
    user_identifier: Any = msgspec.field(default=UNSET, name="userIdentifier")
    identifier: Any = UNSET


class EventHit(Gate, frozen=True, kw_only=True, gc=False):
    """The body of /e. custom_data is the JSON text of an object, kept as it was sent: no number loses a digit."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    url: str | UnsetType = UNSET
    context_id: str | UnsetType = msgspec.field(default=UNSET, name="contextId")
    identifier: str | UnsetType = UNSET
    display_name: str | UnsetType = msgspec.field(default=UNSET, name="displayName")
    custom_data: Raw | UnsetType = msgspec.field(default=UNSET, name="customData")
    user_data: UserData | UnsetType = msgspec.field(default=UNSET, name="userData")


class BatchHit(EventHit, frozen=True, kw_only=True):
    """An event in the body of /batch. id: the sender's own, by which it is taken once. timestamp: when it happened."""

    id: str | UnsetType = UNSET
    timestamp: Any = UNSET


class IdentifyHit(msgspec.Struct, frozen=True):
    """The body of /i."""

    identifier: Annotated[str, msgspec.Meta(min_length=1)]
    display_name: str | UnsetType = msgspec.field(default=UNSET, name="displayName")
    avatar_url: str | UnsetType = msgspec.field(default=UNSET, name="avatarUrl")
    data: UserData | UnsetType = UNSET


class UpdateHit(msgspec.Struct, frozen=True):
    """The body of /u."""

    display_name: str | UnsetType = msgspec.field(default=UNSET, name="displayName")
    avatar_url: str | UnsetType = msgspec.field(default=UNSET, name="avatarUrl")
    data: UserData | UnsetType = UNSET


class Malformed(Exception):
    """The body is not JSON."""


EMPTY_GATE = Gate()
_event = msgspec.json.Decoder(EventHit)
_batch = msgspec.json.Decoder(list[Raw])
_batch_event = msgspec.json.Decoder(BatchHit)
_identify = msgspec.json.Decoder(IdentifyHit)
_update = msgspec.json.Decoder(UpdateHit)
_gate = msgspec.json.Decoder(Gate)
_any = msgspec.json.Decoder()


def decode_event(body: bytes) -> EventHit:
    """Decode the body of /e. Raises Malformed (not JSON) or msgspec.ValidationError (not the schema)."""
    return _checked(_decode(_event, body))


def decode_batch(body: bytes) -> list[Raw]:
    """The events of a body of /batch, each still to be decoded. Raises as decode_event."""
    return _decode(_batch, body)


def decode_batch_event(text: bytes) -> BatchHit:
    """Decode one event of a batch. Raises as decode_event."""
    return _checked(_decode(_batch_event, text))


def _checked(hit: E) -> E:
    if not isinstance(hit.custom_data, UnsetType) and not bytes(hit.custom_data).startswith(b"{"):
        raise msgspec.ValidationError("customData must be an object")
    if isinstance(hit.url, str) and not page.is_absolute_url(hit.url):
        raise msgspec.ValidationError("url must be an absolute URL")
    return hit


def decode_identify(body: bytes) -> IdentifyHit:
    """Decode the body of /i. Raises as decode_event."""
    return _decode(_identify, body)


def decode_update(body: bytes) -> UpdateHit:
    """Decode the body of /u. Raises as decode_event."""
    return _decode(_update, body)


def decode_gate(body: bytes) -> Gate:
    """The gate keys of any body; a body that is no JSON object has none."""
    try:
        return _decode(_gate, body)
    except (Malformed, msgspec.ValidationError):
        return EMPTY_GATE


def is_json(body: bytes) -> bool:
    """Whether the body can be read as JSON at all."""
    try:
        _decode(_any, body)
    except Malformed:
        return False
    except msgspec.ValidationError:
        return True
    return True


def custom_data_href(hit: EventHit) -> str | None:
    """The target of an outbound link: the string `href` in the custom data."""
    if isinstance(hit.custom_data, UnsetType):
        return None
    data = msgspec.json.decode(hit.custom_data)
    href = data.get("href")
    return href if isinstance(href, str) else None


def _decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        # The decoder does not look into what it keeps raw or drops; every later reader expects UTF-8 there.
        body.decode()
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        repaired = _repair(body)
    try:
        return decoder.decode(repaired)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Malformed from error


def _repair(body: bytes) -> bytes:
    """What browsers accept and msgspec does not: a BOM, broken UTF-8 and halves of surrogate pairs (U+FFFD then)."""
    try:
        text = body.decode("utf-8", "replace").removeprefix("\ufeff")
        value = json.loads(text, parse_constant=_reject)
        return well_formed(json.dumps(value, ensure_ascii=False)).encode()
    except (ValueError, RecursionError) as error:
        raise Malformed from error


def _reject(constant: str) -> NoReturn:
    raise ValueError(constant)
