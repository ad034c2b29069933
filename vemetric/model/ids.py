"""Ids: random ones for events and sessions, hashed ones for projects, users and devices.

Called by ingest for every hit and by the workers for every device, so nothing here allocates more than it returns.
"""

import secrets
import string

from siphashc import siphash as siphash_bytes

from vemetric.model.device import Device
from vemetric.model.text import well_formed

PROJECT_KEY = b"VMTRC_PROJE_ID!&"
USER_KEY = b"VMTRC_USERE_ID!&"
DEVICE_KEY = b"VMTRC_DEVIC_ID&!"

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
TOKEN_LENGTH = 16
ROW_ID_LENGTH = 21

# A random byte below 248 = 4 * 62 picks a character uniformly; the other eight values are deleted.
_CHARACTERS = bytes(ord(ALPHABET[byte % len(ALPHABET)]) for byte in range(256))
# Random bytes asked of the system at a time.
STOCK_BYTES = 1024
_drawn = ""
_SURPLUS = bytes(range(256 - 256 % len(ALPHABET), 256))


def siphash(key: bytes, text: str) -> int:
    """SipHash-2-4 of the text's UTF-8 under a key of 16 bytes, as an unsigned 64-bit number."""
    try:
        message = text.encode()
    except UnicodeEncodeError:
        message = well_formed(text).encode()
    return siphash_bytes(key, message)


def random_id(length: int = ROW_ID_LENGTH) -> str:
    """Random text over 0-9A-Za-z. 21 characters for events, sessions and salts, 16 for tokens and organizations."""
    global _drawn  # noqa: PLW0603 - a stock of characters, each given out once
    text, _drawn = _drawn[:length], _drawn[length:]
    while len(text) < length:
        # One system call for dozens of ids: each gives the interpreter away, and a hit needs several.
        _drawn = secrets.token_bytes(STOCK_BYTES).translate(_CHARACTERS, _SURPLUS).decode("ascii")
        missing = length - len(text)
        text, _drawn = text + _drawn[:missing], _drawn[missing:]
    return text


def new_project_id() -> int:
    """A random project id."""
    return siphash(PROJECT_KEY, random_id(TOKEN_LENGTH))


def new_user_id() -> int:
    """A random user id, for a visitor who is recognised by a cookie or by nothing at all."""
    return siphash(USER_KEY, random_id(ROW_ID_LENGTH))


def fingerprint_user_id(project_id: int, ip: str, user_agent: str, salt: str) -> int:
    """The id of a visitor without a cookie: the same for one address and browser as long as the salt lives."""
    return siphash(USER_KEY, f"{project_id}:{ip}:{user_agent}:{salt}")


def device_id(project_id: int, user_id: int, device: Device) -> int:
    """The id of a user's device. The parts are joined without separators, as the original does it."""
    return siphash(
        DEVICE_KEY,
        f"{project_id}{user_id}{device.os_name}{device.os_version}"
        f"{device.client_name}{device.client_version}{device.client_type}{device.device_type}",
    )
