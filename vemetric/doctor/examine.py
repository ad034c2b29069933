"""All checks of the doctor, one after the other. Called by the command line."""

from collections.abc import Callable, Iterator
from typing import Any

from vemetric import control, errors
from vemetric.config import Config
from vemetric.doctor import of_certificate, of_machine, of_service
from vemetric.doctor.finding import PROBLEM, Finding, Machine

Check = Callable[[Config, Machine], Iterator[Finding]]

IDENTIFY_COMMAND = "identify"
CHECKS: tuple[Check, ...] = (
    of_machine.data,
    of_machine.permissions,
    of_machine.disk,
    of_machine.network_disk,
    of_machine.clock,
    of_machine.open_files,
    of_machine.versions,
    of_machine.stores,
    of_service.port,
    of_service.public_url,
    of_service.proxies,
    of_certificate.certificate,
    of_certificate.challenges,
    of_service.mail,
    of_service.places,
)


def examine(config: Config, machine: Machine | None = None) -> dict[str, Any]:
    """Every finding. machine: other facts than those of this machine. Changes nothing."""
    machine = machine or Machine.read(config, _running(config))
    # Several checks may meet the same.
    found = list(dict.fromkeys(finding for check in CHECKS for finding in _tried(check, config, machine)))
    return {
        "isRunning": machine.running is not None,
        "checks": len(CHECKS),
        "problems": sum(finding.level == PROBLEM for finding in found),
        "findings": [finding._asdict() for finding in found],
    }


def _tried(check: Check, config: Config, machine: Machine) -> Iterator[Finding]:
    """What a check finds; what it may not look at is a finding itself."""
    try:
        yield from check(config, machine)
    except PermissionError as error:
        fix = "Run this as the user that the server runs as, or as the administrator."
        yield Finding("permissions", PROBLEM, f"This user may not look at {error.filename}.", fix)


def _running(config: Config) -> dict[str, str] | None:
    try:
        return control.ask(config.data_dir, IDENTIFY_COMMAND, {})
    except control.NotListening:
        return None
    except control.Refused:
        # A process of before there was a doctor.
        return {"version": "older", "filesMax": str(of_machine.FILES_MIN)}
    except errors.Unavailable:
        return None
