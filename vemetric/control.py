"""The local socket in the data directory: the command line asks the running process through it.

One line of JSON each way: {"command", "arguments"} and {"result"} or {"error", "status", "fields"}. Only the owner of
the data directory can open the socket; whoever can may do everything the command line does.
"""

import asyncio
import hashlib
import json
import logging
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vemetric import errors

if TYPE_CHECKING:
    from vemetric.services import Services

SOCKET_NAME = "control.sock"
# Says where the socket is when its path below the data directory would be too long for the system.
POINTER_NAME = "control.path"
# The address of a Unix socket has 104 to 108 bytes, a final zero included.
PATH_BYTES_MAX = 100
FALLBACK_PREFIX = "vemetric-"
FALLBACK_DIGITS = 12

LINE_BYTES_MAX = 1 << 20
REQUEST_SECONDS_MAX = 10.0
# An answer may need the longest query a page may make, and then some.
ANSWER_SECONDS_MAX = 120.0
# The workers finish a batch first, and large files are copied.
LONG_ANSWERS_SECONDS_MAX = {"backup stage": 3600.0}
COMMANDS_AT_ONCE_MAX = 4

log = logging.getLogger("vemetric")


class NotListening(Exception):
    """No process answers for this data directory."""


class Refused(errors.VemetricError):
    """The process answered with an error; status and fields are those of the error it raised."""

    def __init__(self, message: str, status: int, fields: Mapping[str, str]) -> None:
        super().__init__(message)
        self.status = status
        self.fields = dict(fields)


def ask(data_dir: Path, command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Have the running process do a command. Raises NotListening, Refused, or Unavailable when it does not answer."""
    request = json.dumps({"command": command, "arguments": dict(arguments)}).encode() + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(_socket_path(data_dir)))
        except OSError as error:
            raise NotListening from error
        client.settimeout(LONG_ANSWERS_SECONDS_MAX.get(command, ANSWER_SECONDS_MAX))
        try:
            client.sendall(request)
            with client.makefile("rb") as answers:
                line = answers.readline()
        except OSError as error:
            raise errors.Unavailable(f"The running process did not answer: {error}.") from error
    if not line.endswith(b"\n"):
        raise errors.Unavailable("The running process stopped before it answered.")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise Refused(answer["error"], answer["status"], answer["fields"])
    result: dict[str, Any] = answer["result"]
    return result


def listens(data_dir: Path) -> bool:
    """Whether a process answers for this data directory."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(_socket_path(data_dir)))
        except OSError:
            return False
    return True


@asynccontextmanager
async def listening(services: "Services") -> AsyncIterator[None]:
    """Answer commands while the block runs, and finish those under way. This process owns the data directory."""
    data_dir = services.config.data_dir
    _clear(data_dir)
    turns = asyncio.Semaphore(COMMANDS_AT_ONCE_MAX)
    under_way: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_serve(services, turns, reader, writer))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    server = await asyncio.start_unix_server(connected, sock=_bind(_new_path(data_dir)), limit=LINE_BYTES_MAX)
    try:
        yield
    finally:
        server.close()
        _clear(data_dir)
        if under_way:
            _, late = await asyncio.wait(under_way, timeout=services.config.drain_seconds)
            for task in late:
                task.cancel()
        await server.wait_closed()


async def _serve(
    services: "Services", turns: asyncio.Semaphore, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        async with asyncio.timeout(REQUEST_SECONDS_MAX):
            line = await reader.readline()
        if not line:
            # Whoever only looked whether somebody listens, as `listens` does.
            return
        async with turns:
            answer = await _answer(services, line)
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
    except (OSError, ValueError, TimeoutError):
        log.debug("A command went away before its answer.", exc_info=True)
    finally:
        writer.close()


async def _answer(services: "Services", line: bytes) -> dict[str, Any]:
    # Here, because asking needs none of what answering does, and the command line must start fast.
    from vemetric import commands

    try:
        command, arguments = _request(line)
        return {"result": await commands.run(services, command, arguments)}
    except errors.VemetricError as error:
        return {"error": error.message, "status": error.status, "fields": getattr(error, "fields", {})}
    except Exception:
        log.exception("A command of the command line failed.")
        return {"error": "The running process failed at this; its log says why.", "status": 500, "fields": {}}


def _request(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        request = json.loads(line)
        command, arguments = request["command"], request["arguments"]
    except (ValueError, KeyError, TypeError):
        command = arguments = None
    if not isinstance(command, str) or not isinstance(arguments, dict):
        raise errors.Invalid('A request is one line of JSON, {"command": "...", "arguments": {...}}.')
    return command, arguments


def _socket_path(data_dir: Path) -> Path:
    try:
        return Path((data_dir / POINTER_NAME).read_text())
    except OSError:
        return data_dir / SOCKET_NAME


def _new_path(data_dir: Path) -> Path:
    """Where to listen: in the data directory, or in a private one whose path is short, and pointed to."""
    path = data_dir / SOCKET_NAME
    if len(os.fsencode(path)) <= PATH_BYTES_MAX:
        return path
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp's is private
        if parent and os.path.isdir(parent) and len(os.fsencode(parent)) + len(SOCKET_NAME) + 24 <= PATH_BYTES_MAX:
            path = _private_directory(parent, data_dir) / SOCKET_NAME
            path.unlink(missing_ok=True)
            break
    pointer = data_dir / POINTER_NAME
    pointer.touch(mode=0o600)
    pointer.write_text(str(path))
    return path


def _private_directory(parent: str, data_dir: Path) -> Path:
    """A directory that only we may enter: always the same one, so that a killed process leaves no more than that."""
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:FALLBACK_DIGITS]
    path = Path(parent) / f"{FALLBACK_PREFIX}{digest}"
    try:
        path.mkdir(mode=0o700)
    except OSError:
        found = path.lstat() if os.path.lexists(path) else None
        is_ours = found is not None and stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
        if found is None or not is_ours or found.st_mode & 0o077:
            # Anybody may have put something there.
            return Path(tempfile.mkdtemp(prefix=FALLBACK_PREFIX, dir=parent))
    return path


def _bind(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Before it has a name, so that there is no moment in which others could open it; again for other systems.
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(str(path))
        path.chmod(0o600)
    except OSError as error:
        listener.close()
        raise errors.Misconfigured(f"The socket {path} for the command line cannot be made: {error}.") from error
    return listener


def _clear(data_dir: Path) -> None:
    """Remove the socket, also one that a killed process has left."""
    path = _socket_path(data_dir)
    path.unlink(missing_ok=True)
    (data_dir / POINTER_NAME).unlink(missing_ok=True)
    if path.parent != data_dir and path.parent.name.startswith(FALLBACK_PREFIX):
        shutil.rmtree(path.parent, ignore_errors=True)
