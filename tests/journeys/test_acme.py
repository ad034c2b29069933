"""The executable gets its certificate by itself, from a real ACME service, and keeps it over a restart."""

import http.client
import socket
import ssl
import sys
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.kit import servers
from tests.kit.process import EXECUTABLE, Server, free_port, wait_for

pytestmark = pytest.mark.journey

NAME = "stats.example.com"
PARENT = Path(__file__).parents[1] / "kit" / "socket_parent.py"
# A new one is got when a third of it is left.
RENEWED_LIFE_SECONDS = 20


def settings(service: servers.Acme, http_port: int) -> dict[str, str]:
    return {
        "VEMETRIC_ACME_DOMAINS": NAME,
        "VEMETRIC_ACME_AGREE": "yes",
        "VEMETRIC_ACME_DIRECTORY": service.directory,
        "VEMETRIC_ACME_CA": str(service.ca),
        "VEMETRIC_ACME_LISTEN": f"127.0.0.1:{http_port}",
    }


def trusted_by(service: servers.Acme) -> ssl.SSLContext:
    """A client that trusts what the service issues."""
    with urllib.request.urlopen(service.roots, context=ssl.create_default_context(cafile=service.ca)) as answer:
        return ssl.create_default_context(cadata=answer.read().decode())


def certificates(server: Server) -> int:
    """How many were taken into use since the first start."""
    return sum("A certificate for" in line for line in server.log)


def test_https_comes_by_itself_and_stays(tmp_path: Path) -> None:
    """Below a parent that holds both sockets, as systemd does."""
    http_port, port = free_port(), free_port()
    service = servers.start_pebble(http_port)
    environ = settings(service, http_port)
    ports, names = f"{port},{http_port}", "vemetric.socket:acme"
    command = (sys.executable, str(PARENT), ports, names, sys.executable, str(EXECUTABLE))
    server = Server(tmp_path / "data", port=port, environ=environ, command=command).start()
    try:
        assert server.setup_link().startswith(f"https://{NAME}/setup/")
        wait_for(lambda: certificates(server) == 1, "a certificate")
        roots = trusted_by(service)
        serial = shown_by(port, roots)["serialNumber"]
        connection = http.client.HTTPConnection("127.0.0.1", http_port)
        connection.request("GET", "/login?next=/p/1")
        redirect = connection.getresponse()
        assert (redirect.status, redirect.headers["Location"]) == (308, f"https://{NAME}/login?next=/p/1")
        connection.close()
        assert Server(server.data_dir, port=port, environ=environ).command("healthcheck").returncode == 0
        assert server.stop() == 0
        # Without the service there is what was kept.
        service.server.stop()
        server.start()
        assert shown_by(port, roots)["serialNumber"] == serial
    finally:
        server.end()
        service.server.kill()


@pytest.mark.long
def test_it_is_renewed_while_connections_go_on(tmp_path: Path) -> None:
    http_port = free_port()
    service = servers.start_pebble(http_port, RENEWED_LIFE_SECONDS)
    server = Server(tmp_path / "data", environ=settings(service, http_port)).start()
    try:
        wait_for(lambda: certificates(server) == 1, "a certificate")
        roots = trusted_by(service)
        first = shown_by(server.port, roots)["serialNumber"]
        with closing(http.client.HTTPSConnection(NAME, server.port, context=roots)) as kept:
            plain = socket.create_connection(("127.0.0.1", server.port))
            kept.sock = roots.wrap_socket(plain, server_hostname=NAME)
            wait_for(lambda: certificates(server) > 1, "a renewed certificate", 3 * RENEWED_LIFE_SECONDS)
            kept.request("GET", "/up")
            assert kept.getresponse().status == 200
        assert shown_by(server.port, roots)["serialNumber"] != first
    finally:
        server.end()
        service.server.kill()


def shown_by(port: int, trusted: ssl.SSLContext) -> dict[str, Any]:
    """The certificate at a port, which must be one for NAME by somebody trusted."""
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        trusted.wrap_socket(plain, server_hostname=NAME) as secured,
    ):
        return dict(secured.getpeercert() or {})
