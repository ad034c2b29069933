"""Checks of the certificate: whether it lasts, whether a new one comes in time, and what keeps one away.

Called by examine.py.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from vemetric.acme import keeper
from vemetric.config import Config
from vemetric.doctor.finding import PROBLEM, Finding, Machine
from vemetric.doctor.of_service import ask

if TYPE_CHECKING:
    from cryptography import x509

CHECK = "certificate"
# Whoever renews by hand, or by a program that stopped, has so much time yet.
LEFT_DAYS_MIN = 10
CHALLENGES_PORT = 80
PATH = "/up"


def certificate(config: Config, machine: Machine) -> Iterator[Finding]:
    """Of the listeners, whoever gets it."""
    if config.acme_domains:
        yield from _own(config, machine)
    elif config.tls_certificate is not None:
        chain = keeper.read(config.tls_certificate)
        if chain and (told := _ending(chain[0], machine, LEFT_DAYS_MIN)):
            fix = "Renew it, and put the new one in its place: it is read again when the file changes."
            yield Finding(CHECK, PROBLEM, f"The certificate {config.tls_certificate} {told}.", fix)


def challenges(config: Config, machine: Machine) -> Iterator[Finding]:
    """Whether names and ports lead where an ACME service looks for us."""
    if not config.acme_domains:
        return
    host = urlsplit(config.public_url).hostname or ""
    if not config.public_url.startswith("https://") or host not in config.acme_domains:
        yield Finding(
            CHECK,
            PROBLEM,
            f"VEMETRIC_PUBLIC_URL is {config.public_url}, and the certificate is for {', '.join(config.acme_domains)}.",
            "Let VEMETRIC_PUBLIC_URL be https:// with one of VEMETRIC_ACME_DOMAINS, or leave it out.",
        )
    if machine.running is None:
        return
    origin = f"https://{urlsplit(config.public_url).netloc}"
    for name in config.acme_domains:
        if told := led_elsewhere(name, origin):
            yield Finding(
                CHECK,
                PROBLEM,
                told,
                f"Let the DNS entry of {name} name this machine, and port 80 lead to VEMETRIC_ACME_LISTEN "
                f"({config.acme_listen}), through firewalls too.",
            )


def led_elsewhere(name: str, origin: str, port: int = CHALLENGES_PORT) -> str:
    """What is wrong with the way to our port for challenges, which sends others on to the origin; '' if nothing is."""
    try:
        answered = ask(f"http://{name}:{port}", PATH)
    except OSError as error:
        return f"Port {port} of {name} cannot be reached from here: {error}."
    if answered.location == f"{origin}{PATH}":
        return ""
    return f"Port {port} of {name} is answered ({answered.status}), but not by Vemetric."


def _own(config: Config, machine: Machine) -> Iterator[Finding]:
    """Of the one that we get: nothing while it is for the right names and renewed in time."""
    chain, tried = keeper.kept(config), keeper.noted(config)
    names = ", ".join(config.acme_domains)
    if not chain:
        told = f"There is no certificate for {names} yet"
    elif keeper.names_of(chain[0]) != set(config.acme_domains):
        told = f"The certificate is for {', '.join(sorted(keeper.names_of(chain[0])))}, not for {names}"
    elif ending := _ending(chain[0], machine, 0):
        told = f"The certificate for {names} {ending}"
    elif tried.count:
        told = f"The certificate for {names} is not renewed: it {_ending(chain[0], machine, None)}"
    else:
        return
    if tried.count:
        at = datetime.fromtimestamp(tried.at_ms / 1000, UTC).isoformat(" ", "seconds")
        told += f". Attempts that failed: {tried.count}, the last at {at}: {tried.said or 'it did not end'}"
        fix = "Mend what was said. It is tried again by itself; at once by a restart without acme/attempts.json."
    else:
        fix = "Start the server: it gets one."
    yield Finding(CHECK, PROBLEM, f"{told.removesuffix('.')}.", fix)


def _ending(one: "x509.Certificate", machine: Machine, days_min: int | None) -> str:
    """When it ends, '' where more than so many days are left; always said without a bound."""
    days = (one.not_valid_after_utc.timestamp() - machine.now) / 86_400
    if days_min is not None and days > days_min:
        return ""
    at = one.not_valid_after_utc.date()
    return f"ends in {days:.0f} days, on {at}" if days > 0 else f"has ended on {at}"
