"""Ids: their alphabet, their spread, and that any text has one."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from vemetric.model import ids
from vemetric.model.device import Device


def test_random_ids_have_the_length_asked_for_and_the_alphabet() -> None:
    for length in (0, 1, 16, 21, 200):
        made = ids.random_id(length)
        assert len(made) == length
        assert set(made) <= set(ids.ALPHABET)


def test_random_ids_are_uniform_over_the_alphabet() -> None:
    drawn = Counter("".join(ids.random_id(100) for _ in range(6_200)))
    assert len(drawn) == 62
    # 10,000 expected of each, standard deviation 99: a bias of one part in eight (256 % 62) would show at once.
    assert all(9_300 < count < 10_700 for count in drawn.values())


def test_random_ids_do_not_repeat() -> None:
    assert len({ids.random_id() for _ in range(10_000)}) == 10_000
    assert len({ids.new_user_id() for _ in range(1_000)} | {ids.new_project_id() for _ in range(1_000)}) == 2_000


def test_known_answer_of_the_algorithm() -> None:
    key = bytes(range(16))
    assert ids.siphash(key, bytes(range(15)).decode()) == 0xA129CA6149BE45E5


def test_the_fingerprint_depends_on_every_part() -> None:
    known = ids.fingerprint_user_id(1, "192.0.2.1", "Firefox", "salt")
    assert known == ids.fingerprint_user_id(1, "192.0.2.1", "Firefox", "salt")
    others = {
        ids.fingerprint_user_id(2, "192.0.2.1", "Firefox", "salt"),
        ids.fingerprint_user_id(1, "192.0.2.2", "Firefox", "salt"),
        ids.fingerprint_user_id(1, "192.0.2.1", "Chrome", "salt"),
        ids.fingerprint_user_id(1, "192.0.2.1", "Firefox", "pepper"),
    }
    assert len(others) == 4
    assert known not in others


@given(st.text(st.characters(codec=None)), st.text(st.characters(codec=None)))
def test_any_text_has_an_id(text: str, other: str) -> None:
    assert 0 <= ids.siphash(ids.USER_KEY, text) < 2**64
    assert 0 <= ids.fingerprint_user_id(1, text, other, "") < 2**64
    assert 0 <= ids.device_id(1, 2, Device(os_name=text, client_version=other)) < 2**64
