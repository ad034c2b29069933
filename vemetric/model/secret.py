"""The instance's secret, by which forms, links and cookies are signed."""

import hashlib
import secrets
from pathlib import Path

from vemetric import errors
from vemetric.config import Config
from vemetric.model import private_file
from vemetric.model.data_directory import SECRET_NAME

SECRET_BYTES = 32


def of(config: Config) -> bytes:
    """That of the setting, which several processes share, or of the data directory."""
    if config.secret:
        return hashlib.sha256(config.secret.encode()).digest()
    return load(config.data_dir / SECRET_NAME)


def load(path: Path) -> bytes:
    """That of a file, made on first start and kept for its owner only."""
    if not path.exists():
        private_file.write(path, secrets.token_bytes(SECRET_BYTES))
    secret = path.read_bytes()
    if len(secret) != SECRET_BYTES:
        raise errors.Misconfigured(f"{path} is damaged: it must hold {SECRET_BYTES} bytes. Restore it, or delete it.")
    return secret
