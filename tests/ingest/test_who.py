"""Cookies: only a decimal number of 64 bits is a user id."""

import pytest

from vemetric.ingest import who


@pytest.mark.parametrize(
    ("cookie", "user_id"),
    [
        ("_vuid=123456789", 123456789),
        ("a=b; _vuid=77; c=d", 77),
        ('a=b; _vuid="77"; c=d', 77),
        ("_vuid=18446744073709551615", 2**64 - 1),
        ("_vuid=18446744073709551616", None),
        ("_vuid=99999999999999999999999", None),
        ("_vuid=0", None),
        ("_vuid=00012", None),
        ("_vuid=-5", None),
        ("_vuid=0x10", None),
        ("_vuid=12abc", None),
        ("_vuid=", None),
        ("x_vuid=12", None),
        ("a=_vuid=12", None),
        ("", None),
    ],
)
def test_cookie(cookie: str, user_id: int | None) -> None:
    assert who.cookie_user_id({"cookie": cookie}) == user_id


def test_no_cookie() -> None:
    assert who.cookie_user_id({}) is None
