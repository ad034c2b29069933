"""The cookie by which visitors are known where a site allows cookies: set, replaced and deleted."""

import re
from email.utils import formatdate

from vemetric.clock import Clock
from vemetric.enrich import client
from vemetric.enrich.client import TrustedProxies
from vemetric.ingest import who
from vemetric.web.ask import Ask

COOKIE_SECONDS = 34_550_000
PLAIN_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")


class Cookies:
    """Makes Set-Cookie headers."""

    def __init__(self, trusted_proxies: TrustedProxies, clock: Clock) -> None:
        self._trusted_proxies = trusted_proxies
        self._clock = clock

    def set(self, ask: Ask, user_id: int) -> str:
        """The header that makes a browser known as a user."""
        expires = formatdate(self._clock.now_ms() // 1000 + COOKIE_SECONDS, usegmt=True)
        scope = f"{self._scope(ask)} Path=/; Expires={expires}; HttpOnly; Secure; SameSite=None"
        return f"{who.COOKIE_NAME}={user_id};{scope}"

    def delete(self, ask: Ask) -> str:
        """The header that makes a browser forget. Without SameSite browsers would ignore it across sites."""
        return f"{who.COOKIE_NAME}=; Max-Age=0;{self._scope(ask)} Path=/; HttpOnly; Secure; SameSite=None"

    def _scope(self, ask: Ask) -> str:
        _, host = client.scheme_and_host(ask.peer, ask.headers, self._trusted_proxies, ask.scheme, ask.host)
        domain = cookie_domain(ask.headers.get("v-host"), host)
        return f" Domain={domain};" if domain else ""


def cookie_domain(v_host: str | None, request_host: str) -> str | None:
    """The Domain of the cookie: V-Host where it names the host asked or a domain above it, else none.

    Ports are left out on both sides: a V-Host with one is taken without it, whichever port was asked.
    """
    host = request_host.rpartition(":")[0] if re.search(r":\d+$", request_host) else request_host
    domain = re.sub(r":\d+$", "", v_host or "").lower()
    if PLAIN_HOST.match(domain) is None:
        return None
    return domain if f".{host.lower()}".endswith(f".{domain}") else None
