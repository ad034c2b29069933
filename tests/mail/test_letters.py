"""What letters say of who writes, whatever that name or address pretends to be."""

import pytest

from vemetric.mail import letters


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("ann@example.com", "Ann (ann@example.com) invites"),
        # A Cyrillic letter in it.
        ("ann@ex\u0430mple.com", "Ann (ann@ex\u0430mple.com, which is ann@xn--exmple-4nf.com) invites"),
        ("ann@ex\xe4mple.com", "Ann (ann@ex\xe4mple.com, which is ann@xn--exmple-cua.com) invites"),
        ("\u0430nn@example.com", "Ann (\u0430nn@example.com, with letters other than a to z) invites"),
    ],
)
def test_an_address_that_may_look_like_another_is_told_plainly(address: str, told: str) -> None:
    words = letters.invitation("Acme", "Ann", address, "https://stats.example.com/invite/x", 7)
    assert told in words.paragraphs[0]
