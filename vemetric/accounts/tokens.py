"""Secrets handed to browsers: random text whose SHA-256 is all that is kept."""

import hashlib
import secrets

TOKEN_BYTES = 32


def new() -> str:
    """A new secret of 43 characters that may stand in an address or a cookie."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hashed(token: str) -> str:
    """What is stored of it, and looked up by: 64 hexadecimal digits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
