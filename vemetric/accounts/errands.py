"""What the `email` queue carries: letters, and what else people need not wait for.

post.py puts the jobs, workers/email.py does them.
"""

import msgspec

QUEUE = "email"


class Deliver(msgspec.Struct, frozen=True, tag="deliver"):
    """Send a stored letter."""

    letter_id: str


class Verify(msgspec.Struct, frozen=True, tag="verify"):
    """Write a new code to an address, if it has an account that waits for one."""

    email: str


class Reset(msgspec.Struct, frozen=True, tag="reset"):
    """Write to an address how to set a new password, if it has an account."""

    email: str


class Tip(msgspec.Struct, frozen=True, tag="tip"):
    """Write the next letter of a sequence, if its goal is not reached. subject: an account's or a project's id."""

    kind: str
    subject: str
    step: int


class ForgetPicture(msgspec.Struct, frozen=True, tag="forget-picture"):
    """Remove a picture of somebody, for its store was away."""

    name: str


Errand = Deliver | Verify | Reset | Tip | ForgetPicture

encode = msgspec.json.encode
_decoder: msgspec.json.Decoder[Errand] = msgspec.json.Decoder(Errand)


def decode(payload: bytes) -> Errand:
    """The errand of a job; raises msgspec.ValidationError."""
    return _decoder.decode(payload)
