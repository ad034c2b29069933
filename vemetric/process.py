"""What this process asks of Python and of the system, so that hits wait for as little as can be. Used by serve.py.

None of it is needed for anything but speed: where the system does not know a request, all goes on without.
"""

import asyncio
import ctypes
import gc
import logging
import os
import platform
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# How long a thread waits for the interpreter before it asks for it. The queue's writer asks several times a commit, and
# hits wait for commits: Python's own 5 ms would be most of an answer's time.
SWITCH_SECONDS = 0.0002
COLLECTOR_THRESHOLDS = (20_000, 20, 100)

# The least the system takes: whoever runs for long between two waits lets the loop go first (Linux 6.12 and later).
TURN_NANOSECONDS = 100_000
SCHED_SETATTR = 314
# The threads and programs it starts take turns as usual.
FLAG_RESET_ON_FORK = 1
# struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period, utilization's bounds.
_ATTRIBUTES = struct.Struct("<IIQiIQQQII")

MAPS = Path("/proc/self/maps")
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
HUGE_PAGE_BYTES = 2 << 20
MADV_COLLAPSE = 25
# Only where nearly all of it is in use already: huge pages are whole, and this memory is to grow by a tenth at most.
IN_USE_SHARE_MIN = 0.9
# A process is busy if it uses so much of a processor for so long.
BUSY_SHARE = 0.5
LOOK_SECONDS = 5.0
# Between two huge pages: whoever touches the memory that is being moved waits, 0.2 ms perhaps.
PAUSE_SECONDS = 0.001

log = logging.getLogger(__name__)


def calm_interpreter() -> None:
    """Look for garbage cycles rarely - every request makes and drops many objects, hardly any in cycles - and have
    threads that want the interpreter get it soon.
    """
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    sys.setswitchinterval(SWITCH_SECONDS)


def take_short_turns() -> bool:
    """Have this thread run often and briefly rather than seldom and for long; whether the system took it.

    It answers hits; those beside it lay rows down and merge, some milliseconds at a time.
    """
    if platform.machine() != "x86_64" or os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK != os.SCHED_OTHER:
        return False
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = _ATTRIBUTES.pack(
        _ATTRIBUTES.size, os.SCHED_OTHER, FLAG_RESET_ON_FORK, niceness, 0, TURN_NANOSECONDS, 0, 0, 0, 0
    )
    library = ctypes.CDLL(None, use_errno=True)
    result: int = library.syscall(ctypes.c_long(SCHED_SETATTR), 0, attributes, 0)
    return result == 0


async def keep_in_huge_pages() -> None:
    """While the process is busy, see that its memory lies in huge pages.

    A crowd's visits, jobs and rows are many small objects all over the memory. In pages of 4 KiB the processor spends
    a tenth of its time on finding out where a page is, and more on a virtual machine.
    """
    while can_have_huge_pages():
        used, began = time.process_time(), time.monotonic()
        await asyncio.sleep(LOOK_SECONDS)
        if time.process_time() - used >= BUSY_SHARE * (time.monotonic() - began):
            try:
                await asyncio.to_thread(collapse)
            except OSError as error:
                log.info("Memory stays in small pages: %s", error)
                return


def can_have_huge_pages() -> bool:
    """Whether the machine's owner lets programs have them."""
    try:
        return "[never]" not in HUGE_PAGES.read_text()
    except OSError:
        return False


def collapse() -> int:
    """Move this process's memory into huge pages where it is in use; returns how many of them there are then.

    Takes a second or so for each GB. Raises OSError where the system cannot do it (Linux before 6.1).
    """
    library = ctypes.CDLL(None, use_errno=True)
    library.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    library.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)
    pages = HUGE_PAGE_BYTES // os.sysconf("SC_PAGE_SIZE")
    in_use = ctypes.create_string_buffer(pages)
    there = refused = 0
    for address in _places():
        # What was unmapped meanwhile is none.
        if library.mincore(address, HUGE_PAGE_BYTES, in_use) or in_use.raw.count(1) < IN_USE_SHARE_MIN * pages:
            continue
        if library.madvise(address, HUGE_PAGE_BYTES, MADV_COLLAPSE) == 0:
            there += 1
        else:
            refused = ctypes.get_errno()
        time.sleep(PAUSE_SECONDS)
    if refused and not there:
        raise OSError(refused, os.strerror(refused))
    return there


def _places() -> Iterator[int]:
    """Where a huge page fits into the memory that is this process's own."""
    for line in MAPS.read_text().splitlines():
        addresses, permissions, _, _, inode, *name = line.split(maxsplit=5)
        if permissions == "rw-p" and inode == "0" and (not name or name[0] == "[heap]"):
            start, end = (int(address, 16) for address in addresses.split("-"))
            first = -(-start // HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES
            yield from range(first, end - HUGE_PAGE_BYTES + 1, HUGE_PAGE_BYTES)
