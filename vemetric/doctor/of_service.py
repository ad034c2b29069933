"""Checks of what the settings lead to: the public address, proxies, the port, mail, places. Called by examine.py."""

import http.client
import smtplib
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from vemetric import errors
from vemetric.config import Address, Config
from vemetric.doctor.finding import NOTE, PROBLEM, Finding, Machine
from vemetric.enrich.client import EVERYTHING, PRESETS, TrustedProxies
from vemetric.enrich.geo import DEFAULT_DATABASE, Places, State

SECONDS_MAX = 5
PATH = "/up"
READY_PATH = "/ready"
ROLES_TOLD = b'"roles"'
# A network of proxies is smaller than these.
PREFIX_MIN = {4: 8, 6: 16}
GEO_AGE_DAYS_MAX = 540
ON_EVERY_INTERFACE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


class Answer(NamedTuple):
    """What an address answers. server: who says that it answered; location: where it leads on to."""

    status: int
    server: str
    is_ours: bool
    location: str


def public_url(config: Config, machine: Machine) -> Iterator[Finding]:
    """Whether the address that people and sites are given leads here."""
    url = config.public_url
    if not url:
        if config.listen.host in ("127.0.0.1", "::1", "localhost"):
            yield Finding(
                "public URL",
                PROBLEM,
                f"VEMETRIC_LISTEN is {config.listen}, so that a proxy is in front, but VEMETRIC_PUBLIC_URL is not set: "
                "snippets and links would name this machine alone.",
                "Set VEMETRIC_PUBLIC_URL to the address that people use, such as https://stats.example.com.",
            )
        return
    if urlsplit(url).scheme == "http" and not _is_near(urlsplit(url).hostname or ""):
        yield Finding(
            "public URL",
            NOTE,
            f"{url} is plain http: browsers let no site on https send there, and passwords travel in the open.",
            "Set up HTTPS (docs/index.md) and let VEMETRIC_PUBLIC_URL begin with https.",
        )
    if machine.running is None:
        return
    fix = (
        "Set VEMETRIC_PUBLIC_URL to the address that leads here; check its DNS entry, and that the proxy passes it on."
    )
    try:
        found = ask(url, READY_PATH)
    except OSError as error:
        yield Finding("public URL", PROBLEM, f"{url} cannot be reached from here: {error}.", fix)
        return
    if not found.is_ours:
        yield Finding("public URL", PROBLEM, f"{url} is answered ({found.status}), but not by Vemetric.", fix)


def proxies(config: Config, machine: Machine) -> Iterator[Finding]:
    """Whether the right ones are believed: too few, and all visitors are the proxy; too many, and anybody may lie."""
    try:
        TrustedProxies(config.trusted_proxies)
    except errors.Misconfigured as error:
        yield Finding("proxies", PROBLEM, error.message, "Mend the setting: no start is possible with it.")
        return
    named = [entry.strip() for entry in config.trusted_proxies.lower().split(",") if entry.strip()]
    wide = [entry for entry in named if entry == EVERYTHING or _is_wide(entry)]
    if wide:
        yield Finding(
            "proxies",
            PROBLEM,
            f"VEMETRIC_TRUSTED_PROXIES believes {', '.join(wide)}: anybody can claim any address.",
            "Name the proxy's own address or network only, or a preset: loopback, cloudflare, fly.",
        )
    if named:
        return
    if config.listen.host in ("127.0.0.1", "::1", "localhost"):
        proxy = "a proxy on this machine"
    elif (proxy := _proxy_before(config, machine)) == "":
        return
    yield Finding(
        "proxies",
        PROBLEM,
        f"Requests come through {proxy}, and VEMETRIC_TRUSTED_PROXIES is empty: every visitor has the proxy's address.",
        "Set VEMETRIC_TRUSTED_PROXIES to the proxy's address or network; loopback for one on this machine.",
    )


def port(config: Config, machine: Machine) -> Iterator[Finding]:
    """Whether somebody else listens where this is to."""
    if machine.running is not None:
        return
    for setting, address in (
        ("VEMETRIC_LISTEN", config.listen),
        ("VEMETRIC_HUB_LISTEN", config.hub_listen),
        ("VEMETRIC_ADMIN_LISTEN", config.admin_listen),
        ("VEMETRIC_ACME_LISTEN", config.acme_listen if config.acme_domains else None),
    ):
        if address is not None and (reason := _taken(address)):
            yield Finding(
                "port",
                PROBLEM,
                f"{setting} is {address}: nothing can listen there ({reason}).",
                f"Stop who listens there (ss -ltnp 'sport = :{address.port}' names it), or choose another port. "
                "Where systemd holds the socket for Vemetric, all is well.",
            )


def mail(config: Config, machine: Machine) -> Iterator[Finding]:
    """Whether letters get as far as the mail server."""
    if not config.smtp_host:
        if not config.postmark_server_api_token:
            text = "No mail is set up: letters are kept for the operator (vemetric mail outbox)."
            yield Finding("mail", NOTE, text, "Set SMTP_HOST and VEMETRIC_MAIL_FROM, or POSTMARK_SERVER_API_TOKEN.")
        return
    try:
        _greet(config)
    except (OSError, smtplib.SMTPException) as error:
        yield Finding(
            "mail",
            PROBLEM,
            f"The mail server {config.smtp_host}:{config.smtp_port} does not take our greeting: {error}.",
            "Check SMTP_HOST, SMTP_PORT, SMTP_TLS (587: starttls, 465: tls), SMTP_USER and SMTP_PASSWORD; then "
            "`vemetric mail test --to ADDRESS`.",
        )


def places(config: Config, machine: Machine) -> Iterator[Finding]:
    """Whether addresses have places."""
    opened = Places.open(config.geo_database or DEFAULT_DATABASE)
    try:
        if opened.state is not State.READY:
            text = f"No visitor will have a country: {opened.detail}."
            fix = "Let VEMETRIC_GEO_DATABASE name an MMDB file that can be read, or unset it to use the one inside."
            yield Finding("places", PROBLEM, text, fix)
        elif opened.built_at < machine.now - timedelta(days=GEO_AGE_DAYS_MAX).total_seconds():
            of = datetime.fromtimestamp(opened.built_at, UTC).date()
            text = f"The database of places is of {of}; addresses have moved since."
            yield Finding("places", NOTE, text, "Upgrade, or let VEMETRIC_GEO_DATABASE name a newer MMDB file.")
    finally:
        opened.close()


def ask(url: str, path: str) -> Answer:
    """What a GET is answered; OSError says why it is not."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=SECONDS_MAX)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port or 443, timeout=SECONDS_MAX, context=context
        )
    try:
        connection.request("GET", parts.path + path)
        response = connection.getresponse()
        body = response.read(4_096)
    except http.client.HTTPException as error:
        raise OSError(str(error) or type(error).__name__) from error
    finally:
        connection.close()
    server = response.getheader("Via") or response.getheader("Server") or ""
    return Answer(response.status, server, ROLES_TOLD in body, response.getheader("Location") or "")


def _proxy_before(config: Config, machine: Machine) -> str:
    """Who answers at the public address, where that is not who answers on the listener; '' where it is."""
    if not config.public_url or machine.running is None:
        return ""
    scheme = "https" if config.is_tls else "http"
    host = ON_EVERY_INTERFACE.get(config.listen.host, config.listen.host)
    try:
        public = ask(config.public_url, PATH)
        if scheme == "https":
            return ""
        here = ask(f"{scheme}://{Address(host, config.listen.port)}", PATH)
    except OSError:
        return ""
    return f"a proxy ({public.server})" if public.server and public.server != here.server else ""


def _is_near(host: str) -> bool:
    """Whether a name or an address is of this machine or of a network of one's own."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return "." not in host


def _is_wide(entry: str) -> bool:
    if entry in PRESETS:
        return False
    try:
        network = ip_network(entry, strict=False)
    except ValueError:
        return False
    return network.prefixlen < PREFIX_MIN[network.version]


def _taken(address: Address) -> str:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def _greet(config: Config) -> None:
    context = ssl.create_default_context()
    client: smtplib.SMTP
    if config.smtp_tls == "tls":
        client = smtplib.SMTP_SSL(config.smtp_host, config.smtp_port, timeout=SECONDS_MAX, context=context)
    else:
        client = smtplib.SMTP(config.smtp_host, config.smtp_port, timeout=SECONDS_MAX)
    with client:
        client.ehlo()
        if config.smtp_tls == "starttls":
            client.starttls(context=context)
        if config.smtp_user:
            client.login(config.smtp_user, config.smtp_password)
