"""What strangers send is text on every page, whatever it pretends to be: tried in Chromium, breaches of policy counted.

The pages are those of tests/web/matrix.py, so that a new one is tried too.
"""

import json
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser

from tests.browser.conftest import Stage, Watcher, sign_in
from tests.kit import visits
from tests.web.matrix import ROWS, plain
from vemetric.accounts import (
    api_keys,
    event_icons,
    exclusions,
    funnels,
    invitations,
    organizations,
    profile,
    project_settings,
    saved_filters,
)
from vemetric.database import accounts as stored_accounts
from vemetric.database import projects as stored_projects
from vemetric.mail import letters
from vemetric.model.filters import EventFilter, Group, PageFilter, Property, Text
from vemetric.model.funnel import Step
from vemetric.model.organization import Role
from vemetric.queues.job import NewJob, Write

pytestmark = pytest.mark.browser

# Each breaks out of another place: an element, an attribute, a script, an address, a template, a style.
ATTACKS = (
    "<img src=x onerror=attack()><script>attack()</script>",
    "\"'><svg onload=attack()>",
    "</script></title></textarea><script>attack()</script>",
    "javascript:attack()//",
    "{{attack()}}${attack()}`attack()`",
    "--><style>*{background:url(/attack)}</style>",
)
QUERIES = ("", "?t=30days", "?t=live", "?t=7days&s=referrerUrl&u=os&cl=cities", "?t=7days&s=utmSource&p=entry")
FOUND = "attack()"
DEAD_QUEUE = "device"
ADDRESSES = """[...document.querySelectorAll("a[href], form[action], img[src]")]
    .map((one) => one.getAttribute("href") || one.getAttribute("action") || one.getAttribute("src"))
    .map((text) => new URL(text, location).href)"""


async def attack(stage: Stage) -> None:
    """Send every field of an event and of an identification full of it, a visitor per attack."""
    async with aiohttp.ClientSession() as session:
        for number, text in enumerate(ATTACKS):
            parts = {
                "url": f"https://{stage.project.domain}/{text}?utm_source={text}&utm_campaign={text}&q={text}#{text}",
                "customData": {text: text, "href": text, "nested": {text: [text]}},
                "identifier": f"{number}{text}",
                "displayName": text,
                "avatarUrl": text,
                "userData": {"set": {text: text}, "setOnce": {"plan": text}},
                "contextId": text,
            }
            headers = {
                "Content-Type": "application/json",
                "Token": stage.project.token,
                "User-Agent": visits.CHROME if number % 2 else f"Mozilla/5.0 {text} Chrome/138.0.0.0 Safari/537.36",
                "V-Referrer": f"https://evil.example/{text}",
                "V-Host": text,
                "V-SDK": text,
                "Sec-CH-UA": f'"{text}";v="138"',
                "Sec-CH-UA-Platform": f'"{text}"',
            }
            for path, name in (("/e", "$$pageView"), ("/e", text), ("/e", "$$outboundLink"), ("/i", "")):
                sent = headers if name else headers | {"User-Agent": visits.CHROME}
                body = json.dumps({"name": name, **parts} if name else parts)
                async with session.post(stage.url + path, data=body, headers=sent) as answer:
                    assert answer.status == 200, await answer.text()
    await visits.settle(stage.services)
    await stage.services.tap.flush()


async def decorate(stage: Stage) -> dict[str, str]:
    """What people type is an attack too. Returns what the names in paths stand for."""
    services, project = stage.services, stage.project
    database, clock = services.database, services.clock
    async with database.connect() as connection:
        [account] = await stored_accounts.operators(connection)
    text = ATTACKS[0][:90]
    await organizations.rename(database, project.organization_id, text)
    await project_settings.change_details(database, clock, project.id, text, project.domain, "UTC")
    await event_icons.put(database, project.id, ATTACKS[0], "🎉")
    await exclusions.exclude(database, clock, project.id, "path", "/<svg/onload=attack()>")
    _, key = await api_keys.create(database, clock, project.id, account, text)
    invited = await invitations.create(database, clock, project.organization_id, account, Role.MEMBER)
    sql = "SELECT userId FROM event FINAL WHERE projectId = {project:UInt64} AND name LIKE '%attack%' LIMIT 1"
    [[user]] = await services.engine.query(sql, {"project": project.id})
    await project_settings.publish(database, clock, project.id, True)
    await profile.rename(database, clock, account.id, text)
    event = EventFilter(Text(value=ATTACKS[0]), (Property(text, value=ATTACKS[1]),))
    page = PageFilter(Text(value=f"/{ATTACKS[2]}"))
    await saved_filters.keep(database, clock, project.id, text, "", Group(filters=(event, page)))
    steps = (Step("a", text, page), Step("b", "", event))
    funnel = await funnels.make(database, clock, project.id, funnels.Drawn(text, "", 60, steps))
    letter = await services.post.send(
        letters.invitation(text, text, "mara@example.com", services.post.url, 7), account.email
    )
    # Something for the operator: a job that failed, with what it was made of.
    await services.queue.put(Write([NewJob(DEAD_QUEUE, json.dumps({text: ATTACKS}).encode())]))
    claimed = await services.queue.claim(DEAD_QUEUE, 10, 60)
    await services.queue.bury(claimed, ATTACKS[0])
    return {
        "project": str(project.id),
        "organization": project.organization_id,
        "account": account.id,
        "invitation": invited.token,
        "token": invited.token,
        "key": key.id,
        "user": str(user),
        "domain": project.domain,
        "panel": "all",
        "funnel": funnel.id,
        "letter": letter.id,
        "queue": DEAD_QUEUE,
        "job": str(claimed[0].id),
    }


class _Places(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "x"


def addresses(places: dict[str, str]) -> list[str]:
    """Every page there is; those of a project with every choice of a card."""
    found = []
    for name in ROWS:
        method, _, path = name.partition(" ")
        if method != "GET" or path.startswith(("/static/", "/avatars/")) or ROWS[name].is_stream:
            continue
        if "/export" in path:
            continue
        address = plain(path).format_map(_Places(places))
        queries = QUERIES if path in ("/p/{project}", "/public/{domain}") else QUERIES[:2]
        found += [address + query for query in queries]
    return found


async def test_nothing_that_is_sent_runs_or_breaks_the_policy(
    stage: Stage, chromium: Browser, watcher: Watcher
) -> None:
    async with stage.services.database.connect() as connection:
        assert await stored_projects.by_id(connection, stage.project.id) is not None
    await attack(stage)
    places = await decorate(stage)
    context = await chromium.new_context()
    page = await context.new_page()
    attacked: list[str] = []

    async def note(source: Any) -> None:
        attacked.append(source["page"].url)

    await context.expose_binding("attack", note)
    page.on("console", lambda message: "Content Security Policy" in message.text and attacked.append(message.text))
    page.on("request", lambda request: "/csp-report" in request.url and attacked.append(request.url))
    page.on("dialog", lambda dialog: attacked.append(dialog.message))
    await sign_in(page, stage.url)
    shown = 0
    for address in addresses(places):
        await page.goto(stage.url + address, wait_until="load")
        # Everything that is folded away, too: menus and tables hold text of strangers.
        await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        for element in await page.evaluate(ADDRESSES):
            assert str(element).startswith(("http://", "https://", "mailto:")), f"{address} links {element}"
        shown += FOUND in await page.content()
        assert attacked == [], address
    await context.close()
    # The attacks were on the pages, as text.
    assert shown > 10
    assert [problem for problem in watcher.problems if "policy" in problem] == []
