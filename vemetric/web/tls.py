"""The certificate that the listeners show: taken from files, and again when they change or there is a new one."""

import asyncio
import logging
import ssl
from pathlib import Path

from vemetric import errors
from vemetric.config import Config

CHECK_SECONDS = 5

log = logging.getLogger("vemetric")


def context_of(config: Config) -> ssl.SSLContext | None:
    """TLS with the configured certificate, None without one."""
    if config.tls_certificate is None or config.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    load_certificate(context, config.tls_certificate, config.tls_key)
    return context


def load_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Let the context use these files; as it is when they cannot be used."""
    try:
        # A certificate without its key would already have taken the place of the one in use.
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise errors.Misconfigured(
            f"VEMETRIC_TLS_CERTIFICATE is {str(certificate)!r}: it cannot be used with {str(key)!r} ({error}); "
            "both must be PEM files that belong together."
        ) from error


def load_pair(context: ssl.SSLContext, both: Path) -> None:
    """Let the context use a file that holds key and chain."""
    load_certificate(context, both, both)


async def reload(context: ssl.SSLContext, config: Config) -> None:
    """Take a renewed certificate without a restart; a broken one is told and the old one kept."""
    certificate, key = config.tls_certificate, config.tls_key
    if certificate is None or key is None:
        return
    seen = modified(certificate, key)
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        now = modified(certificate, key)
        if now == seen:
            continue
        seen = now
        try:
            load_certificate(context, certificate, key)
            log.info("The renewed certificate is in use.")
        except errors.Misconfigured as error:
            log.error("%s The previous certificate stays in use.", error.message)


def modified(*paths: Path) -> tuple[int, ...]:
    """When each was written last, 0 while there is no such file."""
    times = []
    for path in paths:
        try:
            times.append(path.stat().st_mtime_ns)
        except OSError:
            times.append(0)
    return tuple(times)
