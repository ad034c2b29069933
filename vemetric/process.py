"""What this process asks of Python and of the system, so that hits wait for as little as can be. Used by serve.py.

None of it is needed for anything but speed: where the system does not know a request, all goes on without.
"""

import asyncio
import ctypes
import errno
import gc
import logging
import os
import platform
import re
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

# How long a thread waits for the interpreter before it asks for it. The queue's writer asks several times a commit, and
# hits wait for commits: Python's own 5 ms would be most of an answer's time.
SWITCH_SECONDS = 0.0002
COLLECTOR_THRESHOLDS = (20_000, 20, 100)

# The least the system takes: whoever runs for long between two waits lets the loop go first (Linux 6.12 and later).
TURN_NANOSECONDS = 100_000
SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
# The threads and programs it starts take turns as usual.
FLAG_RESET_ON_FORK = 1
# struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period, utilization's bounds.
_ATTRIBUTES = struct.Struct("<IIQiIQQQII")

MAPS = Path("/proc/self/maps")
# The memory that is this process's own. As bytes: names of files may hold anything.
OWN_MEMORY = re.compile(rb"^([0-9a-f]+)-([0-9a-f]+) rw-p 0+ 00:00 0 *(?:\[heap\])?$", re.MULTILINE)
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage")
# Of the usual small ones, of 4 KiB. Where huge pages are of another size they are left alone.
PAGES = 512
HUGE_PAGE_BYTES = 2 << 20
MADV_COLLAPSE = 25
# Only where nearly all of it is in use: huge pages are whole, and this memory may grow by a thirtieth at most. Under
# load that leaves out few places but those that are half empty.
IN_USE_PAGES_MIN = 496
# The machine has no room for another huge page, or the container's bound is reached.
SHORT_OF_MEMORY = (errno.ENOMEM, errno.EBUSY)
# A process is busy if it uses so much of a processor for so long.
BUSY_SHARE = 0.5
LOOK_SECONDS = 5.0
# Between two huge pages: whoever needs new memory waits while one is moved, some tenths of a millisecond. One after the
# other they had a busy loop stand still for half of the time, and hits wait 300 ms.
PAUSE_SECONDS = 0.02

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

    It answers hits; those beside it lay rows down and merge, some milliseconds at a time. A thread that was told how to
    take its turns (chrt, CPUSchedulingPolicy) is left alone. So is one that goes before others: what it starts would
    not do so any more.
    """
    try:
        policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
        niceness = os.getpriority(os.PRIO_PROCESS, 0)
    except OSError:
        return False
    number = SCHED_SETATTR.get(platform.machine())
    if number is None or policy != os.SCHED_OTHER or niceness < 0:
        return False
    attributes = _ATTRIBUTES.pack(
        _ATTRIBUTES.size, os.SCHED_OTHER, FLAG_RESET_ON_FORK, niceness, 0, TURN_NANOSECONDS, 0, 0, 0, 0
    )
    result: int = ctypes.CDLL(None).syscall(ctypes.c_long(number), 0, attributes, 0)
    return result == 0


async def keep_in_huge_pages(look_seconds: float = LOOK_SECONDS) -> None:
    """While the process is busy, see that its memory lies in huge pages.

    A crowd's visits, jobs and rows are many small objects all over the memory. In pages of 4 KiB the processor spends
    a tenth of its time on finding out where a page is, and more on a virtual machine.
    """
    ended = threading.Event()
    try:
        while can_have_huge_pages():
            used, began = time.process_time(), time.monotonic()
            await asyncio.sleep(look_seconds)
            if time.process_time() - used >= BUSY_SHARE * (time.monotonic() - began):
                await asyncio.to_thread(collapse, ended)
    except OSError as error:
        log.info("Memory stays in small pages: %s", error)
    finally:
        # The thread would go on for seconds, and the process's end waits for it.
        ended.set()


def can_have_huge_pages() -> bool:
    """Whether the machine's owner lets programs have them, and they are of the usual size."""
    try:
        is_allowed = "[never]" not in (HUGE_PAGES / "enabled").read_text()
        return is_allowed and (HUGE_PAGES / "hpage_pmd_size").read_text().strip() == str(HUGE_PAGE_BYTES)
    except OSError:
        return False


def collapse(ended: threading.Event) -> int:
    """Move this process's memory into huge pages where it is in use; returns how many of them there are then.

    Takes ten seconds or so for each GB, nearly all of them pauses; stops when `ended` is set. What memory holds stays
    as it is, also where something else is mapped meanwhile. Raises OSError where the system cannot do it (Linux before
    6.1).
    """
    library = ctypes.CDLL(None, use_errno=True)
    library.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    library.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)
    in_use = ctypes.create_string_buffer(PAGES)
    there = refused = 0
    for address in _places():
        if ended.is_set() or refused in SHORT_OF_MEMORY:
            break
        # What was unmapped meanwhile is none.
        if library.mincore(address, HUGE_PAGE_BYTES, in_use) or in_use.raw.count(1) < IN_USE_PAGES_MIN:
            continue
        if library.madvise(address, HUGE_PAGE_BYTES, MADV_COLLAPSE) == 0:
            there += 1
        else:
            refused = ctypes.get_errno()
        ended.wait(PAUSE_SECONDS)
    if refused == errno.EINVAL and not there:
        raise OSError(refused, os.strerror(refused))
    return there


def _places() -> Iterator[int]:
    """Where a huge page fits into the memory that is this process's own."""
    for start, end in OWN_MEMORY.findall(MAPS.read_bytes()):
        first = -(-int(start, 16) // HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES
        yield from range(first, int(end, 16) - HUGE_PAGE_BYTES + 1, HUGE_PAGE_BYTES)
