"""The operator's pages in Chromium: three widths, both themes, axe, and a job retried without scripts."""

from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Stage, sign_in
from tests.kit import visits
from tests.kit.looks import look_at
from vemetric import workers
from vemetric.ingest.refuse import Refusal
from vemetric.mail import letters
from vemetric.queues.job import NewJob, State, Write
from vemetric.queues.schedule import Schedule
from vemetric.workers import canary

pytestmark = pytest.mark.browser

ERROR = 'Traceback (most recent call last):\n  File "device.py", line 7, in handle\n' + "ValueError: a long line " * 9


@pytest_asyncio.fixture(loop_scope="session")
async def pages(stage: Stage) -> dict[str, str]:
    """A name and a path of each page, with jobs in every state."""
    services = stage.services
    queue, now_ms = services.queue, services.clock.now_ms()
    await visits.while_working(services, canary.fly(services))
    await queue.put(Write([NewJob("device", b"\xc1") for _ in range(3)]))
    await queue.bury(await queue.claim("device", 9, 60), ERROR)
    await queue.put(Write([NewJob("email", b"{}", run_at_ms=now_ms + 90_000 * n) for n in range(1, 14)]))
    for number in range(12):
        await visits.event(services, stage.project, path=f"/late/{number}")
    await queue.put(Write([NewJob("update-user", b"x", key=f"k{n}", order_key="user:1:2") for n in range(4)]))
    await queue.claim("update-user", 2, 60)
    await queue.pause("session")
    await Schedule(services.keys, services.clock, workers.schedule(services)).run_due()
    await services.post.send(letters.try_out(), "ann.with.a.very.long.address.that.does.not.end@example.net")
    for reason in (Refusal.BOT, Refusal.WRONG_TOKEN):
        services.tap.refused(0, reason)
    await services.tap.flush()
    services.meters.asked("query", "-- Visitors by hour.\nSELECT " + "a, " * 90, 1.5, now_ms - 60_000)
    [letter, *_] = await queue.dead("device", 9)
    [event, *_] = await queue.listed("event", State.READY, 9)
    services.clock.advance(65_000)
    return {
        "queues": "/admin",
        "queue-ready": "/admin/queues/event",
        "queue-delayed": "/admin/queues/email?state=delayed",
        "queue-claimed": "/admin/queues/update-user?state=claimed",
        "queue-dead": "/admin/queues/device?state=dead&said=retried",
        "job": f"/admin/queues/event/jobs/{event.id}",
        "dead-letter": f"/admin/queues/device/dead/{letter.id}",
        "empty": "/admin/queues/event/empty?state=ready",
        "dead": "/admin/dead",
        "schedule": "/admin/schedule",
        "mail": "/admin/mail",
        "system": "/admin/system",
    }


async def test_pages_fit_and_keep_nobody_out(
    stage: Stage, pages: dict[str, str], page: Page, screenshots: Path
) -> None:
    await sign_in(page, stage.url)
    for name, path in pages.items():
        await page.goto(stage.url + path)
        await look_at(page, f"admin-{name}", screenshots)


async def test_a_dead_letter_is_retried_without_scripts(stage: Stage, pages: dict[str, str], chromium: Browser) -> None:
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await sign_in(page, stage.url)
    await page.goto(stage.url + pages["dead-letter"])
    await page.get_by_role("button", name="Retry").click()
    await expect(page.get_by_role("status")).to_have_text("Back in line.")
    await expect(page.get_by_role("link", name="Dead 2")).to_be_visible()
    await context.close()
