"""How a letter leaves the house: one interface, chosen once by the settings. Backends: smtp.py, postmark.py."""

from typing import Protocol

from vemetric import errors
from vemetric.config import Config
from vemetric.model.letter import Letter

SECONDS_MAX = 30.0


class Refused(errors.VemetricError):
    """The mail server refused this letter for good."""


class Postponed(errors.VemetricError):
    """The mail server would not take this letter now."""


class Mailer(Protocol):
    """Sends letters. Nothing is kept open between two."""

    async def send(self, letter: Letter) -> str:
        """Hand the letter over; returns the id it has there.

        Raises Refused or Postponed, which are about this letter, and Unavailable when no letter would get through:
        the server does not answer, or does not know us. A server that goes silent once it was told of the letter has
        put it off.
        """


def of(config: Config) -> Mailer | None:
    """The mailer that the settings name; None where none is set up."""
    if config.smtp_host:
        from vemetric.mail.smtp import SmtpMailer

        return SmtpMailer(
            config.smtp_host,
            config.smtp_port,
            config.smtp_tls,
            config.mail_from,
            user=config.smtp_user,
            password=config.smtp_password,
        )
    if config.postmark_server_api_token:
        from vemetric.mail.postmark import PostmarkMailer

        return PostmarkMailer(
            config.postmark_server_api_token,
            config.mail_from,
            config.postmark_transactional_message_stream_id,
            config.postmark_tips_message_stream_id,
        )
    return None
