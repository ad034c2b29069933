"""The first run by keyboard alone: from the set-up link to the page that waits for the first event."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, expect

from tests.kit.looks import look_at
from vemetric.accounts import setup
from vemetric.services import Services

pytestmark = pytest.mark.browser

TYPED = {
    "name": "Mara Lindqvist",
    "email": "mara@example.com",
    "password": "correct horse",
    "organization": "Northwind",
    "project": "Northwind Docs",
    "domain": "docs.example.com",
}


@pytest_asyncio.fixture(loop_scope="session")
async def link(services_at_noon: Services, url: str) -> str:
    made = await setup.new_link(services_at_noon.database, services_at_noon.clock, url)
    assert made is not None
    return made


async def type_in(page: Page, typed: Mapping[str, str]) -> None:
    """Fill the form from its first field on, as a person without a mouse does."""
    for name, text in typed.items():
        await expect(page.locator(f"#{name}")).to_be_focused()
        await page.keyboard.insert_text(text)
        await page.keyboard.press("Tab")
    await expect(page.locator("#time_zone")).to_be_focused()


async def test_by_keyboard(link: str, page: Page) -> None:
    await page.goto(link)
    await type_in(page, TYPED)
    await expect(page.locator("#time_zone")).to_have_value("Europe/Vienna")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/p/*")
    await expect(page.locator("h1")).to_have_text("Waiting for the first event")
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#main")).to_be_focused()


async def test_the_first_wrong_field_has_the_focus_and_its_reason(link: str, context: BrowserContext) -> None:
    page = await context.new_page()
    await page.goto(link)
    await type_in(page, TYPED | {"email": "mara@localhost", "domain": "nope"})
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    wrong = page.locator("#email")
    await expect(wrong).to_be_focused()
    await expect(wrong).to_have_attribute("aria-invalid", "true")
    await expect(wrong).to_have_accessible_description("This is not an e-mail address.")
    await expect(page.locator("#domain")).to_have_attribute("aria-invalid", "true")
    await expect(page.locator("#name")).to_have_value(TYPED["name"])
    await expect(page.locator("#password")).to_have_value("")
    await expect(page.locator("#time_zone")).to_have_value("Europe/Vienna")


async def test_fits_and_is_quiet_at_every_width(link: str, url: str, page: Page, screenshots: Path) -> None:
    for name, address in (("waiting", url), ("setup", link)):
        await page.goto(address)
        for note in await page.locator("details.note").all():
            await note.click()
        await look_at(page, name, screenshots)
