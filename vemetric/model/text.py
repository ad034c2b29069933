"""Text that can always be written down, and shown. JSON lets half a surrogate pair through; UTF-8 does not."""

import re

SHOWN_LENGTH_MAX = 300
# Control characters steer terminals; the bidirectional ones turn the text around them too.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def well_formed(text: str) -> str:
    """The same text with every lone surrogate as U+FFFD, as a browser's TextEncoder does it. Pairs are joined."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def shown(text: str, length_max: int = SHOWN_LENGTH_MAX) -> str:
    """Tracked text as people may be shown it: cut to a length, without what steers terminals or turns text around."""
    cut = text[:length_max] + ("\u2026" if len(text) > length_max else "")
    return _STEERING.sub("\ufffd", cut)
