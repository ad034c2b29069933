"""The command line. `serve` is the process itself; every other command asks the running process over its socket, or
opens the stores under the same lock when there is none.

Exit codes: 0 done; 1 it failed, verify found a difference, or a letter was not sent; 2 wrong usage or input; 3 the
process or a store cannot be reached. Errors are one sentence on stderr; with --json, standard output is always one JSON
document, {"error": ...} if it failed. Modules are imported where they are needed, so that a small command starts fast.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from vemetric import __version__

if TYPE_CHECKING:
    from vemetric.config import Config
    from vemetric.errors import VemetricError

OK, FAILED, WRONG_INPUT, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130

# How long a command waits for a process that starts or stops and so neither answers nor lets go of its data.
BUSY_SECONDS_MAX = 15
BUSY_LOOK_SECONDS = 0.25
# Less than the image's health check allows.
HEALTH_SECONDS_MAX = 4
HEALTH_PATH = "/up"
# Whoever listens on every interface is asked on the machine's own.
OF_EVERY_INTERFACE = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}  # noqa: S104
# What may come before the first start. Any other command asks for what is there already.
MAKING_COMMANDS = {"account create", "project create", "demo"}

Result = dict[str, Any]


class Parser(argparse.ArgumentParser):
    """Tells wrong usage as every other error is told."""

    as_json = False

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        _tell_error(f"{message[:1].upper()}{message[1:]}.", Parser.as_json)
        raise SystemExit(WRONG_INPUT)


def main(arguments: Sequence[str], probe: Callable[[str], None] | None = None) -> int:
    """Run a command; returns the exit code. probe: handed to the process that `serve` runs (crash tests)."""
    Parser.as_json = "--json" in arguments
    try:
        options = _parser().parse_args(arguments, argparse.Namespace(json=False))
    except SystemExit as stop:
        return int(stop.code or OK)
    try:
        code = _run(options, probe)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough. Nothing more can be written, not even at the end of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _run(options: argparse.Namespace, probe: Callable[[str], None] | None) -> int:
    if options.command == "version":
        _tell({"version": __version__}, f"vemetric {__version__}", options.json)
        return OK
    from vemetric import config, errors

    try:
        settings, warnings = config.load(os.environ)
        # What is made in the data directory is its owner's alone, whoever may look into the directory.
        os.umask(0o077)
        if options.command == "serve":
            return _serve(settings, warnings, probe)
        if options.command == "config":
            result = _config(settings)
        elif options.command == "move":
            result = _move(settings, options)
        elif options.command == "backup":
            result = _backup(settings, options)
        elif options.command == "doctor":
            result = _doctor(settings)
        elif options.command == "restore":
            result = _restore(settings, options)
        elif options.command == "healthcheck":
            result = _healthcheck(settings)
        else:
            result = _do(settings, options.command, _arguments(options))
    except errors.VemetricError as error:
        _tell_error(error.message, options.json)
        return _exit_code(error)
    from vemetric import cli_text

    _tell(result, cli_text.of(options.command, result), options.json)
    is_bad = result.get("difference") or result.get("problems") or result.get("isSent") is False
    return FAILED if is_bad else OK


def _serve(settings: "Config", warnings: list[str], probe: Callable[[str], None] | None) -> int:
    import uvloop

    from vemetric import logs, serve

    logs.set_up(settings.log_level, settings.log_format)
    uvloop.run(serve.serve(settings, warnings, **({} if probe is None else {"probe": probe})))
    return OK


def _move(settings: "Config", options: argparse.Namespace) -> Result:
    """Here and never by the running process: it has to be stopped."""
    import asyncio

    from vemetric.backup import presence
    from vemetric.moving import move

    to = {name: getattr(options, f"to{name.capitalize()}") for name in move.TARGETS}
    after = move.settings_after(os.environ, to)
    presence.require(settings)
    result = asyncio.run(move.move(settings, after, lambda line: print(line, file=sys.stderr)))
    return result | {"settings": {move.TARGETS[name]: address for name, address in to.items() if address}}


def _backup(settings: "Config", options: argparse.Namespace) -> Result:
    from pathlib import Path

    from vemetric.moving import backup

    return backup.take(settings, Path(options.folder), lambda command, arguments: _do(settings, command, arguments))


def _doctor(settings: "Config") -> Result:
    from vemetric.doctor import examine

    return examine.examine(settings)


def _restore(settings: "Config", options: argparse.Namespace) -> Result:
    from pathlib import Path

    from vemetric.backup import restore

    return restore.restore(settings, Path(options.folder), force=options.force)


def _do(settings: "Config", command: str, arguments: Result) -> Result:
    """Have a command done by the running process, or do it here while no process can start."""
    from vemetric import control, errors

    give_up_at = time.monotonic() + BUSY_SECONDS_MAX
    while True:
        try:
            return control.ask(settings.data_dir, command, arguments)
        except control.NotListening:
            pass
        try:
            return _do_here(settings, command, arguments)
        except errors.InUse as error:
            if time.monotonic() > give_up_at:
                raise errors.Unavailable(f"{error.message} It does not answer on its socket.") from error
        time.sleep(BUSY_LOOK_SECONDS)


def _do_here(settings: "Config", command: str, arguments: Result) -> Result:
    import asyncio

    from vemetric import commands, services
    from vemetric.backup import presence
    from vemetric.clock import SystemClock

    is_made = command in MAKING_COMMANDS and not arguments.get("remove") and presence.is_new(settings)
    if not is_made:
        presence.require(settings)

    async def do() -> Result:
        async with services.open_services(settings, SystemClock()) as opened:
            if is_made:
                print(f"vemetric: {settings.data_dir.absolute()} is a new data directory.", file=sys.stderr)
            return await commands.run(opened, command, arguments)

    return asyncio.run(do())


def _config(settings: "Config") -> Result:
    from vemetric.config import OPTIONS

    return {
        "settings": [
            {
                "name": option.name,
                "value": _masked(getattr(settings, option.field), option.secret),
                "isSet": bool(os.environ.get(option.name, "").strip()),
                "default": option.default,
                "doc": option.doc,
            }
            for option in OPTIONS
        ]
    }


def _healthcheck(settings: "Config") -> Result:
    """Ask the process on its own listener, as a visitor's browser would; Unavailable says why it is not well."""
    import http.client
    import ssl

    from vemetric import errors

    host = OF_EVERY_INTERFACE.get(settings.listen.host, settings.listen.host)
    scheme = "https" if settings.is_tls else "http"
    url = f"{scheme}://{settings.listen._replace(host=host)}{HEALTH_PATH}"
    connection = http.client.HTTPConnection(host, settings.listen.port, timeout=HEALTH_SECONDS_MAX)
    if scheme == "https":
        # What it is to prove is that it answers; the certificate is for names that do not lead here.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            host, settings.listen.port, timeout=HEALTH_SECONDS_MAX, context=context
        )
    try:
        connection.request("GET", HEALTH_PATH)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise errors.Unavailable(f"{url} does not answer ({error}).") from error
    finally:
        connection.close()
    if status != http.client.OK:
        raise errors.Unavailable(f"{url} answers {status}.")
    return {"isHealthy": True, "url": url}


def _masked(value: object, secret: bool) -> str:
    return "" if value is None or value == "" else "(hidden)" if secret else str(value)


def _arguments(options: argparse.Namespace) -> Result:
    """What is sent: the options but those that are the command line's own business; the password from where it is."""
    arguments = {name: value for name, value in vars(options).items() if name not in ("command", "json")}
    if arguments.pop("passwordStdin", False):
        arguments["password"] = _typed_password()
    return arguments


def _typed_password() -> str:
    from vemetric import errors

    if sys.stdin.isatty():
        import getpass

        return getpass.getpass()
    try:
        return sys.stdin.buffer.readline().decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise errors.Invalid("The password on standard input is not UTF-8.") from None


def _exit_code(error: "VemetricError") -> int:
    from vemetric import errors

    if error.status == errors.Invalid.status or isinstance(error, errors.Misconfigured):
        return WRONG_INPUT
    return UNREACHABLE if error.status in (errors.Unavailable.status, errors.TooManyRequests.status) else FAILED


def _tell(result: Result, text: str, as_json: bool) -> None:
    print(json.dumps(result, indent=2) if as_json else text)


def _tell_error(message: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": message}))
    print(f"vemetric: {message}", file=sys.stderr)


class Commands:
    """The commands as they are told to argparse, each with its words."""

    def __init__(self, parser: argparse.ArgumentParser, shared: argparse.ArgumentParser) -> None:
        self._top = parser.add_subparsers(title="commands", metavar="COMMAND")
        self._shared = shared
        self._groups: dict[str, Any] = {"": self._top}

    def group(self, name: str, text: str) -> None:
        """A word before commands."""
        parser = self._top.add_parser(name, help=text, description=text)
        self._groups[name] = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(self, command: str, text: str) -> argparse.ArgumentParser:
        """A command, in the group that its first word names if it has two."""
        group, _, name = command.rpartition(" ")
        made: argparse.ArgumentParser = self._groups[group].add_parser(
            name, help=text, description=text, parents=[self._shared]
        )
        made.set_defaults(command=command)
        return made


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON document")
    parser = Parser(prog="vemetric", description="Web and product analytics in one executable.", parents=[shared])
    parser.set_defaults(command="serve")
    parser.add_argument("--version", action="store_const", const="version", dest="command", help="print the version")
    commands = Commands(parser, shared)
    commands.add("serve", "Run the process: hub, pages and workers. This is what runs without a command.")
    _add_accounts(commands)
    _add_projects(commands)
    verify = commands.add("verify", "Compare the events that were accepted with those that are stored.")
    verify.add_argument("--project", metavar="DOMAIN", help="only of this project, such as example.com")
    _add_dead(commands)
    _add_move(commands)
    _add_backup(commands)
    commands.add("config", "Print every setting and its value in force.")
    demo = commands.add("demo", "Make a project with made-up visits of 30 days that goes on while the server runs.")
    demo.add_argument("--remove", action="store_true", help="delete it with everything")
    commands.add("doctor", "Look for the usual mistakes of running this, and say how each is mended.")
    commands.add("healthcheck", "Ask whether the process answers on VEMETRIC_LISTEN, with TLS or without.")
    _add_mail(commands)
    commands.add("setup-link", "Print a new link to make the first account with; earlier ones end.")
    commands.add("version", "Print the version.")
    return parser


def _add_accounts(commands: Commands) -> None:
    commands.group("account", "People who sign in.")
    create = commands.add("account create", "Make an account. The first one is the operator's.")
    create.add_argument("--email", required=True, help="the address to sign in with")
    _add_password(create, required=True)
    create.add_argument("--name", help="what the person is called; made of the address without it")
    create.add_argument("--role", choices=("admin", "member"), help="in the only organization; member without it")
    text = "Set a new password and end the logins. Without a password one is made up and printed."
    reset = commands.add("account reset-password", text)
    reset.add_argument("--email", required=True, help="the account's address")
    _add_password(reset, required=False)
    commands.add("account list", "List the accounts.")


def _add_projects(commands: Commands) -> None:
    commands.group("project", "Tracked sites and apps.")
    create = commands.add("project create", "Make a project; prints its id and its public token.")
    create.add_argument("--name", required=True, help="what the project is called")
    create.add_argument("--domain", required=True, help="such as example.com")
    create.add_argument("--organization", help="its id or name; the only one without it")
    create.add_argument("--time-zone", dest="timeZone", help="such as Europe/Vienna; VEMETRIC_TIME_ZONE without it")
    commands.add("project list", "List the projects.")
    stats = commands.add("stats", "Print the figures of a project and the top rows of its cards.")
    stats.add_argument("domain", metavar="DOMAIN", help="of the project, such as example.com")
    stats.add_argument("--timespan", help="live, 1hr, 24hrs (the default), 7days, 30days, 3months, 6months or 1year")


def _add_dead(commands: Commands) -> None:
    commands.group("dead", "Jobs that failed too often.")
    one = commands.add("dead list", "List the newest dead letters and why they were given up.")
    one.add_argument("--queue", help="only of this queue")
    one = commands.add("dead revive", "Put dead letters back in line, once what they failed for is mended.")
    one.add_argument("ids", metavar="ID", nargs="*", type=int, help="as `vemetric dead list` shows it")
    one.add_argument("--all", action="store_true", help="every dead letter")
    one.add_argument("--queue", help="with --all: only of this queue")


def _add_move(commands: Commands) -> None:
    move = commands.add(
        "move", "Copy the stores to servers, compare, and print the settings to use. Stop the server first."
    )
    move.add_argument("--to-database", dest="toDatabase", metavar="URL", help="as DATABASE_URL: postgresql://...")
    move.add_argument("--to-clickhouse", dest="toClickhouse", metavar="URL", help="as CLICKHOUSE_URL: http://...")
    move.add_argument("--to-queue", dest="toQueue", metavar="URL", help="as REDIS_URL: redis://...")


def _add_backup(commands: Commands) -> None:
    text = "Copy everything that is kept in files into a folder, while the server runs or without it."
    commands.add("backup", text).add_argument("folder", metavar="DIR", help="new or empty; made if it is missing")
    restore = commands.add("restore", "Put a backup in the place of the data directory. Stop the server first.")
    restore.add_argument("folder", metavar="DIR", help="what `vemetric backup` wrote")
    restore.add_argument("--force", action="store_true", help="where there are data: move them aside")


def _add_mail(commands: Commands) -> None:
    commands.group("mail", "Letters to people.")
    outbox = commands.add("mail outbox", "List the letters that were written; with an id, print one.")
    outbox.add_argument("letter", metavar="ID", nargs="?", help="of one letter, to read it")
    test = commands.add("mail test", "Send a letter to an address, to see whether mail is set up rightly.")
    test.add_argument("--to", required=True, metavar="ADDRESS", help="who gets it")


def _add_password(parser: argparse.ArgumentParser, required: bool) -> None:
    group = parser.add_mutually_exclusive_group(required=required)
    group.add_argument("--password", help="seen by everybody who can list the machine's processes")
    group.add_argument(
        "--password-stdin", dest="passwordStdin", action="store_true", help="read it from a line of stdin"
    )
