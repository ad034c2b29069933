"""What the engine's error text means to us: try again, the data is at fault, or the statement is."""

import re

from vemetric import errors

MESSAGE_CHARS_MAX = 600

# Codes of ClickHouse. Those that may go away by themselves: time, memory, parts, connections, space on the disk.
BUSY = frozenset({159, 160, 164, 202, 203, 204, 209, 210, 236, 241, 242, 243, 252, 279, 319, 394, 439, 473, 74, 75, 76})
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
        return errors.RowRejected(message)
    return errors.StoreError(message)
