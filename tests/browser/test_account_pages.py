"""Signing up, the account's settings and the letters in a real Chromium: seen, typed at, and without scripts."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.accounts.test_pictures import a_png
from tests.browser.conftest import EMAIL, Stage, Watcher, sign_in
from tests.kit import axe, mail_server
from tests.kit.looks import SIZES, look_at
from tests.kit.mail_server import MailServer, do_errands, html_of, text_of
from vemetric.accounts import deletion, signup, tips, verification
from vemetric.accounts.post import Post
from vemetric.mail import letters
from vemetric.mail.letters import Words
from vemetric.model.verification import Purpose
from vemetric.services import Services

pytestmark = pytest.mark.browser

PASSWORD = "a quiet battery"
SITE = "https://stats.example.com"
CODE = re.compile(r"^    (\d{6})$", re.MULTILINE)


@pytest.fixture
def environ(environ: dict[str, str], mail: MailServer) -> dict[str, str]:
    services = {"GITHUB_CLIENT_ID": "g", "GITHUB_CLIENT_SECRET": "s", "OIDC_ISSUER": "https://id.example.com"}
    services |= {"OIDC_CLIENT_ID": "o", "OIDC_CLIENT_SECRET": "s", "OIDC_NAME": "Northwind"}
    # Links lead to the documentation's host, and cookies go over http as the test's server does.
    plain = {"VEMETRIC_PUBLIC_URL": "http://stats.example.com", "VEMETRIC_SIGN_UP": "open"}
    return environ | mail_server.settings(mail) | services | plain


async def the_pages(stage: Stage) -> dict[str, str]:
    """What is looked at while nobody is signed in."""
    services = stage.services
    async with services.database.begin() as connection:
        account = await stored_account(stage)
        made = await verification.begin(connection, account, Purpose.PASSWORD, EMAIL, services.clock.now_ms())
        proof = await verification.begin(connection, account, Purpose.SIGN_UP, EMAIL, services.clock.now_ms())
    unsubscribe = services.post.unsubscribe_url(account).removeprefix(services.post.url)
    return {
        "login": "/login",
        "sign-up": "/signup",
        "verify": f"/verify?email={EMAIL}&sent=1",
        "verify-link": f"/verify/{proof.token}",
        "verify-dead": "/verify/x",
        "forgot": "/forgot",
        "reset": f"/reset/{made.token}",
        "reset-dead": "/reset/x",
        "unsubscribe": unsubscribe,
        "unsubscribed": f"{unsubscribe}?done=1",
    }


async def stored_account(stage: Stage) -> str:
    from vemetric.database import accounts as stored_accounts

    async with stage.services.database.connect() as connection:
        found = await stored_accounts.by_email(connection, EMAIL)
    assert found is not None
    return found.id


async def the_settings(stage: Stage) -> dict[str, str]:
    """What is looked at by Mara, the operator."""
    services, project = stage.services, stage.project.id
    letter = await services.post.send(letters.try_out(), "new@example.com")
    account, now_ms = await stored_account(stage), services.clock.now_ms()
    async with services.database.begin() as connection:
        asked = await verification.begin(connection, account, Purpose.NEW_ADDRESS, "new@example.com", now_ms)
    token = deletion.token_of(services.secret, now_ms + deletion.HOUR_MS, account, project)
    return {
        "account": "/account",
        "account-sign-in": "/account/sign-in?saved=1",
        "account-notifications": "/account/notifications",
        "account-letters": "/account/letters",
        "account-letter": f"/account/letters/{letter.id}",
        "account-delete": "/account/delete",
        "new-address": f"/new-address/{asked.token}",
        "project-delete-letter": f"/p/{project}/delete",
        "project-delete-mailed": f"/p/{project}/delete?mailed=1",
        "project-delete-link": f"/p/{project}/delete/{token}",
    }


async def test_every_page_fits_is_quiet_and_shuts_nobody_out(
    stage: Stage, context: BrowserContext, watcher: Watcher, screenshots: Path
) -> None:
    page = await context.new_page()
    watcher.watch(page)
    for name, path in (await the_pages(stage)).items():
        await open_page(page, stage.url + path)
        await look_at(page, name, screenshots)
    await sign_in(page, stage.url)
    for name, path in (await the_settings(stage)).items():
        await open_page(page, stage.url + path)
        await look_at(page, name, screenshots)
    # A link that is dead is answered with 404, which Chromium tells on its console.
    assert [problem for problem in watcher.problems if "404" not in problem] == []


async def open_page(page: Page, url: str) -> None:
    """Go to a page, which has one heading."""
    await page.goto(url)
    assert await page.locator("h1").count() == 1, url


@pytest_asyncio.fixture(loop_scope="session")
async def plain(chromium: Browser) -> AsyncIterator[BrowserContext]:
    """A browser without scripts."""
    opened = await chromium.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    yield opened
    await opened.close()


async def test_signing_up_and_looking_after_the_account_by_keyboard_without_scripts(
    stage: Stage, plain: BrowserContext, mail: MailServer, tmp_path: Path
) -> None:
    page, services = await plain.new_page(), stage.services
    await page.goto(f"{stage.url}/signup")
    for text in ("T", "tove@example.com", PASSWORD):
        await page.keyboard.type(text)
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#name-error")).to_contain_text("2 to 100 characters")
    await expect(page.locator("#name")).to_be_focused()
    await page.keyboard.type("ove Åkesson")
    await page.locator("#password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile(r"/verify\?"))
    await do_errands(services)
    code = CODE.search(text_of(await mail.letter_to("tove@example.com")))
    assert code is not None
    await expect(page.locator("#code")).to_be_focused()
    await page.keyboard.type(code.group(1))
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("/organizations/new"))
    await page.goto(f"{stage.url}/account")
    (tmp_path / "me.png").write_bytes(a_png())
    await page.set_input_files("#picture", tmp_path / "me.png")
    await page.locator("#picture").press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("img.avatar--l")).to_be_visible()
    await page.goto(f"{stage.url}/account/sign-in")
    await expect(page.locator("#logins")).to_contain_text("Chrom")
    await page.locator("#current_password").fill("not this one")
    await page.locator("#new_password").fill("another battery")
    await page.keyboard.press("Enter")
    await expect(page.locator("#current_password-error")).to_be_visible()
    await expect(page.locator("#current_password")).to_be_focused()


async def test_a_picture_is_made_small_and_square_before_it_is_sent(
    services_at_noon: Services, url: str, page: Page
) -> None:
    await signup.create_account(services_at_noon.database, services_at_noon.clock, EMAIL, PASSWORD)
    await sign_in_as(page, url)
    await page.goto(f"{url}/account")
    # Taken of a page, which is wider than it is high.
    large = {"name": "me.png", "mimeType": "image/png", "buffer": await page.screenshot()}
    await page.set_input_files("#picture", large)  # type: ignore[arg-type]
    await expect(page.locator("#picture[data-shrunk='500']")).to_have_count(1)
    await page.click("text=Use it")
    picture = page.locator("img.avatar--l")
    await expect(picture).to_have_attribute("src", re.compile(r"\.webp$"))
    assert await picture.evaluate("async (image) => { await image.decode(); return image.naturalWidth }") == 500


async def sign_in_as(page: Page, url: str) -> None:
    await page.goto(f"{url}/login")
    await page.fill("#email", EMAIL)
    await page.fill("#password", PASSWORD)
    await page.click("form[action='/login'] button")
    await page.wait_for_url(re.compile("/(o|p|organizations)/"))


async def test_the_way_to_a_service_leaves_the_site_under_its_policy(
    services_at_noon: Services, url: str, context: BrowserContext
) -> None:
    """Chromium holds the answer to a form to `form-action`: the next page, not the answer, leads away."""
    await signup.create_account(services_at_noon.database, services_at_noon.clock, EMAIL, PASSWORD)
    left: list[str] = []

    async def there(route: Any) -> None:
        left.append(route.request.url)
        await route.fulfill(status=200, content_type="text/html", body="<h1>GitHub</h1>")

    await context.route("https://github.com/**", there)
    page = await context.new_page()
    await page.goto(f"{url}/signup")
    async with page.expect_navigation(url=re.compile("https://github.com/login/oauth/authorize")):
        await page.click("text=Continue with GitHub")
    assert "redirect_uri=http%3A%2F%2Fstats.example.com%2Foauth%2Fgithub%2Fcallback" in left[0]
    assert "code_challenge_method=S256" in left[0]


def the_letters() -> dict[str, Words]:
    """Every letter there is."""
    url, long = f"{SITE}/reset/{'x' * 43}", "Northwind Trading & Søns <International>"
    return {
        "verify-email": letters.verify_email(url, "042713", 5, 1),
        "address-taken": letters.address_is_taken(f"{SITE}/login", f"{SITE}/forgot"),
        "change-email": letters.confirm_new_address("Mara", url, 1),
        "email-changed": letters.address_was_changed("Mara", "new@example.com"),
        "reset-password": letters.reset_password("Mara", url, 1),
        "password-changed": letters.password_was_changed(
            "Mara", f"{SITE}/forgot", ["Google", "GitHub"], f"{SITE}/account/sign-in"
        ),
        "service-connected": letters.service_was_connected("Mara", "GitHub", f"{SITE}/account/sign-in"),
        "invitation": letters.invitation(long, "Tove", "tove@example.com", url, 7),
        "project-deletion": letters.project_deletion("Mara", long, "northwind.example.com", url, 1),
        "subscription-started": letters.subscription_started(long, url),
        "subscription-cancelled": letters.subscription_cancelled(long, url),
        "no-project-1": letters.no_project_yet("Mara", SITE),
        "no-project-2": letters.no_project_still("Mara", SITE),
        "no-events-1": letters.no_events_yet("Mara", long, url),
        "no-events-2": letters.no_events_still("Mara", long, url),
        "first-event-feedback": letters.first_event_feedback("Mara", long, url),
        "try-out": letters.try_out(),
    }


def test_no_letter_was_forgotten() -> None:
    written = the_letters()
    makers = {
        name for name, made in vars(letters).items() if getattr(made, "__annotations__", {}).get("return") is Words
    }
    assert len(written) == len(makers)
    assert {words.kind for words in written.values()} == set(written)
    assert sum(len(steps) for steps in tips.STEPS.values()) == 5


async def test_letters_as_they_arrive(
    services_at_noon: Services, chromium: Browser, mail: MailServer, screenshots: Path
) -> None:
    post: Post = services_at_noon.post
    for size, theme in (("wide", "light"), ("phone", "dark")):
        width = SIZES[size][0]
        context = await chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)  # type: ignore[arg-type]
        page = await context.new_page()
        asked: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        for kind, words in the_letters().items():
            await post.send(words, f"{kind}-{theme}@example.com")
            await do_errands(services_at_noon)
            received = await mail.letter_to(f"{kind}-{theme}@example.com")
            await page.set_content(html_of(received))
            too_wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert too_wide <= 0, f"{kind} scrolls sideways by {too_wide} px"
            assert await axe.serious_issues(page) == [], kind
            await page.screenshot(path=screenshots / f"letter-{kind}-{size}-{theme}.png", full_page=True)
            for sentence in (*words.paragraphs, *words.bullets, *words.after):
                assert " ".join(sentence.split()) in " ".join(text_of(received).split())
        assert asked == [], "a letter loads nothing"
        await context.close()
