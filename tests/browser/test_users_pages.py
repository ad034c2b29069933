"""The pages of users and the public dashboard in Chromium, with and without scripts."""

import re

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Stage, sign_in
from tests.kit import visits
from vemetric.accounts import project_settings
from vemetric.clock import FrozenClock
from vemetric.database import identities
from vemetric.model.geo import Geo

pytestmark = pytest.mark.browser

ERIN = "erin.with.a.very.long.address.that.does.not.end@example.net"


@pytest_asyncio.fixture(loop_scope="session")
async def pages(stage: Stage, clock: FrozenClock) -> dict[str, str]:
    """A name and a path of each page; Erin is known and came on three days. The project is public."""
    services, noon_ms = stage.services, clock.now_ms()
    who = visits.sender(stage.project, user_identifier=ERIN)
    for days in (40, 3, 0):
        for number in range(3):
            clock.set(noon_ms - days * 86_400_000 - (4 - number) * 30_000)
            place, referrer = Geo("AT", "Vienna"), "https://www.google.com/" if number == 0 else None
            await visits.event(
                services, stage.project, path=f"/guides/{number}", who=who, place=place, referrer=referrer
            )
        data = {"plan": "gold", "seats": 12, "page": "https://northwind.example.com/a"}
        await visits.event(services, stage.project, "PlanSelected", who=who, data=data)
    clock.set(noon_ms)
    await visits.settle(services)
    await project_settings.publish(services.database, services.clock, stage.project.id, is_public=True)
    async with services.database.connect() as connection:
        user = await identities.by_identifier(connection, stage.project.id, ERIN)
    project = f"/p/{stage.project.id}"
    return {
        "users": f"{project}/users?t=7days",
        "users-found": f"{project}/users?q=erin&by=event&ev=PlanSelected&f=browser(browser:oneOf:Chrome)",
        "users-nobody": f"{project}/users?q=nobody",
        "user": f"{project}/users/{user}",
        "public": f"/public/{stage.project.domain}",
        "public-filtered": f"/public/{stage.project.domain}?t=7days&f=browser(browser:oneOf:Chrome)",
    }


async def test_users_are_found_and_looked_at_without_scripts(
    stage: Stage, pages: dict[str, str], chromium: Browser
) -> None:
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await sign_in(page, stage.url)
    await page.goto(stage.url + pages["users"])
    await page.get_by_label("Search users").fill("erin")
    await page.get_by_role("button", name="Search").click()
    await page.get_by_role("link", name=ERIN).click()
    await expect(page.locator("h1")).to_have_text(ERIN)
    await page.get_by_role("link", name="3 events").or_(page.locator(".heat a").first).first.click()
    await expect(page.locator(".session")).to_have_count(1)
    await context.close()


async def test_a_public_dashboard_is_read_without_a_login(stage: Stage, pages: dict[str, str], page: Page) -> None:
    await page.goto(stage.url + pages["public"])
    await page.get_by_role("link", name="Entry").click()
    await expect(page).to_have_url(f"{stage.url}{pages['public']}?p=entry")
    # What was chosen in another card stays.
    await page.get_by_role("link", name="Filter by Chrome", exact=True).click()
    await expect(page).to_have_url(re.compile(r"\?p=entry&f=browser"))
    await page.get_by_role("link", name="Cities").click()
    await expect(page).to_have_url(re.compile("cl=cities"))
    await page.get_by_role("link", name="Remove the filter Browser is one of Chrome").click()
    await expect(page).to_have_url(f"{stage.url}{pages['public']}?p=entry&cl=cities")
    await page.get_by_role("link", name="Top", exact=True).click()
    await expect(page).to_have_url(f"{stage.url}{pages['public']}?cl=cities")
    # So it does through a form.
    await page.get_by_text("Filter", exact=True).click()
    await page.get_by_role("link", name="Device", exact=True).click()
    await page.get_by_label("Desktop").or_(page.get_by_label("desktop")).check()
    await page.get_by_role("button", name="Add filter").click()
    await expect(page).to_have_url(f"{stage.url}{pages['public']}?cl=cities&f=device(device:oneOf:desktop)")
