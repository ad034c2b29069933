"""Pictures of people: taken from a form, kept in the file store, shown under names that nobody can guess."""

import asyncio
import logging
import re

from vemetric import errors
from vemetric.accounts import errands, picture_formats
from vemetric.accounts.post import Post
from vemetric.files.store import FileStore
from vemetric.model import ids

BYTES_MAX = 5_000_000
NAME_LENGTH = 21
NAME = re.compile(rf"[0-9A-Za-z]{{{NAME_LENGTH}}}\.(jpg|png|webp)")

log = logging.getLogger("vemetric.pictures")


async def take(store: FileStore, content: bytes) -> str:
    """Keep a picture; returns its name. Raises Invalid about the field `picture`."""
    if len(content) > BYTES_MAX:
        raise errors.Invalid(None, {"picture": f"Use a picture of at most {BYTES_MAX // 1_000_000} MB."})
    if not content:
        raise errors.Invalid(None, {"picture": "Choose a picture first."})
    try:
        # A file of millions of tiny pieces takes a second, which nobody else shall wait for.
        picture = await asyncio.to_thread(picture_formats.read, content)
    except ValueError as error:
        raise errors.Invalid(None, {"picture": str(error)}) from error
    name = f"{ids.random_id(NAME_LENGTH)}.{picture.extension}"
    await store.put(name, picture.content, picture.content_type)
    return name


async def forget(store: FileStore, post: Post, name: str) -> None:
    """Remove a picture that nobody has any more: at once, or where the store is away once it is back."""
    try:
        await store.remove(name)
    except errors.Unavailable as error:
        log.warning("A picture is removed later: %s", error.message)
        await post.run(errands.ForgetPicture(name))


async def show(store: FileStore, name: str) -> tuple[str, bytes]:
    """A picture and its type. Raises NotFound."""
    content = await store.get(name) if NAME.fullmatch(name) else None
    if content is None:
        raise errors.NotFound
    return picture_formats.CONTENT_TYPES[name.rpartition(".")[2]], content
