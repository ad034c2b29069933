"""Files for browsers: found by version, cached for ever, compressed once, and nothing outside the list."""

import gzip
import json
from pathlib import Path

import pytest
from aiohttp import DummyCookieJar, web
from aiohttp.test_utils import TestServer
from pytest_aiohttp import AiohttpClient

from tests.web.conftest import Browser
from vemetric.web import assets, middleware
from vemetric.web.assets import Assets

CSS = "body { color: teal }\n" * 100


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A directory as a build leaves it."""
    files = {"css/base.css": CSS, "js/main.js": "start();", "img/icons.svg": "<svg/>", "js/odd.mjs": "x"}
    for name, text in files.items():
        file = tmp_path / "static" / "dist" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "static" / "dist" / "unlisted.txt").write_text("secret")
    (tmp_path / "static" / "secret.txt").write_text("secret")
    manifest = {"version": "0123456789", "files": sorted(files)}
    (tmp_path / "static" / "dist" / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path / "static"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkout that was never built."""
    (tmp_path / "css").mkdir()
    (tmp_path / "css" / "base.css").write_text(CSS)
    (tmp_path / "package.json").write_text("{}")
    return tmp_path


@pytest.fixture
async def browser(built: Path, aiohttp_client: AiohttpClient) -> Browser:
    return await a_browser(built, aiohttp_client)


async def a_browser(directory: Path, aiohttp_client: AiohttpClient) -> Browser:
    app = web.Application(middlewares=(middleware.secure, middleware.explain))
    app[assets.ASSETS] = Assets(directory)
    for method in ("GET", "HEAD"):
        app.router.add_route(method, "/static/{version}/{name:.+}", assets.send)
    return Browser(await aiohttp_client(TestServer(app), cookie_jar=DummyCookieJar()))


async def test_cached_for_ever(browser: Browser) -> None:
    page = await browser.get("/static/0123456789/css/base.css")
    assert (page.status, page.text) == (200, CSS)
    assert page.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert page.headers["Content-Type"] == "text/css; charset=utf-8"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("js/main.js", "text/javascript; charset=utf-8"),
        ("js/odd.mjs", "text/javascript; charset=utf-8"),
        ("img/icons.svg", "image/svg+xml"),
    ],
)
async def test_types(browser: Browser, name: str, kind: str) -> None:
    page = await browser.get(f"/static/0123456789/{name}")
    assert (page.status, page.headers["Content-Type"]) == (200, kind)
    assert page.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_page_of_an_older_version_gets_the_file_of_this_one_and_asks_again(browser: Browser) -> None:
    page = await browser.get("/static/9876543210/css/base.css")
    assert (page.status, page.headers["Cache-Control"]) == (200, "no-cache")


async def test_not_sent_again(browser: Browser) -> None:
    etag = (await browser.get("/static/0123456789/css/base.css")).headers["ETag"]
    page = await browser.get("/static/0123456789/css/base.css", {"If-None-Match": f'"other", {etag}'})
    assert (page.status, page.text) == (304, "")


async def test_head(browser: Browser) -> None:
    page = await browser.ask("HEAD", "/static/0123456789/css/base.css", {"Accept-Encoding": "identity"})
    assert (page.status, page.text, page.headers["Content-Length"]) == (200, "", str(len(CSS)))


async def test_compressed_where_that_is_shorter(browser: Browser) -> None:
    for name, is_shorter in (("css/base.css", True), ("js/main.js", False)):
        page = await browser.ask("HEAD", f"/static/0123456789/{name}", {"Accept-Encoding": "gzip, br"})
        assert (page.headers.get("Content-Encoding") == "gzip") == is_shorter
        assert page.headers["Vary"] == "Accept-Encoding"
    page = await browser.ask("HEAD", "/static/0123456789/css/base.css", {"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in page.headers


@pytest.mark.parametrize(
    "name",
    [
        "unlisted.txt",
        "../secret.txt",
        "%2e%2e/secret.txt",
        "..%2fsecret.txt",
        "css/../../secret.txt",
        "css%2f..%2f..%2fsecret.txt",
        "css//base.css",
        "/etc/passwd",
        "css/base.css%00",
        "css",
        "manifest.json",
    ],
)
async def test_nothing_else_is_served(browser: Browser, name: str) -> None:
    page = await browser.get(f"/static/0123456789/{name}")
    assert page.status == 404
    assert "secret" not in page.text


async def test_a_checkout_without_a_build(source: Path, aiohttp_client: AiohttpClient) -> None:
    files, browser = Assets(source), await a_browser(source, aiohttp_client)
    page = await browser.get(files.url("css/base.css"))
    assert (page.status, page.headers["Cache-Control"]) == (200, "no-cache")
    (source / "css" / "base.css").write_text("body {}")
    assert (await browser.get(files.url("css/base.css"))).text == "body {}"
    assert (await browser.get(files.url("css/base.css").replace("css/base.css", "package.json"))).status == 404


def test_a_file_that_is_not_there_is_found_out_when_its_page_is_drawn(built: Path) -> None:
    with pytest.raises(LookupError, match=r"css/none\.css"):
        Assets(built).url("css/none.css")


def test_the_compressed_form_holds_the_same(built: Path) -> None:
    asset = Assets(built).load("css/base.css")
    assert asset is not None
    assert asset.compressed is not None
    assert gzip.decompress(asset.compressed) == asset.plain == CSS.encode()
