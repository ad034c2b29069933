"""What only the engine in the process can break: ownership of the directory, signals, durability, loading."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from vemetric import errors
from vemetric.clickhouse import directory

ROOT = Path(__file__).resolve().parents[2]

PREAMBLE = """
import asyncio, faulthandler, os, signal, sys
from pathlib import Path
from vemetric import errors
from vemetric.clickhouse import migrate, rows
from vemetric.clickhouse.embedded import EmbeddedEngine
from vemetric.clickhouse.sink import Sink

async def opened():
    engine = await EmbeddedEngine.open(Path(sys.argv[1]))
    await migrate.migrate(engine)
    return engine

def an_event(event_id):
    values = {"sign": 1, "projectId": 1, "userId": 2, "id": event_id, "createdAt": rows.timestamp(1767225600123)}
    values |= {"deviceId": 3, "isPageView": 1, "latitude": None, "longitude": None}
    return tuple(values.get(column, "") for column in rows.EVENT_COLUMNS)
"""


def start(body: str, path: Path) -> "subprocess.Popen[str]":
    """Run a program that may use the preamble's names, over the engine's directory `path`."""
    program = PREAMBLE + textwrap.dedent(body)
    return subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def output(body: str, path: Path) -> str:
    process = start(body, path)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.strip()


COUNT = """
async def main():
    engine = await opened()
    print((await engine.query("SELECT count(), uniqExact(id) FROM event FINAL"))[0])
    await engine.close()
asyncio.run(main())
"""


@pytest.fixture
def owner(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that owns tmp_path until its standard input closes."""
    process = start(
        """
        async def main():
            engine = await opened()
            print("ready", flush=True)
            sys.stdin.read()
            await engine.close()
        asyncio.run(main())
        """,
        tmp_path,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_second_process_says_who_owns_the_directory(owner: "subprocess.Popen[str]", tmp_path: Path) -> None:
    said = output(
        """
        try:
            asyncio.run(opened())
        except errors.Misconfigured as error:
            print(error.message)
        """,
        tmp_path,
    )
    assert f"process {owner.pid}" in said
    assert str(tmp_path) in said


def test_the_directory_is_free_again_after_close_and_can_be_reopened_in_the_same_process(tmp_path: Path) -> None:
    said = output(
        """
        async def main():
            for number in range(2):
                engine = await opened()
                await Sink(engine).insert_events([an_event(f"e{number}")])
                await engine.close()
            engine = await opened()
            print(await engine.query("SELECT id FROM event ORDER BY id"))
            await engine.close()
        asyncio.run(main())
        """,
        tmp_path,
    )
    assert said == "[['e0'], ['e1']]"


def test_what_insert_returned_for_survives_a_kill(tmp_path: Path) -> None:
    killed = start(
        """
        async def main():
            sink = Sink(await opened())
            for number in range(100_000):
                await sink.insert_events([an_event(f"e{number}-{row}") for row in range(50)])
                print(number, flush=True)
        asyncio.run(main())
        """,
        tmp_path,
    )
    assert killed.stdout is not None
    for expected in range(20):
        assert killed.stdout.readline() == f"{expected}\n"
    killed.kill()
    inserts = 20 + len(killed.communicate(timeout=30)[0].splitlines())
    stored, ids = (int(number) for number in output(COUNT, tmp_path).strip("[]").split(","))
    assert stored == ids
    assert stored in (inserts * 50, (inserts + 1) * 50)


def test_a_kill_inside_an_insert_leaves_all_of_it_or_nothing(tmp_path: Path) -> None:
    for moment, stored in (("before-insert", "[0, 0]"), ("after-insert", "[50, 50]")):
        path = tmp_path / moment
        killed = start(
            f"""
            def probe(moment):
                if moment == "{moment}":
                    os.kill(os.getpid(), signal.SIGKILL)

            async def main():
                await Sink(await opened(), probe).insert_events([an_event(f"e{{row}}") for row in range(50)])
            asyncio.run(main())
            """,
            path,
        )
        killed.communicate(timeout=30)
        assert killed.returncode == -signal.SIGKILL
        assert output(COUNT, path) == stored


def test_close_does_not_wait_for_a_long_query(tmp_path: Path) -> None:
    said = output(
        """
        async def main():
            engine = await opened()
            endless = "SELECT count() FROM numbers(1000000000000) WHERE sin(number) > 2"
            read = asyncio.create_task(engine.query(endless))
            running = "SELECT count() FROM system.processes WHERE query_kind = 'Select'"
            while await engine.query(running) != [[2]]:
                pass
            await engine.close()
            print(type(read.exception() if read.done() else (await asyncio.gather(read, return_exceptions=True))[0]))
        asyncio.run(main())
        """,
        tmp_path,
    )
    assert "StoreBusy" in said


def test_signals_and_faulthandler_stay_the_process_own(tmp_path: Path) -> None:
    process = start(
        """
        async def main():
            faulthandler.enable()
            engine = await opened()
            got = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, got.set)
            print("ready", flush=True)
            await got.wait()
            await engine.close()
            print("closed", flush=True)
            os.kill(os.getpid(), signal.SIGSEGV)
        asyncio.run(main())
        """,
        tmp_path,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    out, err = process.communicate(timeout=30)
    assert out == "closed\n"
    assert process.returncode == -signal.SIGSEGV
    assert "Segmentation fault" in err


def test_loads_without_the_packages_that_chdb_declares(tmp_path: Path) -> None:
    said = output(
        """
        asyncio.run(opened())
        print(sorted({"chdb", "pyarrow", "pandas", "numpy"} & set(sys.modules)), os.getcwd())
        """,
        tmp_path,
    )
    assert said == f"[] {ROOT}"


def test_an_older_program_refuses_a_newer_directory(tmp_path: Path) -> None:
    directory.Directory.own(tmp_path, "26.9.0").release()
    for newer in ({"format": directory.FORMAT + 1, "engine": "26.9.0"}, {"format": 1, "engine": "26.10.1"}):
        (tmp_path / directory.FORMAT_NAME).write_text(str(newer).replace("'", '"'))
        with pytest.raises(errors.Misconfigured, match="newer version"):
            directory.Directory.own(tmp_path, "26.9.0")


def test_a_newer_program_takes_an_older_directory_over(tmp_path: Path) -> None:
    directory.Directory.own(tmp_path, "26.8.0").release()
    directory.Directory.own(tmp_path, "26.9.0").release()
    with pytest.raises(errors.Misconfigured, match="newer version"):
        directory.Directory.own(tmp_path, "26.8.0")


def test_refuses_a_directory_name_that_the_engine_would_misread(tmp_path: Path) -> None:
    with pytest.raises(errors.Misconfigured, match="character in its name"):
        directory.Directory.own(tmp_path / "what?", "26.9.0")
    assert not (tmp_path / "what?").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"format": "one"}', b'{"format": 1}'])
def test_a_damaged_note_of_the_format_is_told_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / directory.FORMAT_NAME).write_bytes(content)
    with pytest.raises(errors.Misconfigured, match=r"format\.json is damaged .* delete it\."):
        directory.Directory.own(tmp_path, "26.9.0")
    (tmp_path / directory.FORMAT_NAME).unlink()
    directory.Directory.own(tmp_path, "26.9.0").release()
