"""nginx and Caddy before the executable, set up by the very words of the documentation."""

import io
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from aiohttp import ClientSession, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.journeys.conftest import Serve
from tests.kit import servers, visits
from tests.kit.process import Server

pytestmark = pytest.mark.journey

DOCS = Path(__file__).parents[2] / "docs"
HOST = "stats.example.com"
# The proxy is on 127.0.0.1 and alone trusted; visitors come from elsewhere.
VISITOR, OTHER_VISITOR = "127.0.0.2", "127.0.0.3"
FORGED = "203.0.113.9"
SETUP = {"name": "Olga", "email": "olga@example.com", "password": "correct horse battery", "organization": "Acme"}
SETUP |= {"project": "Shop", "domain": "shop.example.com", "time_zone": "UTC"}
# What nginx lets through if it is not told otherwise.
NGINX_BYTES_MAX = 1_048_576
# The queue holds a thousand jobs, an event is one at least.
BATCHES_MAX = 4


class Place(NamedTuple):
    """Vemetric behind proxies. below: its base path; origins: of the proxies; ca: who vouches for their certificate."""

    server: Server
    below: str
    origins: tuple[str, ...]
    ca: trustme.CA


class Here(AbstractResolver):
    """Every host is this machine."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is open."""


def snippet(page: str, beginning: str) -> str:
    """The code block of a page of the documentation that begins so."""
    blocks: list[str] = re.findall(r"```\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    [found] = [block for block in blocks if block.startswith(beginning)]
    return found


def certificate(folder: Path, ca: trustme.CA) -> tuple[Path, Path]:
    """The files of a certificate for HOST, readable by the servers' account."""
    issued, chain, key = ca.issue_cert(HOST), folder / "fullchain.pem", folder / "privkey.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    for path in (chain, key):
        path.chmod(0o644)
    return chain, key


def with_nginx(server: Server, ca: trustme.CA) -> servers.Server:
    site = snippet("index.md", "upstream vemetric {")
    return servers.start_nginx(placed(site, server, ca))


def with_nginx_below(server: Server, ca: trustme.CA) -> servers.Server:
    return servers.start_nginx(placed(below_a_path(), server, ca))


def with_nginx_that_takes_it_off(server: Server, ca: trustme.CA) -> servers.Server:
    site = below_a_path().replace("proxy_pass http://127.0.0.1:4000;", "proxy_pass http://127.0.0.1:4000/;")
    return servers.start_nginx(placed(site, server, ca))


def with_caddy(server: Server, ca: trustme.CA) -> servers.Server:
    folder = servers.new_folder()
    chain, key = certificate(folder, ca)
    site = snippet("index.md", f"{HOST} {{").replace("127.0.0.1:4000", f"127.0.0.1:{server.port}")
    # The certificate is not got from anybody here, and ports below 1024 are not for everybody.
    return servers.start_caddy(site.replace(f"{HOST} {{", f"{HOST}:{{port}} {{\ntls {chain} {key}"))


def below_a_path() -> str:
    """The location of the documentation within the server of the documentation."""
    whole = snippet("index.md", "upstream vemetric {")
    head = whole[whole.index("server {\n    listen") : whole.index("    location / {")]
    return head + snippet("proxying.md", "location /stats/ {") + "}\n"


def placed(site: str, server: Server, ca: trustme.CA) -> str:
    """The site with ports and certificates of this test."""
    chain, key = certificate(servers.new_folder(), ca)
    site = site.replace("listen 443 ssl;", "listen 127.0.0.1:{port} ssl;")
    site = site.replace(f"/etc/letsencrypt/live/{HOST}/fullchain.pem", str(chain))
    site = site.replace(f"/etc/letsencrypt/live/{HOST}/privkey.pem", str(key))
    return site.replace("127.0.0.1:4000", f"127.0.0.1:{server.port}")


@pytest.fixture(
    params=[("", (with_nginx, with_caddy)), ("/stats", (with_nginx_below, with_nginx_that_takes_it_off))],
    ids=["the-whole-host", "below-a-path"],
)
def place(request: pytest.FixtureRequest, serve: Serve) -> Iterator[Place]:
    below, starts = request.param
    url = f"https://{HOST}{below}"
    proxied = {"VEMETRIC_PUBLIC_URL": url, "VEMETRIC_TRUSTED_PROXIES": "127.0.0.1"}
    server, ca = serve(**proxied, VEMETRIC_QUEUE_JOBS_MAX="1000"), trustme.CA()
    proxies = [start(server, ca) for start in starts]
    yield Place(server, below, tuple(f"https://{HOST}:{proxy.port}" for proxy in proxies), ca)
    for proxy in proxies:
        proxy.kill()


@asynccontextmanager
async def browser(place: Place, address: str = VISITOR) -> AsyncIterator[ClientSession]:
    """A browser of somebody at an address, who trusts the certificate and claims to be elsewhere."""
    context = ssl.create_default_context()
    place.ca.configure_trust(context)
    connector = TCPConnector(ssl=context, resolver=Here(), local_addr=(address, 0))
    headers = {"X-Forwarded-For": FORGED, "Origin": f"https://{HOST}", "User-Agent": visits.CHROME}
    async with ClientSession(connector=connector, headers=headers) as session:
        yield session


async def fill(session: ClientSession, url: str, action: str, form: dict[str, str]) -> str:
    """Open a page, send a form of it, and answer the address one comes to."""
    async with session.get(url) as page:
        text = await page.text()
    found = re.search(r'name="csrf" value="(\w+)"', text)
    assert found is not None, text
    async with session.post(action, data={"csrf": found[1], **form}, allow_redirects=False) as answer:
        assert answer.status == 303, await answer.text()
        return answer.headers["Location"]


async def hit(session: ClientSession, url: str, token: str) -> tuple[int, str]:
    """An event of a page view: the status and why it is not counted."""
    body = {"name": "$$pageView", "url": "https://shop.example.com/"}
    async with session.post(f"{url}/e", json=body, headers={"Token": token}) as answer:
        return answer.status, answer.headers.get("Vemetric-Refused", "")


async def test_address_scheme_streams_and_sizes_arrive(place: Place) -> None:
    link = place.server.setup_link().removeprefix(f"https://{HOST}")
    first = place.origins[0]
    async with browser(place) as session:
        project = await fill(session, first + link, first + link, SETUP)
        assert project.startswith(f"{place.below}/p/")
        exclusions = f"{first}{project}/settings/exclusions"
        await fill(session, exclusions, exclusions, {"action": "exclude", "kind": "ip", "value": VISITOR})
    token = place.server.run("project", "list")["projects"][0]["token"]
    for origin in place.origins:
        async with browser(place) as session, browser(place, OTHER_VISITOR) as other:
            await looks_right(session, origin, place.below, project)
            assert await hit(session, origin + place.below, token) == (200, "excluded-ip")
            assert await hit(other, origin + place.below, token) == (200, "")
    async with browser(place) as session:
        await fill(session, f"{first}{place.below}/login", f"{first}{place.below}/login", SETUP)
        await fill(session, f"{first}{place.below}/admin", f"{first}{place.below}/admin", {"action": "pause"})
    for origin in place.origins:
        async with browser(place, OTHER_VISITOR) as other:
            await is_full(other, origin + place.below, token)


async def looks_right(session: ClientSession, origin: str, below: str, project: str) -> None:
    """Somebody signs in and looks at the project."""
    login = f"{origin}{below}/login"
    assert (await fill(session, login, login, SETUP)).startswith(f"{below}/")
    names = {cookie.key: (cookie["secure"], cookie["path"]) for cookie in session.cookie_jar}
    assert names["__Host-vemetric_login"] == (True, "/")
    async with session.get(f"{origin}{project}/waiting") as stream:
        assert (stream.status, stream.content_type) == (200, "text/event-stream")
        # The first line is here while the stream is open.
        assert (await stream.content.readline()).startswith((b"event:", b":"))
        assert not stream.content.at_eof()
    # What is too large is refused by us, not by the proxy.
    async with session.post(f"{origin}{below}/account/picture", data=io.BytesIO(bytes(2 * NGINX_BYTES_MAX))) as answer:
        assert "X-Request-Id" in answer.headers


async def is_full(session: ClientSession, url: str, token: str) -> None:
    """A full queue is told as it is, with the time to wait."""
    events = [{"name": "Bought", "userIdentifier": f"customer-{number}"} for number in range(500)]
    for _ in range(BATCHES_MAX):
        async with session.post(f"{url}/batch", json=events, headers={"Token": token}) as answer:
            if answer.status != 200:
                break
    assert (answer.status, int(answer.headers["Retry-After"]) > 0) == (503, True)
