"""Listening sockets that were open before the process started, as systemd hands them over: a restart refuses nobody.

The protocol is sd_listen_fds(3): descriptors from the third on, their number, whose they are, and their names.
"""

import os
import socket
from collections.abc import MutableMapping

from vemetric import errors

FIRST_DESCRIPTOR = 3
# Far more than there are listeners and addresses of a machine.
SOCKETS_MAX = 64
# What a socket is for, by the name in its unit; one with any other name is for everything.
SHARED, HUB, OPERATORS, CHALLENGES = "vemetric", "hub", "admin", "acme"
VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")

Handed = dict[str, list[socket.socket]]


def take(environ: MutableMapping[str, str], first: int = FIRST_DESCRIPTOR) -> Handed:
    """The sockets handed to this process, by what they are for. The variables go: no child shall take them for its own.

    Raises Misconfigured where something was handed over that cannot be listened on.
    """
    pid, count, names = (environ.pop(name, "") for name in VARIABLES)
    if pid != str(os.getpid()) or not count.isdecimal():
        return {}
    if int(count) > SOCKETS_MAX:
        raise errors.Misconfigured(f"LISTEN_FDS is {count}: no more than {SOCKETS_MAX} sockets can be handed over.")
    found: Handed = {}
    for number, name in zip(range(int(count)), [*names.split(":"), *[""] * int(count)], strict=False):
        found.setdefault(name if name in (HUB, OPERATORS, CHALLENGES) else SHARED, []).append(_opened(first + number))
    return found


def check(handed: Handed, has_hub: bool, has_operators: bool, has_challenges: bool) -> None:
    """Raise Misconfigured where a socket is for a listener that no setting asks for."""
    for name, setting, is_set in (
        (HUB, "VEMETRIC_HUB_LISTEN", has_hub),
        (OPERATORS, "VEMETRIC_ADMIN_LISTEN", has_operators),
        (CHALLENGES, "VEMETRIC_ACME_DOMAINS", has_challenges),
    ):
        if name in handed and not is_set:
            raise errors.Misconfigured(f"A socket named {name} was handed over, but {setting} is not set.")


def _opened(descriptor: int) -> socket.socket:
    try:
        opened = socket.socket(fileno=descriptor)
        is_listening = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise errors.Misconfigured(f"Descriptor {descriptor} was handed over, but is no socket ({error}).") from error
    if opened.family not in (socket.AF_INET, socket.AF_INET6) or not is_listening:
        opened.detach()
        raise errors.Misconfigured(
            f"Descriptor {descriptor} was handed over, but is no listening TCP socket: in its unit ListenStream= must "
            "be a port, or an address with a port, and Accept= no."
        )
    opened.set_inheritable(False)
    return opened
