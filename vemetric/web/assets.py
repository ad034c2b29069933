"""The files browsers load, below /static/<version>/: read once, compressed once, cached by browsers for ever.

build.py gathers them in static/dist with a manifest. In a source checkout without a build they come from static/ as
they are, and browsers ask again each time.
"""

import gzip
import hashlib
import json
import mimetypes
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

import vemetric
from vemetric import errors

DIRECTORY = Path(vemetric.__file__).parent / "static"
MANIFEST = "dist/manifest.json"
SOURCE_FOLDERS = ("css", "js", "img")
SOURCE_VERSION = "source"
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
# Smaller answers fit one packet anyway.
COMPRESSED_BYTES_MIN = 1000
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Asset(NamedTuple):
    """A file as it is sent. compressed: None where that is not shorter."""

    content_type: str
    etag: str
    plain: bytes
    compressed: bytes | None


class Assets:
    """The files that may be served, by name. Nothing outside the list can be asked for."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        manifest = directory / MANIFEST
        self._paths: dict[str, Path]
        if manifest.is_file():
            listed = json.loads(manifest.read_text(encoding="utf-8"))
            self.version: str = listed["version"]
            self._paths = {name: manifest.parent / name for name in listed["files"]}
        else:
            self.version = SOURCE_VERSION
            self._paths = {
                file.relative_to(directory).as_posix(): file
                for folder in SOURCE_FOLDERS
                for file in sorted((directory / folder).rglob("*"))
                if file.is_file()
            }
        self._loaded: dict[str, Asset] = {}

    @property
    def is_built(self) -> bool:
        """Whether the files came from a build, so that their addresses change with their contents."""
        return self.version != SOURCE_VERSION

    def url(self, name: str) -> str:
        """The address of a file; raises LookupError for one that is not served."""
        if name not in self._paths:
            raise LookupError(f"no file {name} is served")
        return f"/static/{self.version}/{name}"

    def has(self, name: str) -> bool:
        """Whether a file of this name is served."""
        return name in self._paths

    def load(self, name: str) -> Asset | None:
        """A file's contents, None if none of that name is served."""
        path = self._paths.get(name)
        if path is None:
            return None
        if self.is_built and name in self._loaded:
            return self._loaded[name]
        asset = _read(path)
        self._loaded[name] = asset
        return asset


ASSETS = web.AppKey("assets", Assets)


async def send(request: web.Request) -> web.Response:
    """GET or HEAD /static/<version>/<name>. A file of an older version is answered with the current one, uncached."""
    assets = request.app[ASSETS]
    asset = assets.load(request.match_info["name"])
    if asset is None:
        raise errors.NotFound
    is_current = assets.is_built and request.match_info["version"] == assets.version
    headers = {
        "Content-Type": asset.content_type,
        "Cache-Control": FOR_EVER if is_current else ASK_AGAIN,
        "ETag": asset.etag,
        "Vary": "Accept-Encoding",
    }
    if asset.etag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    if asset.compressed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=asset.compressed, headers=headers | {"Content-Encoding": "gzip"})
    return web.Response(body=asset.plain, headers=headers)


def _read(path: Path) -> Asset:
    plain = path.read_bytes()
    compressed = gzip.compress(plain, mtime=0) if len(plain) >= COMPRESSED_BYTES_MIN else plain
    return Asset(
        content_type=TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        etag=f'"{hashlib.sha256(plain).hexdigest()[:16]}"',
        plain=plain,
        compressed=compressed if len(compressed) < len(plain) else None,
    )
