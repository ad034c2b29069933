"""Around every page: headers, forms that are ours, errors that say what is wrong and nothing else."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientError, web

from tests.web.conftest import Browser, Cast, Page, Site
from tests.web.matrix import plain
from vemetric import errors
from vemetric.accounts import verification
from vemetric.web import forms, headers
from vemetric.web.pages import overview, reports
from vemetric.web.pages.project import people
from vemetric.web.routes import ROUTES

THEME = {"theme": "dark", "next": "/login"}


def is_covered(page: Page) -> bool:
    return all(page.headers.get(name) == value for name, value in headers.SECURITY.items())


def policy() -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in headers.SECURITY["Content-Security-Policy"].split(";"))
    return {name: value for name, _, value in parts}


async def test_every_answer_has_the_security_headers_and_no_cors(site: Site, cast: Cast) -> None:
    """One site for all of them: sent from elsewhere, none of the forms is taken."""
    values = defaultdict(lambda: "x", project=str(cast.shop.id), organization="acme", panel="pages")
    nobody, charlie = site.browser(), await site.browser_of(cast.charlie)
    for route in ROUTES:
        path = plain(route.path).format_map(values)
        for browser in (nobody, charlie):
            page = await browser.ask(route.method, path, {"Origin": "https://elsewhere.test"})
            assert is_covered(page), path
            assert "Cache-Control" in page.headers, path
            assert not [name for name in page.headers if name.lower().startswith("access-control-")], path


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("DELETE", "/login", 405)])
async def test_what_is_not_there_is_a_page_without_cors(site: Site, method: str, path: str, status: int) -> None:
    page = await site.browser().ask(method, path, {"Origin": "https://elsewhere.test"})
    assert (page.status, is_covered(page)) == (status, True)
    assert "<h1>" in page.text
    assert not [name for name in page.headers if name.lower().startswith("access-control-")]
    assert ("Allow" in page.headers) == (status == 405)


def test_the_policy_lets_nothing_inline_or_foreign_in() -> None:
    found = policy()
    assert found["default-src"] == "'none'"
    assert found["frame-ancestors"] == found["base-uri"] == "'none'"
    assert found["report-uri"] == "/csp-report"
    assert not [value for name, value in found.items() if name != "report-uri" and value not in ("'self'", "'none'")]


async def test_every_answer_tells_its_number(site: Site) -> None:
    browser = site.browser()
    numbers = {(await browser.get("/login")).headers["X-Request-Id"] for _ in range(2)}
    assert len(numbers) == 2


async def test_pages_are_never_stored(site: Site, cast: Cast) -> None:
    browser = await site.browser_of(cast.alice)
    for path in ("/login", "/o/acme", f"/p/{cast.shop.id}", "/nothing"):
        assert (await browser.get(path)).headers["Cache-Control"] == "no-store"


class TestForms:
    """A form is taken only from a page of this site."""

    async def test_with_its_token(self, site: Site, cast: Cast) -> None:
        page = await site.browser().fill("/login", THEME, "/theme")
        assert (page.status, page.location) == (303, "/login")

    @pytest.mark.parametrize("token", ["", "0" * 128, "0" * 127, "00", "é"])
    async def test_not_without_it(self, site: Site, cast: Cast, token: str) -> None:
        browser = site.browser()
        await browser.get("/login")
        assert (await browser.post("/theme", THEME | {"csrf": token})).status == 403
        assert (await browser.post("/theme", THEME)).status == 403

    async def test_not_with_another_browsers(self, site: Site, cast: Cast) -> None:
        mine, other = site.browser(), site.browser()
        token = (await other.get("/login")).csrf
        await mine.get("/login")
        assert (await mine.post("/theme", THEME | {"csrf": token})).status == 403

    async def test_not_with_the_one_from_before_the_login(self, site: Site, cast: Cast) -> None:
        """Whoever planted a cookie in a browser knows that token, and no token of the login."""
        browser = await site.browser_of(cast.alice)
        login = browser.cookies.pop("vemetric_login")
        token = (await browser.get("/login")).csrf
        browser.cookies["vemetric_login"] = login
        assert (await browser.post("/theme", THEME | {"csrf": token})).status == 403

    @pytest.mark.parametrize(
        "header",
        [
            {"Origin": "https://elsewhere.test"},
            {"Origin": "null"},
            {"Origin": "http://["},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ],
    )
    async def test_not_from_elsewhere(self, site: Site, cast: Cast, header: dict[str, str]) -> None:
        browser = site.browser()
        token = (await browser.get("/login")).csrf
        assert (await browser.post("/theme", THEME | {"csrf": token}, header)).status == 403

    async def test_from_here_when_the_browser_says_so(self, site: Site, cast: Cast) -> None:
        browser = site.browser()
        token = (await browser.get("/login")).csrf
        said = {"Sec-Fetch-Site": "same-origin", "Origin": "http://stats.test:4000", "Host": "stats.test:4000"}
        assert (await browser.post("/theme", THEME | {"csrf": token}, said)).status == 303

    async def test_works_on_the_page_of_an_error(self, site: Site, cast: Cast) -> None:
        browser = site.browser()
        await browser.get("/nothing")
        assert "vemetric_forms" in browser.cookies

    async def test_too_large(self, site: Site, cast: Cast) -> None:
        browser = site.browser()
        token = (await browser.get("/login")).csrf
        page = await browser.post("/theme", THEME | {"csrf": token, "next": "x" * forms.BODY_BYTES_MAX})
        assert (page.status, is_covered(page)) == (413, True)

    async def test_too_slow(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(forms, "BODY_SECONDS_MAX", 0.05)

        async def never_ending() -> AsyncIterator[bytes]:
            yield b"csrf="
            await asyncio.Event().wait()

        kind = {"Content-Type": forms.CONTENT_TYPE}
        page = await site.browser().ask("POST", "/theme", kind, data=never_ending())
        assert (page.status, is_covered(page)) == (408, True)

    async def test_tokens_are_never_the_same_and_all_good(self, site: Site, cast: Cast) -> None:
        browser = site.browser()
        await browser.get("/login")
        tokens = [(await browser.get("/login")).csrf for _ in range(3)]
        assert len(set(tokens)) == 3
        for token in tokens:
            assert (await browser.post("/theme", THEME | {"csrf": token})).status == 303

    async def test_other_bodies_than_forms(self, site: Site, cast: Cast) -> None:
        browser = site.browser()
        await browser.get("/login")
        for kind, body in (("application/json", b"{}"), ("multipart/form-data", b"x"), ("text/plain", b"csrf=1")):
            page = await browser.ask("POST", "/theme", {"Content-Type": kind}, data=body)
            assert 400 <= page.status < 500, kind


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("/p/1?t=7days", "/p/1?t=7days"),
        ("//elsewhere.test", "/"),
        ("/\\elsewhere.test", "/"),
        ("https://elsewhere.test/", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x=1", "/"),
        ("/\t/elsewhere.test", "/"),
        ("/a b", "/"),
        ("/" + "a" * forms.NEXT_CHARACTERS_MAX, "/"),
        ("", "/"),
    ],
)
async def test_forms_lead_nowhere_but_here(site: Site, cast: Cast, given: str, wanted: str) -> None:
    assert (await site.browser().fill("/login", THEME | {"next": given}, "/theme")).location == wanted
    assert forms.local_path(given) == wanted


FAILURES = [
    (errors.NotFound(), 404, "There is nothing here"),
    (errors.TooManyRequests("Slowly.", retry_after_seconds=7), 429, "Slowly."),
    (errors.QueueFull(), 503, "The queue is full."),
    (errors.StoreError("Code: 999. select secret"), 503, "not available"),
    (RuntimeError("secret"), 500, "number"),
    (web.HTTPBadRequest(reason="Odd"), 400, "Odd"),
]


@pytest.mark.parametrize(("failure", "status", "text"), FAILURES, ids=[type(one[0]).__name__ for one in FAILURES])
async def test_errors_are_pages(
    site: Site,
    cast: Cast,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
    status: int,
    text: str,
) -> None:
    async def fail(*_: object) -> None:
        raise failure

    browser = await site.browser_of(cast.alice)
    monkeypatch.setattr(overview.access, "organizations_of", fail)
    page = await browser.get("/o/acme")
    assert (page.status, is_covered(page)) == (status, True)
    assert text in page.text
    assert "secret" not in page.text
    assert "Traceback" not in page.text
    assert page.headers.get("Retry-After") == ("7" if status == 429 else None)
    if status == 500:
        number = page.text.partition("number ")[2][:8]
        assert [record for record in caplog.records if number in record.getMessage() and record.exc_info]


async def test_no_link_of_a_letter_is_logged(
    site: Site, cast: Cast, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = [errors.StoreError("away"), RuntimeError("broken")]

    async def fail(*_: object) -> None:
        raise failures.pop(0)

    monkeypatch.setattr(verification, "is_open", fail)
    for status in (503, 500):
        assert (await site.browser().get("/reset/open-sesame")).status == status
    assert [record.getMessage()[:15] for record in caplog.records if record.name == "vemetric.web"] == [
        "GET /reset/...:",
        "GET /reset/... ",
    ]
    assert "sesame" not in " ".join(record.getMessage() for record in caplog.records)


async def test_a_path_is_one_line_of_the_log_and_names_nobody(
    site: Site, cast: Cast, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise errors.StoreError("away")

    browser = await site.browser_of(cast.alice)
    monkeypatch.setattr(overview.access, "organizations_of", fail)
    monkeypatch.setattr(overview.access, "project_for", fail)
    await browser.get("/o/acme%0A2026-03-10%20ERROR%20forged")
    await browser.get("/p/7/user/ann@example.com")
    told = [record.getMessage().partition(": ")[0] for record in caplog.records if record.name == "vemetric.web"]
    assert told == ["GET /o/acme%0A2026-03-10%20ERROR%20forged", "GET /p/7/user/..."]


async def test_half_a_file_is_broken_off_not_ended(
    site: Site, cast: Cast, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def one_and_no_more(*_: object) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        yield "event", {"name": "signup"}
        raise errors.StoreError("away")

    browser = await site.browser_of(cast.alice)
    monkeypatch.setattr(people.person, "rows", one_and_no_more)
    with pytest.raises(ClientError):
        await browser.get(f"/p/{cast.shop.id}/settings/people/7/export")
    assert [record.exc_info for record in caplog.records if "/export failed" in record.getMessage()]
    assert (await browser.get("/o/acme")).status == 200


class TestReports:
    """Browsers tell when a page breaks its policy."""

    async def send(self, browser: Browser, body: bytes) -> int:
        kind = {"Content-Type": "application/csp-report"}
        return (await browser.ask("POST", headers.REPORT_PATH, kind, data=body)).status

    async def test_logged(self, site: Site, caplog: pytest.LogCaptureFixture) -> None:
        where = b'"document-uri": "http://s/p/1", "blocked-uri": "http://x\\n"'
        body = b'{"csp-report": {"violated-directive": "img-src", %s}}' % where
        with caplog.at_level(logging.WARNING, "vemetric.web"):
            assert await self.send(site.browser(), body) == 204
        assert [record.getMessage() for record in caplog.records] == [
            "A page broke its policy: img-src refused http://x  on http://s/p/1"
        ]

    async def test_not_logged_without_end(self, site: Site, caplog: pytest.LogCaptureFixture) -> None:
        browser = site.browser()
        with caplog.at_level(logging.WARNING, "vemetric.web"):
            for body in (b"{}", b"", b"\xff", b"[1]", b"{" * 1000) * 4:
                assert await self.send(browser, body) == 204
            assert await self.send(browser, b"x" * (forms.BODY_BYTES_MAX + 1)) == 413
        assert len(caplog.records) == reports.LOGGED_PER_MINUTE_MAX
