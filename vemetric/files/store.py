"""Files that people upload, by name: on the local disk (local.py) or in a bucket (s3.py), as the settings say."""

from typing import Protocol

from vemetric.config import Config
from vemetric.model.data_directory import PICTURES_NAME


class FileStore(Protocol):
    """Small files under names that we made. Every method may raise errors.Unavailable."""

    async def put(self, name: str, content: bytes, content_type: str) -> None:
        """Keep a file."""

    async def get(self, name: str) -> bytes | None:
        """A file's content; None if there is none."""

    async def remove(self, name: str) -> None:
        """Forget a file; nothing if there is none."""


def of(config: Config) -> FileStore:
    """The store that the settings name."""
    if config.aws_s3_endpoint:
        from vemetric.files.s3 import Bucket, S3Store

        return S3Store(
            Bucket(
                config.aws_s3_endpoint,
                config.aws_s3_avatars_bucket,
                config.aws_s3_avatars_region,
                config.aws_access_key_id,
                config.aws_secret_access_key,
            ),
            config.aws_s3_avatars_key_prefix,
        )
    from vemetric.files.local import LocalStore

    return LocalStore(config.data_dir / PICTURES_NAME)
