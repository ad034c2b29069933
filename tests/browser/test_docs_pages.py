"""The documentation inside the product: every page within the width of a phone, and open to all.

All are one template around prose, tables and code, so axe looks at some that have these, and at all in a long run.
"""

import pytest
from playwright.async_api import Page

from tests.browser.conftest import Stage
from tests.kit import axe
from tests.kit.looks import IS_WHOLE, SIZES, fits, resize

pytestmark = pytest.mark.browser

PAGES_MIN = 20
LOOKED_AT = ("/docs/", "/docs/snippets/", "/docs/configuration/", "/docs/scaling/")


async def test_every_page_of_the_documentation(stage: Stage, page: Page) -> None:
    await page.goto(f"{stage.url}/docs/")
    links = await page.evaluate("() => [...document.links].map((one) => one.href.split('#')[0])")
    pages = sorted({link for link in links if link.startswith(f"{stage.url}/docs/") and "/reference" not in link})
    assert len(pages) >= PAGES_MIN
    for address in [f"{stage.url}/docs/", *pages]:
        await page.goto(address, wait_until="domcontentloaded")
        for size in SIZES:
            await resize(page, size)
            await fits(page, f"{address} at {size}")
        if IS_WHOLE or address.endswith(LOOKED_AT):
            assert await axe.serious_issues(page) == [], address
