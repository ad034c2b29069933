"""The browser SDK as this server hands it out at /main.js; build.py makes the file from the pinned npm package."""

import gzip
import hashlib
from pathlib import Path

from aiohttp import web

CACHE_SECONDS = 3600
# Stands in the script for the path below which the hub is.
BASE_PATH_MARK = b"@BASE_PATH@"
PATH = Path(__file__).parents[1] / "static" / "dist" / "tracker" / "main.js"


class Tracker:
    """The script, read once, plain and compressed."""

    def __init__(self, base_path: str = "", path: Path = PATH) -> None:
        self._plain = path.read_bytes().replace(BASE_PATH_MARK, base_path.encode())
        self._gzip = gzip.compress(self._plain, mtime=0)
        self._etag = hashlib.sha256(self._plain).hexdigest()[:16]

    def response(self, request: web.BaseRequest) -> web.Response:
        """The script for any site; 304 when the browser has it."""
        headers = {
            "Content-Type": "text/javascript; charset=utf-8",
            "Cache-Control": f"public, max-age={CACHE_SECONDS}",
            "ETag": f'"{self._etag}"',
            "Access-Control-Allow-Origin": "*",
            "Cross-Origin-Resource-Policy": "cross-origin",
            "X-Content-Type-Options": "nosniff",
            "Vary": "Accept-Encoding",
        }
        if self._etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=self._gzip, headers=headers | {"Content-Encoding": "gzip"})
        return web.Response(body=self._plain, headers=headers)
