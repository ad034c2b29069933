"""A mail server for letters to go to."""

from collections.abc import AsyncIterator

import pytest

from tests.kit import mail_server
from tests.kit.mail_server import MailServer


@pytest.fixture
async def mail() -> AsyncIterator[MailServer]:
    async with mail_server.running() as server:
        yield server
