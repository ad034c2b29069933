"""Half surrogate pairs become U+FFFD, everything else stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vemetric.model import text
from vemetric.model.text import well_formed


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("plain", "plain"),
        ("日本 café \0", "日本 café \0"),
        ("\ud800", "\ufffd"),
        ("a\udc00b", "a\ufffdb"),
        ("\udc00\ud800", "\ufffd\ufffd"),
        ("\ud83d\ude00", "😀"),
        ("\ud83d\ud83d\ude00x", "\ufffd😀x"),
    ],
)
def test_lone_surrogates_are_replaced(given_text: str, expected: str) -> None:
    assert well_formed(given_text) == expected


@given(st.text(st.characters(codec=None)))
def test_the_result_can_always_be_encoded(text: str) -> None:
    result = well_formed(text)
    assert result.encode().decode() == result
    assert well_formed(result) == result


@pytest.mark.parametrize(
    ("tracked", "shown"),
    [
        ("SignUp", "SignUp"),
        ("\x1b[31mRED\x1b]0;pwn\x07", "\ufffd[31mRED\ufffd]0;pwn\ufffd"),
        ("\u202eLIVE", "\ufffdLIVE"),
        ("caf\u00e9 \U0001f600", "caf\u00e9 \U0001f600"),
        ("n" * 300, "n" * 300),
        ("n" * 301, "n" * 300 + "\u2026"),
    ],
)
def test_what_people_are_shown_is_short_and_steers_nothing(tracked: str, shown: str) -> None:
    assert text.shown(tracked) == shown
