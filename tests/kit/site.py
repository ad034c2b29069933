"""A tracked site: a few pages, served on this machine under any host name that a browser is led here by."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Page(NamedTuple):
    """What is answered for a path."""

    content: bytes
    content_type: str


class Site:
    """Serves while the block runs. Paths that were not added answer an empty page, so that links lead somewhere."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._pages: dict[str, Page] = {}
        self._scheme = "http" if tls is None else "https"
        pages = self._pages

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = pages.get(self.path.partition("?")[0], Page(b"<!doctype html><title>Elsewhere</title>", HTML))
                self.send_response(200)
                self.send_header("Content-Type", page.content_type)
                self.send_header("Content-Length", str(len(page.content)))
                self.end_headers()
                self.wfile.write(page.content)

            def log_message(self, *_: object) -> None:
                """Nothing is written between the tests' own lines."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> "Site":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def add(self, path: str, body: str) -> None:
        """A page with this body."""
        html = f'<!doctype html><html lang="en"><title>A tracked page</title><body>{body}</body></html>'
        self._pages[path] = Page(html.encode(), HTML)

    def add_script(self, path: str, text: str) -> None:
        self._pages[path] = Page(text.encode(), "text/javascript; charset=utf-8")

    def url(self, host: str, path: str = "/") -> str:
        """The address of a path under a host name."""
        return f"{self._scheme}://{host}:{self._server.server_port}{path}"


HTML = "text/html; charset=utf-8"
