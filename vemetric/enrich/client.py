"""Where a request comes from. Its headers are believed only when the setting says who may set them.

Called by the hub for every request, and by the middleware of the other pages for the scheme and host.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from vemetric import errors

SETTING = "VEMETRIC_TRUSTED_PROXIES"
CACHED_ADDRESSES_MAX = 32_768
# Values of X-Forwarded-For; longer ones are read anew each time.
CACHED_FORWARDED_MAX = 32_768
CACHED_FORWARDED_CHARACTERS_MAX = 100
# The longest spelling of an IPv6 address ends with an IPv4 one.
ADDRESS_CHARACTERS_MAX = 45

FORWARDED_FOR = "x-forwarded-for"
MAPPED = "::ffff:"
FORWARDED_PROTO = "x-forwarded-proto"
FORWARDED_HOST = "x-forwarded-host"

# The edge's networks as Cloudflare publishes them on its page of IP ranges: the list of 28 September 2023, which copies
# taken daily still had on 11 February 2026.
CLOUDFLARE_NETWORKS = (
    *("173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "141.101.64.0/18", "108.162.192.0/18"),
    *("190.93.240.0/20", "188.114.96.0/20", "197.234.240.0/22", "198.41.128.0/17", "162.158.0.0/15", "104.16.0.0/13"),
    *("104.24.0.0/14", "172.64.0.0/13", "131.0.72.0/22"),
    *("2400:cb00::/32", "2606:4700::/32", "2803:f800::/32", "2405:b500::/32", "2405:8100::/32", "2a06:98c0::/29"),
    "2c0f:f248::/32",
)
# Fly's proxy reaches a machine over the private networks of the host. Fly publishes no list of them; it says that its
# proxy always sets the header itself, and so it did in a trial of November 2025. Machines of one's own organization
# share the IPv6 network and are believed too.
FLY_NETWORKS = ("172.16.0.0/12", "fdaa::/16")
LOOPBACK_NETWORKS = ("127.0.0.0/8", "::1/128")

# The original's order: the first of these that holds an address wins, whoever sent it.
HEADERS_OF_EVERYTHING = (
    "x-client-ip",
    FORWARDED_FOR,
    "cf-connecting-ip",
    "do-connecting-ip",
    "fastly-client-ip",
    "true-client-ip",
    "x-real-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "forwarded-for",
    "forwarded",
    "x-appengine-user-ip",
)
HEADER_AFTER_THE_PEER = "cf-pseudo-ipv4"

_HOST = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")


class Preset(NamedTuple):
    """Proxies known by name: the networks they call from, the one header they set, whether they set the host too."""

    networks: tuple[str, ...]
    header: str
    names_host: bool


PRESETS = {
    "cloudflare": Preset(CLOUDFLARE_NETWORKS, "cf-connecting-ip", names_host=False),
    "fly": Preset(FLY_NETWORKS, "fly-client-ip", names_host=False),
    # nginx, Caddy, Apache or HAProxy on this machine: they append the address they see.
    "loopback": Preset(LOOPBACK_NETWORKS, FORWARDED_FOR, names_host=True),
}
EVERYTHING = "everything"


class Proxy(NamedTuple):
    """One trusted network and what is believed of it."""

    network: IPv4Network | IPv6Network
    header: str
    names_host: bool


class TrustedProxies:
    """Who may tell us where a request comes from. Made once from the setting; nobody, when it is empty."""

    def __init__(self, setting: str = "") -> None:
        """Read a comma list of addresses, networks and presets; raise Misconfigured when one is none of these."""
        entries = [entry.strip().lower() for entry in setting.split(",") if entry.strip()]
        self.everything = EVERYTHING in entries
        if self.everything and len(entries) > 1:
            raise errors.Misconfigured(
                f"{SETTING}: '{EVERYTHING}' already trusts everybody; it must stand alone, not in '{setting}'."
            )
        self._proxies = () if self.everything else tuple(proxy for entry in entries for proxy in _proxies(entry))
        self.of = lru_cache(CACHED_ADDRESSES_MAX)(self._of)
        self.nearest = lru_cache(CACHED_FORWARDED_MAX)(self._nearest)

    def _of(self, peer: str) -> Proxy | None:
        """The trusted proxy at an address, None if nobody trusted is there. Cached as `of`."""
        try:
            address = ip_address(peer)
        except ValueError:
            return None
        if address.version == 6 and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return next((proxy for proxy in self._proxies if address in proxy.network), None)

    def last_untrusted(self, value: str, peer: str) -> str:
        """Walk X-Forwarded-For from the right: each trusted hop vouches for the entry on its left, and no further."""
        if len(value) > CACHED_FORWARDED_CHARACTERS_MAX:
            return self._nearest(value, peer)
        return self.nearest(value, peer)

    def _nearest(self, value: str, peer: str) -> str:
        nearest = peer
        for entry in reversed(value.split(",")):
            address = _without_port(entry.strip())
            if not is_ip(address):
                return nearest
            nearest = without_mapping(address)
            if self.of(address) is None:
                return nearest
        return nearest


NOBODY = TrustedProxies()


@lru_cache(CACHED_ADDRESSES_MAX)
def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_ip(text: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address: no port, brackets, zone or spaces."""
    return len(text) <= ADDRESS_CHARACTERS_MAX and "%" not in text and _is_ip(text)


def client_ip(peer: str | None, headers: Mapping[str, str], trusted: TrustedProxies) -> str | None:
    """The visitor's address as text, None if there is none.

    peer: the other end of the connection. headers: by lower-case name; a multi-dict's repeated headers all count.
    """
    if trusted.everything:
        return _first_of_everything(peer, headers)
    if peer is None:
        return None
    proxy = trusted.of(peer)
    if proxy is None or "%" in peer:
        return without_mapping(peer) if is_ip(peer) else None
    value = joined(headers, proxy.header)
    if value is None:
        return peer
    if proxy.header == FORWARDED_FOR:
        return trusted.last_untrusted(value, peer)
    value = value.strip()
    return without_mapping(value) if is_ip(value) else peer


def without_mapping(address: str) -> str:
    """An IPv4 address that came in IPv6's clothes, as IPv4: it is the same visitor, and the same exclusion."""
    return address[len(MAPPED) :] if address.lower().startswith(MAPPED) and "." in address else address


def scheme_and_host(
    peer: str | None, headers: Mapping[str, str], trusted: TrustedProxies, scheme: str, host: str
) -> tuple[str, str]:
    """The scheme and host (with port, if any) the visitor asked for. scheme, host: those of the request as it came."""
    proxy = trusted.of(peer) if peer is not None and not trusted.everything else None
    if proxy is None and not trusted.everything:
        return scheme, host
    forwarded_scheme = _last(headers, FORWARDED_PROTO).lower()
    if forwarded_scheme in ("http", "https"):
        scheme = forwarded_scheme
    forwarded_host = _last(headers, FORWARDED_HOST) if proxy is None or proxy.names_host else ""
    return scheme, forwarded_host if _HOST.match(forwarded_host) else host


def joined(headers: Mapping[str, str], name: str) -> str | None:
    """A header's value, its repetitions joined by a comma as HTTP has it; None if it is absent."""
    if type(headers) is dict:
        return headers.get(name)
    all_of = getattr(headers, "getall", None)
    if all_of is None:
        return headers.get(name)
    values: list[str] = all_of(name, [])
    return ", ".join(values) if values else None


def _proxies(entry: str) -> list[Proxy]:
    preset = PRESETS.get(entry)
    if preset is not None:
        return [Proxy(ip_network(network), preset.header, preset.names_host) for network in preset.networks]
    try:
        return [Proxy(ip_network(entry), FORWARDED_FOR, names_host=True)]
    except ValueError as error:
        names = ", ".join(sorted([*PRESETS, EVERYTHING]))
        raise errors.Misconfigured(
            f"{SETTING}: '{entry}' is not an address such as 192.0.2.7, a network such as 10.0.0.0/8 "
            f"or one of {names} ({error})."
        ) from None


def _without_port(entry: str) -> str:
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry


def _first_of_everything(peer: str | None, headers: Mapping[str, str]) -> str | None:
    for name in HEADERS_OF_EVERYTHING:
        value = joined(headers, name)
        if value is None:
            continue
        found = _first_forwarded(value) if name == FORWARDED_FOR else value
        if is_ip(found):
            return found
    if peer is not None and is_ip(peer):
        return peer
    pseudo = joined(headers, HEADER_AFTER_THE_PEER) or ""
    return pseudo if is_ip(pseudo) else None


def _first_forwarded(value: str) -> str:
    """The leftmost entry that is an address; exactly one colon in it means a port."""
    for entry in value.split(","):
        stripped = entry.strip()
        address = stripped.partition(":")[0] if stripped.count(":") == 1 else stripped
        if is_ip(address):
            return address
    return ""


def _last(headers: Mapping[str, str], name: str) -> str:
    return (joined(headers, name) or "").rpartition(",")[2].strip()
