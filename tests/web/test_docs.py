"""The documentation as it is served: every page, every link in it, and nothing else of the folder it lies in."""

import re
from html import unescape
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import msgspec
import pytest

from tests.web.conftest import Cast, Site
from vemetric.web.pages import docs

PAGES = Path(__file__).parents[2] / "docs"
HREF = re.compile(r'href="([^"]+)"')


def address(page: Path) -> str:
    name = page.relative_to(PAGES).with_suffix("").as_posix()
    return "/docs/" if name == docs.FIRST else f"/docs/{name}/"


async def test_every_page_is_served_and_every_link_in_it_leads_somewhere(site: Site, cast: Cast) -> None:
    browser, ids, links = site.browser(), {}, set()
    for page in sorted(PAGES.rglob("*.md")):
        path = address(page)
        found = await browser.get(path)
        assert found.status == 200, path
        assert 'style="' not in found.text
        ids[path] = set(re.findall(r'id="([^"]+)"', found.text))
        links |= {urljoin(path, unescape(href)) for href in HREF.findall(found.text)}
        assert "mailto:" not in unescape(found.text), path
    for link in sorted(one for one in links if one.startswith("/docs/") and not one.startswith("/docs/api")):
        path, fragment = urldefrag(link)
        assert path in ids, link
        assert not fragment or fragment in ids[path], link


@pytest.mark.parametrize(
    ("path", "leads_to"), [("/docs", "/docs/"), ("/docs/index/", "/docs/"), ("/docs/users", "/docs/users/")]
)
async def test_a_page_has_one_address(site: Site, cast: Cast, path: str, leads_to: str) -> None:
    page = await site.browser().get(path)
    assert (page.status, page.location) == (303, leads_to)


@pytest.mark.parametrize(
    "name",
    ["nothing", "decisions", "decisions/0001-sort-keys/more", "Index", "%2e%2e/manifest", "..%2fmanifest", "x" * 101],
)
async def test_there_is_nothing_else(site: Site, cast: Cast, name: str) -> None:
    assert (await site.browser().get(f"/docs/{name}")).status == 404


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "secret.json").write_text("{}")
    assert docs.load(tmp_path / "docs", "../secret") is None


def test_names_that_there_are_no_pages_of_are_not_remembered(tmp_path: Path) -> None:
    # Anybody may ask for any of them, without end.
    assert docs.load(tmp_path, "later") is None
    page = docs.Document("Later", "<p>Here.</p>", (), (), None, None)
    (tmp_path / "later.json").write_bytes(msgspec.json.encode(page))
    assert docs.load(tmp_path, "later") == page
