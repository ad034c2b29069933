"""The address people and sites reach this instance by: the configured one, or the best guess without it."""

import socket

from vemetric.config import Address, Config

EVERY_INTERFACE = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
USUAL_PORTS = {"http": 80, "https": 443}
# An address for documentation: nothing is sent to it, it only makes the system choose a route.
FAR_AWAY = ("192.0.2.1", 9)


def of(config: Config, port: int | None = None) -> str:
    """Scheme, host, port and base path, no slash at the end. port: the one listened on, where the setting says 0."""
    if config.public_url:
        return config.public_url
    host = own_address() if config.listen.host in EVERY_INTERFACE else config.listen.host
    shown = Address(host, port or config.listen.port)
    scheme = "https" if config.is_tls else "http"
    place = str(shown).rpartition(":")[0] if shown.port == USUAL_PORTS[scheme] else shown
    return f"{scheme}://{place}{config.base_path}"


def own_address() -> str:
    """This machine's address on its way out, `localhost` without one."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(FAR_AWAY)
            address: str = probe.getsockname()[0]
            return address
    except OSError:
        return "localhost"
