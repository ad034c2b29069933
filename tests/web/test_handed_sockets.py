"""Sockets handed over at the start: whose they are, what each is for, and what is refused."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from vemetric import errors
from vemetric.web import handed_sockets
from vemetric.web.handed_sockets import CHALLENGES, HUB, OPERATORS, SHARED, SOCKETS_MAX

# Where nothing else is open in a test's process.
FIRST = 400

Place = Callable[..., dict[str, str]]


@pytest.fixture
def place() -> Iterator[Place]:
    """A function that puts descriptors where a parent would, and answers the environment it would set."""
    with ExitStack() as stack:

        def placed(*sockets: socket.socket, names: str = "", pid: int | None = None) -> dict[str, str]:
            for number, one in enumerate(sockets):
                os.dup2(one.fileno(), FIRST + number)
                one.close()
            pid = os.getpid() if pid is None else pid
            return {"LISTEN_PID": str(pid), "LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": names, "A": "b"}

        yield placed
        for number in range(FIRST, FIRST + 5):
            try:
                stack.callback(os.close, os.dup(number))
                os.close(number)
            except OSError:
                break


def listening(host: str = "127.0.0.1") -> socket.socket:
    return socket.create_server((host, 0))


def test_each_is_for_what_its_name_says(place: Place) -> None:
    environ = place(*(listening() for _ in range(5)), names="vemetric.socket:admin:hub:acme")
    handed = handed_sockets.take(environ, FIRST)
    assert {name: [one.fileno() for one in found] for name, found in handed.items()} == {
        SHARED: [FIRST, FIRST + 4],
        OPERATORS: [FIRST + 1],
        HUB: [FIRST + 2],
        CHALLENGES: [FIRST + 3],
    }
    assert not any(one.get_inheritable() for found in handed.values() for one in found)
    assert environ == {"A": "b"}
    for one in (one for found in handed.values() for one in found):
        one.detach()


def test_those_of_another_process_are_left_alone(place: Place) -> None:
    environ = place(listening(), pid=os.getpid() + 1)
    assert handed_sockets.take(environ, FIRST) == {}
    assert environ == {"A": "b"}
    assert handed_sockets.take({}, FIRST) == {}


def test_what_cannot_be_listened_on_is_refused(place: Place) -> None:
    unbound = socket.socket()
    with pytest.raises(errors.Misconfigured, match="no listening TCP socket"):
        handed_sockets.take(place(unbound), FIRST)
    with pytest.raises(errors.Misconfigured, match="no listening TCP socket"):
        handed_sockets.take(place(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)), FIRST)
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
    with pytest.raises(errors.Misconfigured, match="is no socket"):
        handed_sockets.take(environ, FIRST + 90)


def test_there_are_no_more_than_so_many(place: Place) -> None:
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(SOCKETS_MAX + 1)}
    with pytest.raises(errors.Misconfigured, match=f"no more than {SOCKETS_MAX}"):
        handed_sockets.take(environ, FIRST)


@pytest.mark.parametrize(
    ("name", "setting"),
    [(HUB, "VEMETRIC_HUB_LISTEN"), (OPERATORS, "VEMETRIC_ADMIN_LISTEN"), (CHALLENGES, "VEMETRIC_ACME_DOMAINS")],
)
def test_a_listener_that_no_setting_asks_for_is_refused(name: str, setting: str) -> None:
    names = (HUB, OPERATORS, CHALLENGES)
    handed_sockets.check({name: []}, *(one == name for one in names))
    with pytest.raises(errors.Misconfigured, match=f"named {name} was handed over, but {setting} is not set"):
        handed_sockets.check({name: []}, *(one != name for one in names))
