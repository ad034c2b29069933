"""Text that can always be written down, and shown. JSON lets half a surrogate pair through; UTF-8 does not."""

import re
from urllib.parse import unquote_to_bytes

SHOWN_LENGTH_MAX = 300
# Control characters steer terminals; the bidirectional ones turn the text around them too.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# What shows nothing makes two names look alike.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff"
    "\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a]"
)
# Joiners stay within scripts and emoji that need them, tags in flags, selectors behind what has variants.
_STRAY = re.compile(
    "(?<![^\x00-\x7f\u200c\u200d])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f\u200c\u200d])"
    "|(?<![\U0001f3f4\U000e0000-\U000e007f])[\U000e0000-\U000e007f]+"
    "|(?<![^\x00-\x7f\U000e0000-\U000e0fff])[\U000e0100-\U000e0fff]"
)

# What addresses have in the place of letters that are not ASCII.
_ESCAPES = re.compile("(?:%[89A-Fa-f][0-9A-Fa-f])+")


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
    """Tracked text as people may be shown it: cut to a length, without what steers terminals or turns text around.

    Nor what shows nothing at all: two that are not the same do not look the same for it.
    """
    cut = text[:length_max] + ("\u2026" if len(text) > length_max else "")
    if cut.isascii() and cut.isprintable():
        return cut
    return _STRAY.sub("\ufffd", _INVISIBLE.sub("\ufffd", _STEERING.sub("\ufffd", cut)))


def visible(text: str) -> str:
    """A name without the characters that show nothing or turn the text around them."""
    return text if text.isascii() else _STRAY.sub("", _INVISIBLE.sub("", text))


def readable(address: str) -> str:
    """An address with the letters its escapes stand for, as browsers show it: `/%C3%BCber` as `/über`.

    Escapes of ASCII stay, for they may separate; so does what is no UTF-8, or shows nothing.
    """
    return _ESCAPES.sub(_letters, address) if "%" in address else address


def _letters(escapes: re.Match[str]) -> str:
    try:
        letters = unquote_to_bytes(escapes[0]).decode()
    except UnicodeDecodeError:
        return escapes[0]
    return letters if letters.isprintable() else escapes[0]
