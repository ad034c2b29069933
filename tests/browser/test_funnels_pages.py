"""The pages of funnels in Chromium: three widths, both themes, axe, with the keyboard and without scripts."""

from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Stage, sign_in
from tests.kit import visits
from tests.kit.looks import look_at
from vemetric.accounts import funnels
from vemetric.accounts.funnels import Drawn
from vemetric.clock import FrozenClock
from vemetric.database import identities
from vemetric.model.filters import EventFilter, PageFilter, Property, Text, TextOperator
from vemetric.model.funnel import DEFAULT_WINDOW_SECONDS, Step

pytestmark = pytest.mark.browser

ERIN = "erin.with.a.very.long.address.that.does.not.end@example.net"
GUIDES = Step("a", "", PageFilter(Text(TextOperator.STARTS_WITH, "/guides")))
PRICING = Step("b", "Saw the prices", PageFilter(Text(value="/pricing")))
SIGNED_UP = Step("c", "", EventFilter(Text(value="SignedUp"), (Property("plan", value="gold"),)))
LATER = tuple(
    Step(f"d{n}", f"A step with a name that is rather long {n}", PageFilter(Text(value=f"/{n}"))) for n in range(7)
)


@pytest_asyncio.fixture(loop_scope="session")
async def pages(stage: Stage, clock: FrozenClock) -> dict[str, str]:
    """A name and a path of each page. Twelve users read a guide, of whom some went on."""
    services, project, noon_ms = stage.services, stage.project, clock.now_ms()
    for number in range(12):
        who = visits.sender(project, f"203.0.113.{number + 10}")
        if number == 0:
            who = visits.sender(project, user_identifier=ERIN)
        clock.set(noon_ms - 3_600_000 + number * 1000)
        await visits.event(services, project, path=f"/guides/{number}", who=who)
        clock.set(clock.now_ms() + 60_000)
        if number < 7:
            await visits.event(services, project, path="/pricing", who=who)
        if number < 3:
            clock.set(clock.now_ms() + 60_000)
            await visits.event(services, project, "SignedUp", who=who, data={"plan": "gold"})
    clock.set(noon_ms)
    await visits.settle(services)
    made = []
    for name, icon, steps in (
        ("From guide to customer", "🚀", (GUIDES, PRICING, SIGNED_UP)),
        ("A way with the most steps that there may be, and a name", "", (GUIDES, PRICING, SIGNED_UP, *LATER)),
        ("Back to the guides", "📚", (PRICING, GUIDES)),
    ):
        clock.set(clock.now_ms() + 1)
        drawn = Drawn(name, icon, DEFAULT_WINDOW_SECONDS, steps)
        made.append(await funnels.make(services.database, services.clock, project.id, drawn))
    async with services.database.connect() as connection:
        user = await identities.by_identifier(connection, project.id, ERIN)
    home = f"/p/{project.id}"
    return {
        "funnels": f"{home}/funnels",
        "funnels-of-all": f"{home}/funnels?u=1&f=page(path:startsWith:/guides)",
        "funnel": f"{home}/funnels/{made[0].id}",
        "funnel-of-all": f"{home}/funnels/{made[0].id}?u=1",
        "funnel-vertical": f"{home}/funnels/{made[0].id}?o=vertical",
        "funnel-long": f"{home}/funnels/{made[1].id}?u=1",
        "funnel-edit": f"{home}/funnels/{made[0].id}/edit",
        "funnel-new": f"{home}/funnels/new",
        "funnel-delete": f"{home}/funnels/{made[0].id}/delete",
        "funnel-user": f"{home}/users/{user}",
        "funnel-card": f"{home}?fu=1",
        "funnel-card-steps": f"{home}?sf={made[0].id}",
    }


async def test_pages_fit_and_keep_nobody_out(
    stage: Stage, pages: dict[str, str], page: Page, screenshots: Path
) -> None:
    await sign_in(page, stage.url)
    for name, path in pages.items():
        await page.goto(stage.url + path)
        await expect(page.get_by_text("Still counting")).to_have_count(0)
        await look_at(page, name, screenshots)


async def test_an_empty_project_invites_to_make_a_funnel(stage: Stage, page: Page) -> None:
    await sign_in(page, stage.url)
    await page.goto(f"{stage.url}/p/{stage.project.id}/funnels")
    await page.get_by_role("link", name="Create a funnel").click()
    await expect(page.locator("h1")).to_have_text("New funnel")


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_funnel_is_drawn_up_with_and_without_scripts(
    stage: Stage, pages: dict[str, str], chromium: Browser, scripts: bool
) -> None:
    context = await chromium.new_context(java_script_enabled=scripts)
    page = await context.new_page()
    await sign_in(page, stage.url)
    await page.goto(stage.url + pages["funnel-new"])
    await page.get_by_label("Name", exact=True).fill("Prices and then")
    await page.get_by_label("Path", exact=True).fill("/pricing")
    await page.get_by_role("button", name="Add step").click()
    second = page.get_by_role("group", name="Step 2")
    await second.get_by_label("Type").select_option("event")
    await expect(second.get_by_label("Path", exact=True)).to_be_hidden()
    await second.get_by_label("Name of the event", exact=True).fill("SignedUp")
    await second.get_by_label("Name of step 2").fill("Signed up")
    await page.get_by_role("button", name="Move step 2 up").click()
    await expect(page.get_by_label("Name of step 1")).to_have_value("Signed up")
    await page.get_by_role("button", name="Move step 1 down").click()
    # Enter keeps the funnel, whatever buttons stand before.
    await page.get_by_label("Name", exact=True).press("Enter")
    await expect(page.locator("h1")).to_have_text("Prices and then")
    await expect(page.get_by_text("3 completed (16.67%)")).to_be_visible()
    await page.get_by_role("link", name="3 users").click()
    await expect(page.locator(".table--users tbody tr")).to_have_count(3)
    await context.close()
