"""The settings of projects and organizations in a real Chromium: at three widths, for everybody, without scripts."""

import re
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Stage, Watcher, sign_in, sign_in_by_form
from tests.kit.looks import look_at
from vemetric.accounts import api_keys, event_icons, exclusions, invitations, logins, members, signup
from vemetric.database import accounts as stored_accounts
from vemetric.model.account import Account
from vemetric.model.organization import Role

pytestmark = pytest.mark.browser


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    """Plans are on sale; nothing is asked of Paddle before one is bought."""
    paddle = {"PADDLE_WEBHOOK_SECRET_KEY": "s", "PADDLE_PLANS": "pri_a=10000,pri_b=100000", "PADDLE_API_KEY": "k"}
    return environ | paddle


@pytest_asyncio.fixture(loop_scope="session")
async def mara(stage: Stage) -> Account:
    """The operator, with something in every list of the settings."""
    database, clock = stage.services.database, stage.services.clock
    async with database.connect() as connection:
        [account] = await stored_accounts.operators(connection)
    organization, project = stage.project.organization_id, stage.project.id
    await signup.create_account(database, clock, "tove@example.com", "correct horse battery", "Tove Åkesson")
    for only, email in ((None, "new@example.com"), ((project,), "")):
        await invitations.create(database, clock, organization, account, Role.MEMBER, only, email)
    await api_keys.create(database, clock, project, account, "Weekly report")
    await event_icons.put(database, project, "SignupCompleted", "🎉")
    for kind, value in (("ip", "203.0.113.0/24"), ("country", "AT"), ("path", "/admin/*"), ("host", "*.test")):
        await exclusions.exclude(database, clock, project, kind, value)
    return account


async def the_pages(stage: Stage) -> dict[str, str]:
    """What is looked at: a name and a path."""
    services = stage.services
    project, organization = f"/p/{stage.project.id}", f"/o/{stage.project.organization_id}"
    found = await members.of_organization(services.database, stage.project.organization_id)
    tove = next(one for one in found if one.name.startswith("Tove"))
    [key] = await api_keys.of_project(services.database, stage.project.id)
    invited = await invitations.of_organization(services.database, stage.project.organization_id)
    return {
        "project-general": f"{project}/settings",
        "project-token": f"{project}/settings/token",
        "project-installation": f"{project}/settings/installation",
        "project-exclusions": f"{project}/settings/exclusions",
        "project-icons": f"{project}/settings/icons",
        "project-keys": f"{project}/settings/keys",
        "project-key-revoke": f"{project}/settings/keys/{key.id}/revoke",
        "project-people": f"{project}/settings/people?who=nobody",
        "project-delete": f"{project}/delete",
        "organization-general": f"{organization}/settings",
        "organization-members": f"{organization}/settings/members",
        "organization-member": f"{organization}/settings/members/{tove.account_id}",
        "organization-usage": f"{organization}/settings/usage",
        "organization-plan": f"{organization}/settings/billing/plans/pri_b",
        "organization-features": f"{organization}/settings/features",
        "organization-leave": f"{organization}/leave",
        "organization-new": "/organizations/new",
        "overview": organization,
        "project-new": f"{organization}/projects/new",
        "invitation": f"/invite/{invited[0].token}",
    }


async def test_every_page_fits_is_quiet_and_shuts_nobody_out(
    stage: Stage, mara: Account, page: Page, screenshots: Path
) -> None:
    await sign_in(page, stage.url)
    for name, path in (await the_pages(stage)).items():
        await page.goto(stage.url + path)
        assert await page.locator("h1").count() == 1, name
        await look_at(page, name, screenshots)


# A form by its page and a field of it, and what is typed that is wrong there; `project` and `organization` are paths.
MISTAKES = (
    ("/account", "name", "x"),
    ("/account/sign-in", "email_password", "not this one"),
    ("/account/sign-in", "current_password", "not this one"),
    ("/account/delete", "typed", "somebody@example.com"),
    ("/organizations/new", "name", "x"),
    ("organization/settings", "name", "x"),
    ("organization/settings/members", "email", "x"),
    ("organization/settings/usage", "limit", "many"),
    ("organization/settings/features", "flags", "x" * 101),
    ("organization/projects/new", "name", "x"),
    ("organization/delete", "typed", "x"),
    ("project/settings", "domain", "x"),
    ("project/settings/exclusions", "ip", "999"),
    ("project/settings/exclusions", "path", "x" * 300),
    ("project/settings/icons?event=Buy", "icon", "no"),
    ("project/settings/keys", "name", ""),
    ("project/settings/people", "who", "nobody"),
    ("project/delete", "typed", "x"),
)
TABS_MAX = 80


async def test_every_form_takes_a_mistake_by_keyboard_without_scripts(
    stage: Stage, mara: Account, chromium: Browser
) -> None:
    """The field is reached by Tab; its error stands beside it, is its description, and the field has the focus."""
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await sign_in(page, stage.url)
    paths = {"project": f"/p/{stage.project.id}", "organization": f"/o/{stage.project.organization_id}"}
    for path, field, typed in MISTAKES:
        start, _, rest = path.partition("/")
        await page.goto(stage.url + paths.get(start, "") + "/" + rest)
        # What the browser itself would stop, so that the server's words are seen.
        for form in await page.locator("form").all():
            await form.evaluate("(form) => { form.noValidate = true; }")
        wrong = page.locator(f"#{field}")
        for _ in range(TABS_MAX):
            if await wrong.evaluate("(field) => field === document.activeElement"):
                break
            await page.keyboard.press("Tab")
        await expect(wrong, path).to_be_focused()
        await page.keyboard.press("Control+A")
        await page.keyboard.press("Delete")
        await page.keyboard.insert_text(typed)
        await page.keyboard.press("Enter")
        error = page.locator(f"#{field}-error")
        await expect(error, path).to_be_visible()
        await expect(wrong, path).to_be_focused()
        await expect(wrong, path).to_have_attribute("aria-invalid", "true")
        described = await wrong.get_attribute("aria-describedby")
        assert f"{field}-error" in (described or "").split(), path
    await context.close()


async def test_settings_work_by_keyboard_without_scripts(stage: Stage, mara: Account, chromium: Browser) -> None:
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await sign_in_by_form(page, stage.url)
    path = f"{stage.url}/p/{stage.project.id}/settings"
    await page.goto(f"{path}/exclusions")
    await page.locator("#host").focus()
    await page.keyboard.type("not a host")
    await page.keyboard.press("Enter")
    await expect(page.locator("#host-error")).to_be_visible()
    await expect(page.locator("#host")).to_be_focused()
    await page.keyboard.press("Control+A")
    await page.keyboard.type("staging.example.com")
    await page.keyboard.press("Enter")
    await expect(page.locator("#hosts")).to_contain_text("staging.example.com")
    await page.goto(f"{path}/keys")
    await page.locator("#name").focus()
    await page.keyboard.type("By keyboard")
    await page.keyboard.press("Enter")
    await expect(page.locator("#new-key")).to_have_text(re.compile("^vem_[a-z0-9]{32}$"))
    await page.goto(path)
    await page.locator("[name=is_public]").focus()
    await page.keyboard.press("Space")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#public .badge")).to_have_text("On")
    await context.close()


async def test_the_switcher_keeps_the_section_and_changes_the_organization(
    stage: Stage, page: Page, context: BrowserContext
) -> None:
    await sign_in(page, stage.url)
    await page.goto(f"{stage.dashboard}/settings")
    await page.click(".rail .switcher")
    await page.click(".rail .pop >> text=Shop")
    await expect(page).to_have_url(f"{stage.url}/p/{stage.waiting.id}/settings")
    await page.click(".rail .switcher")
    await page.click(".rail .pop >> text=New organization")
    await page.fill("#name", "Second house")
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("New project")
    await expect(page.locator(".rail .switcher")).to_contain_text("Second house")
    await page.click(".rail .switcher")
    await page.click(f".rail .pop a[href='/o/{stage.project.organization_id}']:has-text('My organization')")
    await expect(page.locator("h1")).to_have_text("My organization")


async def test_a_guest_goes_from_the_link_to_the_projects(
    stage: Stage, mara: Account, chromium: Browser, watcher: Watcher
) -> None:
    services = stage.services
    guest = await signup.create_account(
        services.database, services.clock, "gast@example.com", "correct horse 2", "Gast"
    )
    await members.remove(services.database, stage.project.organization_id, guest.id)
    made = await invitations.create(
        services.database, services.clock, stage.project.organization_id, mara, Role.MEMBER, (stage.project.id,)
    )
    context = await chromium.new_context()
    page = await context.new_page()
    watcher.watch(page)
    await page.goto(f"{stage.url}/invite/{made.token}")
    await page.click("text=Sign in to accept")
    await page.fill("#email", "gast@example.com")
    await page.fill("#password", "correct horse 2")
    await page.keyboard.press("Enter")
    await page.click("text=Accept the invitation")
    await expect(page.locator("h1")).to_have_text("My organization")
    await expect(page.locator(".tile")).to_have_count(1)
    await context.close()
    assert watcher.problems == []
    assert len(await logins.of_account(services.database, services.clock, guest.id)) == 1
