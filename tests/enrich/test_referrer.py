"""Where visitors come from: the rules, and the table of known sites."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vemetric.enrich import referrer
from vemetric.enrich.referrer import Site
from vemetric.model.page import NO_REFERRER, Referrer

PAGE = "https://mysite.com/pricing"


@pytest.mark.parametrize(
    ("header", "page_url", "expected"),
    [
        (None, PAGE, NO_REFERRER),
        ("", None, NO_REFERRER),
        ("https://www.google.de/", PAGE, Referrer("Google", "https://www.google.de/", "search")),
        ("https://chatgpt.com/", PAGE, Referrer("ChatGPT", "https://chatgpt.com/", "llm")),
        ("https://l.instagram.com/?u=x", PAGE, Referrer("Instagram", "https://l.instagram.com/?u=x", "social")),
        ("https://mail.google.com/", PAGE, Referrer("Gmail", "https://mail.google.com/", "email")),
        ("https://blog.example/a", PAGE, Referrer("blog.example", "https://blog.example/a", "unknown")),
        ("https://www.mysite.com/a", PAGE, Referrer("", "https://www.mysite.com/a", "direct")),
        ("https://app.mysite.com/", PAGE + "?ref=x", Referrer("x", "https://app.mysite.com/", "direct")),
        ("https://notmysite.com/", PAGE, Referrer("notmysite.com", "https://notmysite.com/", "unknown")),
        ("nonsense", PAGE, Referrer("", "nonsense", "unknown")),
        (None, PAGE + "?ref=newsletter", Referrer("newsletter", "", "unknown")),
        (None, PAGE + "?utm_source=google.com", Referrer("Google", "", "search")),
        (None, PAGE + "?ref=%20&via=%20b%20&source=c", Referrer("b", "", "unknown")),
        ("https://x.com/", PAGE + "?utm_source=spring", Referrer("spring", "https://x.com/", "unknown")),
        (None, PAGE + "?ref=constructor", Referrer("constructor", "", "unknown")),
    ],
)
def test_classify(header: str | None, page_url: str | None, expected: Referrer) -> None:
    assert referrer.classify("mysite.com", header, page_url) == expected


def test_the_link_in_a_profile_leaves_the_naming_to_the_header() -> None:
    page_url = PAGE + "?ref=x&utm_source=ig&utm_medium=social&utm_content=link_in_bio"
    assert referrer.classify("mysite.com", "https://l.instagram.com/", page_url).name == "Instagram"
    assert referrer.classify("mysite.com", None, page_url) == NO_REFERRER


def test_families_and_numbers_stand_for_many_hosts() -> None:
    table = "# a comment\n\ncc = com de\n[search]\nFind: find.{cc} s{9-11}.{cc}.find.com\n[email]\nFind Mail: find.de\n"
    assert referrer.read_sites(table) == {
        "find.com": Site("Find", "search"),
        "find.de": Site("Find Mail", "email"),
        **{f"s{n}.{cc}.find.com": Site("Find", "search") for n in (9, 10, 11) for cc in ("com", "de")},
    }


def test_the_table_can_be_looked_up_by_host() -> None:
    sites = referrer.sites()
    assert len(sites) > 2_000
    assert {site.type for site in sites.values()} == {"search", "email", "paid", "social", "llm", "unknown"}
    for host, site in sites.items():
        assert host == host.lower()
        assert not host.startswith("www.")
        assert not set(host) & set("/{}: ")
        assert site.name


ANY_TEXT = st.text(st.characters(codec=None))


@given(ANY_TEXT, st.one_of(st.none(), ANY_TEXT), st.one_of(st.none(), ANY_TEXT))
def test_no_text_raises(domain: str, header: str | None, page_url: str | None) -> None:
    found = referrer.classify(domain, header, page_url)
    (found.name + found.url).encode()
    referrer.classify(domain, f"https://{header}/", f"https://mysite.com/?ref={page_url}")


def test_huge_input_is_answered_and_not_kept() -> None:
    before = referrer._from_source_cached.cache_info().currsize
    header = "https://blog.example/" + "a" * 100_000
    assert referrer.classify("mysite.com", header, PAGE).url == header
    assert referrer._from_source_cached.cache_info().currsize == before
