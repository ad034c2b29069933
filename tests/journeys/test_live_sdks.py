"""The published SDKs, live: what they send becomes numbers within seconds, on the command line and the dashboard."""

import json
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from playwright.sync_api import Browser, BrowserContext, Page

from tests.kit import dashboard, rows
from tests.kit.process import Server, wait_for
from tests.kit.site import Site

# Two seconds are promised; the rest is for a busy machine.
NUMBERS_SECONDS_MAX = 10.0
# Durations are whole seconds: after this long, the visit is at least one longer.
STAY_MS = 1_500

SCRIPT_TAG = """
  <button id="sign-up" data-vmtrc="SignUp" data-vmtrc-plan="pro">Sign up</button>
  <script defer src="{origin}/main.js" id="vmtrc-scr" data-token="{token}"></script>"""
NPM = """
  import {{ vemetric }} from "@vemetric/web";
  vemetric.init({{ token: "{token}", host: "{origin}", scriptUrl: "{origin}/main.js" }});
  const button = document.createElement("button");
  button.id = "sign-up";
  button.onclick = () => vemetric.trackEvent("SignUp", {{ eventData: {{ plan: "pro" }} }});
  document.body.append(button);"""
REACT = """
  import {{ createRoot }} from "react-dom/client";
  import {{ VemetricScript, vemetric }} from "@vemetric/react";
  const signUp = () => vemetric.trackEvent("SignUp", {{ eventData: {{ plan: "pro" }} }});
  function App() {{
    return <>
      <VemetricScript token="{token}" host="{origin}" scriptUrl="{origin}/main.js" />
      <button id="sign-up" onClick={{signUp}}>Sign up</button>
    </>;
  }}
  createRoot(document.getElementById("app")).render(<App />);"""
PYTHON = """
import sys
from vemetric import VemetricClient

client = VemetricClient(token=sys.argv[1], host=sys.argv[2])
for user in ("user-1", "user-2"):
    client.track_event("SignupCompleted", user_identifier=user, event_data={"plan": "pro", "größe": [1, 2.5]})
client.track_event("Login", user_identifier="user-1", user_display_name="Ada Ünï")
"""

# What of an event says which SDK sent it.
SDK = "JSONExtractString(requestHeaders, 'v-sdk')"
USER_AGENTS = tuple(f"Mozilla/5.0 (X11; Linux x86_64; rv:{n}.0) Gecko/20100101 Firefox/{n}.0" for n in (138, 139, 140))

pytestmark = [pytest.mark.journey, pytest.mark.browser]


Serve = Callable[..., Server]
Bundle = Callable[[str], str]


class Project:
    """A project of the server and what it shows."""

    def __init__(self, server: Server, domain: str) -> None:
        self._server = server
        self.domain = domain
        made = server.run("project", "create", "--name", domain, "--domain", domain)
        self.token: str = made["token"]
        self.path = f"/p/{made['id']}"

    def stats(self) -> dict[str, Any]:
        shown: dict[str, Any] = self._server.run("stats", self.domain)
        return shown

    def wait_for(self, **figures: int) -> None:
        """Wait until the tiles show these figures."""

        def as_expected() -> bool:
            shown = self.stats()
            return all(shown[name] == value for name, value in figures.items())

        wait_for(as_expected, f"{figures} of {self.domain}", NUMBERS_SECONDS_MAX)


class Certificate:
    """A certificate and its key in the two files that the settings name."""

    def __init__(self, folder: Path) -> None:
        self._files = folder / "certificate.pem", folder / "key.pem"
        self.authority = folder / "authority.pem"
        self.settings = {"VEMETRIC_TLS_CERTIFICATE": str(self._files[0]), "VEMETRIC_TLS_KEY": str(self._files[1])}
        self.renew()

    def renew(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.authority)
        made = authority.issue_cert("127.0.0.1", "*.shop.test")
        self.text = made.cert_chain_pems[0].bytes().decode()
        self.write(self.text)
        made.private_key_pem.write_to_path(self._files[1])

    def write(self, text: str) -> None:
        """Put something into the certificate's file."""
        self._files[0].write_text(text)

    def context(self) -> ssl.SSLContext:
        """TLS with it, for a server."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self._files)
        return context


def install(way: str, site: Site, token: str, origin: str, bundle: Bundle) -> None:
    """Put a page with the SDK on the site, installed in one of the ways that the snippets name."""
    offer = site.url("www.elsewhere.test", "/offer")
    body = f'<div id="app"></div><a id="out" target="_blank" href="{offer}">Offer</a>'
    if way == "script":
        site.add("/pricing", body + SCRIPT_TAG.format(token=token, origin=origin))
        return
    source = {"npm": NPM, "react": REACT}[way]
    site.add_script("/app.js", bundle(source.format(token=token, origin=origin)))
    site.add("/pricing", f'{body}<script defer src="/app.js"></script>')


def on_dashboard(browser: Browser, server: Server, project: Project) -> Page:
    """The project's dashboard, in a browser of somebody who signs in."""
    page = browser.new_page(ignore_https_errors=True)
    dashboard.sign_in(page, server)
    page.goto(f"{server.url}{project.path}")
    return page


def visit(context: BrowserContext, site: Site, project: Project) -> None:
    """A visit with everything the SDK tracks by itself, each step looked up in the numbers."""
    page = context.new_page()
    page.goto(site.url(f"www.{project.domain}", "/pricing?utm_source=newsletter"))
    assert page.evaluate("navigator.webdriver") is False
    project.wait_for(users=1, pageViews=1, events=0, online=1)
    page.evaluate("history.pushState({}, '', '/pricing/annual')")
    project.wait_for(users=1, pageViews=2)
    page.click("#sign-up")
    project.wait_for(users=1, pageViews=2, events=1)
    with context.expect_page():
        page.click("#out")
    project.wait_for(users=1, pageViews=2, events=2)
    duration = project.stats()["visitDuration"]
    page.wait_for_timeout(STAY_MS)
    page.close(run_before_unload=True)
    wait_for(lambda: project.stats()["visitDuration"] > duration, "a longer visit", NUMBERS_SECONDS_MAX)


@pytest.mark.parametrize("way", ["script", "npm", "react"])
def test_browser_visit(way: str, server: Server, site: Site, browser: Browser, bundle: Bundle) -> None:
    project = Project(server, f"{way}.test")
    install(way, site, project.token, f"http://stats.{way}.test:{server.port}", bundle)
    context = browser.new_context()
    visit(context, site, project)
    assert context.cookies() == []
    page = on_dashboard(browser, server, project)
    tiles = dashboard.tiles(page)
    assert (tiles["users"], tiles["pageViews"], tiles["bounceRate"]) == ("1", "2", "0 %")
    assert [row[1:] for row in dashboard.rows(page, "pages")] == [["/pricing", "1", "1"], ["/pricing/annual", "1", "1"]]
    assert dashboard.rows(page, "events") == [["Outbound link", "1", "1"], ["SignUp", "1", "1"]]
    assert dashboard.rows(page, "sources") == [["newsletter", "1"]]
    assert server.stop() == 0
    stored = rows.of(server.data_dir, f"SELECT DISTINCT customData, {SDK} FROM event WHERE name = 'SignUp'")
    assert stored == [['{"plan":"pro"}', "web" if way == "npm" else way]]


def test_python_sdk(server: Server, browser: Browser, sdk_python: Path, tmp_path: Path) -> None:
    project = Project(server, "backend.test")
    said = subprocess.run(
        [sdk_python, "-c", PYTHON, project.token, server.url], cwd=tmp_path, env={}, capture_output=True, check=True
    )
    assert (said.stdout, said.stderr) == (b"", b"")
    project.wait_for(users=2, pageViews=0, events=3)
    page = on_dashboard(browser, server, project)
    assert dashboard.tiles(page)["users"] == "2"
    assert dashboard.rows(page, "events") == [["SignupCompleted", "2", "2"], ["Login", "1", "1"]]
    assert server.stop() == 0
    stored = rows.of(server.data_dir, f"SELECT customData, {SDK}, clientType FROM event WHERE name = 'SignupCompleted'")
    assert [(json.loads(data), sdk, kind) for data, sdk, kind in stored] == [
        ({"plan": "pro", "größe": [1, 2.5]}, "python", "server")
    ] * 2


def test_cookies_know_a_visitor_in_another_browser(tmp_path: Path, serve: Serve, browser: Browser) -> None:
    certificate = Certificate(tmp_path)
    server = serve(**certificate.settings)
    project = Project(server, "shop.test")
    with Site(certificate.context()) as site:
        tag = SCRIPT_TAG.replace("data-token", 'data-allow-cookies="true" data-token')
        site.add("/", tag.format(origin=f"https://stats.shop.test:{server.port}", token=project.token))
        first, second, third = (
            browser.new_context(ignore_https_errors=True, user_agent=user_agent) for user_agent in USER_AGENTS
        )
        first.new_page().goto(site.url("www.shop.test"))
        project.wait_for(users=1, pageViews=1)
        [cookie] = first.cookies()
        assert (cookie["name"], cookie["domain"], cookie["path"]) == ("_vuid", ".stats.shop.test", "/")
        assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "None")
        second.add_cookies([cookie])  # type: ignore[list-item]
        second.new_page().goto(site.url("www.shop.test"))
        project.wait_for(users=1, pageViews=2)
        assert [kept["value"] for kept in second.cookies()] == [cookie["value"]]
        third.new_page().goto(site.url("www.shop.test"))
        project.wait_for(users=2, pageViews=3)
    page = on_dashboard(browser, server, project)
    assert dashboard.tiles(page)["users"] == "2"
    assert server.stop() == 0


def test_certificate_is_renewed_without_a_restart(tmp_path: Path, serve: Serve) -> None:
    certificate = Certificate(tmp_path)
    server = serve(**certificate.settings)

    def served() -> str:
        return ssl.get_server_certificate(("127.0.0.1", server.port))

    assert served() == certificate.text
    old = certificate.text
    certificate.write("no certificate")
    wait_for(lambda: any("previous certificate stays" in line for line in server.log), "a word about the broken file")
    assert served() == old
    certificate.renew()
    wait_for(lambda: served() == certificate.text, "the renewed certificate")
    assert certificate.text != old
    assert server.stop() == 0
