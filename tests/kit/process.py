"""The product as a process of its own: started, waited for, asked by its command line, killed."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[2]
EXECUTABLE = ROOT / "dist" / "vemetric.pyz"
READY = re.compile(r"Vemetric is ready at (\S+)")
SETUP_LINK = re.compile(r"(\S+/setup\S*)")
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 40


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """One process over a data directory. `command` is how it is started, the built executable by default."""

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        environ: dict[str, str] | None = None,
        command: Sequence[str] = (sys.executable, str(EXECUTABLE)),
    ) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self._command = list(command)
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(data_dir.parent),
            "VEMETRIC_DATA_DIR": str(data_dir),
            "VEMETRIC_LISTEN": f"127.0.0.1:{self.port}",
            # One unpacked copy for all tests of a run, beside the executable.
            "SHIV_ROOT": str(ROOT / "dist" / ".runtime"),
            **(environ or {}),
        }
        self._process: subprocess.Popen[str] | None = None
        self.log: list[str] = []

    @property
    def url(self) -> str:
        scheme = "https" if "VEMETRIC_TLS_CERTIFICATE" in self.environ else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> "Server":
        """Start and wait for the line that says it is ready."""
        # An event of this start's own: the reader of a process killed just before may still be at its last lines.
        told = threading.Event()
        lines_before = len(self.log)
        self._process = subprocess.Popen(
            [*self._command, "serve"], env=self.environ, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._read, args=(self._process, told), daemon=True).start()
        if not told.wait(START_SECONDS_MAX):
            self.kill()
            raise AssertionError("not ready:\n" + "\n".join(self.log))
        if not any(READY.search(line) for line in self.log[lines_before:]):
            self._process.wait(STOP_SECONDS_MAX)
            raise AssertionError("ended at start:\n" + "\n".join(self.log))
        return self

    def setup_link(self) -> str:
        """The link of the last start's ready line."""
        line = next(line for line in reversed(self.log) if READY.search(line))
        found = SETUP_LINK.search(line)
        assert found is not None, line
        return found.group(1)

    def kill(self) -> None:
        """SIGKILL: no chance to finish anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """SIGTERM, and the exit code of an orderly end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(STOP_SECONDS_MAX)

    def end(self) -> None:
        """Stop it if it runs, in order; nothing may have gone wrong in it that nobody foresaw."""
        try:
            if self.wait(0) is None:
                assert self.stop() == 0
            assert not any("Traceback" in line for line in self.log), "\n".join(self.log)
        finally:
            self.kill()

    def wait(self, seconds: float) -> int | None:
        """The exit code, if the process ends by itself within the time."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def command(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """A command of the command line as a script gives it, beside the process or without it."""
        return subprocess.run(
            [*self._command, *arguments],
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def run(self, *arguments: str, check: bool = True) -> Any:
        """The document that a command answers with --json."""
        done = self.command(*arguments, "--json")
        if check and done.returncode != 0:
            raise AssertionError(f"{arguments} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return msgspec.json.decode(done.stdout)

    def resident_mb(self) -> float:
        """Memory the process holds, in megabytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found.group(1)) / 1000

    def _read(self, process: "subprocess.Popen[str]", told: threading.Event) -> None:
        """Collect the log; tell when the process is ready, or has ended."""
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self.log.append(line.rstrip())
                if READY.search(line):
                    told.set()
        told.set()


def wait_for(condition: Any, what: str, seconds: float = 30.0) -> Any:
    """Ask again and again until the condition is truthy; an assertion error names what never came."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come within {seconds:g} s")
