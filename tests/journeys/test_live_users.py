"""The published SDKs, live: who visitors are, what is said of them, and one person on two browsers and a server."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from building import frontend
from building.paths import TEST_PAGES
from tests.journeys.test_crash import is_drained
from tests.journeys.test_live_sdks import NUMBERS_SECONDS_MAX, USER_AGENTS, Certificate, Project, Serve, on_dashboard
from tests.kit import dashboard, rows
from tests.kit.process import Server, wait_for
from tests.kit.site import Site

# A merge waits some seconds for what its visitor sends meanwhile.
MERGED_SECONDS_MAX = 30.0
SCRIPT = """
  <script>
    var sdk = {{}};
    ["identify", "updateUser", "resetUser", "trackEvent"].forEach(function (name) {{
      sdk[name] = function () {{ return window.vmtrc.apply(null, [name].concat([].slice.call(arguments))); }};
    }});
  </script>
  <script defer src="{origin}/main.js" id="vmtrc-scr" data-token="{token}" data-allow-cookies="{cookies}"></script>"""
REACT = """
  import {{ createRoot }} from "react-dom/client";
  import {{ VemetricScript, vemetric }} from "@vemetric/react";
  window.sdk = vemetric;
  createRoot(document.getElementById("app")).render(
    <VemetricScript token="{token}" host="{origin}" scriptUrl="{origin}/main.js" allowCookies={{{cookies}}} />);"""
NODE = """
const { Vemetric } = require("@vemetric/node");
(async () => {
  const vemetric = new Vemetric({ token: process.argv[1], host: process.argv[2] });
  const userIdentifier = "kim";
  await vemetric.trackEvent("Paid", { userIdentifier, eventData: { amount: 9007199254740993n.toString() } });
  await vemetric.updateUser({ userIdentifier, userDisplayName: "Kim", userData: { set: { plan: "pro" } } });
  // It reads no answer to its end, so its connections would keep the process until the server closes them.
  process.exit();
})();
"""
EVENTS = """
SELECT name, pathname, userIdentifier, userDisplayName FROM event FINAL ORDER BY createdAt
"""
USERS = "SELECT toString(id), identifier, displayName, avatarUrl, customData FROM user FINAL WHERE deleted = 0"

pytestmark = [pytest.mark.journey, pytest.mark.browser]


def install(
    way: str, site: Site, project: Project, origin: str, bundle: Callable[[str], str], *, cookies: bool = False
) -> None:
    """Put a page with the SDK on the site, its functions to be had as `sdk`."""
    terms = {"token": project.token, "origin": origin, "cookies": str(cookies).lower()}
    body = (
        f'<div id="app"></div><a id="out" target="_blank" href="{site.url("www.elsewhere.test", "/offer")}">Offer</a>'
    )
    if way == "script":
        site.add("/shop", body + SCRIPT.format(**terms))
        return
    site.add_script("/app.js", bundle(REACT.format(**terms)))
    site.add("/shop", f'{body}<script defer src="/app.js"></script>')


def tell(page: Page, function: str, *arguments: Any) -> None:
    """Call a function of the SDK and wait for its request to be answered."""
    page.evaluate(f"arguments => Promise.resolve(window.sdk.{function}(...arguments))", list(arguments))


def opened(context: BrowserContext, site: Site, project: Project, views: int) -> Page:
    """The page, its view counted."""
    page = context.new_page()
    page.goto(site.url(f"www.{project.domain}", "/shop?utm_source=newsletter"))
    wait_for(lambda: project.stats()["pageViews"] == views, f"{views} page views", NUMBERS_SECONDS_MAX)
    return page


def settled(server: Server) -> None:
    """Wait until nothing is queued any more, merges included."""
    wait_for(lambda: is_drained(server), "empty queues", MERGED_SECONDS_MAX)


@pytest.mark.parametrize("way", ["script", "react"])
def test_a_visitor_is_identified_updated_and_reset(
    way: str, server: Server, site: Site, browser: Browser, bundle: Callable[[str], str]
) -> None:
    project = Project(server, f"{way}.test")
    install(way, site, project, f"http://stats.{way}.test:{server.port}", bundle)
    context = browser.new_context()
    page = opened(context, site, project, 1)
    said = {"set": {"plan": "pro"}, "setOnce": {"first": "2025"}, "unset": ["tmp"]}
    tell(page, "identify", {"identifier": "ada", "displayName": "Ada", "avatarUrl": "https://x.test/y", "data": said})
    page.evaluate("history.pushState({}, '', '/shop/cart')")
    tell(page, "updateUser", {"set": {"plan": "team"}, "setOnce": {"first": "2026"}, "displayName": "Ada L"})
    with context.expect_page():
        page.click("#out")
    project.wait_for(users=1, pageViews=2, events=1)
    tell(page, "resetUser")
    assert page.evaluate("sessionStorage.getItem('_vmId')") is None
    assert context.cookies() == []
    page.close(run_before_unload=True)
    settled(server)
    shown = on_dashboard(browser, server, project)
    assert dashboard.tiles(shown)["users"] == "1"
    assert dashboard.rows(shown, "sources") == [["newsletter", "1"]]
    assert server.stop() == 0
    [[_, identifier, name, avatar, data]] = rows.of(server.data_dir, USERS)
    assert (identifier, name, avatar) == ("ada", "Ada L", "https://x.test/y")
    assert json.loads(data) == {"plan": "team", "first": "2025"}
    events = rows.of(server.data_dir, EVENTS)
    assert [event[:3] for event in events[1:]] == [
        ["$$pageView", "/shop/cart", "ada"],
        ["$$outboundLink", "/shop/cart", "ada"],
    ]
    assert rows.of(server.data_dir, "SELECT pathname, utmSource FROM user FINAL") == [["/shop", "newsletter"]]


def test_a_cookie_becomes_the_user_and_a_reset_makes_a_new_one(
    tmp_path: Path, serve: Serve, browser: Browser, bundle: Callable[[str], str]
) -> None:
    certificate = Certificate(tmp_path)
    server = serve(**certificate.settings)
    project = Project(server, "shop.test")
    with Site(certificate.context()) as site:
        install("script", site, project, f"https://stats.shop.test:{server.port}", bundle, cookies=True)
        first, second = (browser.new_context(ignore_https_errors=True, user_agent=agent) for agent in USER_AGENTS[:2])
        page = opened(first, site, project, 1)
        visitor = value_of_cookie(first)
        tell(page, "identify", {"identifier": "ann"})
        assert value_of_cookie(first) == visitor, "the first name keeps the visitor's id"
        other = opened(second, site, project, 2)
        assert value_of_cookie(second) != visitor
        tell(other, "identify", {"identifier": "ann"})
        assert value_of_cookie(second) == visitor, "the same person at another browser"
        tell(other, "resetUser")
        assert value_of_cookie(second) != visitor
        project.wait_for(users=2, pageViews=2)
        wait_for(lambda: project.stats()["users"] == 1, "one user", MERGED_SECONDS_MAX)
        settled(server)
    assert server.stop() == 0
    assert rows.of(server.data_dir, "SELECT DISTINCT toString(userId) FROM event FINAL") == [[visitor]]
    assert [user[:2] for user in rows.of(server.data_dir, USERS)] == [[visitor, "ann"]]


def value_of_cookie(context: BrowserContext) -> str:
    [kept] = context.cookies()
    assert kept["name"] == "_vuid"
    return kept["value"]


def test_two_browsers_and_a_server_know_one_person(
    tmp_path: Path, serve: Serve, browser: Browser, bundle: Callable[[str], str]
) -> None:
    certificate = Certificate(tmp_path)
    server = serve(**certificate.settings)
    project = Project(server, "shop.test")
    with Site(certificate.context()) as site:
        install("script", site, project, f"https://stats.shop.test:{server.port}", bundle)
        for number, agent in enumerate(USER_AGENTS[:2], 1):
            context = browser.new_context(ignore_https_errors=True, user_agent=agent)
            page = opened(context, site, project, number)
            tell(page, "identify", {"identifier": "kim"})
            tell(page, "trackEvent", "Compared", {"eventData": {"browser": number}})
    say_as_server(project, server, certificate)
    project.wait_for(pageViews=2, events=3)
    wait_for(lambda: project.stats()["users"] == 1, "one user", MERGED_SECONDS_MAX)
    settled(server)
    shown = on_dashboard(browser, server, project)
    assert dashboard.tiles(shown)["users"] == "1"
    assert dashboard.rows(shown, "events") == [["Compared", "1", "2"], ["Paid", "1", "1"]]
    assert [row[-3:] for row in dashboard.rows(shown, "pages")] == [["/shop", "1", "2"]]
    assert server.run("verify")["difference"] == 0
    assert server.stop() == 0
    [[user_id, identifier, name, _, data]] = rows.of(server.data_dir, USERS)
    assert (identifier, name, json.loads(data)) == ("kim", "Kim", {"plan": "pro"})
    assert rows.of(server.data_dir, "SELECT toString(userId), count() FROM event FINAL GROUP BY 1") == [[user_id, 5]]
    visits = "SELECT DISTINCT toString(userId) FROM session FINAL WHERE deleted = 0"
    assert rows.of(server.data_dir, visits) == [[user_id]]


def say_as_server(project: Project, server: Server, certificate: Certificate) -> None:
    """What the SDK for Node says: it speaks TLS only, and trusts our certificate's maker."""
    node, env = frontend.find_node()
    done = subprocess.run(
        [node, "-e", NODE, project.token, server.url],
        cwd=TEST_PAGES,
        env=env | {"NODE_EXTRA_CA_CERTS": str(certificate.authority)},
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"", b"")
