"""Addresses as browsers read them, and whose they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vemetric.enrich import page
from vemetric.model.page import NO_PAGE

ANY_TEXT = st.text(st.characters(codec=None))


def test_the_columns_of_an_address() -> None:
    read = page.parse("http://www.shop.example:8080/Hats/?utm_source=a&utm_source=b&size=L&size=M#top")
    assert read.origin == "https://shop.example:8080"
    assert read.pathname == "/Hats"
    assert read.url_hash == "#top"
    assert read.query_params == '{"utm_source":"b","size":"M"}'
    assert read.utm_source == "a"
    assert read.utm_medium == ""


def test_no_query_is_an_empty_object_and_no_address_is_nothing() -> None:
    assert page.parse("https://shop.example/").query_params == "{}"
    assert page.parse(None) == page.parse("") == page.parse("/relative") == NO_PAGE


@pytest.mark.parametrize(
    ("domain", "project_domain", "belongs"),
    [
        ("mysite.com", "mysite.com", True),
        ("app.mysite.com", "mysite.com", True),
        ("a.b.mysite.com", "mysite.com", True),
        ("notmysite.com", "mysite.com", False),
        ("mysite.com.evil.com", "mysite.com", False),
        ("com", "mysite.com", False),
        ("", "mysite.com", False),
        ("mysite.com", "", False),
        ("", "", False),
    ],
)
def test_a_host_belongs_at_a_dot_boundary_only(domain: str, project_domain: str, belongs: bool) -> None:
    assert page.belongs_to(domain, project_domain) is belongs


def test_long_addresses_are_read_but_not_kept() -> None:
    long_url = "https://shop.example/" + "a" * 100_000
    before = page._read_cached.cache_info().currsize
    assert page.parse(long_url).pathname == "/" + "a" * 100_000
    assert page._read_cached.cache_info().currsize == before


def test_lone_surrogates_and_bad_escapes_become_replacement_characters() -> None:
    assert page.parse("https://shop.example/?q=\ud800&r=%ff").query_params == '{"q":"\ufffd","r":"\ufffd"}'


@given(ANY_TEXT, ANY_TEXT)
def test_no_text_raises(text: str, other: str) -> None:
    page.parse(text)
    page.parse(f"https://shop.example/{text}?{other}#{text}").query_params.encode()
    page.normalized_domain(f"https://{text}/")
    page.belongs_to(text, other)
    assert page.is_absolute_url(f"https://shop.example/{text}")
