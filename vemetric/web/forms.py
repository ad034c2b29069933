"""Forms: what a browser posted becomes a struct, and what is wrong with it stands beside the fields it is about."""

import asyncio
import hmac
import re
import secrets
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from vemetric import errors
from vemetric.model.text import well_formed

# Every form of ours is far smaller; a larger body is refused before it is read.
BODY_BYTES_MAX = 64 * 1024
BODY_SECONDS_MAX = 15
FIELDS_MAX = 1000
FIELD_CHARACTERS_MAX = 2000
CONTENT_TYPE = "application/x-www-form-urlencoded"
CSRF_FIELD = "csrf"
NEXT_CHARACTERS_MAX = 500
# Forms with a file, and how large all of such a form may be.
UPLOADS = {"/account/picture": 6_000_000}
UPLOAD_CONTENT_TYPE = "multipart/form-data"
UPLOAD_SECONDS_MAX = 60

Form = TypeVar("Form", bound=msgspec.Struct)


class Upload(msgspec.Struct):
    """A form with files: its fields, and the content of each file by its field."""

    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}


UPLOAD = web.RequestKey("upload", Upload)


async def read(request: web.Request, kind: type[Form]) -> Form:
    """The posted form. A field that is missing is empty; raises Invalid when one is longer than any we ask for."""
    typed = await text_fields(request)
    too_long = {name: "This is too long." for name, text in typed.items() if len(text) > FIELD_CHARACTERS_MAX}
    if too_long:
        raise errors.Invalid("A field is too long.", too_long)
    values = {field.encode_name: typed.get(field.encode_name, "") for field in msgspec.structs.fields(kind)}
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise errors.Invalid(str(error), {_field_of(error): "This cannot be read."}) from error


async def text_fields(request: web.Request) -> dict[str, str]:
    """The posted fields, the first of each name. Nothing of a body that is no form of ours, whatever it holds."""
    return dict(reversed(await _pairs(request)))


async def choices(request: web.Request, name: str) -> list[str]:
    """Every posted value of a name: the ticked boxes of a list."""
    return [value for posted, value in await _pairs(request) if posted == name]


async def _pairs(request: web.Request) -> list[tuple[str, str]]:
    if request.content_type == UPLOAD_CONTENT_TYPE and request.path in UPLOADS:
        return list((await _uploaded(request)).fields.items())
    if request.content_type != CONTENT_TYPE:
        return []
    text = (await body(request)).decode("utf-8", "replace")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError as error:
        raise errors.Invalid("There are too many fields.") from error
    # No text of ours has a zero byte, and PostgreSQL refuses to keep one.
    return [(name, well_formed(value).replace("\0", "\ufffd")) for name, value in pairs]


async def posted_file(request: web.Request, field: str) -> bytes:
    """The file of a field, b'' for none."""
    return (await _uploaded(request)).files.get(field, b"")


async def _uploaded(request: web.Request) -> Upload:
    """The form with its files, read once. Raises Invalid when it is broken, an HTTP error when too large or slow."""
    if request.content_type != UPLOAD_CONTENT_TYPE:
        return Upload({}, {})
    if UPLOAD not in request:
        try:
            async with asyncio.timeout(UPLOAD_SECONDS_MAX):
                request[UPLOAD] = await _read_upload(request, UPLOADS[request.path])
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except (ValueError, RuntimeError, ConnectionError, HttpProcessingError, web.RequestPayloadError) as error:
            raise errors.Invalid("This form is broken.") from error
    return request[UPLOAD]


async def _read_upload(request: web.Request, bytes_max: int) -> Upload:
    upload, size = Upload({}, {}), 0
    parts = await request.multipart()
    for _ in range(FIELDS_MAX):
        part = await parts.next()
        if part is None:
            return upload
        if not isinstance(part, BodyPartReader):
            raise ValueError("a form within a form")
        content = bytearray()
        while chunk := await part.read_chunk():
            size += len(chunk)
            if size > bytes_max:
                raise web.HTTPRequestEntityTooLarge(bytes_max, size)
            content += chunk
        if part.filename is None:
            upload.fields.setdefault(part.name or "", well_formed(content.decode("utf-8", "replace")))
        else:
            upload.files.setdefault(part.name or "", bytes(content))
    raise errors.Invalid("There are too many fields.")


async def body(request: web.Request) -> bytes:
    """The whole body; raises an HTTP error when it is too large, too slow, or broken on the way."""
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except (web.RequestPayloadError, ConnectionError) as error:
        raise web.HTTPBadRequest from error


def csrf_key(secret: bytes, of_browser: str) -> bytes:
    """What the tokens of one browser's forms are made of: nobody can make it without the instance's secret."""
    return hmac.digest(secret, b"form:" + of_browser.encode("utf-8", "surrogatepass"), "sha256")


def csrf_token(key: bytes) -> str:
    """A token for one form. Each is masked anew, so that a compressed page's length says nothing about the key."""
    mask = secrets.token_bytes(len(key))
    return (mask + _xor(mask, key)).hex()


def is_csrf_token(text: str, key: bytes) -> bool:
    """Whether a form carries a token of this key."""
    try:
        posted = bytes.fromhex(text)
    except ValueError:
        return False
    if len(posted) != 2 * len(key):
        return False
    return hmac.compare_digest(_xor(posted[: len(key)], posted[len(key) :]), key)


def local_path(text: str) -> str:
    """Where to go on after a form: a path of this site, `/` for anything else."""
    is_local = re.fullmatch(r"/(?![/\\])[!-~]*", text) is not None and "\\" not in text
    return text if is_local and len(text) <= NEXT_CHARACTERS_MAX else "/"


def _field_of(error: msgspec.ValidationError) -> str:
    found = re.search(r"`\$\.(\w+)", str(error))
    return found.group(1) if found else ""


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(left, right, strict=True))
