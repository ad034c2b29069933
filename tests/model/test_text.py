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
        ("ad\u200bmin\ufeff", "ad\ufffdmin\ufffd"),
        ("n" * 300, "n" * 300),
        ("n" * 301, "n" * 300 + "\u2026"),
    ],
)
def test_what_people_are_shown_is_short_and_steers_nothing(tracked: str, shown: str) -> None:
    assert text.shown(tracked) == shown


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Acme", "Acme"),
        ("Ac\u200bme\ufeff", "Acme"),
        ("A\u00adc\u2060m\u200de", "Acme"),
        ("\u202eemcA", "emcA"),
        ("\u2066Acme\u2069\u200f", "Acme"),
        ("A\U000e0041\U000e0101cme", "Acme"),
        ("Ac\u200d\u200d\u200cme", "Acme"),
        ("Ac\u2060\u200d\u2060me", "Acme"),
        ("Acme\u3164\u2800", "Acme"),
        # Joiners, tags and selectors that say something stay.
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb"),
        ("\U0001f3f4\U000e0067\U000e0062\U000e007f", "\U0001f3f4\U000e0067\U000e0062\U000e007f"),
        ("1\ufe0f\u20e3 \u845b\U000e0100", "1\ufe0f\u20e3 \u845b\U000e0100"),
    ],
)
def test_a_name_keeps_what_can_be_seen(typed: str, kept: str) -> None:
    assert text.visible(typed) == kept


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ("/%C3%BCber-uns/stra%c3%9fe", "/\u00fcber-uns/stra\u00dfe"),
        ("/%E6%9D%B1%E4%BA%AC?q=a%20b%2Fc%3C", "/\u6771\u4eac?q=a%20b%2Fc%3C"),
        ("/100%", "/100%"),
        ("/latin-%FCber", "/latin-%FCber"),
        ("/turned%E2%80%AEround%C2%A0", "/turned%E2%80%AEround%C2%A0"),
    ],
)
def test_addresses_are_read_as_browsers_show_them(stored: str, read: str) -> None:
    assert text.readable(stored) == read
