"""The certificate of this server: kept in the data directory, renewed in time, asked for at a calm pace."""

import asyncio
import hashlib
import logging
import random
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from vemetric import errors
from vemetric.clock import Clock
from vemetric.config import Config
from vemetric.model import private_file

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

FOLDER = "acme"
ACCOUNT, CERTIFICATE, PLACEHOLDER, ATTEMPTS = "account.pem", "certificate.pem", "placeholder.pem", "attempts.json"
# A new one is got when so much of the life is left, and by so much of it earlier, so that not all come at once.
LEFT_PART, JITTER_PART = 1 / 3, 1 / 30
LOOK_SECONDS = 3600.0
ATTEMPT_SECONDS_MAX = 600
# After so many attempts that failed one after another; services let a name fail five times an hour.
PAUSES_SECONDS = (60, 300, 1200, 3600, 4 * 3600, 12 * 3600, 24 * 3600)
PLACEHOLDER_DAYS = 3650

log = logging.getLogger("vemetric.acme")


class Attempts(msgspec.Struct, frozen=True):
    """Attempts since the last that went well, for these settings. A start does not forget them.

    at_ms: when the last was. said: why it failed.
    """

    settings: str = ""
    count: int = 0
    at_ms: int = 0
    said: str = ""


class Keeper:
    """The files and when to renew them. challenges: by token, what the port for challenges answers."""

    def __init__(self, config: Config, clock: Clock, use: Callable[[Path], None]) -> None:
        """use: called with the file of key and chain whenever there is a new one; Misconfigured refuses it."""
        self._config = config
        self._clock = clock
        self._use = use
        self._folder = config.data_dir / FOLDER
        self._jitter = random.uniform(0, JITTER_PART)  # noqa: S311 - no secret
        self.challenges: dict[str, str] = {}

    def prepare(self) -> Path:
        """The file to begin with: the certificate, or one that nobody trusts until there is one."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if kept(self._config):
            return self._folder / CERTIFICATE
        placeholder = self._folder / PLACEHOLDER
        private_file.write(placeholder, own_certificate(self._config.acme_domains, self._now()))
        return placeholder

    async def run(self) -> None:
        """Look now and then, for as long as the process runs."""
        seconds = await self.look()
        while True:
            await asyncio.sleep(seconds)
            seconds = await self.look()

    async def look(self) -> float:
        """Get a certificate if it is time to. Answers when to look again, in seconds."""
        if left := self.seconds_left():
            return min(left, LOOK_SECONDS)
        tried, now_ms = noted(self._config), self._clock.now_ms()
        wait = pause_seconds(tried.count) - (now_ms - tried.at_ms) / 1000
        # A clock that was set back shall not make it wait for long.
        if 0 < wait <= PAUSES_SECONDS[-1]:
            return min(wait, LOOK_SECONDS)
        attempt = Attempts(settings_of(self._config), tried.count + 1, now_ms)
        try:
            # Written first: a process that dies on the way, and is started again at once, has tried all the same.
            self._note(attempt)
            await self._renew()
        except Exception as error:
            # Whatever it was, it must not be the last attempt.
            wait = pause_seconds(attempt.count)
            text = error.message if isinstance(error, errors.VemetricError) else repr(error)
            said = f"{text.removesuffix('.')}."
            log.error("No certificate for %s: %s The next attempt is in %d s.", self._names(), said, wait)
            with suppress(OSError):
                self._note(msgspec.structs.replace(attempt, said=said))
            return min(float(wait), LOOK_SECONDS)
        log.info("A certificate for %s is in use until %s.", self._names(), kept(self._config)[0].not_valid_after_utc)
        # One that is over as it comes, by our clock, is no reason to ask without end.
        return min(self.seconds_left() or LOOK_SECONDS, LOOK_SECONDS)

    def seconds_left(self) -> float:
        """How long until a new certificate is to be got; 0 where there is none, one for other names, or one that has
        little of its life left.
        """
        chain = kept(self._config)
        if not chain or names_of(chain[0]) != set(self._config.acme_domains):
            return 0.0
        ends, life = chain[0].not_valid_after_utc, chain[0].not_valid_after_utc - chain[0].not_valid_before_utc
        return max(0.0, (ends - life * (LEFT_PART + self._jitter) - self._now()).total_seconds())

    async def _renew(self) -> None:
        path = self._folder / CERTIFICATE
        async with asyncio.timeout(ATTEMPT_SECONDS_MAX):
            content = await self._fetch()
        private_file.write(path, content)
        self._use(path)
        self._note(Attempts())

    async def _fetch(self) -> bytes:
        """Key and chain, PEM, that belong together and are for all names."""
        import aiohttp
        from cryptography import x509

        from vemetric.acme.client import SECONDS_MAX, Client

        config, key = self._config, new_key()
        trusted = ssl.create_default_context(cafile=config.acme_ca)
        connector, timeout = aiohttp.TCPConnector(ssl=trusted), aiohttp.ClientTimeout(SECONDS_MAX)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            client = Client(session, config.acme_directory, self._account(), self.challenges)
            chain = await client.certificate(config.acme_email, config.acme_domains, request(key, config.acme_domains))
        if x509.load_pem_x509_certificates(chain)[0].public_key() != key.public_key():
            raise errors.Unavailable("The ACME service answered a certificate for another key.")
        return pem(key) + chain

    def _account(self) -> "EllipticCurvePrivateKey":
        """The key by which the service knows us, made the first time."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        path = self._folder / ACCOUNT
        if not path.exists():
            private_file.write(path, pem(new_key()))
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise errors.Unavailable(f"{path} holds no key of ours.")
        return key

    def _note(self, attempts: Attempts) -> None:
        private_file.write(self._folder / ATTEMPTS, msgspec.json.encode(attempts))

    def _names(self) -> str:
        return ", ".join(self._config.acme_domains)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)


def kept(config: Config) -> "list[x509.Certificate]":
    """The certificate that is kept, as `read`."""
    return read(config.data_dir / FOLDER / CERTIFICATE)


def read(path: Path) -> "list[x509.Certificate]":
    """The chain in a file, the server's first; nothing if there is none that can be read."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return []


def names_of(certificate: "x509.Certificate") -> set[str]:
    """The host names that a certificate is for."""
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return set()
    return set(names.get_values_for_type(x509.DNSName))


def noted(config: Config) -> Attempts:
    """The attempts since the last that went well, with these settings."""
    try:
        found = msgspec.json.decode((config.data_dir / FOLDER / ATTEMPTS).read_bytes(), type=Attempts)
    except (OSError, msgspec.MsgspecError):
        return Attempts()
    return found if found.settings == settings_of(config) else Attempts()


def settings_of(config: Config) -> str:
    """What an attempt depends on: with other settings it is made at once."""
    asked = "\n".join((config.acme_directory, config.acme_email, *config.acme_domains))
    return hashlib.sha256(asked.encode()).hexdigest()


def pause_seconds(failures: int) -> int:
    """How long to leave the service alone after so many failures in a row."""
    return PAUSES_SECONDS[min(failures, len(PAUSES_SECONDS)) - 1] if failures else 0


def new_key() -> "EllipticCurvePrivateKey":
    """A key on P-256."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def pem(key: "EllipticCurvePrivateKey") -> bytes:
    """A key as it is kept."""
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def request(key: "EllipticCurvePrivateKey", domains: tuple[str, ...]) -> bytes:
    """The signing request, DER."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    names = x509.SubjectAlternativeName([x509.DNSName(domain) for domain in domains])
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def own_certificate(domains: tuple[str, ...], now: datetime) -> bytes:
    """Key and certificate that vouch for themselves: they let the server begin."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    key, name = new_key(), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Vemetric waits for a certificate")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
    made = made.not_valid_after(now + timedelta(days=PLACEHOLDER_DAYS))
    names = x509.SubjectAlternativeName([x509.DNSName(domain) for domain in domains])
    certificate = made.add_extension(names, critical=False).sign(key, hashes.SHA256())
    return pem(key) + certificate.public_bytes(serialization.Encoding.PEM)
