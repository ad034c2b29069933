"""What systemd does for a service with socket units, small enough for a test: holds sockets all the time, starts the
process with them, and on SIGHUP ends that process and starts it again.

    python socket_parent.py <port>[,<port>] <name>[:<name>] <command> ...
"""

import os
import signal
import socket
import subprocess
import sys

# The child's first steps: only there its own process id is known, and the descriptor can be put in its place.
HAND_OVER = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_SETMASK, ())
handed = [int(number) for number in sys.argv[1].split(",")]
for place, number in enumerate(handed, 3):
    os.dup2(number, place)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(handed)), LISTEN_FDNAMES=sys.argv[2])
os.execvp(sys.argv[3], sys.argv[3:])
"""


def main(ports: str, names: str, *command: str) -> int:
    listening = [socket.create_server(("127.0.0.1", int(port)), backlog=4096) for port in ports.split(",")]
    asked = (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
    signal.pthread_sigmask(signal.SIG_BLOCK, asked)
    while True:
        child = start(listening, names, command)
        number = signal.sigwait(asked)
        while number == signal.SIGCHLD and child.poll() is None:
            # It was stopped, or goes on.
            number = signal.sigwait(asked)
        if number != signal.SIGCHLD:
            child.send_signal(signal.SIGTERM)
        code = child.wait()
        if number != signal.SIGHUP or code:
            return code
        # That of the child which has just ended.
        signal.sigtimedwait([signal.SIGCHLD], 1)


def start(listening: list[socket.socket], names: str, command: tuple[str, ...]) -> "subprocess.Popen[bytes]":
    # 10 and more, so that putting them in place closes nothing else.
    handed = [os.dup2(one.fileno(), 10 + number) for number, one in enumerate(listening)]
    starter = [sys.executable, "-c", HAND_OVER, ",".join(map(str, handed)), names, *command]
    return subprocess.Popen(starter, pass_fds=handed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
