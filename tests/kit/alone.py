"""Run as a program in a network namespace of its own: the executable and a browser with nothing but the loopback.

    unshare --net python -m tests.kit.alone <folder>

Walks every page that a link leads to and prints what was seen as JSON: pages, what was asked of others, what is
missing, and what the kernel counts of packets that had nowhere to go. A resolver's question is a datagram, so those are
counted too. Where there is strace, every address that the executable itself spoke to is told as well.
"""

import fcntl
import json
import os
import re
import shutil
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from playwright.sync_api import ConsoleMessage, Page, Response, sync_playwright
from playwright.sync_api import Request as Asked

from building import chromium
from tests.kit import dashboard
from tests.kit.process import EXECUTABLE, Server, wait_for

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
# What the kernel counts of a namespace, by file.
COUNTERS = {
    "/proc/net/snmp": (("Ip", "OutNoRoutes"), ("Udp", "OutDatagrams")),
    "/proc/net/snmp6": (("", "Ip6OutNoRoutes"), ("", "Udp6OutDatagrams")),
}
PAGES_MAX = 80
# Files, and what would sign us out.
NOT_PAGES = re.compile(r"\.(csv|json|xml|txt|js|svg|png)$|/export|/login|/logout|/_api/")
MISSING = """() => [...document.images].filter((one) => one.complete && !one.naturalWidth).map((one) => one.src)
    .concat([...document.fonts].filter((one) => one.status === "error").map((one) => one.family))"""
# Of the calls by which a program begins to speak to somebody; a socket of this machine has a path, or no address.
TRACED = "connect,sendto,sendmsg,sendmmsg"
ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
LOOPBACK = re.compile(r"127\.|::1$|::ffff:127\.")
CHROMIUM_ARGUMENTS = ("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-background-networking")


def raise_loopback() -> None:
    """A new namespace's is down."""
    with socket.socket() as asked:
        name = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(asked, SIOCGIFFLAGS, name))[1]
        fcntl.ioctl(asked, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def counted() -> dict[str, int]:
    """The counters of this namespace."""
    found = {}
    for file, wanted in COUNTERS.items():
        lines = [line.split() for line in Path(file).read_text().splitlines()]
        for group, name in wanted:
            if group:
                names, values = (line for line in lines if line[0] == f"{group}:")
                found[f"{group} {name}"] = int(values[names.index(name)])
            else:
                found[name] = next(int(value) for key, value in lines if key == name)
    return found


def watched(log: Path) -> tuple[str, ...]:
    """What starts the executable so that its calls are noted."""
    strace = shutil.which("strace")
    plain = (sys.executable, str(EXECUTABLE))
    return (
        (strace, "-D", "-A", "-f", "-qq", "--seccomp-bpf", "-e", f"trace={TRACED}", "-o", str(log), *plain)
        if strace
        else plain
    )


def spoken_to(log: Path) -> list[str]:
    """The addresses of others that the executable spoke to, or tried to."""
    noted = log.read_text() if log.exists() else ""
    addresses = {four or six for four, six in ADDRESS.findall(noted)}
    return sorted(address for address in addresses if not LOOPBACK.match(address))


class Walk:
    """Everything that links of ours lead to, once per kind of page, and what was wrong on the way."""

    def __init__(self, page: Page, url: str) -> None:
        self.seen: list[str] = []
        self.problems: list[str] = []
        self.elsewhere: list[str] = []
        self._page, self._url, self._kinds = page, url, set[str]()
        page.on("request", self._asked)
        page.on("response", self._answered)
        page.on("console", self._said)

    def from_here(self) -> None:
        """Follow links, those of a page before those of its neighbours' neighbours."""
        waiting = [urlsplit(self._page.url).path, "/admin", "/docs/", "/docs/reference", "/account"]
        while waiting and len(self.seen) < PAGES_MAX:
            path = waiting.pop(0)
            kind = re.sub(r"/[^/]*\d[^/]*(?=/|$)", "/*", path)
            if kind in self._kinds or NOT_PAGES.search(path):
                continue
            self._kinds.add(kind)
            self._page.goto(self._url + path, wait_until="load")
            self.seen.append(path)
            self.problems += [f"{path}: {one} is missing" for one in self._page.evaluate(MISSING)]
            waiting += self._links()

    def _links(self) -> Iterator[str]:
        for address in self._page.evaluate("() => [...document.links].map((one) => one.href)"):
            if address.startswith(self._url):
                yield urlsplit(address).path

    def _asked(self, request: Asked) -> None:
        if not request.url.startswith((self._url, "data:", "blob:")):
            self.elsewhere.append(request.url)

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.url} is answered {response.status}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{self._page.url} says {message.text}")


def use(server: Server) -> None:
    """What an operator does by the command line, and a site by its events."""
    server.run("account", "create", "--email", dashboard.EMAIL, "--password", dashboard.PASSWORD)
    token = server.run("project", "create", "--name", "Shop", "--domain", "shop.test")["token"]
    server.run("demo")
    body = json.dumps({"name": "$$pageView", "url": "https://www.shop.test/a"}).encode()
    headers = {"Token": token, "Content-Type": "application/json", "User-Agent": "curl/8.5.0"}
    with urlopen(Request(f"{server.url}/e", body, headers)) as answer:
        assert answer.status == 200
    wait_for(lambda: server.run("stats", "shop.test")["pageViews"] == 1, "the event")
    server.command("doctor")


def main(folder: Path) -> dict[str, object]:
    raise_loopback()
    log = folder / "calls.txt"
    server = Server(folder / "data", command=watched(log)).start()
    try:
        use(server)
        of_server = counted()
        with sync_playwright() as playwright:
            executable = os.environ.get("VEMETRIC_TEST_CHROMIUM") or chromium.find()
            browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
            page = browser.new_page()
            walk = Walk(page, server.url)
            dashboard.log_in(page, server, dashboard.PASSWORD)
            walk.from_here()
            browser.close()
        interfaces = [name for _, name in socket.if_nameindex()]
        return {
            "interfaces": interfaces,
            "ofServer": of_server,
            "counted": counted(),
            "pages": walk.seen,
            "elsewhere": walk.elsewhere,
            "problems": walk.problems,
            "spokenTo": spoken_to(log),
        }
    finally:
        server.end()


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
