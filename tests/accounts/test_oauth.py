"""Signing in through a provider that the test runs: an OpenID Connect one, and a GitHub."""

import asyncio
import base64
import gzip
import hashlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt
from joserfc.jwk import RSAKey

from vemetric import config, errors
from vemetric.accounts import oauth
from vemetric.accounts.answers import BYTES_MAX
from vemetric.accounts.oauth import Provider
from vemetric.clock import FrozenClock
from vemetric.model.identity import Profile
from vemetric.queues.keys import Keys

CALLBACK = "https://stats.example.com/oauth/oidc/callback"
KEY = RSAKey.generate_key(2048, {"kid": "one", "alg": "RS256", "use": "sig"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "one", "alg": "RS256", "use": "sig"})


class Identity:
    """A little provider. `changes` go over the claims it signs; `key` signs them."""

    def __init__(self, clock: FrozenClock) -> None:
        self.clock = clock
        self.issuer = ""
        self.key = KEY
        self.algorithm = "RS256"
        self.changes: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.asked: dict[str, str] = {}
        self.emails: list[dict[str, Any]] = [{"email": "Mara@Example.com", "primary": True, "verified": True}]

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self.configuration)
        app.router.add_get("/jwks", self.jwks)
        app.router.add_post("/token", self.token)
        app.router.add_get("/userinfo", self.told)
        app.router.add_post("/login/oauth/access_token", self.token)
        app.router.add_get("/api/v3/user", self.github_user)
        app.router.add_get("/api/v3/user/emails", self.github_emails)
        return app

    def go(self, url: str) -> str:
        """What a person does there: sign in and come back; returns the code."""
        parts = urlsplit(url)
        self.asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return "the-code"

    async def configuration(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.changes.get("configured_issuer", self.issuer),
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
            }
        )

    async def jwks(self, request: web.Request) -> web.Response:
        return web.json_response({"keys": [KEY.as_dict(private=False)]})

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if form["code"] != "the-code" or challenge != self.asked["code_challenge"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = self.clock.now_ms() // 1000
        claims = {
            "iss": self.issuer,
            "sub": "mara-1",
            "aud": "us",
            "iat": now,
            "exp": now + 300,
            "nonce": self.asked.get("nonce", ""),
            "email": "Mara@Example.com",
            "email_verified": True,
            "name": "Mara Lindqvist",
        }
        claims = {name: value for name, value in (claims | self.changes).items() if value is not None}
        signed = jwt.encode({"alg": self.algorithm, "kid": "one"}, claims, self.key, algorithms=[self.algorithm])
        return web.json_response({"access_token": "opener", "token_type": "Bearer", "id_token": signed})

    async def told(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer opener"
        return web.json_response(self.userinfo)

    async def github_user(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer opener"
        return web.json_response({"id": 42, "login": "mara", "name": None})

    async def github_emails(self, request: web.Request) -> web.Response:
        return web.json_response(self.emails)


@pytest.fixture
async def identity(clock: FrozenClock) -> AsyncIterator[Identity]:
    made = Identity(clock)
    async with TestServer(made.app()) as server:
        made.issuer = str(server.make_url("")).rstrip("/")
        yield made


@pytest.fixture
def provider(identity: Identity) -> Provider:
    return Provider("oidc", "Northwind", "us", "secret", "openid email profile", issuer=identity.issuer)


async def there_and_back(keys: Keys, clock: FrozenClock, provider: Provider, identity: Identity) -> Profile:
    url, state = await oauth.begin(keys, clock, provider, CALLBACK, "/p/1")
    query = {"code": identity.go(url), "state": state}
    person, attempt = await oauth.finish(keys, clock, provider, CALLBACK, query, state)
    assert (attempt.next, attempt.account_id) == ("/p/1", "")
    return person


async def test_who_comes_back(keys: Keys, clock: FrozenClock, provider: Provider, identity: Identity) -> None:
    assert await there_and_back(keys, clock, provider, identity) == Profile(
        "oidc", "mara-1", "mara@example.com", True, "Mara Lindqvist"
    )
    assert identity.asked["redirect_uri"] == CALLBACK
    assert identity.asked["code_challenge_method"] == "S256"
    assert identity.asked["scope"] == "openid email profile"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example.com"},
        {"aud": "somebody-else"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1},
        {"sub": None},
        {"configured_issuer": "https://evil.example.com"},
    ],
)
async def test_a_token_that_is_not_for_us_is_refused(
    keys: Keys, clock: FrozenClock, provider: Provider, identity: Identity, changes: dict[str, Any]
) -> None:
    if "configured_issuer" not in changes:
        identity.changes = changes
        with pytest.raises(errors.Forbidden):
            await there_and_back(keys, clock, provider, identity)
        return
    identity.changes = changes
    with pytest.raises(errors.Forbidden, match=r"evil\.example\.com"):
        await oauth.begin(keys, clock, provider, CALLBACK, "/")


async def test_a_token_by_another_key_is_refused(
    keys: Keys, clock: FrozenClock, provider: Provider, identity: Identity
) -> None:
    identity.key = OTHER_KEY
    with pytest.raises(errors.Forbidden):
        await there_and_back(keys, clock, provider, identity)


async def test_what_the_token_leaves_out_is_asked_for(
    keys: Keys, clock: FrozenClock, provider: Provider, identity: Identity
) -> None:
    identity.changes = {"email": None, "email_verified": None, "name": None}
    identity.userinfo = {"sub": "mara-1", "email": "mara@example.com", "email_verified": "false", "name": "Mara"}
    person = await there_and_back(keys, clock, provider, identity)
    assert (person.email, person.is_email_verified, person.name) == ("mara@example.com", False, "Mara")
    identity.userinfo["sub"] = "somebody-else"
    with pytest.raises(errors.Forbidden):
        await there_and_back(keys, clock, provider, identity)


async def test_an_attempt_counts_once_in_its_browser_and_for_ten_minutes(
    keys: Keys, clock: FrozenClock, provider: Provider, identity: Identity
) -> None:
    url, state = await oauth.begin(keys, clock, provider, CALLBACK, "/")
    query = {"code": identity.go(url), "state": state}
    for kept in ("", "another"):
        with pytest.raises(errors.Invalid):
            await oauth.finish(keys, clock, provider, CALLBACK, query, kept)
    await oauth.finish(keys, clock, provider, CALLBACK, query, state)
    with pytest.raises(errors.Invalid):
        await oauth.finish(keys, clock, provider, CALLBACK, query, state)
    _, late = await oauth.begin(keys, clock, provider, CALLBACK, "/")
    clock.advance(600_000)
    with pytest.raises(errors.Invalid):
        await oauth.finish(keys, clock, provider, CALLBACK, {"code": "the-code", "state": late}, late)


async def test_somebody_who_said_no(keys: Keys, clock: FrozenClock, provider: Provider, identity: Identity) -> None:
    _, state = await oauth.begin(keys, clock, provider, CALLBACK, "/")
    with pytest.raises(errors.Forbidden):
        await oauth.finish(keys, clock, provider, CALLBACK, {"error": "access_denied", "state": state}, state)


async def test_a_provider_that_is_away(keys: Keys, clock: FrozenClock) -> None:
    away = Provider("oidc", "Northwind", "us", "secret", "openid", issuer="http://127.0.0.1:9")
    with pytest.raises(errors.Unavailable):
        await oauth.begin(keys, clock, away, CALLBACK, "/")


@pytest.mark.parametrize(
    ("answer", "expected"), [(b"[" * 100_000, errors.Forbidden), (None, errors.Unavailable)], ids=["nested", "dripping"]
)
async def test_a_provider_that_answers_nonsense_or_without_end(
    keys: Keys, clock: FrozenClock, answer: bytes | None, expected: type[Exception]
) -> None:
    async def configuration(request: web.Request) -> web.StreamResponse:
        if answer is not None:
            return web.Response(body=answer)
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)

    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", configuration)
    async with TestServer(app) as server:
        issuer = str(server.make_url("")).rstrip("/")
        odd = Provider("oidc", "Northwind", "us", "secret", "openid", issuer, seconds_max=0.5)
        with pytest.raises(expected):
            await oauth.begin(keys, clock, odd, CALLBACK, "/")


@pytest.mark.parametrize(
    ("surplus", "encoding", "expected"),
    [(0, "", None), (1, "", errors.Unavailable), (0, "gzip", errors.Unavailable)],
    ids=["at", "past", "packed"],
)
async def test_a_provider_that_answers_too_much(
    keys: Keys, clock: FrozenClock, surplus: int, encoding: str, expected: type[Exception] | None
) -> None:
    async def configuration(request: web.Request) -> web.Response:
        base = str(request.url.origin())
        told = {"issuer": base, "authorization_endpoint": f"{base}/a", "token_endpoint": f"{base}/t"}
        body = msgspec.json.encode(told).ljust(BYTES_MAX + surplus)
        if encoding:
            return web.Response(body=gzip.compress(body), headers={"Content-Encoding": encoding})
        return web.Response(body=body)

    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", configuration)
    async with TestServer(app) as server:
        odd = Provider("oidc", "Northwind", "us", "secret", "openid", issuer=str(server.make_url("")).rstrip("/"))
        if expected is None:
            assert (await oauth.begin(keys, clock, odd, CALLBACK, "/"))[1]
            return
        with pytest.raises(expected):
            await oauth.begin(keys, clock, odd, CALLBACK, "/")


@pytest.mark.parametrize("is_verified", [True, False])
async def test_github(keys: Keys, clock: FrozenClock, identity: Identity, is_verified: bool) -> None:
    identity.emails[0]["verified"] = is_verified
    github = Provider("github", "GitHub", "us", "secret", "read:user user:email", url=identity.issuer)
    person = await there_and_back(keys, clock, github, identity)
    assert person == Profile("github", "42", "mara@example.com" if is_verified else "", is_verified, "mara")


def test_only_what_is_configured_is_offered() -> None:
    assert oauth.providers_of(config.load({})[0]) == {}
    named = {"GOOGLE_CLIENT_ID": "g", "GOOGLE_CLIENT_SECRET": "s", "OIDC_ISSUER": "https://id.example.com/"}
    named |= {"OIDC_CLIENT_ID": "o", "OIDC_CLIENT_SECRET": "s", "OIDC_NAME": "Northwind"}
    found = oauth.providers_of(config.load(named)[0])
    assert [(one.key, one.label, one.issuer) for one in found.values()] == [
        ("google", "Google", "https://accounts.google.com"),
        ("oidc", "Northwind", "https://id.example.com"),
    ]


def test_attempts_are_kept_small() -> None:
    assert len(msgspec.json.encode(oauth.Attempt("oidc", "n" * 43, "v" * 43, "/", ""))) < 300
