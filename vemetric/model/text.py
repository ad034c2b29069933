"""Text that can always be written down. JSON and JavaScript let half a surrogate pair through; UTF-8 does not."""


def well_formed(text: str) -> str:
    """The same text with every lone surrogate as U+FFFD, as a browser's TextEncoder does it. Pairs are joined."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
