"""A real SMTP server inside the test: keeps what it is sent, and refuses, puts off or hangs up when told to."""

import asyncio
import email
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import policy
from email.message import EmailMessage

from aiosmtpd.smtp import SMTP, Envelope, Session

from vemetric.accounts import errands
from vemetric.services import Services
from vemetric.workers.email import EmailWorker

PUBLIC_URL = "https://stats.example.com"


class MailServer:
    """`answer`: what it says to the next letters, '' to take them. `attempts` counts those it was offered."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.answer = ""
        self.attempts = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._arrived = asyncio.Event()

    async def start(self) -> None:
        """Listen, on the port of before if there was one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, enable_SMTPUTF8=True, loop=loop, hostname="mail.test"), "127.0.0.1", self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.attempts += 1
        if self.answer:
            return self.answer
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.letters.append(message)
        self._arrived.set()
        return "250 taken"

    async def letter_to(self, address: str, count: int = 1) -> EmailMessage:
        """The newest letter to an address, once there are so many."""
        while True:
            found = [letter for letter in self.letters if str(letter["To"]) == address]
            if len(found) >= count:
                return found[-1]
            self._arrived.clear()
            await self._arrived.wait()


def text_of(letter: EmailMessage) -> str:
    """The plain text of a letter."""
    part = letter.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def html_of(letter: EmailMessage) -> str:
    """The HTML of a letter."""
    part = letter.get_body(("html",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


@asynccontextmanager
async def running() -> AsyncIterator[MailServer]:
    """A mail server, while the block runs."""
    server = MailServer()
    await server.start()
    yield server
    await server.stop()


def settings(server: MailServer) -> dict[str, str]:
    """The settings that send letters to a server."""
    return {
        "VEMETRIC_MAIL_FROM": "Vemetric <stats@example.com>",
        "VEMETRIC_PUBLIC_URL": PUBLIC_URL,
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(server.port),
        "SMTP_TLS": "none",
    }


async def do_errands(services: Services) -> int:
    """Do what the `email` queue holds, and what that puts there; returns how many jobs there were."""
    worker, done = EmailWorker(services), 0
    while claimed := await services.queue.claim(errands.QUEUE, 100, 60):
        for job in claimed:
            await worker.handle([job], None)  # type: ignore[arg-type] # it takes no notice of the lease
            await services.queue.ack([job])
            done += 1
    return done
