"""What the process asks of the system: it gets it where the system knows it, and nothing breaks where it does not."""

import asyncio
import contextlib
import ctypes
import errno
import mmap
import os
import platform
import re
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from vemetric import process

PAGE = 4096
MIB = 1 << 20
SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}
LIBRARY = ctypes.CDLL(None, use_errno=True)
LIBRARY.mmap.restype = ctypes.c_void_p
LIBRARY.mmap.argtypes = (*(ctypes.c_void_p, ctypes.c_size_t), *(ctypes.c_int,) * 3, ctypes.c_long)
LIBRARY.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
LIBRARY.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)

IDLE = """
import asyncio, threading
from vemetric import process

async def main():
    keeping = asyncio.create_task(process.keep_in_huge_pages(look_seconds=0.2))
    await asyncio.sleep(1)
    keeping.cancel()

asyncio.run(main())
print(threading.active_count())
"""
CHILD = """
from tests import test_process
print(test_process.turns())
"""


def kernel() -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2])


# Whether a place in use can come to lie in a huge page on this machine.
CAN_COLLAPSE = process.can_have_huge_pages() and kernel() >= (6, 1)


# Where such a thread waits: in collapse, two calls deep.
PAUSING = process.collapse.__code__


class Region:
    """Some memory of its own that begins where a huge page fits, in small pages."""

    def __init__(self, places: int) -> None:
        self._bytes = (places + 2) * process.HUGE_PAGE_BYTES
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._mapped = LIBRARY.mmap(None, self._bytes, 0, flags, -1, 0)
        self.address = (self._mapped // process.HUGE_PAGE_BYTES + 1) * process.HUGE_PAGE_BYTES
        # The kernel gives a huge page at the first touch only where all of it may be written.
        for start in range(self.address, self.address + places * process.HUGE_PAGE_BYTES, MIB):
            assert LIBRARY.mprotect(start, MIB, mmap.PROT_READ | mmap.PROT_WRITE) == 0
            ctypes.memset(start, 1 + start // MIB % 200, PAGE)

    def fill(self, place: int, pages: int) -> None:
        """Use so many pages of a place."""
        start = self.address + place * process.HUGE_PAGE_BYTES
        for page in range(pages):
            ctypes.memset(start + page * PAGE, 1 + (place + page) % 200, PAGE)

    def holds(self, place: int, pages: int) -> bool:
        """Whether what `fill` wrote is there."""
        start = self.address + place * process.HUGE_PAGE_BYTES
        return all(
            ctypes.string_at(start + page * PAGE, PAGE) == bytes([1 + (place + page) % 200]) * PAGE
            for page in range(pages)
        )

    def huge(self) -> int:
        """How many huge pages it lies in."""
        within = False
        for line in Path("/proc/self/smaps").read_bytes().split(b"\n"):
            if found := re.match(rb"([0-9a-f]+)-([0-9a-f]+) ", line):
                start, end = (int(address, 16) for address in found.groups())
                within = start <= self.address < end
            elif within and line.startswith(b"AnonHugePages:"):
                return int(line.split()[1]) * 1024 // process.HUGE_PAGE_BYTES
        return 0

    def in_use(self, place: int) -> int:
        """How many pages of a place take room."""
        with Path("/proc/self/pagemap").open("rb") as pages:
            pages.seek((self.address + place * process.HUGE_PAGE_BYTES) // PAGE * 8)
            entries = struct.unpack(f"<{process.PAGES}Q", pages.read(process.PAGES * 8))
        return sum(entry >> 63 for entry in entries)

    def free(self) -> None:
        assert LIBRARY.munmap(self._mapped, self._bytes) == 0


@pytest.fixture
def region() -> Iterator[Region]:
    made = Region(4)
    yield made
    made.free()


def collapse() -> int:
    """As the server does it; where the kernel does not know it, nothing."""
    with contextlib.suppress(OSError):
        return process.collapse(threading.Event())
    return 0


def test_memory_in_use_comes_to_lie_in_huge_pages_and_holds_what_it_held(region: Region) -> None:
    for place in range(4):
        region.fill(place, process.PAGES)
    assert region.huge() == 0
    there = collapse()
    assert all(region.holds(place, process.PAGES) for place in range(4))
    if CAN_COLLAPSE:
        assert there >= region.huge() > 0
    else:
        assert (there, region.huge()) == (0, 0)


def test_memory_hardly_grows_by_it(region: Region) -> None:
    used = (process.PAGES, process.IN_USE_PAGES_MIN - 1, process.PAGES // 2, process.IN_USE_PAGES_MIN)
    for place, pages in enumerate(used):
        region.fill(place, pages)
    before = [region.in_use(place) for place in range(4)]
    collapse()
    after = [region.in_use(place) for place in range(4)]
    assert after[1:3] == [before[1], before[2]]
    assert sum(after) <= sum(before) + process.PAGES - process.IN_USE_PAGES_MIN
    assert all(region.holds(place, pages) for place, pages in enumerate(used))


def test_a_kernel_that_does_not_know_of_it_is_told(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in range(4):
        region.fill(place, process.PAGES)
    # An advice that no kernel knows.
    monkeypatch.setattr(process, "MADV_COLLAPSE", 9999)
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        process.collapse(threading.Event())
    assert region.huge() == 0


def test_names_of_files_in_memory_may_hold_anything(tmp_path: Path, region: Region) -> None:
    region.fill(0, process.PAGES)
    file = os.open(os.fsencode(tmp_path) + b"/\xff 0\x0c\n \xe2\x80\xa8 rw-p\x85", os.O_CREAT | os.O_RDWR)
    os.write(file, b"x" * PAGE)
    with mmap.mmap(file, PAGE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE):
        collapse()
    os.close(file)
    assert region.holds(0, process.PAGES)


def test_nothing_is_moved_once_the_process_ends(region: Region) -> None:
    for place in range(4):
        region.fill(place, process.PAGES)
    ended = threading.Event()
    ended.set()
    assert process.collapse(ended) == 0
    assert region.huge() == 0


async def until(keeping: "asyncio.Task[None]", condition: Callable[[], bool]) -> None:
    """Keep the processor busy until the condition holds, or nobody keeps anything."""
    while not keeping.done() and not condition():
        for _ in range(100_000):
            pass
        await asyncio.sleep(0)


async def test_a_busy_process_lies_in_huge_pages(region: Region) -> None:
    for place in range(4):
        region.fill(place, process.PAGES)
    keeping = asyncio.create_task(process.keep_in_huge_pages(look_seconds=0.05))
    await until(keeping, lambda: region.huge() > 0)
    # Where the machine has none, it ended by itself.
    assert keeping.done() is not CAN_COLLAPSE
    assert keeping.cancel() is CAN_COLLAPSE
    with contextlib.suppress(asyncio.CancelledError):
        await keeping
    assert all(region.holds(place, process.PAGES) for place in range(4))


async def test_a_busy_process_goes_on_where_the_kernel_cannot(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    region.fill(0, process.PAGES)
    monkeypatch.setattr(process, "MADV_COLLAPSE", 9999)
    keeping = asyncio.create_task(process.keep_in_huge_pages(look_seconds=0.05))
    await until(keeping, lambda: False)
    # It ended by itself, and tells nobody but the log.
    await keeping
    assert region.huge() == 0


def is_pausing() -> bool:
    """Whether a thread rests between two huge pages."""
    return any(
        frame.f_back is not None and frame.f_back.f_back is not None and frame.f_back.f_back.f_code is PAUSING
        for frame in sys._current_frames().values()
    )


async def test_the_end_does_not_wait_for_the_rest_of_the_memory(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A huge page an hour.
    monkeypatch.setattr(process, "PAUSE_SECONDS", 3600)
    region.fill(0, process.PAGES)
    before = set(threading.enumerate())
    keeping = asyncio.create_task(process.keep_in_huge_pages(look_seconds=0.05))
    await until(keeping, is_pausing)
    keeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeping
    await asyncio.get_running_loop().shutdown_default_executor()
    # Threads of other tests' loops may still be there.
    assert not set(threading.enumerate()) - before


def test_an_idle_process_moves_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", IDLE], capture_output=True, text=True, check=True)
    # It would have started a thread for that, and kept it.
    assert done.stdout == "1\n"


@pytest.mark.parametrize(
    ("enabled", "size", "can"),
    [
        ("always [madvise] never", "2097152", True),
        ("[always] madvise never", "2097152", True),
        ("always madvise [never]", "2097152", False),
        ("[always] madvise never", "536870912", False),
        ("[always] madvise never", None, False),
        (None, "2097152", False),
    ],
)
async def test_the_machines_owner_says_whether_there_are_huge_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enabled: str | None, size: str | None, can: bool
) -> None:
    for name, text in (("enabled", enabled), ("hpage_pmd_size", size)):
        if text is not None:
            (tmp_path / name).write_text(f"{text}\n")
    monkeypatch.setattr(process, "HUGE_PAGES", tmp_path)
    assert process.can_have_huge_pages() is can
    if not can:
        await process.keep_in_huge_pages()


def turns() -> tuple[int, int, int]:
    """How this thread takes turns: policy with its flag, niceness, and the nanoseconds of a turn (0: not told)."""
    attributes = ctypes.create_string_buffer(56)
    number = ctypes.c_long(SCHED_GETATTR[platform.machine()])
    assert LIBRARY.syscall(number, 0, attributes, len(attributes), 0) == 0
    _, policy, flags, niceness, _, runtime, *_ = struct.unpack("<IIQiIQQQII", attributes.raw)
    return policy | (os.SCHED_RESET_ON_FORK if flags & 1 else 0), niceness, runtime


def turns_of_a_program() -> tuple[int, ...]:
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    return tuple(int(number) for number in re.findall(r"\d+", done.stdout))


def in_a_thread(work: Callable[[], Any]) -> Any:
    """What comes of the work in a thread of its own, which ends with it."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(work).result()


def test_the_thread_that_asks_takes_short_turns_and_what_it_starts_does_not() -> None:
    usual = turns()

    def ask() -> tuple[bool, Any, Any, Any]:
        return process.take_short_turns(), turns(), in_a_thread(turns), turns_of_a_program()

    is_taken, own, of_thread, of_program = in_a_thread(ask)
    assert of_thread == of_program == usual == turns()
    if is_taken:
        # Earlier kernels take it and do not mind.
        told = process.TURN_NANOSECONDS if kernel() >= (6, 12) else usual[2]
        assert own == (usual[0] | os.SCHED_RESET_ON_FORK, usual[1], told)
    else:
        assert own == usual
    assert is_taken or kernel() < (6, 12)


def test_asking_twice_changes_nothing() -> None:
    def ask() -> tuple[bool, Any, bool, Any]:
        return process.take_short_turns(), turns(), process.take_short_turns(), turns()

    first, after_first, second, after_second = in_a_thread(ask)
    assert (first, after_first) == (second, after_second)


def test_the_niceness_that_an_operator_gave_is_kept_and_handed_on() -> None:
    def ask() -> tuple[int, int]:
        os.setpriority(os.PRIO_PROCESS, 0, 7)
        process.take_short_turns()
        return turns()[1], in_a_thread(turns)[1]

    assert in_a_thread(ask) == (7, 7)


def test_who_goes_before_others_hands_that_on() -> None:
    def ask() -> tuple[int, bool, int]:
        # Only root may; others try it with what they have.
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, -5)
        process.take_short_turns()
        return turns()[1], bool(turns()[0] & os.SCHED_RESET_ON_FORK), in_a_thread(turns)[1]

    own, is_reset, of_thread = in_a_thread(ask)
    assert own == of_thread
    assert not (own < 0 and is_reset)


@pytest.mark.parametrize("policy", [os.SCHED_BATCH, os.SCHED_IDLE])
def test_who_was_told_how_to_take_turns_is_left_alone(policy: int) -> None:
    def ask() -> tuple[Any, bool, Any]:
        os.sched_setscheduler(0, policy, os.sched_param(0))
        return turns(), process.take_short_turns(), turns()

    before, is_taken, after = in_a_thread(ask)
    assert before[0] == policy
    assert not is_taken
    assert after == before
