"""Sets of filters changed in one place."""

import pytest

from vemetric.model import filter_text, filter_tree, filters
from vemetric.model.filters import Joined

TEXT = "user(anonymous);or(os(os:oneOf:Linux);and(browser(browser:oneOf:Firefox)))"


@pytest.fixture
def group():
    return filter_text.read(TEXT)


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("0", "and(or(os(os:oneOf:Linux);and(browser(browser:oneOf:Firefox))))"),
        ("1.0", "user(anonymous);or(and(browser(browser:oneOf:Firefox)))"),
        ("1.1.0", "user(anonymous);or(os(os:oneOf:Linux))"),
        ("1", "user(anonymous)"),
        ("7", TEXT),
        ("1.1.0.0", TEXT),
        ("", ""),
    ],
)
def test_without_a_filter(group, path, rest):
    changed = filter_tree.removed(group, filter_tree.read_path(path))
    assert filter_text.write(changed) == filter_text.write(filter_text.read(rest))


def test_added_replaced_and_joined(group):
    one = filters.UserFilter(False)
    assert filter_tree.at(filter_tree.added(group, (1, 1), one), (1, 1, 1)) == one
    assert filter_tree.at(filter_tree.added(group, (), one), (2,)) == one
    assert filter_tree.added(group, (0,), one) == group
    assert filter_tree.at(filter_tree.replaced(group, (1, 1, 0), one), (1, 1, 0)) == one
    assert filter_tree.replaced(group, (5,), one) == group
    assert filter_tree.at(filter_tree.joined(group, (1, 1), Joined.OR), (1, 1)).operator is Joined.OR
    assert filter_tree.joined(group, (0,), Joined.OR) == group


def test_toggled_is_there_and_gone(group):
    one = filters.UserFilter(False)
    there = filter_tree.toggled(group, one)
    assert there.filters[-1] == one
    assert filter_tree.toggled(there, one) == group


def test_types_that_a_page_cannot_use_go_with_their_groups(group):
    assert filter_text.write(filter_tree.without_types(group, ["browser"])) == "user(anonymous);or(os(os:oneOf:Linux))"
    assert filter_tree.without_types(group, ["user", "os", "browser"]) == filters.NOTHING


@pytest.mark.parametrize("text", ["x", "1.", ".1", "-1", "1.1.1.1.1.1", "9999", "١"])
def test_paths_that_are_none(text):
    assert filter_tree.read_path(text) is None


def test_a_path_and_back():
    assert filter_tree.read_path("") == ()
    assert filter_tree.write_path(filter_tree.read_path("1.0.12")) == "1.0.12"
