"""Uploaded files in a bucket of any service that speaks S3; requests are signed with version 4 of its signature."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

from vemetric import errors

if TYPE_CHECKING:
    from aiohttp import ClientResponse

SECONDS_MAX = 30.0
# What is fetched was put by us: no picture is larger, and an answer that is would be held in memory.
FILE_BYTES_MAX = 8_000_000
SERVICE = "s3"
ALGORITHM = "AWS4-HMAC-SHA256"


class Bucket(NamedTuple):
    """Where files are kept, and the key to it. endpoint: scheme and host; the path begins with the bucket's name."""

    endpoint: str
    name: str
    region: str
    access_key_id: str
    secret_access_key: str


class S3Store:
    """One request for each file; nothing is kept open between two."""

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix

    async def put(self, name: str, content: bytes, content_type: str) -> None:
        """See FileStore."""
        await self._ask("PUT", name, content, {"content-type": content_type})

    async def get(self, name: str) -> bytes | None:
        """See FileStore."""
        return await self._ask("GET", name)

    async def remove(self, name: str) -> None:
        """See FileStore."""
        await self._ask("DELETE", name)

    async def _ask(
        self, method: str, name: str, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> bytes | None:
        import aiohttp
        from yarl import URL

        bucket = self._bucket
        path = quote(f"/{bucket.name}/{self._prefix}{name}", safe="/-_.~")
        signed = sign(bucket, method, path, content, datetime.now(UTC), headers or {})
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(SECONDS_MAX)) as session,
                session.request(
                    method,
                    URL(bucket.endpoint + path, encoded=True),
                    data=content or None,
                    headers=signed,
                    allow_redirects=False,
                ) as response,
            ):
                status, body = response.status, await _read(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise errors.Unavailable(f"The store of pictures does not answer: {error}.") from error
        if status == 404:
            return None
        if status >= 300:
            raise errors.Unavailable(f"The store of pictures said {status}.")
        return body


async def _read(response: "ClientResponse") -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > FILE_BYTES_MAX:
            raise errors.Unavailable(f"The store of pictures sent more than {FILE_BYTES_MAX} bytes.")
    return bytes(body)


def sign(
    bucket: Bucket, method: str, path: str, content: bytes, at: datetime, headers: Mapping[str, str]
) -> dict[str, str]:
    """The headers of a request with its signature. path: escaped, without a query."""
    stamp = at.strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(content).hexdigest()
    sent = {name.lower(): value for name, value in headers.items()}
    sent |= {"host": urlsplit(bucket.endpoint).netloc, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    names = sorted(sent)
    lines = [method, path, "", *(f"{name}:{sent[name]}" for name in names), "", ";".join(names), digest]
    scope = f"{stamp[:8]}/{bucket.region}/{SERVICE}/aws4_request"
    to_sign = "\n".join((ALGORITHM, stamp, scope, hashlib.sha256("\n".join(lines).encode()).hexdigest()))
    key = b"AWS4" + bucket.secret_access_key.encode()
    for part in (stamp[:8], bucket.region, SERVICE, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    credential = f"{bucket.access_key_id}/{scope}"
    authorization = f"{ALGORITHM} Credential={credential}, SignedHeaders={';'.join(names)}, Signature={signature}"
    return {**sent, "authorization": authorization}
