"""Deleting a project by the link of a letter, where mail is set up: a login that was left open is not enough.

The link leads to a page that asks once more, and works for the admin who asked, within an hour.
"""

import base64
import hmac

from vemetric.accounts import limits
from vemetric.accounts.post import Post
from vemetric.clock import Clock
from vemetric.mail import letters
from vemetric.model.account import Account
from vemetric.model.project import Project
from vemetric.queues.keys import Keys

LINK_HOURS = 1
HOUR_MS = 3_600_000
MAC_BYTES = 18
EXPIRY_DIGITS_MAX = 15


async def ask(keys: Keys, clock: Clock, post: Post, secret: bytes, account: Account, project: Project) -> None:
    """Write the link to the account. Asking again within a while sends nothing more."""
    if not await limits.allows(keys, clock, limits.LETTERS_TO_ADDRESS, f"delete {project.id} {account.id}"):
        return
    token = token_of(secret, clock.now_ms() + LINK_HOURS * HOUR_MS, account.id, project.id)
    url = f"{post.url}/p/{project.id}/delete/{token}"
    words = letters.project_deletion(account.name, project.name, project.domain, url, LINK_HOURS)
    await post.send(words, account.email, account.id)


def token_of(secret: bytes, expires_ms: int, account_id: str, project_id: int) -> str:
    """The token of a link."""
    said = f"delete:{project_id}:{account_id}:{expires_ms}".encode()
    mac = base64.urlsafe_b64encode(hmac.digest(secret, said, "sha256")[:MAC_BYTES]).decode()
    return f"{expires_ms}.{mac}"


def is_open(secret: bytes, clock: Clock, token: str, account_id: str, project_id: int) -> bool:
    """Whether a link still works, for this account and this project."""
    expiry = token.partition(".")[0]
    if not (expiry.isascii() and expiry.isdigit() and len(expiry) <= EXPIRY_DIGITS_MAX):
        return False
    wanted = token_of(secret, int(expiry), account_id, project_id).encode()
    return hmac.compare_digest(wanted, token.encode("utf-8", "surrogatepass")) and clock.now_ms() < int(expiry)
