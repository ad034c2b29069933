"""A person who signs in, and the browser sessions that person has open."""

import msgspec


class Account(msgspec.Struct, frozen=True):
    """`email` is kept in lower case. The operator runs this instance and may see and change everything in it.

    email_verified_at_ms: None until the address was proved. image: the name of a picture, None without one.
    receives_tips: whether letters with tips are welcome.
    """

    id: str
    name: str
    email: str
    is_operator: bool
    created_at_ms: int
    email_verified_at_ms: int | None = None
    image: str | None = None
    receives_tips: bool = True


class Login(msgspec.Struct, frozen=True):
    """One browser session of an account. `remember`: whether it outlives the browser's window."""

    id: str
    account_id: str
    remember: bool
    user_agent: str
    ip: str
    created_at_ms: int
    used_at_ms: int
    expires_at_ms: int
