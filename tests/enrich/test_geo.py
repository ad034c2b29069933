"""Places of addresses, from the database that the build puts beside the package."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vemetric.enrich import geo
from vemetric.enrich.geo import Places, State
from vemetric.model.geo import UNKNOWN, Geo


@pytest.fixture(scope="module")
def places() -> Iterator[Places]:
    opened = Places.open()
    if opened.state is not State.READY:
        pytest.fail(f"{opened.detail}; run `python3 build.py assets` first")
    yield opened
    opened.close()


def test_a_public_address_has_a_country(places: Places) -> None:
    assert places.look_up("8.8.8.8") == Geo(country_code="US")
    assert places.look_up("::ffff:8.8.8.8") == Geo(country_code="US")
    assert places.look_up("193.0.6.139").country_code == "NL"
    assert len(places.look_up("2a00:1450:4001::1").country_code) == 2


@pytest.mark.parametrize(
    "ip",
    ["", "10.0.0.1", "127.0.0.1", "192.168.1.1", "169.254.1.1", "100.64.0.1", "::1", "fe80::1", "fc00::1", "not-an-ip"],
)
def test_private_and_invalid_addresses_are_nowhere(places: Places, ip: str) -> None:
    assert places.look_up(ip) == UNKNOWN


def test_a_missing_file_is_a_state(tmp_path: Path) -> None:
    absent = Places.open(tmp_path / "none.mmdb")
    assert absent.state is State.MISSING
    assert "none.mmdb" in absent.detail
    assert absent.look_up("8.8.8.8") == UNKNOWN
    absent.close()


@pytest.mark.parametrize("content", [b"", b"not a database", b"\xab\xcd\xefMaxMind.com" + b"\0" * 40])
def test_a_broken_file_is_a_state(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.mmdb"
    path.write_bytes(content)
    broken = Places.open(path)
    assert broken.state is State.UNREADABLE
    assert broken.look_up("8.8.8.8") == UNKNOWN
    assert Places.open(tmp_path).state is State.UNREADABLE


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"country_code": "AT"}, Geo("AT")),
        (
            {"country_code": "AT", "city": "Wien", "state1": "Wien", "latitude": 48.2, "longitude": "16.37"},
            Geo("AT", "Wien", 48.2, 16.37),
        ),
        ({"country": "at", "city": None, "latitude": "", "longitude": "x"}, Geo("AT")),
        (
            {
                "country": {"iso_code": "AT", "names": {"en": "Austria"}},
                "city": {"names": {"de": "Wien", "en": "Vienna"}},
                "location": {"latitude": 48.2, "longitude": 16.37},
            },
            Geo("AT", "Vienna", 48.2, 16.37),
        ),
        ({"registered_country": {"iso_code": "DE"}, "city": {"names": {"de": "Köln"}}}, Geo("DE", "Köln")),
        ({"country_code": "AT", "latitude": 0, "longitude": 0.0}, Geo("AT", "", 0.0, 0.0)),
        ({"country_code": "AT", "latitude": "nan", "longitude": 181}, Geo("AT")),
        ({"country_code": "ZZZ", "city": 7, "location": "here"}, UNKNOWN),
        ({}, UNKNOWN),
    ],
)
def test_flat_and_nested_records_are_read_alike(record: dict[str, Any], expected: Geo) -> None:
    assert geo.place(record) == expected


@given(ip=st.one_of(st.text(st.characters(codec=None)), st.ip_addresses().map(str)))
def test_no_text_raises(places: Places, ip: str) -> None:
    places.look_up(ip)
