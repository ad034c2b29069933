"""Somebody as another service knows them: Google, GitHub, or an OpenID Connect provider."""

import msgspec


class Profile(msgspec.Struct, frozen=True):
    """What a service says of who signed in there. email: '' where it tells none."""

    provider: str
    subject: str
    email: str
    is_email_verified: bool
    name: str
