"""Waits for the disk without a thread: the kernel syncs a file and tells the loop by an eventfd. Used by
journal_line.py.

A thread that waits for the disk has to win the interpreter back from a busy loop each time, which takes longer than the
disk. Where the kernel cannot do it (another system, a sandbox), threads do.
"""

import asyncio
import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

# Told on the loop: the number of a sync that was started, and None or why the disk refused.
Synced = Callable[[int, OSError | None], None]

# io_setup, io_destroy, io_getevents, io_submit: there are no functions for them in the C library.
_CALLS: Final = {"x86_64": (206, 207, 208, 209), "aarch64": (0, 1, 4, 2)}
_FDSYNC: Final = 3
_HAS_EVENT_FD: Final = 1
# struct iocb: data, key, flags, operation, priority, file, buffer, bytes, offset, reserved, flags, event's file.
_REQUEST: Final = struct.Struct("<QIIHhIQQqQII")
# struct io_event: data, request, result, second result.
_EVENT: Final = struct.Struct("<QQqq")


class DiskSync(Protocol):
    """Syncs the data of files, several at once."""

    def start(self, number: int, file: int) -> None:
        """Begin to sync what was written to `file` before; `synced` hears of it. OSError where it cannot begin."""

    async def close(self) -> None:
        """Give back what it holds. Nothing may be under way."""


def sync_file(file: int) -> None:
    """Wait until what was written to the file is on the disk."""
    if sys.platform == "darwin":
        import fcntl

        # fsync leaves it in the drive's memory there.
        fcntl.fcntl(file, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(file)


class ThreadSync:
    """A thread for each sync under way, `at_once` at most."""

    def __init__(self, at_once: int, synced: Synced) -> None:
        self._loop = asyncio.get_running_loop()
        self._synced = synced
        self._threads = ThreadPoolExecutor(at_once, "queue-sync")

    def start(self, number: int, file: int) -> None:
        self._threads.submit(self._sync, number, file)

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)

    def _sync(self, number: int, file: int) -> None:
        error = None
        try:
            sync_file(file)
        except OSError as failure:
            error = failure
        self._loop.call_soon_threadsafe(self._synced, number, error)


class KernelSync:
    """The kernel's own threads, by its asynchronous I/O. OSError if this kernel, or a guard around us, has none."""

    def __init__(self, at_once: int, synced: Synced) -> None:
        if sys.platform != "linux" or platform.machine() not in _CALLS:
            raise OSError(errno.ENOSYS, "not on this system")
        self._setup, self._destroy, self._getevents, self._submit = _CALLS[platform.machine()]
        # PyDLL keeps the interpreter during the call: these return at once.
        self._call = ctypes.PyDLL(None, use_errno=True).syscall
        self._call.restype = ctypes.c_long
        self._loop = asyncio.get_running_loop()
        self._synced = synced
        self._at_once = at_once
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._context = ctypes.c_ulong(0)
        self._request = ctypes.create_string_buffer(_REQUEST.size)
        self._list = (ctypes.c_void_p * 1)(ctypes.addressof(self._request))
        self._ended = ctypes.create_string_buffer(_EVENT.size * at_once)
        try:
            self._checked(self._setup, ctypes.c_uint(at_once), ctypes.byref(self._context))
        except OSError:
            os.close(self._event)
            raise
        self._loop.add_reader(self._event, self._some_ended)

    def start(self, number: int, file: int) -> None:
        _REQUEST.pack_into(self._request, 0, number, 0, 0, _FDSYNC, 0, file, 0, 0, 0, 0, _HAS_EVENT_FD, self._event)
        # The kernel reads the request before it returns.
        self._checked(self._submit, self._context, ctypes.c_long(1), self._list)

    async def close(self) -> None:
        self._loop.remove_reader(self._event)
        # Takes as long as the kernel needs to know that nobody looks at it any more: some 35 ms.
        await asyncio.to_thread(self._checked_aside, self._destroy, self._context)
        os.close(self._event)

    def _some_ended(self) -> None:
        try:
            os.eventfd_read(self._event)
        except BlockingIOError:
            return
        ended = self._checked(
            self._getevents, self._context, ctypes.c_long(0), ctypes.c_long(self._at_once), self._ended, None
        )
        # Copied first: who is told of one may start another.
        for number, _, result, _ in list(_EVENT.iter_unpack(self._ended.raw[: ended * _EVENT.size])):
            self._synced(number, OSError(-result, os.strerror(-result)) if result < 0 else None)

    def _checked(self, call: int, *arguments: object) -> int:
        result: int = self._call(ctypes.c_long(call), *arguments)
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return result

    def _checked_aside(self, call: int, *arguments: object) -> None:
        # From another thread, the interpreter given away meanwhile.
        ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(call), *arguments)


async def best(at_once: int, synced: Synced, file: int) -> DiskSync:
    """The kernel's way where it works for this file, tried once; else threads."""
    tried: asyncio.Future[OSError | None] = asyncio.get_running_loop().create_future()

    def told(number: int, error: OSError | None) -> None:
        if not tried.done():
            tried.set_result(error)
        else:
            synced(number, error)

    try:
        sync = KernelSync(at_once, told)
    except OSError:
        return ThreadSync(at_once, synced)
    try:
        sync.start(0, file)
        if await tried is None:
            return sync
    except OSError:
        pass
    await sync.close()
    return ThreadSync(at_once, synced)
