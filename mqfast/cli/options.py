"""Options that many commands have: how to reach the daemon, JSON, and what a pushed job may be given."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from mqfast.cli.address import Address, find_address
from mqfast.cli.connection import Connection
from mqfast.cli.output import Output
from mqfast.cli.text import DURATION
from mqfast.settings import CLIENT_SETTINGS, CONFIG, help_text

_Function = TypeVar("_Function", bound=Callable[..., Any])
_ADDRESS_KEYS = ("config", *(setting.key for setting in CLIENT_SETTINGS))


@dataclass(frozen=True, slots=True)
class Session:
    """What a command needs of the process that runs it."""

    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Daemon:
    """The daemon that a command is about: where it is, and where results go."""

    address: Address
    output: Output
    environ: Mapping[str, str]

    def connect(self) -> Connection:
        return Connection(self.address)

    def ask(self, command: str, /, **fields: object) -> dict[str, Any]:
        """One command on a connection of its own."""
        with self.connect() as connection:
            return connection.ask(command, **fields)


def json_option(function: _Function) -> _Function:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function)


def talks_to_daemon(function: _Function) -> Callable[..., Any]:
    """The command gets a Daemon as its first argument, and the options that say where it is."""

    @click.pass_context
    @functools.wraps(function)
    def wrapper(context: click.Context, /, *args: object, as_json: bool, **values: object) -> object:
        flags = {key: _text(values.pop(key)) for key in _ADDRESS_KEYS}
        environ = context.find_object(Session).environ  # type: ignore[union-attr]
        daemon = Daemon(find_address(flags, environ), Output(as_json), environ)
        return function(daemon, *args, **values)

    decorated: Callable[..., Any] = json_option(wrapper)
    for setting in reversed((*CLIENT_SETTINGS, CONFIG)):
        name = "config" if setting is CONFIG else setting.key
        bare = setting.kind.bare
        more: dict[str, Any] = {} if bare is None else {"is_flag": False, "flag_value": bare}
        option = click.option(setting.flag, name, metavar=setting.kind.metavar, help=help_text(setting), **more)
        decorated = option(decorated)
    return decorated


def _text(value: object) -> str | None:
    return None if value is None else str(value)


_JOB_OPTIONS: tuple[tuple[str, Any, str], ...] = (
    ("--priority", click.IntRange(-(2**31), 2**31 - 1), "Higher runs first."),
    ("--delay", DURATION, "Time from now until the job may run."),
    ("--ttl", DURATION, "Time after which a job that nobody pulled is dropped."),
    ("--timeout", DURATION, "Time that a worker has for it."),
    ("--max-attempts", click.IntRange(0), "Failures after which it goes to the dead letters; 0 is no limit."),
    ("--backoff", DURATION, "Wait before the first retry; it doubles with each further one."),
    ("--max-backoff", DURATION, "Longest wait before a retry."),
    ("--unique-key", str, "Refuse the job while another one of the queue has this key."),
)


def job_options(function: _Function) -> Callable[..., Any]:
    """The command gets a dict `options` with the fields of PUSH that were given."""

    @functools.wraps(function)
    def wrapper(*args: object, depends_on: tuple[int, ...], **values: Any) -> object:
        names = [flag[2:].replace("-", "_") for flag, _, _ in _JOB_OPTIONS]
        given = {name: values.pop(name) for name in names}
        options = {name: value for name, value in given.items() if value is not None}
        if depends_on:
            options["depends_on"] = list(depends_on)
        return function(*args, options=options, **values)

    decorated: Callable[..., Any] = click.option(
        "--depends-on", type=int, multiple=True, metavar="ID", help="Run after this job; may be given several times."
    )(wrapper)
    for flag, kind, text in reversed(_JOB_OPTIONS):
        decorated = click.option(flag, type=kind, help=text)(decorated)
    return decorated
