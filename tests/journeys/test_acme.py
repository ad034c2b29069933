"""The executable gets its certificate by itself, from a real ACME service, and keeps it over a restart."""

import http.client
import socket
import ssl
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.kit import servers
from tests.kit.process import Server, free_port, wait_for

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("journey")]

NAME = "stats.example.com"


def test_https_comes_by_itself_and_stays(tmp_path: Path) -> None:
    http_port = free_port()
    service = servers.start_pebble(http_port)
    environ = {
        "VEMETRIC_ACME_DOMAINS": NAME,
        "VEMETRIC_ACME_AGREE": "yes",
        "VEMETRIC_ACME_DIRECTORY": service.directory,
        "VEMETRIC_ACME_CA": str(service.ca),
        "VEMETRIC_ACME_LISTEN": f"127.0.0.1:{http_port}",
    }
    server = Server(tmp_path / "data", environ=environ).start()
    try:
        assert server.setup_link().startswith(f"https://{NAME}/setup/")
        wait_for(lambda: any("A certificate for" in line for line in server.log), "a certificate")
        trusted = ssl.create_default_context(cafile=service.ca)
        with urllib.request.urlopen(service.roots, context=trusted) as answer:
            roots = ssl.create_default_context(cadata=answer.read().decode())
        serial = shown_by(server.port, roots)["serialNumber"]
        connection = http.client.HTTPConnection("127.0.0.1", http_port)
        connection.request("GET", "/login?next=/p/1")
        redirect = connection.getresponse()
        assert (redirect.status, redirect.headers["Location"]) == (308, f"https://{NAME}/login?next=/p/1")
        connection.close()
        assert server.command("healthcheck").returncode == 0
        assert server.stop() == 0
        # Without the service there is what was kept.
        service.server.stop()
        server.start()
        assert shown_by(server.port, roots)["serialNumber"] == serial
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
