"""Signing up, by whom the setting says; proving an address by code and link; setting a password anew."""

import re

import pytest

from tests.kit import mail_server
from tests.kit.mail_server import PUBLIC_URL, MailServer, do_errands, text_of
from tests.web.conftest import Cast, Page, Site
from vemetric.accounts import invitations, limits, logins, verification
from vemetric.clock import FrozenClock
from vemetric.database import accounts as stored_accounts
from vemetric.model.account import Account
from vemetric.model.organization import Role

EMAIL, PASSWORD = "mara@example.com", "correct horse"
TYPED = {"name": "Mara Lindqvist", "email": EMAIL, "password": PASSWORD, "next": "/"}
CODE = re.compile(r"^    (\d{6})$", re.MULTILINE)


async def account_of(site: Site, email: str = EMAIL) -> Account | None:
    async with site.services.database.connect() as connection:
        return await stored_accounts.by_email(connection, email)


def link_in(text: str, path: str) -> str:
    found = re.search(rf"{re.escape(PUBLIC_URL)}({path}/[\w-]+)", text)
    assert found is not None, text
    return found.group(1)


def said(page: Page) -> str:
    """What a page says, without the tokens of its forms."""
    return re.sub(r'value="[0-9a-f]{128}"', "", page.text)


class TestClosed:
    """The default: nobody."""

    async def test_nobody_can(self, site: Site, cast: Cast) -> None:
        page = await site.browser().get("/signup")
        assert page.status == 403
        csrf = (await site.browser().get("/login")).csrf
        assert (await site.browser().post("/signup", TYPED | {"csrf": csrf})).status == 403
        browser = site.browser()
        assert (await browser.fill("/login", TYPED, "/signup")).status == 403
        assert await account_of(site) is None
        assert "/signup" not in (await browser.get("/login")).text


class TestInvited:
    """By invitation."""

    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"VEMETRIC_SIGN_UP": "invited"}

    async def test_only_with_an_invitation_that_works(self, site: Site, cast: Cast) -> None:
        services = site.services
        made = await invitations.create(services.database, services.clock, cast.acme.id, cast.alice, Role.MEMBER)
        for path in ("/", "/invite/nonsense", f"/invite/{made.token}x"):
            assert (await site.browser().get(f"/signup?next={path}")).status == 403
        browser, path = site.browser(), f"/invite/{made.token}"
        done = await browser.fill(f"/signup?next={path}", TYPED | {"next": path}, "/signup")
        assert (done.status, done.location) == (303, path)
        assert await account_of(site) is not None
        csrf = (await browser.get(path)).csrf
        assert (await browser.post(path, {"csrf": csrf})).location == f"/o/{cast.acme.id}"
        assert (await site.browser().get(f"/signup?next={path}")).status == 403


class TestOpen:
    """Anybody, where no mail is set up: the account is ready at once."""

    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"VEMETRIC_SIGN_UP": "open"}

    async def test_makes_an_account_and_signs_it_in(self, site: Site, cast: Cast) -> None:
        browser = site.browser()
        assert 'href="/signup"' in (await browser.get("/login")).text
        done = await browser.fill("/signup", TYPED)
        assert (done.status, done.location) == (303, "/")
        account = await account_of(site)
        assert account is not None
        assert (account.name, account.is_operator, account.email_verified_at_ms) == ("Mara Lindqvist", False, None)
        assert (await browser.get(f"/o/{cast.acme.id}")).status == 404

    async def test_before_the_first_account_nobody_can(self, site: Site) -> None:
        assert (await site.browser().get("/signup")).status == 403

    async def test_what_is_wrong_stands_beside_its_field(self, site: Site, cast: Cast) -> None:
        page = await site.browser().fill("/signup", TYPED | {"name": "M", "email": "nonsense", "password": "short"})
        assert page.status == 400
        for field in ("name", "email", "password"):
            assert f'id="{field}-error"' in page.text
        assert 'value="nonsense"' in page.text
        assert 'value="short"' not in page.text

    async def test_nothing_but_the_form_is_taken(self, site: Site, cast: Cast) -> None:
        more = {"is_operator": "1", "isOperator": "true", "email_verified_at_ms": "1", "id": "x", "role": "admin"}
        await site.browser().fill("/signup", TYPED | more)
        account = await account_of(site)
        assert account is not None
        assert not account.is_operator
        assert account.email_verified_at_ms is None
        assert account.id != "x"

    async def test_never_leads_elsewhere(self, site: Site, cast: Cast) -> None:
        assert (await site.browser().fill("/signup", TYPED | {"next": "//evil.test"})).location == "/"


class TestWithMail:
    """The address has to be proved first."""

    @pytest.fixture
    def environ(self, environ: dict[str, str], mail: MailServer) -> dict[str, str]:
        return (
            environ | mail_server.settings(mail) | {"VEMETRIC_SIGN_UP": "open", "VEMETRIC_TRUSTED_PROXIES": "loopback"}
        )

    async def signed_up(self, site: Site, mail: MailServer) -> tuple[str, str]:
        done = await site.browser().fill("/signup", TYPED)
        assert done.location == "/verify?email=mara%40example.com&next=/"
        await do_errands(site.services)
        text = text_of(await mail.letter_to(EMAIL, 1))
        code = CODE.search(text)
        assert code is not None
        return code.group(1), link_in(text, "/verify")

    async def test_by_code(self, site: Site, cast: Cast, mail: MailServer) -> None:
        code, _ = await self.signed_up(site, mail)
        browser = site.browser()
        refused = await browser.fill("/login", TYPED)
        assert refused.location == "/verify?email=mara%40example.com&next=/"
        page = "/verify?email=mara%40example.com"
        wrong = f"{(int(code) + 1) % 10**6:06}"
        page_of_wrong = await browser.fill(page, {"email": EMAIL, "code": wrong, "next": "/"}, "/verify")
        assert (page_of_wrong.status, 'id="code-error"' in page_of_wrong.text) == (400, True)
        done = await browser.fill(page, {"email": EMAIL, "code": f" {code[:3]} {code[3:]} ", "next": "/"}, "/verify")
        assert (done.status, done.location) == (303, "/")
        account = await account_of(site)
        assert account is not None
        assert account.email_verified_at_ms is not None
        assert (await browser.get("/account")).status == 200
        again = await site.browser().fill(page, {"email": EMAIL, "code": code, "next": "/"}, "/verify")
        assert again.status == 400

    async def test_by_link_and_only_by_a_click(self, site: Site, cast: Cast, mail: MailServer) -> None:
        _, link = await self.signed_up(site, mail)
        browser = site.browser()
        for _ in range(2):
            assert (await browser.get(link)).status == 200
        assert (await browser.fill(link, {})).location == "/"
        assert (await browser.get("/account")).status == 200
        assert (await site.browser().get(link)).status == 404

    @pytest.mark.parametrize("tries", [verification.CODE_ATTEMPTS_MAX - 1, verification.CODE_ATTEMPTS_MAX])
    async def test_a_code_can_be_guessed_at_only_so_often(
        self,
        site: Site,
        cast: Cast,
        mail: MailServer,
        tries: int,
    ) -> None:
        code, _ = await self.signed_up(site, mail)
        page, wrong = "/verify?email=mara%40example.com", f"{(int(code) + 1) % 10**6:06}"
        for _ in range(tries):
            await site.browser().fill(page, {"email": EMAIL, "code": wrong, "next": "/"}, "/verify")
        done = await site.browser().fill(page, {"email": EMAIL, "code": code, "next": "/"}, "/verify")
        assert done.status == (303 if tries < verification.CODE_ATTEMPTS_MAX else 400)

    @pytest.mark.parametrize(("minutes", "status"), [(4, 303), (5, 400)])
    async def test_a_code_ages(
        self,
        site: Site,
        cast: Cast,
        mail: MailServer,
        clock: FrozenClock,
        minutes: int,
        status: int,
    ) -> None:
        code, _ = await self.signed_up(site, mail)
        clock.advance(minutes * 60_000)
        page = "/verify?email=mara%40example.com"
        done = await site.browser().fill(page, {"email": EMAIL, "code": code, "next": "/"}, "/verify")
        assert done.status == status

    async def test_a_link_ages(self, site: Site, cast: Cast, mail: MailServer, clock: FrozenClock) -> None:
        _, link = await self.signed_up(site, mail)
        clock.advance(3_600_000 - 1)
        assert (await site.browser().get(link)).status == 200
        clock.advance(1)
        assert (await site.browser().get(link)).status == 404

    async def test_a_new_code_ends_the_one_before(
        self,
        site: Site,
        cast: Cast,
        mail: MailServer,
        clock: FrozenClock,
    ) -> None:
        old, _ = await self.signed_up(site, mail)
        form, page = {"email": EMAIL, "next": "/"}, "/verify?email=mara%40example.com"
        sent = await site.browser().fill(page, form, "/verify-again")
        assert sent.location.endswith("&sent=1")
        assert await do_errands(site.services) == 2
        new = CODE.search(text_of(await mail.letter_to(EMAIL, 2)))
        assert new is not None
        await site.browser().fill(page, form, "/verify-again")
        assert await do_errands(site.services) == 0, "an address gets one letter in five minutes"
        if new.group(1) != old:
            assert (await site.browser().fill(page, form | {"code": old}, "/verify")).status == 400
        assert (await site.browser().fill(page, form | {"code": new.group(1)}, "/verify")).status == 303

    async def test_an_address_that_is_taken_is_told_only_to_its_owner(
        self,
        site: Site,
        cast: Cast,
        mail: MailServer,
    ) -> None:
        taken = await site.browser().fill("/signup", TYPED | {"email": "alice@example.com"})
        new = await site.browser().fill("/signup", TYPED)
        assert taken.status == new.status
        assert taken.location.replace("alice", "mara") == new.location
        shown = [said(await site.browser().get(page.location)) for page in (taken, new)]
        assert shown[0].replace("alice", "mara") == shown[1]
        again = await site.browser().fill("/signup", TYPED | {"email": "alice@example.com"})
        assert again.location == taken.location
        assert await do_errands(site.services) == 2, "an address gets one letter in five minutes"
        assert "You have an account already" in text_of(await mail.letter_to("alice@example.com"))
        alice = await account_of(site, "alice@example.com")
        assert alice is not None
        assert alice.name == "Alice"

    async def test_the_host_that_a_request_names_is_in_no_letter(
        self,
        site: Site,
        cast: Cast,
        mail: MailServer,
    ) -> None:
        evil = {"Host": "evil.test", "X-Forwarded-Host": "evil.test"}
        browser = site.browser()
        csrf = (await browser.get("/forgot", evil)).csrf
        await browser.post("/forgot", {"csrf": csrf, "email": "alice@example.com"}, evil)
        await do_errands(site.services)
        letter = await mail.letter_to("alice@example.com")
        assert "evil.test" not in letter.as_string()
        assert f"{PUBLIC_URL}/reset/" in text_of(letter)


class TestForgotten:
    """A new password by the link of a letter."""

    @pytest.fixture
    def environ(self, environ: dict[str, str], mail: MailServer) -> dict[str, str]:
        return environ | mail_server.settings(mail)

    async def test_what_is_said_and_done_is_the_same_for_any_address(self, site: Site, cast: Cast) -> None:
        answers, jobs = [], []
        for email in ("alice@example.com", "nobody@example.com"):
            page = await site.browser().fill("/forgot", {"email": email})
            answers.append((page.status, said(page).replace(email, "")))
            jobs.append([(one.ready, one.queue) for one in await site.services.queue.stats() if one.queue == "email"])
        assert answers[0] == answers[1]
        assert jobs == [[(1, "email")], [(2, "email")]], "the page leaves both to the queue and looks nothing up"

    async def test_a_new_password_ends_every_login(self, site: Site, cast: Cast, mail: MailServer) -> None:
        alice = await site.browser_of(cast.alice)
        await site.browser().fill("/forgot", {"email": " Alice@Example.com "})
        await do_errands(site.services)
        link = link_in(text_of(await mail.letter_to("alice@example.com")), "/reset")
        browser = site.browser()
        short = await browser.fill(link, {"password": "short"})
        assert (short.status, 'id="password-error"' in short.text) == (400, True)
        assert (await browser.fill(link, {"password": "a new password"})).location == "/login?reset=1"
        assert (await alice.get("/account")).location.startswith("/login")
        assert "vemetric_login" not in browser.cookies, "a reset signs nobody in"
        assert (await site.browser().get(link)).status == 404
        typed = {"email": "alice@example.com", "password": "a new password", "remember": "on", "next": "/"}
        assert (await site.browser().fill("/login", typed)).status == 303
        await do_errands(site.services)
        assert "was changed" in text_of(await mail.letter_to("alice@example.com", 2))

    async def test_only_the_newest_link_works_and_within_an_hour(
        self,
        site: Site,
        cast: Cast,
        mail: MailServer,
        clock: FrozenClock,
    ) -> None:
        links = []
        for number in (1, 2):
            await site.browser().fill("/forgot", {"email": "alice@example.com"})
            await do_errands(site.services)
            links.append(link_in(text_of(await mail.letter_to("alice@example.com", number)), "/reset"))
            clock.advance(limits.LETTERS_TO_ADDRESS.window_seconds * 1000)
        assert [(await site.browser().get(link)).status for link in links] == [404, 200]
        clock.advance(3_600_000)
        assert (await site.browser().get(links[1])).status == 404


async def test_unknown_addresses_cost_the_login_as_much_as_known_ones(
    site: Site, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes time is the one hash that is checked: it is checked once, whoever asks."""
    checked: list[str | None] = []
    real = logins.passwords._verify

    def counted(password: str, stored_hash: str | None) -> bool:
        checked.append(stored_hash)
        return real(password, stored_hash)

    monkeypatch.setattr(logins.passwords, "_verify", counted)
    for email in ("alice@example.com", "nobody@example.com", "no address"):
        before = len(checked)
        typed = {"email": email, "password": "wrong password", "remember": "", "next": "/"}
        assert (await site.browser().fill("/login", typed)).status == 401
        assert len(checked) == before + 1
