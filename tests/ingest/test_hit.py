"""Bodies: what is accepted, what is refused as malformed or invalid, and that nothing a site sends can break it."""

import json
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from vemetric.ingest import hit


def test_an_event_keeps_its_custom_data_to_the_letter() -> None:
    event = hit.decode_event(b'{"name":"Paid","customData":{"cents": 9007199254740993, "x":1.50}}')
    assert not isinstance(event.custom_data, msgspec.UnsetType)
    assert bytes(event.custom_data) == b'{"cents": 9007199254740993, "x":1.50}'


def test_unknown_keys_are_dropped() -> None:
    assert hit.decode_event(b'{"name":"X","foo":1,"createdAt":"x"}') == hit.EventHit(name="X")


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":""}',
        b'{"url":"https://a.example"}',
        b'{"name":1}',
        b'{"name":"X","url":null}',
        b'{"name":"X","contextId":5}',
        b'{"name":"X","customData":[]}',
        b'{"name":"X","customData":"text"}',
        b'{"name":"X","customData":null}',
        b'{"name":"X","userData":{"unset":"a"}}',
        b'{"name":"X","userData":{"set":[]}}',
        b"null",
        b"1",
        b"[]",
        b'"text"',
    ],
)
def test_refuses_what_is_not_the_schema(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        hit.decode_event(body)
    assert hit.is_json(body)


@pytest.mark.parametrize(
    "body", [b"", b"{bad", b'{"name":"X"} x', b'{"name":NaN}', b"\xff\xfe", b'{"customData":' + b"[" * 100_000]
)
def test_refuses_what_is_not_json(body: bytes) -> None:
    with pytest.raises(hit.Malformed):
        hit.decode_event(body)
    assert not hit.is_json(body)


def test_a_byte_order_mark_is_tolerated() -> None:
    assert hit.decode_event(b'\xef\xbb\xbf{"name":"X"}').name == "X"


def test_half_of_a_surrogate_pair_is_replaced_and_the_event_kept() -> None:
    assert hit.decode_event(b'{"name":"cut \\ud83d off"}').name == "cut \ufffd off"


def test_broken_utf8_is_replaced_and_the_event_kept() -> None:
    assert hit.decode_event(b'{"name":"caf\xe9"}').name == "caf\ufffd"


def test_broken_utf8_in_custom_data_is_replaced_too() -> None:
    event = hit.decode_event(b'{"name":"$$outboundLink","customData":{"href":"https://x.test/\xff"}}')
    assert isinstance(event.custom_data, msgspec.Raw)
    assert bytes(event.custom_data).decode() == '{"href": "https://x.test/\ufffd"}'
    assert hit.custom_data_href(event) == "https://x.test/\ufffd"


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert hit.decode_event(b'{"name":"\\ud83d\\ude00"}').name == "\U0001f600"


def test_the_last_of_two_equal_keys_wins() -> None:
    assert hit.decode_event(b'{"name":"A","name":"B"}').name == "B"


def test_gate_keys_are_read_whatever_their_type() -> None:
    gate = hit.decode_gate(b'{"Token":{"startsWith":"a"},"userIdentifier":5,"name":""}')
    assert gate.token == {"startsWith": "a"}
    assert gate.user_identifier == 5
    assert gate.allow_cookies is UNSET


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[1]"])
def test_a_body_that_is_no_object_has_no_gate_keys(body: bytes) -> None:
    assert hit.decode_gate(body) == hit.EMPTY_GATE


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
BODIES = (
    st.binary(max_size=300)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(["name", "url", "customData", "userData", "Token", "identifier"]), JSON).map(
        lambda value: json.dumps(value).encode()
    )
)


@given(BODIES)
@settings(deadline=None)
def test_no_body_raises_anything_else(body: bytes) -> None:
    hit.decode_gate(body)
    hit.is_json(body)
    for decode in (hit.decode_identify, hit.decode_update, hit.decode_batch, hit.decode_batch_event):
        with suppress(hit.Malformed, msgspec.ValidationError):
            decode(body)
    try:
        event = hit.decode_event(body)
    except (hit.Malformed, msgspec.ValidationError):
        return
    assert event.name
    hit.custom_data_href(event)


@pytest.mark.parametrize(
    ("body", "is_good"),
    [
        (b'{"identifier":"a"}', True), (b'{"identifier":"a","displayName":"","avatarUrl":"","data":{},"x":1}', True),
        (b'{"identifier":""}', False), (b"{}", False), (b'{"identifier":1}', False), (b'{"identifier":null}', False),
        (b'{"identifier":"a","displayName":null}', False), (b'{"identifier":"a","data":[]}', False), (b"[]", False),
        (b"null", False),
    ],
)  # fmt: skip
def test_the_body_of_an_identification(body: bytes, is_good: bool) -> None:
    try:
        assert hit.decode_identify(body).identifier == "a"
    except msgspec.ValidationError:
        assert not is_good
    else:
        assert is_good


@pytest.mark.parametrize(
    ("body", "is_good"),
    [
        (b"{}", True), (b'{"data":{"set":{"a":null},"setOnce":{},"unset":["b"]}}', True),
        (b'{"userIdentifier":7}', True), (b'{"data":{"unset":"a"}}', False), (b'{"data":null}', False),
        (b'{"displayName":1}', False), (b'"x"', False),
    ],
)  # fmt: skip
def test_the_body_of_an_update(body: bytes, is_good: bool) -> None:
    try:
        hit.decode_update(body)
    except msgspec.ValidationError:
        assert not is_good
    else:
        assert is_good
