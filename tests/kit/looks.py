"""A page in Chromium as people have it before them: in three widths, in both themes, and by those who do not see it."""

import os
from pathlib import Path

from playwright.async_api import Page

from tests.kit import axe

SIZES = {"wide": (1440, 1000), "tablet": (820, 1100), "phone": (390, 844)}
# Where pictures go, for people to look at; nobody compares them.
PICTURES = os.environ.get("VEMETRIC_TEST_SCREENSHOTS")
# Set by `build.py test --long`: axe looks at every width in both themes.
IS_WHOLE = os.environ.get("VEMETRIC_TEST_LOOKS") == "all"
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


async def look_at(page: Page, name: str, screenshots: Path) -> None:
    """The page that is open fits every width and has no serious issue in either theme; it is left wide and dark.

    What is shown differs by the width and colours by the theme, nothing by both; so axe looks at desks and at phones,
    and at nothing but the contrasts in the dark, unless the whole is asked for. Nothing moves meanwhile.
    """
    await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    for size in ("phone", "tablet", "wide"):
        await resize(page, size)
        await fits(page, f"{name} at {size}")
        await picture(page, screenshots / f"{name}-{size}-light.png")
        if size != "tablet" or IS_WHOLE:
            assert await axe.serious_issues(page) == [], f"{name} at {size}"
    await page.emulate_media(color_scheme="dark")
    if not IS_WHOLE:
        assert await axe.serious_issues(page, ("color-contrast",)) == [], f"{name} in the dark"
    for size in SIZES if PICTURES or IS_WHOLE else ():
        await resize(page, size)
        await fits(page, f"{name} at {size} in the dark")
        await picture(page, screenshots / f"{name}-{size}-dark.png")
        if IS_WHOLE:
            assert await axe.serious_issues(page) == [], f"{name} at {size} in the dark"


async def resize(page: Page, size: str) -> None:
    """Have the page at one of SIZES."""
    width, height = SIZES[size]
    await page.set_viewport_size({"width": width, "height": height})


async def fits(page: Page, where: str) -> None:
    """Nothing of the page makes it scroll sideways."""
    too_wide = await page.evaluate(TOO_WIDE)
    assert too_wide <= 0, f"{where} scrolls sideways by {too_wide} px"


async def picture(page: Page, path: Path) -> None:
    """A picture of the whole page, where somebody wants them."""
    if PICTURES:
        await page.screenshot(path=path, full_page=True)
