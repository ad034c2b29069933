"""Letters through a mail server. The only file that knows aiosmtplib."""

from email import policy
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from typing import TYPE_CHECKING

from vemetric import errors
from vemetric.mail.mailer import SECONDS_MAX, Postponed, Refused
from vemetric.model.letter import Letter

if TYPE_CHECKING:
    from aiosmtplib import SMTP

# Names that people chose stand in subjects. What looks like an encoded word would be decoded while the mail is written,
# line breaks and all: the rest of it would be headers.
ENCODED_WORD, HARMLESS_WORD = "=?", "= ?"


class SmtpMailer:
    """Opens a connection for each letter: they are few, and servers close idle ones."""

    def __init__(
        self,
        host: str,
        port: int,
        tls: str,
        sender: str,
        user: str = "",
        password: str = "",
        seconds_max: float = SECONDS_MAX,
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._sender = sender
        self._user = user
        self._password = password
        self._seconds_max = seconds_max

    async def send(self, letter: Letter) -> str:
        """See Mailer."""
        # Here, because most processes never send a letter and every start would pay for the import.
        import aiosmtplib

        message = message_of(letter, self._sender)
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._tls == "tls",
            start_tls=self._tls == "starttls",
            username=self._user or None,
            password=self._password or None,
            timeout=self._seconds_max,
        )
        await _connect(client)
        async with client:
            await _hand_over(client, message, letter.address)
        return str(message["Message-ID"])


async def _connect(client: "SMTP") -> None:
    """As far as the server knows of no letter: what fails is no letter's fault."""
    import aiosmtplib

    try:
        await client.connect()
    except aiosmtplib.SMTPNotSupported as error:
        # It lacks what our settings ask for: TLS, or a password.
        raise errors.Unavailable(f"The mail server is not as the settings say: {error}.") from error
    except aiosmtplib.SMTPResponseException as error:
        raise errors.Unavailable(f"The mail server does not take our letters: {error}.") from error
    except (aiosmtplib.SMTPException, OSError) as error:
        raise errors.Unavailable(f"The mail server does not answer: {error}.") from error


async def _hand_over(client: "SMTP", message: EmailMessage, address: str) -> None:
    import aiosmtplib

    try:
        await client.send_message(message)
    except aiosmtplib.SMTPRecipientsRefused as error:
        raise _refusal(error.recipients[0].code, error.recipients[0].message) from error
    except (aiosmtplib.SMTPHeloError, aiosmtplib.SMTPSenderRefused) as error:
        raise errors.Unavailable(f"The mail server does not take our letters: {error}.") from error
    except aiosmtplib.SMTPResponseException as error:
        raise _refusal(error.code, error.message) from error
    except aiosmtplib.SMTPNotSupported as error:
        raise Refused(f"The mail server cannot carry letters to {address}: {error}.") from error
    except (aiosmtplib.SMTPException, OSError) as error:
        # Others shall not wait for this letter, nor it be taken again and again by a server that never says so.
        raise Postponed(f"The mail server went silent at this letter: {error}.") from error


def message_of(letter: Letter, sender: str) -> EmailMessage:
    """The letter as mail: plain text and HTML, with what mail programs need to know."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = sender
    message["To"] = letter.address
    message["Subject"] = letter.subject.replace(ENCODED_WORD, HARMLESS_WORD)
    message["Date"] = formatdate(letter.created_at_ms / 1000)
    # The same for every attempt, so that a letter taken twice shows once.
    domain = parseaddr(sender)[1].rpartition("@")[2]
    message["Message-ID"] = f"<{letter.id}@{domain}>" if domain.isascii() else make_msgid(letter.id)
    message["Auto-Submitted"] = "auto-generated"
    for name, value in unsubscribe_headers(letter).items():
        message[name] = value
    message.set_content(letter.body_text)
    message.add_alternative(letter.body_html, subtype="html")
    return message


def unsubscribe_headers(letter: Letter) -> dict[str, str]:
    """What lets a mail program unsubscribe by one click (RFC 8058); nothing for letters that somebody waits for."""
    if not letter.unsubscribe_url:
        return {}
    return {
        "List-Unsubscribe": f"<{letter.unsubscribe_url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def _refusal(code: int, message: str) -> errors.VemetricError:
    text = f"The mail server said {code} {message}."
    return Refused(text) if code >= 500 else Postponed(text)
