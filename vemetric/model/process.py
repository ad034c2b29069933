"""What the system says of this process."""

import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/statm")
PAGE_BYTES = resource.getpagesize()


def memory_bytes() -> int:
    """The memory it holds now; where the system does not say, the most it ever held."""
    try:
        return int(STATUS.read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError, ValueError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
