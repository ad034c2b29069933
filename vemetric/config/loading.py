"""The environment becomes the settings in force, or a sentence that says what is wrong with it."""

import difflib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from vemetric import errors
from vemetric.config.option import PREFIX, Option
from vemetric.config.settings import Config
from vemetric.config.table import OPTIONS, TOGETHER
from vemetric.config.values import ROLES

IGNORED_PREFIX = "VEMETRIC_TEST_"
# Alike enough (0 to 1) to be taken for a mistyped known name.
NEARNESS = 0.8
# So much of a known name is that name cut short, as TLS_CERT is.
CUT_MIN = 6
# Where roles are split over processes, each of these names a server that all of them reach.
SHARED_STORES = ("DATABASE_URL", "REDIS_URL", "CLICKHOUSE_URL")
# Of a server whose CLICKHOUSE_HOST is said; CLICKHOUSE_URL holds them all.
CLICKHOUSE_PARTS = ("CLICKHOUSE_DB", "CLICKHOUSE_USER", "CLICKHOUSE_PASSWORD")


def load(environ: Mapping[str, str]) -> tuple[Config, list[str]]:
    """Read the settings. Returns them and warnings, a sentence each; raises Misconfigured with one sentence."""
    warnings = _check_names(environ)
    values = {option.field: _parse(option, environ.get(option.name, "").strip()) for option in OPTIONS}
    config = _with_public_url(Config(**values))
    _check_together(config)
    _check_database(config)
    _check_clickhouse(config)
    _check_roles(config)
    # An insert begins only where the lease outlasts it, and a lease is prolonged when a third of it is over.
    if config.queue_lease_seconds < 2 * config.engine_insert_seconds:
        raise errors.Misconfigured(
            f"VEMETRIC_QUEUE_LEASE_SECONDS is {config.queue_lease_seconds}: "
            f"it must be at least twice VEMETRIC_ENGINE_INSERT_SECONDS ({config.engine_insert_seconds})."
        )
    return config, warnings


def _with_public_url(config: Config) -> Config:
    """The base path and the public address both have the path, whichever of the two says it. Without an address it is
    that of the certificate.
    """
    if not config.public_url:
        url = f"https://{config.acme_domains[0]}{config.base_path}" if config.acme_domains else ""
        return msgspec.structs.replace(config, public_url=url)
    path = urlsplit(config.public_url).path
    if path and config.base_path and path != config.base_path:
        raise errors.Misconfigured(
            f"VEMETRIC_BASE_PATH is '{config.base_path}', but the path of VEMETRIC_PUBLIC_URL is '{path}': "
            "they must be the same, or one of them is left out."
        )
    base_path = path or config.base_path
    url = config.public_url.removesuffix(path) + base_path
    return msgspec.structs.replace(config, base_path=base_path, public_url=url)


def _check_together(config: Config) -> None:
    fields = {option.name: option.field for option in OPTIONS}
    for names in TOGETHER:
        if len({bool(getattr(config, fields[name])) for name in names}) > 1:
            listed = f"{', '.join(names[:-1])} and {names[-1]}"
            raise errors.Misconfigured(f"{listed} are only allowed together.")
    if config.acme_domains and config.tls_certificate is not None:
        raise errors.Misconfigured("VEMETRIC_ACME_DOMAINS and VEMETRIC_TLS_CERTIFICATE are not allowed together.")
    if config.acme_domains and not config.acme_agree:
        raise errors.Misconfigured(
            "VEMETRIC_ACME_DOMAINS needs VEMETRIC_ACME_AGREE=yes: that you agree to the terms of the service at "
            f"{config.acme_directory}."
        )
    if config.paddle_api_key and not config.paddle_webhook_secret_key:
        raise errors.Misconfigured(
            "PADDLE_API_KEY needs PADDLE_WEBHOOK_SECRET_KEY: what was bought is told by notices."
        )
    if config.smtp_host and config.postmark_server_api_token:
        raise errors.Misconfigured("SMTP_HOST and POSTMARK_SERVER_API_TOKEN are not allowed together.")
    if (config.smtp_host or config.postmark_server_api_token) and not (config.mail_from and config.public_url):
        raise errors.Misconfigured(
            "Mail needs VEMETRIC_MAIL_FROM and VEMETRIC_PUBLIC_URL: its sender, and where its links lead."
        )


def _check_database(config: Config) -> None:
    if config.database_replica_url and not config.database_url:
        raise errors.Misconfigured("VEMETRIC_DATABASE_REPLICA_URL needs DATABASE_URL: the server it is a replica of.")


def _check_clickhouse(config: Config) -> None:
    if config.clickhouse_url is not None and config.clickhouse_host is not None:
        raise errors.Misconfigured("CLICKHOUSE_URL and CLICKHOUSE_HOST are not allowed together.")
    if config.clickhouse_host is None:
        for option in OPTIONS:
            if option.name in CLICKHOUSE_PARTS and getattr(config, option.field):
                raise errors.Misconfigured(f"{option.name} is only allowed beside CLICKHOUSE_HOST.")
    if config.clickhouse_cluster and config.clickhouse is None:
        raise errors.Misconfigured("VEMETRIC_CLICKHOUSE_CLUSTER needs CLICKHOUSE_URL: one of the cluster's servers.")


def _check_roles(config: Config) -> None:
    if config.roles == ROLES:
        return
    fields = {option.name: option.field for option in OPTIONS}
    named = {name for name in SHARED_STORES if name in fields and getattr(config, fields[name])}
    if config.clickhouse is not None:
        named.add("CLICKHOUSE_URL")
    missing = [name for name in SHARED_STORES if name not in named]
    if missing:
        raise errors.Misconfigured(
            f"VEMETRIC_ROLES is '{config.roles}': roles can be split over processes only where all stores are servers; "
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set."
        )
    if not config.secret:
        raise errors.Misconfigured(
            f"VEMETRIC_ROLES is '{config.roles}': several processes need one VEMETRIC_SECRET, the same for all of them."
        )


def _parse(option: Option, text: str) -> Any:
    try:
        return option.parse(text or option.default)
    except ValueError:
        shown = "(hidden)" if option.secret else repr(text)
        raise errors.Misconfigured(f"{option.name} is {shown}: it must be {option.allowed}.") from None


def _check_names(environ: Mapping[str, str]) -> list[str]:
    known = {option.name for option in OPTIONS}
    warnings = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in known or name.startswith(IGNORED_PREFIX):
            continue
        by_stem = {option.removeprefix(PREFIX): option for option in sorted(known)}
        near = _near(name.removeprefix(PREFIX), list(by_stem))
        if near:
            raise errors.Misconfigured(f"{name} is not a setting; did you mean {by_stem[near[0]]}?")
        warnings.append(f"{name} is not a setting of Vemetric and is ignored.")
    return warnings


def _near(stem: str, known: list[str]) -> list[str]:
    """The known names this one is probably meant to be: nearly alike, cut short, or drawn out."""
    drawn_out = [name for name in known if stem.startswith(name) or (len(stem) >= CUT_MIN and name.startswith(stem))]
    return drawn_out or difflib.get_close_matches(stem, known, n=1, cutoff=NEARNESS)
