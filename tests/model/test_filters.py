"""Sets of filters as text of a URL and as JSON."""

import pytest

from vemetric.model import filter_text, filters
from vemetric.model.filters import Choice, Group, Joined, ListOperator, Property, Text, TextOperator

CASES = {
    "page(path:is:/pricing)": filters.PageFilter(Text(value="/pricing")),
    "page(path:startsWith:/docs,origin:isNot:https!://example.com,hash:is:top)": filters.PageFilter(
        Text(TextOperator.STARTS_WITH, "/docs"), Text(TextOperator.IS_NOT, "https://example.com"), Text(value="top")
    ),
    "event(name:is:signup,property:plan:is:pro!, or !(not!))": filters.EventFilter(
        Text(value="signup"), (Property("plan", value="pro, or (not)"),)
    ),
    "user(anonymous)": filters.UserFilter(True),
    "user(identified)": filters.UserFilter(False),
    "location(country:oneOf:DE:AT,city:noneOf:)": filters.LocationFilter(
        Choice(values=("DE", "AT")), Choice(ListOperator.NONE_OF, ("",))
    ),
    "referrer(referrer:is:)": filters.ReferrerFilter(),
    "utmTags(source:contains:!!)": filters.UtmFilter(source=Text(TextOperator.CONTAINS, "!")),
    "browser(browser:oneOf)": filters.BrowserFilter(),
    "funnel(abc:2:notCompleted)": filters.FunnelFilter("abc", 2, filters.FunnelOperator.NOT_COMPLETED),
}


@pytest.mark.parametrize(("written", "one"), CASES.items())
def test_filter_as_text(written, one):
    group = Group(Joined.AND, (one,))
    assert filter_text.write(group) == written
    assert filter_text.read(written) == group


def test_groups():
    group = filter_text.read("or(user(anonymous);and(os(os:oneOf:Linux);browser(browser:oneOf:Firefox)))")
    assert group is not None
    assert (group.operator, filters.depth(group)) == (Joined.OR, 2)
    assert [filters.type_of(leaf) for leaf in filters.leaves(group)] == ["user", "os", "browser"]
    assert filters.from_json(filters.to_json(group)) == group


@pytest.mark.parametrize(
    ("value", "count", "is_writable"),
    [
        ("x" * filters.VALUE_CHARACTERS_MAX, 1, True),
        ("x" * (filters.VALUE_CHARACTERS_MAX + 1), 1, False),
        ("x", filters.FILTERS_MAX, True),
        ("x", filters.FILTERS_MAX + 1, False),
        ("a\0b", 1, False),
    ],
)
def test_what_an_address_can_carry(value, count, is_writable):
    group = Group(Joined.AND, (filters.ReferrerFilter(Text(value=value)),) * count)
    assert filter_text.is_writable(group) == is_writable


def test_nothing():
    assert filter_text.read("") == filters.NOTHING
    assert filter_text.write(filters.NOTHING) == ""


@pytest.mark.parametrize(
    "text",
    [
        "page",
        "page(",
        "page)",
        "page(path)",
        "page(path:is)",
        "page(path:like:x)",
        "page(path:is:x,path:is:y)",
        "moods(x)",
        "user(x)",
        "funnel(a:b:completed)",
        "funnel(a:-1:completed)",
        "page(path:is:x!)",
        "page(path:is:x)y",
        "x(a)(b)",
        "(((((",
        "!",
        "event(property:plan:is)",
    ],
)
def test_refuses_what_says_nothing(text):
    assert filter_text.read(text) is None


def test_is_bounded():
    one = "user(anonymous)"
    assert filter_text.read(";".join([one] * filters.FILTERS_MAX)) is not None
    assert filter_text.read(";".join([one] * (filters.FILTERS_MAX + 1))) is None
    at_most, deepest = filters.DEPTH_MAX - 1, filters.DEPTH_MAX
    assert filter_text.read(f"{one};" + "or(" * at_most + one + ")" * at_most) is not None
    assert filter_text.read(f"{one};" + "or(" * deepest + one + ")" * deepest) is None
    assert filter_text.read("or(" * 5000 + ")" * 5000) is None
    assert filter_text.read(f"page(path:is:{'x' * filters.VALUE_CHARACTERS_MAX})") is not None
    assert filter_text.read(f"page(path:is:{'x' * (filters.VALUE_CHARACTERS_MAX + 1)})") is None
    assert filter_text.read(f"os(os:oneOf{':x' * filters.VALUES_MAX})") is not None
    assert filter_text.read(f"os(os:oneOf{':x' * (filters.VALUES_MAX + 1)})") is None
    assert filter_text.read("page(path:is:" + "!x" * (filter_text.CHARACTERS_MAX // 2) + ")") is None


@pytest.mark.parametrize("value", [None, [], {"operator": "nor"}, {"filters": [{"type": "x"}]}, {"filters": 5}])
def test_json_that_is_no_set(value):
    assert filters.from_json(value) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("5", 5), ("-2.5", -2.5), ("1e3", 1000), ("", None), ("x", None), ("nan", None), ("inf", None), ("1_0", None)],
)
def test_number_of_a_text(text, number):
    assert filters.number_of(text) == number
