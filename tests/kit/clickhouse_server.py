"""The HTTP front of tests/kit/clickhouse_http.py as a process: started, stopped, killed and started again."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote
from urllib.request import Request, urlopen

import msgspec

ROOT = Path(__file__).parents[2]
STOP_SECONDS_MAX = 20


class ClickHouseServer:
    """One server over a directory; it keeps its port, so that what lost it finds it again."""

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        user: str = "default",
        password: str = "",
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        self.port = port
        self.user = user
        self.password = password
        self._directory = directory
        self._tls = ["--certificate", str(certificate), "--key", str(key)] if certificate else []
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def url(self, database: str = "") -> str:
        """As CLICKHOUSE_URL names it, credentials and database included."""
        scheme = "https" if self._tls else "http"
        who = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.password else ""
        return f"{scheme}://{who}127.0.0.1:{self.port}/{database}"

    def start(self) -> Self:
        """Start and wait until it listens."""
        command = [sys.executable, "-m", "tests.kit.clickhouse_http", "--directory", str(self._directory)]
        command += ["--port", str(self.port), "--user", f"{self.user}:{self.password}", *self._tls]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the server did not start"
        self.port = int(line)
        return self

    def ask(self, sql: str, database: str = "default") -> list[list[Any]]:
        """The rows of a SELECT, large numbers as numbers."""
        question = f"{sql} FORMAT JSONCompactEachRow SETTINGS output_format_json_quote_64bit_integers = 0"
        address = f"http://127.0.0.1:{self.port}/?database={database}"
        headers = {"X-ClickHouse-User": self.user, "X-ClickHouse-Key": self.password}
        with urlopen(Request(address, question.encode(), headers), timeout=60) as answer:
            return msgspec.json.Decoder(list[Any]).decode_lines(answer.read())

    def kill(self) -> None:
        """SIGKILL, as when the machine is lost."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it; nothing happens if it does not run."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(how)
        process.wait(STOP_SECONDS_MAX)
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()
