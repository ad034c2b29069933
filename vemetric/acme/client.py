"""The client's part of ACME (RFC 8555): an account, an order, its challenges over HTTP, and the certificate.

keeper.py decides when to ask; web/challenges.py shows the service what it looks for.
"""

import asyncio
import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import msgspec

from vemetric import errors

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

SECONDS_MAX = 30.0
ANSWER_BYTES_MAX = 1_000_000
# A nonce can be too old without anybody's fault; the service then gives a new one.
NONCE_ATTEMPTS_MAX = 5
BAD_NONCE = "urn:ietf:params:acme:error:badNonce"
# How often an order is looked at until the service has made up its mind, and how long it is left alone in between.
LOOKS_MAX = 40
LOOK_SECONDS_MIN, LOOK_SECONDS_MAX = 0.25, 15.0
JOSE = "application/jose+json"
P256_BYTES = 32


class Directory(msgspec.Struct, frozen=True, rename="camel"):
    """Where the service takes what."""

    new_nonce: str
    new_account: str
    new_order: str


class Error(msgspec.Struct, frozen=True):
    """What the service says is wrong."""

    type: str = ""
    detail: str = ""


class Challenge(msgspec.Struct, frozen=True):
    """A way to show that a name is ours."""

    type: str
    url: str
    token: str = ""
    error: Error | None = None


class Authorization(msgspec.Struct, frozen=True):
    """What the service wants to see before it believes a name."""

    status: str
    challenges: tuple[Challenge, ...]


class Order(msgspec.Struct, frozen=True):
    """A certificate that is being made."""

    status: str
    authorizations: tuple[str, ...]
    finalize: str
    certificate: str = ""
    error: Error | None = None


class Answer(NamedTuple):
    """What was answered. where: of what was made; wait_seconds: as the service asks for, 0 if it does not."""

    body: bytes
    where: str
    wait_seconds: float


class Client:
    """One account at one service. challenges: what is shown to the service, by token; filled while an order is open."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        key: "EllipticCurvePrivateKey",
        challenges: MutableMapping[str, str],
    ) -> None:
        self._session = session
        self._url = url
        self._key = key
        self._challenges = challenges
        self._nonce = ""
        self._account = ""
        self._directory: Directory | None = None

    async def certificate(self, email: str, domains: tuple[str, ...], request: bytes) -> bytes:
        """The chain, PEM, for a signing request (DER). Raises Unavailable with what the service said."""
        try:
            return await self._certificate(email, domains, request)
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
            raise errors.Unavailable(
                f"The ACME service at {self._url} did not answer as it should: {str(error) or type(error).__name__}"
            ) from error

    async def _certificate(self, email: str, domains: tuple[str, ...], request: bytes) -> bytes:
        directory = self._directory = msgspec.json.decode((await self._ask("GET", self._url)).body, type=Directory)
        contact = {"contact": [f"mailto:{email}"]} if email else {}
        agreed = {"termsOfServiceAgreed": True, **contact}
        self._account = (await self._post(directory.new_account, agreed)).where
        wanted = {"identifiers": [{"type": "dns", "value": domain} for domain in domains]}
        made = await self._post(directory.new_order, wanted)
        order = msgspec.json.decode(made.body, type=Order)
        for url in order.authorizations:
            await self._prove(url)
        await self._post(order.finalize, {"csr": encoded(request)})
        for _ in range(LOOKS_MAX):
            seen = await self._post(made.where)
            order = msgspec.json.decode(seen.body, type=Order)
            if order.status == "valid":
                return (await self._post(order.certificate)).body
            if order.status == "invalid":
                raise errors.Unavailable(_words("The order was refused", order.error))
            await _wait(seen)
        raise errors.Unavailable("The ACME service did not finish the order in time.")

    async def _prove(self, url: str) -> None:
        """Show that a name is ours, unless the service knows already."""
        asked = msgspec.json.decode((await self._post(url)).body, type=Authorization)
        if asked.status == "valid":
            return
        challenge = next((one for one in asked.challenges if one.type == "http-01"), None)
        if challenge is None:
            raise errors.Unavailable("The ACME service offers no challenge over HTTP for this name.")
        self._challenges[challenge.token] = f"{challenge.token}.{thumbprint(self._key)}"
        try:
            await self._post(challenge.url, {})
            for _ in range(LOOKS_MAX):
                seen = await self._post(url)
                asked = msgspec.json.decode(seen.body, type=Authorization)
                if asked.status == "valid":
                    return
                if asked.status != "pending":
                    failed = next((one.error for one in asked.challenges if one.error is not None), None)
                    raise errors.Unavailable(_words("The ACME service could not see that the name is ours", failed))
                await _wait(seen)
        finally:
            del self._challenges[challenge.token]
        raise errors.Unavailable("The ACME service did not look at the challenge in time.")

    async def _post(self, url: str, payload: Any = None) -> Answer:
        """A signed request; without a payload one that only reads."""
        for attempt in range(1, NONCE_ATTEMPTS_MAX + 1):
            if not self._nonce:
                assert self._directory is not None
                await self._ask("HEAD", self._directory.new_nonce)
            nonce, self._nonce = self._nonce, ""
            signer = {"kid": self._account} if self._account else {"jwk": jwk(self._key)}
            body = signed(self._key, {"alg": "ES256", "nonce": nonce, "url": url, **signer}, payload)
            try:
                return await self._ask("POST", url, body)
            except _BadNonce:
                if attempt == NONCE_ATTEMPTS_MAX:
                    raise
        raise errors.Unavailable("The ACME service took no nonce of its own.")

    async def _ask(self, method: str, url: str, body: bytes | None = None) -> Answer:
        headers = {"Content-Type": JOSE} if body is not None else {}
        async with self._session.request(method, url, data=body, headers=headers, allow_redirects=False) as response:
            self._nonce = response.headers.get("Replay-Nonce", "")
            answered = await _bytes_of(response)
            if response.status >= 300:
                raise _refused(response.status, answered)
            wait = response.headers.get("Retry-After", "")
            seconds = float(wait) if wait.isascii() and wait.isdigit() else 0.0
            return Answer(answered, response.headers.get("Location", ""), seconds)


class _BadNonce(errors.Unavailable):
    """The nonce was not taken; another one may be."""


def jwk(key: "EllipticCurvePrivateKey") -> dict[str, str]:
    """The public part of a key on P-256, its names in the order that a thumbprint wants."""
    numbers = key.public_key().public_numbers()
    x, y = (encoded(number.to_bytes(P256_BYTES, "big")) for number in (numbers.x, numbers.y))
    return {"crv": "P-256", "kty": "EC", "x": x, "y": y}


def thumbprint(key: "EllipticCurvePrivateKey") -> str:
    """The digest of a key by which the service knows it (RFC 7638)."""
    return encoded(hashlib.sha256(json.dumps(jwk(key), separators=(",", ":")).encode()).digest())


def signed(key: "EllipticCurvePrivateKey", protected: dict[str, Any], payload: Any) -> bytes:
    """A payload, None for none, with its signature (RFC 7515, flattened)."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    head = encoded(msgspec.json.encode(protected))
    body = "" if payload is None else encoded(msgspec.json.encode(payload))
    r, s = utils.decode_dss_signature(key.sign(f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256())))
    signature = encoded(r.to_bytes(P256_BYTES, "big") + s.to_bytes(P256_BYTES, "big"))
    return msgspec.json.encode({"protected": head, "payload": body, "signature": signature})


def encoded(content: bytes) -> str:
    """Base64 for URLs, without padding."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


async def _bytes_of(response: aiohttp.ClientResponse) -> bytes:
    content = b""
    async for part in response.content.iter_chunked(65_536):
        content += part
        if len(content) > ANSWER_BYTES_MAX:
            raise errors.Unavailable("The ACME service answered more than it should.")
    return content


def _refused(status: int, body: bytes) -> errors.Unavailable:
    try:
        said = msgspec.json.decode(body, type=Error)
    except msgspec.MsgspecError:
        said = Error()
    kind = _BadNonce if said.type == BAD_NONCE else errors.Unavailable
    return kind(_words(f"The ACME service answered {status}", said))


def _words(what: str, said: Error | None) -> str:
    return f"{what}: {said.detail or said.type}" if said is not None and (said.detail or said.type) else f"{what}."


async def _wait(seen: Answer) -> None:
    await asyncio.sleep(min(max(seen.wait_seconds, LOOK_SECONDS_MIN), LOOK_SECONDS_MAX))
