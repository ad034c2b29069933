"""What the engine's error text means to us: try again, the data is at fault, or the statement is."""

import re

from vemetric import errors

MESSAGE_CHARS_MAX = 600

# Codes of ClickHouse that no row is to blame for and that may go away by themselves: time, parts, connections ...
BUSY = frozenset({159, 160, 164, 202, 203, 209, 210, 236, 242, 252, 279, 319, 394, 439, 473, 1019})
# ... memory ...
BUSY |= {173, 241, 777, 778, 1020}
# ... replicas, their keeper and the network between servers ...
BUSY |= {198, 225, 285, 286, 289, 999}
# ... and files and the disk; 1000 and 1001 are what the libraries below say of them, such as "No space left on device".
BUSY |= {74, 75, 76, 77, 87, 88, 172, 204, 214, 243, 294, 400, 424, 458, 521, 531, 586, 641, 1000, 1001}
# Those that say that a row does not fit its table.
REJECTED = frozenset({6, 25, 26, 27, 33, 38, 41, 53, 69, 72, 117, 131, 190, 321, 349, 407, 441, 467, 676, 691})

CODE = re.compile(r"Code: (\d+)")


def from_text(text: str, *, inserting: bool) -> errors.StoreError:
    """The error to raise for the engine's message. `inserting`: the statement carried rows, which may be at fault."""
    found = CODE.search(text)
    code = int(found.group(1)) if found else 0
    message = text[:MESSAGE_CHARS_MAX]
    if code in BUSY:
        return errors.StoreBusy(message)
    if inserting and code in REJECTED:
        # What follows the first line are the row's values; they are nobody's business in a log.
        return errors.RowRejected(message.partition("\n")[0])
    return errors.StoreError(message)


def from_answer(status: int, text: str, *, inserting: bool) -> errors.StoreError:
    """The error for a server's answer. One without a code is that of a proxy before it, which may recover."""
    if CODE.search(text):
        return from_text(text, inserting=inserting)
    return errors.StoreBusy(f"The analytics server answered {status}: {text[:MESSAGE_CHARS_MAX]}")


def numbers(version: str) -> tuple[int, ...]:
    """A version to compare with others: '25.8.1.5' is (25, 8, 1, 5)."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())
