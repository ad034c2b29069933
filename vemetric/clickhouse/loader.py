"""Load chDB's extension module without its Python layer. Used by embedded.py only.

The package's own __init__ imports pyarrow and pandas, changes the working directory and runs a query at import; the
extension needs none of that. This is not a documented entry, so the version is pinned and `load` checks what it found.
"""

import contextlib
import ctypes
import functools
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import sys
import threading
from pathlib import Path
from typing import Any

from vemetric import errors

PACKAGE = "chdb"
DISTRIBUTION = "chdb-core"
EXTENSION = "_chdb"
# Freed memory goes back to the system after this time instead of 5 s: hundreds of MB resident less between queries.
ALLOCATOR_SETTINGS = ("JE_MALLOC_CONF", "dirty_decay_ms:500,muzzy_decay_ms:0")
# Code is mapped read-only from the file, so dropping its pages loses nothing.
MAPS = Path("/proc/self/maps")
THREADS = Path("/proc/self/task")
# Of 19. A quarter of the processor where they compete, all of it where nobody does.
MERGE_NICENESS = 5
CODE_PERMISSIONS = "r-xp"
MADV_DONTNEED = 4
EXPECTED_NAMES = ("connect", "query_result", "set_signal_handlers_enabled")


@functools.cache
def load() -> Any:
    """The extension module, loaded once. The process must not fork afterwards (a child would hang).

    Signals stay ours: the engine's own handlers (SEGV, ABRT, TSTP and others) are never installed, so that faulthandler
    and the process's SIGTERM and SIGINT keep working. Raises Misconfigured if the installed chDB is not as expected.
    """
    library = _library()
    # The allocator inside the library reads its settings when it is loaded; the operator's own come first.
    os.environ.setdefault(*ALLOCATOR_SETTINGS)
    # Its symbols must win over equal names of libraries that are loaded already; chDB's own loader does the same.
    ctypes.CDLL(str(library), mode=sys.getdlopenflags() | os.RTLD_DEEPBIND)
    file_loader = importlib.machinery.ExtensionFileLoader(EXTENSION, str(library))
    spec = importlib.util.spec_from_file_location(EXTENSION, library, loader=file_loader)
    if spec is None:
        raise errors.Misconfigured(f"The analytics engine in {library} cannot be loaded.")
    module = importlib.util.module_from_spec(spec)
    file_loader.exec_module(module)
    missing = [name for name in EXPECTED_NAMES if not hasattr(module, name)]
    if missing:
        raise errors.Misconfigured(f"{DISTRIBUTION} {version()} is not the version this program was built for.")
    module.set_signal_handlers_enabled(0)
    return module


def give_back_code() -> int:
    """Let the system take back the engine's code that only its opening needed; returns how many bytes were offered.

    Loading and opening touch most of the library, 100 MB and more that then count as this process's memory for ever.
    The pages are unchanged parts of a file: those that are needed again are mapped again, from the page cache.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    offered = 0
    for line in MAPS.read_text().splitlines():
        addresses, permissions, *rest = line.split(maxsplit=5)
        if permissions == CODE_PERMISSIONS and rest[-1].endswith(f"/{EXTENSION}.abi3.so"):
            start, end = (int(address, 16) for address in addresses.split("-"))
            if libc.madvise(start, end - start, MADV_DONTNEED) == 0:
                offered += end - start
    return offered


def give_way() -> int:
    """Let the engine's own threads, which merge, wait for those that answer and write; returns how many they are.

    All threads but Python's are the engine's. What they start inherits it.
    """
    pythons = {str(thread.native_id) for thread in threading.enumerate()}
    given, niceness = 0, max(MERGE_NICENESS, os.getpriority(os.PRIO_PROCESS, 0))
    for thread in THREADS.iterdir():
        if thread.name not in pythons:
            # One may have ended meanwhile.
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, int(thread.name), niceness)
                given += 1
    return given


def version() -> str:
    """The installed version of the engine, such as '26.9.0'."""
    return importlib.metadata.version(DISTRIBUTION)


def _library() -> Path:
    spec = importlib.machinery.PathFinder.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations if spec else None) or []:
        library = Path(folder) / f"{EXTENSION}.abi3.so"
        if library.exists():
            return library
    raise errors.Misconfigured(f"The analytics engine is not installed: {DISTRIBUTION} has no {EXTENSION}.abi3.so.")
