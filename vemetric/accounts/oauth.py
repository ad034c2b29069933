"""Signing in through Google, GitHub or an OpenID Connect provider: the way there and back. The only file with authlib.

Which account somebody then gets is decided in identities.py.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from vemetric import errors
from vemetric.accounts import fields, limits, tokens
from vemetric.clock import Clock
from vemetric.config import Config
from vemetric.model.identity import Profile
from vemetric.queues.job import KeySet
from vemetric.queues.keys import Keys

if TYPE_CHECKING:
    from authlib.integrations.httpx_client import AsyncOAuth2Client

GOOGLE_ISSUER = "https://accounts.google.com"
GITHUB = "https://github.com"
GITHUB_API = "https://api.github.com"
# How one can come in, as the login page remembers it.
METHODS = ("password", "google", "github", "oidc")

ATTEMPT_PREFIX = "oauth:"
ATTEMPT_MS = 600_000
# Each answer, and all of an exchange: one that comes byte by byte never keeps a browser, or a stop, waiting for long.
SECONDS_MAX = 15.0
EXCHANGE_SECONDS_MAX = 30.0
SUBJECT_LENGTH_MAX = 255
LEEWAY_SECONDS = 60
# Signatures by a key that only the provider has; never none, never one by our own secret.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]

GONE = "This sign-in took too long, or was begun in another browser. Please try again."


class Provider(msgspec.Struct, frozen=True):
    """A service one can sign in with. issuer: of an OpenID Connect provider; '' for GitHub, whose address is `url`.

    seconds_max: for all of an exchange.
    """

    key: str
    label: str
    client_id: str
    client_secret: str
    scopes: str
    issuer: str = ""
    url: str = ""
    seconds_max: float = EXCHANGE_SECONDS_MAX


class Attempt(msgspec.Struct, frozen=True):
    """Somebody on the way to a provider. account_id: who wants to connect it, '' for somebody who signs in.

    slot: the try that the way takes (limits.py), from begun_ms on.
    """

    provider: str
    nonce: str
    verifier: str
    next: str
    account_id: str
    slot: str = ""
    begun_ms: int = 0


class Endpoints(msgspec.Struct, frozen=True):
    """Where a provider answers."""

    authorization_endpoint: str
    token_endpoint: str
    issuer: str = ""
    jwks_uri: str = ""
    userinfo_endpoint: str = ""


def providers_of(config: Config) -> dict[str, Provider]:
    """The providers that the settings name, by their keys."""
    google = Provider(
        "google", "Google", config.google_client_id, config.google_client_secret, "openid email profile", GOOGLE_ISSUER
    )
    github = Provider(
        "github",
        "GitHub",
        config.github_client_id,
        config.github_client_secret,
        "read:user user:email",
        url=config.github_url,
    )
    oidc = Provider(
        "oidc",
        config.oidc_name,
        config.oidc_client_id,
        config.oidc_client_secret,
        config.oidc_scopes,
        config.oidc_issuer,
    )
    return {one.key: one for one in (google, github, oidc) if one.client_id}


async def begin(
    keys: Keys, clock: Clock, provider: Provider, redirect_uri: str, next_path: str, account_id: str = "", ip: str = ""
) -> tuple[str, str]:
    """Where to send the browser, and the state that its cookie keeps. Raises Unavailable, TooManyRequests."""
    slot, begun_ms = await limits.take_for(keys, clock, limits.SERVICE, ip), clock.now_ms()
    attempt = Attempt(provider.key, tokens.new(), tokens.new(), next_path, account_id, slot, begun_ms)
    async with _client(provider, redirect_uri) as client:
        endpoints = await _endpoints(client, provider)
        url, state = client.create_authorization_url(
            endpoints.authorization_endpoint,
            code_verifier=attempt.verifier,
            **({"nonce": attempt.nonce} if provider.issuer else {}),
        )
    await keys.set([KeySet(_key(state), msgspec.json.encode(attempt), clock.now_ms() + ATTEMPT_MS)])
    return url, state


async def finish(
    keys: Keys, clock: Clock, provider: Provider, redirect_uri: str, query: Mapping[str, str], kept_state: str
) -> tuple[Profile, Attempt]:
    """Who came back, and what for. An attempt counts once. Raises Invalid, Forbidden, Unavailable."""
    state = query.get("state", "")
    found = await keys.get(_key(state)) if state and state == kept_state else None
    if found is None or not await keys.delete(_key(state)):
        raise errors.Invalid(GONE)
    attempt = msgspec.json.decode(found, type=Attempt)
    if attempt.provider != provider.key:
        raise errors.Invalid(GONE)
    if "code" not in query:
        raise errors.Forbidden(f"{provider.label} did not let you in.")
    async with _client(provider, redirect_uri) as client:
        endpoints = await _endpoints(client, provider)
        token = await client.fetch_token(
            endpoints.token_endpoint,
            code=query["code"],
            code_verifier=attempt.verifier,
            grant_type="authorization_code",
        )
        if provider.issuer:
            return await _oidc_profile(client, clock, provider, endpoints, token, attempt.nonce), attempt
        return await _github_profile(client, provider), attempt


async def let_in(keys: Keys, clock: Clock, attempt: Attempt) -> None:
    """The way led in: it was no try. What it took may be somebody else's once the limit's time is over."""
    if attempt.slot and clock.now_ms() - attempt.begun_ms < limits.SERVICE.window_seconds * 1000:
        await limits.give_back(keys, attempt.slot)


@asynccontextmanager
async def _client(provider: Provider, redirect_uri: str) -> "AsyncIterator[AsyncOAuth2Client]":
    """A client for one exchange; whatever goes wrong with it becomes an error of ours."""
    # Here, because every start would pay for the import and few servers use it.
    import httpx2
    from authlib.common.errors import AuthlibBaseError
    from authlib.integrations.httpx_client import AsyncOAuth2Client
    from joserfc.errors import JoseError

    from vemetric.accounts import answers

    try:
        async with (
            asyncio.timeout(provider.seconds_max),
            AsyncOAuth2Client(
                provider.client_id,
                provider.client_secret,
                scope=provider.scopes,
                redirect_uri=redirect_uri,
                code_challenge_method="S256",
                timeout=SECONDS_MAX,
                headers=answers.PLAIN,
                event_hooks={"response": [answers.bound]},
            ) as client,
        ):
            yield client
    except (httpx2.HTTPError, TimeoutError) as error:
        raise errors.Unavailable(f"{provider.label} does not answer: {error}.") from error
    except (AuthlibBaseError, JoseError, ValueError, KeyError, RecursionError) as error:
        raise errors.Forbidden(f"{provider.label} did not let you in ({error}).") from error


async def _endpoints(client: "AsyncOAuth2Client", provider: Provider) -> Endpoints:
    if not provider.issuer:
        base = f"{provider.url}/login/oauth"
        return Endpoints(f"{base}/authorize", f"{base}/access_token")
    found = await _get(client, f"{provider.issuer}/.well-known/openid-configuration")
    endpoints = msgspec.convert(found, Endpoints)
    if endpoints.issuer.rstrip("/") != provider.issuer:
        raise ValueError(f"it calls itself {endpoints.issuer}")
    return endpoints


async def _oidc_profile(
    client: "AsyncOAuth2Client",
    clock: Clock,
    provider: Provider,
    endpoints: Endpoints,
    token: Mapping[str, Any],
    nonce: str,
) -> Profile:
    from authlib.oidc.core import CodeIDToken
    from joserfc import jwt
    from joserfc.jwk import KeySet as WebKeys

    web_keys = WebKeys.import_key_set(await _get(client, endpoints.jwks_uri))
    signed = jwt.decode(token["id_token"], web_keys, algorithms=ALGORITHMS)
    claims = CodeIDToken(
        signed.claims,
        signed.header,
        {"iss": {"value": endpoints.issuer}, "aud": {"value": provider.client_id}},
        {"nonce": nonce, "client_id": provider.client_id, "access_token": token.get("access_token")},
    )
    claims.validate(now=clock.now_ms() // 1000, leeway=LEEWAY_SECONDS)
    # A provider that was not asked with a nonce would leave it out; ours always was.
    if claims.get("nonce") != nonce:
        raise ValueError("the nonce is missing")
    person: Mapping[str, Any] = claims
    if "email" not in claims and endpoints.userinfo_endpoint:
        told = await _get(client, endpoints.userinfo_endpoint, authorized=True)
        if told.get("sub") != claims["sub"]:
            raise ValueError("it spoke of somebody else")
        person = told
    is_verified = str(person.get("email_verified", "")).lower() == "true"
    return _profile(provider, claims["sub"], person.get("email"), is_verified, person.get("name"))


async def _github_profile(client: "AsyncOAuth2Client", provider: Provider) -> Profile:
    api = GITHUB_API if provider.url == GITHUB else f"{provider.url}/api/v3"
    person = await _get(client, f"{api}/user", authorized=True)
    addresses = await _get(client, f"{api}/user/emails", authorized=True)
    main: Mapping[str, Any] = next((one for one in addresses if one.get("primary") and one.get("verified")), {})
    name = person.get("name") or person.get("login")
    return _profile(provider, person["id"], main.get("email"), bool(main), name)


def _profile(provider: Provider, subject: object, email: object, is_verified: bool, name: object) -> Profile:
    try:
        address = fields.email(email) if isinstance(email, str) else ""
    except ValueError:
        address = ""
    if not 0 < len(str(subject)) <= SUBJECT_LENGTH_MAX or not str(subject).isprintable():
        raise ValueError("its name for you cannot be kept")
    shown = name if isinstance(name, str) else ""
    return Profile(provider.key, str(subject), address, is_verified and bool(address), shown)


async def _get(client: "AsyncOAuth2Client", url: str, authorized: bool = False) -> Any:
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{url!r} is no address")
    headers = {"Accept": "application/json"}
    response = await client.request("GET", url, withhold_token=not authorized, headers=headers)
    response.raise_for_status()
    return msgspec.json.decode(response.content)


def _key(state: str) -> str:
    return ATTEMPT_PREFIX + hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()
