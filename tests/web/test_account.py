"""One's own account: name, picture, address, password, services, logins, letters, and its end."""

import io
import re

import pytest
from aiohttp import FormData

from tests.accounts.test_pictures import a_jpeg, a_png
from tests.kit import mail_server
from tests.kit.mail_server import PUBLIC_URL, MailServer, do_errands, text_of
from tests.web.conftest import Browser, Cast, Page, Site
from vemetric.accounts import api_keys, logins, passwords, profile, signup
from vemetric.clock import FrozenClock
from vemetric.database import accounts as stored_accounts
from vemetric.mail import letters
from vemetric.model.account import Account
from vemetric.web.pages.account.access import browser_name

PASSWORD = "correct horse"
WINDOWS_FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:126.0) Gecko/20100101 Firefox/126.0"
HOUR_MS = 3_600_000


@pytest.fixture
async def alice(site: Site, cast: Cast) -> Account:
    """Alice has a password."""
    services = site.services
    await logins.reset_password(services.database, services.clock, "alice@example.com", PASSWORD)
    return cast.alice


async def account_of(site: Site, email: str = "alice@example.com") -> Account | None:
    async with site.services.database.connect() as connection:
        return await stored_accounts.by_email(connection, email)


async def post(browser: Browser, path: str, form: dict[str, str], page: str = "/account/sign-in") -> Page:
    return await browser.fill(page, form, path)


class TestGeneral:
    async def test_name(self, site: Site, alice: Account) -> None:
        browser = await site.browser_of(alice)
        assert (
            await post(browser, "/account", {"name": "  Alice   Liddell "}, "/account")
        ).location == "/account?saved=1"
        changed = await account_of(site)
        assert changed is not None
        assert changed.name == "Alice Liddell"
        wrong = await post(browser, "/account", {"name": "A"}, "/account")
        assert (wrong.status, 'id="name-error"' in wrong.text) == (400, True)

    async def test_picture(self, site: Site, alice: Account) -> None:
        browser = await site.browser_of(alice)
        names = []
        for content in (a_png(), a_jpeg()):
            assert (await send_picture(browser, content)).location == "/account?saved=1"
            found = re.search(r'src="(/avatars/[^"]+)"', (await browser.get("/account")).text)
            assert found is not None
            names.append(found.group(1))
        shown = await browser.ask("GET", names[1], read=False)
        assert (shown.status, shown.headers["Content-Type"]) == (200, "image/jpeg")
        assert shown.headers["X-Content-Type-Options"] == "nosniff"
        assert "immutable" in shown.headers["Cache-Control"]
        assert (await browser.get(names[0])).status == 404, "the one before is gone"
        await post(browser, "/account/picture/remove", {}, "/account")
        assert (await browser.get(names[1])).status == 404
        assert "/avatars/" not in (await browser.get("/account")).text

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"<svg onload=alert(1)>", "not a JPEG, PNG or WebP"),
            (b"", "Choose a picture first"),
            (b"\x89PNG\r\n\x1a\n" + b"\0" * 5_000_001, "at most 5 MB"),
        ],
        ids=["no picture", "nothing", "too large"],
    )
    async def test_what_is_no_picture(self, site: Site, alice: Account, content: bytes, sentence: str) -> None:
        page = await send_picture(await site.browser_of(alice), content)
        assert (page.status, sentence in page.text, 'id="picture-error"' in page.text) == (400, True, True)

    async def test_a_form_that_is_too_large_is_not_read(self, site: Site, alice: Account) -> None:
        assert (await send_picture(await site.browser_of(alice), b"\0" * 6_100_000)).status == 413

    @pytest.mark.parametrize(
        "part",
        [
            b"broken header",
            b"X: " + b"y" * 70_000,
            b"A: b\r\n" * 20_000,
            b"Content-Length: -5",
            b"Content-Disposition: form-data; name=_charset_\r\n\r\n" + b"x" * 40,
        ],
        ids=["header", "long", "many", "length", "charset"],
    )
    async def test_a_form_that_is_broken_is_told_so(self, site: Site, alice: Account, part: bytes) -> None:
        browser = await site.browser_of(alice)
        body = b"--limit\r\n" + part + b"\r\n\r\nx\r\n--limit--\r\n"
        kind = {"Content-Type": "multipart/form-data; boundary=limit"}
        assert (await browser.ask("POST", "/account/picture", kind, data=body)).status in (400, 403)

    async def test_a_picture_needs_the_forms_token(self, site: Site, alice: Account) -> None:
        page = await send_picture(await site.browser_of(alice), a_png(), csrf="0" * 128)
        assert page.status == 403

    @pytest.mark.parametrize("name", ["../secret.key", "x.png", "..%2Fsecret.key", "a" * 21 + ".svg"])
    async def test_no_other_file_is_shown(self, site: Site, alice: Account, name: str) -> None:
        assert (await site.browser().get(f"/avatars/{name}")).status == 404


async def send_picture(browser: Browser, content: bytes, csrf: str = "") -> Page:
    form = FormData()
    form.add_field("csrf", csrf or (await browser.get("/account")).csrf)
    form.add_field("picture", io.BytesIO(content), filename="me.png", content_type="image/png")
    return await browser.ask("POST", "/account/picture", data=form)


class TestAddress:
    async def test_without_mail_at_once(self, site: Site, alice: Account) -> None:
        browser = await site.browser_of(alice)
        wrong = await post(browser, "/account/email", {"email": "a2@example.com", "email_password": "wrong"})
        assert (wrong.status, 'id="email_password-error"' in wrong.text) == (400, True)
        await post(browser, "/account/email", {"email": "A2@Example.com", "email_password": PASSWORD})
        assert await account_of(site, "a2@example.com") is not None
        taken = await post(browser, "/account/email", {"email": "bob@example.com", "email_password": PASSWORD})
        assert (taken.status, 'id="email-error"' in taken.text) == (400, True)

    class TestWithMail:
        @pytest.fixture
        def environ(self, environ: dict[str, str], mail: MailServer) -> dict[str, str]:
            return environ | mail_server.settings(mail)

        async def test_by_the_link_of_a_letter(self, site: Site, alice: Account, mail: MailServer) -> None:
            browser = await site.browser_of(alice)
            done = await post(browser, "/account/email", {"email": "a2@example.com", "email_password": PASSWORD})
            assert done.location == "/account/sign-in?mailed=1"
            await do_errands(site.services)
            found = re.search(rf"{PUBLIC_URL}(/new-address/\S+)", text_of(await mail.letter_to("a2@example.com")))
            assert found is not None
            assert await account_of(site) is not None, "nothing has changed yet"
            nobody, stranger = (
                site.browser(),
                await site.browser_of((await account_of(site, "bob@example.com")) or alice),
            )
            assert (await nobody.get(found.group(1))).location == f"/login?next={found.group(1)}"
            assert (await stranger.get(found.group(1))).status == 404, "it is the letter of another account"
            token = (await stranger.get("/account")).csrf
            assert (await stranger.post(found.group(1), {"csrf": token})).status == 404
            asked = await browser.get(found.group(1))
            assert (asked.status, "alice@example.com gets the address a2@example.com" in asked.text) == (200, True)
            await browser.fill(found.group(1), {})
            changed = await account_of(site, "a2@example.com")
            assert changed is not None
            assert changed.id == alice.id
            await do_errands(site.services)
            assert "a2@example.com" in text_of(await mail.letter_to("alice@example.com"))
            assert (await browser.get(found.group(1))).status == 404

        @pytest.mark.parametrize("by", ["link", "operator"])
        async def test_a_new_password_ends_the_link_that_was_asked_for_with_the_old_one(
            self, site: Site, alice: Account, mail: MailServer, by: str
        ) -> None:
            services, browser = site.services, await site.browser_of(alice)
            await post(browser, "/account/email", {"email": "thief@example.com", "email_password": PASSWORD})
            await do_errands(services)
            found = re.search(rf"{PUBLIC_URL}(/new-address/\S+)", text_of(await mail.letter_to("thief@example.com")))
            assert found is not None
            if by == "operator":
                await logins.reset_password(services.database, services.clock, alice.email, "a new password")
            else:
                await site.browser().fill("/forgot", {"email": alice.email})
                await do_errands(services)
                reset = re.search(rf"{PUBLIC_URL}(/reset/\S+)", text_of(await mail.letter_to(alice.email)))
                assert reset is not None
                await site.browser().fill(reset.group(1), {"password": "a new password"})
            assert (await (await site.browser_of(alice)).get(found.group(1))).status == 404
            assert await account_of(site) is not None

        async def test_that_one_is_taken_is_not_told(self, site: Site, alice: Account, mail: MailServer) -> None:
            browser = await site.browser_of(alice)
            done = await post(browser, "/account/email", {"email": "bob@example.com", "email_password": PASSWORD})
            assert done.location == "/account/sign-in?mailed=1"
            await do_errands(site.services)
            assert mail.letters == []

        async def test_nobody_is_flooded_with_letters(self, site: Site, alice: Account, mail: MailServer) -> None:
            browser = await site.browser_of(alice)
            statuses = []
            for email in ("x@example.com", "x@example.com", *(f"y{number}@example.com" for number in range(3))):
                form = {"email": email, "email_password": PASSWORD}
                statuses.append((await post(browser, "/account/email", form)).status)
            assert statuses == [303, 400, 303, 400, 400]


class TestPassword:
    async def test_a_new_one_ends_other_logins(self, site: Site, alice: Account) -> None:
        here, there = await site.browser_of(alice), await site.browser_of(alice)
        for form, field in (
            ({"current_password": "wrong", "new_password": "another horse"}, "current_password"),
            ({"current_password": PASSWORD, "new_password": "short"}, "new_password"),
        ):
            page = await post(here, "/account/password", form)
            assert (page.status, f'id="{field}-error"' in page.text) == (400, True)
        await post(here, "/account/password", {"current_password": PASSWORD, "new_password": "another horse"})
        assert (await here.get("/account")).status == 200
        assert (await there.get("/account")).location.startswith("/login")
        async with site.services.database.connect() as connection:
            stored = await stored_accounts.password_hash(connection, alice.id)
        assert await passwords.verify("another horse", stored)

    async def test_without_one_a_fresh_login_is_proof(self, site: Site, cast: Cast, clock: FrozenClock) -> None:
        services = site.services
        dora = signup.new_account("dora@example.com", "Dora", False, 1)
        async with services.database.begin() as connection:
            await stored_accounts.create(connection, dora, None)
        browser = await site.browser_of(dora)
        shown = (await browser.get("/account/sign-in")).text
        assert 'action="/account/password-link"' in shown
        assert "current_password" not in shown
        assert (await post(browser, "/account/email", {"email": "d2@example.com"})).status == 303
        clock.advance(24 * HOUR_MS)
        late = await post(browser, "/account/email", {"email": "d3@example.com"})
        assert (late.status, "less than a day old" in late.text) == (400, True)


class TestLogins:
    async def test_are_listed_by_browser_and_can_be_ended(self, site: Site, alice: Account) -> None:
        here = await site.browser_of(alice)
        there = site.browser()
        token, login = await logins.open_login(
            site.services.database, site.services.clock, alice, logins.Browser(WINDOWS_FIREFOX, "192.0.2.7")
        )
        there.cookies["vemetric_login"] = token
        shown = (await here.get("/account/sign-in")).text
        assert "Firefox on Windows" in shown
        assert "192.0.2.7" in shown
        assert shown.count("This one") == 1
        stranger = await site.browser_of((await account_of(site, "bob@example.com")) or alice)
        await post(stranger, f"/account/logins/{login.id}/end", {})
        assert (await there.get("/account")).status == 200
        await post(here, f"/account/logins/{login.id}/end", {})
        assert (await there.get("/account")).location.startswith("/login")

    async def test_all_others_at_once(self, site: Site, alice: Account) -> None:
        here, there = await site.browser_of(alice), await site.browser_of(alice)
        await post(here, "/account/logins/end-others", {})
        assert (await here.get("/account")).status == 200
        assert (await there.get("/account")).location.startswith("/login")

    async def test_a_login_from_before_is_never_taken_over(self, site: Site, alice: Account) -> None:
        """Session fixation: whatever login cookie a browser came with, it gets another one."""
        browser = site.browser()
        browser.cookies["vemetric_login"] = "planted"
        typed = {"email": "alice@example.com", "password": PASSWORD, "remember": "on", "next": "/"}
        assert (await browser.fill("/login", typed)).status == 303
        assert browser.cookies["vemetric_login"] != "planted"
        assert await logins.by_token(site.services.database, site.services.clock, "planted") is None

    def test_a_browser_nobody_knows(self) -> None:
        assert browser_name("") == browser_name("\x00\ud800") == "Unknown browser"


class TestLetters:
    async def test_tips_are_switched(self, site: Site, alice: Account) -> None:
        browser = await site.browser_of(alice)
        for tips, wanted in (("", False), ("on", True)):
            await post(browser, "/account/notifications", {"tips": tips}, "/account/notifications")
            changed = await account_of(site)
            assert changed is not None
            assert changed.receives_tips is wanted

    async def test_one_click_of_a_mail_program(self, site: Site, alice: Account) -> None:
        path = site.services.post.unsubscribe_url(alice.id).removeprefix(site.services.post.url)
        browser = site.browser()
        assert (await browser.get(path)).status == 200
        before = await account_of(site)
        assert before is not None
        assert before.receives_tips, "looking changes nothing"
        done = await browser.post(path, {"List-Unsubscribe": "One-Click"})
        assert (done.status, done.location) == (303, f"{path}?done=1")
        assert "No more tips" in (await browser.get(done.location)).text
        after = await account_of(site)
        assert after is not None
        assert not after.receives_tips

    async def test_the_operator_reads_what_could_not_be_sent(self, site: Site, cast: Cast) -> None:
        letter = await site.services.post.send(
            letters.invitation("<b>Acme</b>", "Alice", "ann@example.com", "https://stats.example.com/invite/x", 7),
            "new@example.com",
        )
        browser = await site.browser_of(cast.olga)
        assert "new@example.com" in (await browser.get("/account/letters")).text
        shown = (await browser.get(f"/account/letters/{letter.id}")).text
        assert "https://stats.example.com/invite/x" in shown
        assert "<b>Acme" not in shown
        assert (await (await site.browser_of(cast.alice)).get(f"/account/letters/{letter.id}")).status == 404


async def test_no_id_has_a_zero_byte(site: Site, alice: Account) -> None:
    browser = await site.browser_of(alice)
    for path in ("/account/letters/a%00b", "/avatars/a%00b", "/o/a%00b", "/account?saved=a%00b"):
        assert (await browser.get(path)).status == 404


async def test_no_text_that_is_typed_has_a_zero_byte(site: Site, cast: Cast, alice: Account) -> None:
    keys = f"/p/{cast.shop.id}/settings/keys"
    await (await site.browser_of(alice)).fill(keys, {"name": "a\0b"})
    [key] = await api_keys.of_project(site.services.database, cast.shop.id)
    assert key.name == "a\ufffdb"


class TestTheEnd:
    async def delete(self, browser: Browser, typed: str = "alice@example.com", password: str = PASSWORD) -> Page:
        return await post(browser, "/account/delete", {"typed": typed, "password": password}, "/account/delete")

    async def test_not_without_proof(self, site: Site, alice: Account) -> None:
        browser = await site.browser_of(alice)
        for typed, password, field in (("", PASSWORD, "typed"), ("alice@example.com", "wrong", "password")):
            page = await self.delete(browser, typed, password)
            assert (page.status, f'id="{field}-error"' in page.text) == (400, True)

    async def test_no_organization_is_left_without_an_admin(self, site: Site, alice: Account) -> None:
        page = await self.delete(await site.browser_of(alice))
        assert (page.status, "You are the only admin of Acme" in page.text) == (400, True)
        assert await account_of(site) is not None

    async def test_nor_the_server_without_an_operator(self, site: Site, cast: Cast) -> None:
        services = site.services
        await logins.reset_password(services.database, services.clock, "olga@example.com", PASSWORD)
        page = await self.delete(await site.browser_of(cast.olga), "olga@example.com")
        assert (page.status, "only operator" in page.text) == (400, True)

    async def test_everything_of_it_goes(self, site: Site, cast: Cast) -> None:
        services = site.services
        await logins.reset_password(services.database, services.clock, "bob@example.com", PASSWORD)
        browser, other = await site.browser_of(cast.bob), await site.browser_of(cast.bob)
        await send_picture(browser, a_png())
        found = re.search(r'src="(/avatars/[^"]+)"', (await browser.get("/account")).text)
        assert found is not None
        assert (await self.delete(browser, "Bob@Example.com")).location == "/login"
        assert "vemetric_login" not in browser.cookies
        assert (await other.get("/account")).location.startswith("/login")
        assert await account_of(site, "bob@example.com") is None
        assert (await browser.get(found.group(1))).status == 404
        assert not await profile.has_password(services.database, cast.bob.id)
