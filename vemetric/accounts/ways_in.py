"""How an account can be signed in to, and the letter that says what a new password leaves open."""

from collections.abc import Mapping

from vemetric.accounts.oauth import Provider
from vemetric.accounts.post import Post
from vemetric.database import oauth_identities
from vemetric.database.database import Connection
from vemetric.mail import letters
from vemetric.mail.letters import Words
from vemetric.model.account import Account

# The page of an account's ways in, and the one of those who have none.
SETTINGS_PATH = "/account/sign-in"
FORGOT_PATH = "/forgot"


async def services(connection: Connection, account_id: str, providers: Mapping[str, Provider]) -> list[str]:
    """What the services are called that the account is connected to, and that one can sign in with here."""
    connected = await oauth_identities.of_account(connection, account_id)
    return [providers[key].label for key in connected if key in providers]


async def new_password_words(
    connection: Connection, post: Post, providers: Mapping[str, Provider], account: Account
) -> Words:
    """The letter after a new password, which names the services that let somebody in all the same."""
    connected = await services(connection, account.id, providers)
    return letters.password_was_changed(
        account.name, f"{post.url}{FORGOT_PATH}", connected, f"{post.url}{SETTINGS_PATH}"
    )
