"""Merging what a site says about a user."""

import msgspec
import pytest

from vemetric.model import user
from vemetric.model.user import UserData


def test_set_beats_existing_and_existing_beats_set_once() -> None:
    data = UserData(set={"plan": "pro"}, set_once={"plan": "free", "source": "ad", "seen": 1})
    assert user.merge({"plan": "trial", "source": "search"}, data) == {"plan": "pro", "source": "search", "seen": 1}


def test_unset_beats_everything() -> None:
    data = UserData(set={"a": 1}, set_once={"b": 1}, unset=["a", "b", "c", "missing"])
    assert user.merge({"c": 1, "d": 1}, data) == {"d": 1}


def test_a_new_user_follows_the_same_rules() -> None:
    """The original let setOnce win and ignored unset when it created a user."""
    data = UserData(set={"a": "set"}, set_once={"a": "once", "b": "once"}, unset=["b"])
    assert user.merge({}, data) == {"a": "set"}


@pytest.mark.parametrize("empty", [None, "", 0, False])
def test_an_empty_value_counts_as_existing(empty: object) -> None:
    assert user.merge({"a": empty}, UserData(set_once={"a": "new"})) == {"a": empty}


def test_merging_changes_neither_side() -> None:
    existing, data = {"a": 1}, UserData(set={"a": 2}, set_once={"b": 3}, unset=["a"])
    user.merge(existing, data)
    assert existing == {"a": 1}
    assert data.set_once == {"b": 3}


@pytest.mark.parametrize(
    "body", [b'{"set":null}', b'{"set":[]}', b'{"unset":"a"}', b'{"unset":[1]}', b'{"setOnce":1}', b"[]", b"null"]
)
def test_a_wrong_shape_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=UserData)
