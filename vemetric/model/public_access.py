"""Who may see a public dashboard."""

import msgspec


class PublicAccess(msgspec.Struct, frozen=True):
    """What a public dashboard asks of those who look. Empty texts: nothing.

    link_salt: the secret link is made of it (accounts/public_access.py). password_hash: Argon2id.
    """

    link_salt: str = ""
    password_hash: str = ""

    @property
    def is_open(self) -> bool:
        """Whether everybody who knows the domain may see it."""
        return not self.link_salt and not self.password_hash


OPEN = PublicAccess()
