"""mqfast serve: the daemon."""

import logging
import os

import click

from mqfast import logs
from mqfast.cli.options import Session
from mqfast.errors import MqfastError
from mqfast.settings import CONFIG, SETTINGS, help_text, load
from mqfast.systemd import Supervisor

_log = logging.getLogger("mqfast")


def run(session: Session, **flags: str | None) -> int:
    """Serve until a stop signal, by these flags (keys of the settings) and the session's environment.

    Returns the exit status where the log is JSON, which then has what went wrong; else that is raised as MqfastError.
    """
    settings = load(flags, session.environ)
    as_json = settings.log_format == "json"
    logs.configure(settings.log_level, settings.log_format)
    supervisor = Supervisor.from_environment(session.environ, os.getpid())
    from mqfast.server import serve as serve_until_told  # only now: --help and a bad setting need no engine

    def announce(line: str) -> None:
        print(logs.json_line(logging.INFO, line) if as_json else line, flush=True)

    try:
        serve_until_told(settings, announce, supervisor)
    except MqfastError as error:
        if not as_json:
            raise
        for line in error.lines:
            _log.critical("%s", line)
        return error.exit_status
    return 0


def daemon_options() -> list[click.Parameter]:
    """An option for each of the daemon's settings, and for the file that they may stand in."""
    return [
        _option(CONFIG.flag, "config", CONFIG.kind.metavar, help_text(CONFIG), None),
        *(_option(s.flag, s.key, s.kind.metavar, help_text(s), s.kind.bare) for s in SETTINGS),
    ]


def _option(flag: str, name: str, metavar: str, text: str, bare: str | None) -> click.Option:
    if bare is None:
        return click.Option([flag, name], metavar=metavar, help=text)
    return click.Option([flag, name], metavar=f"[{metavar}]", help=text, is_flag=False, flag_value=bare)


serve = click.Command(
    "serve", callback=click.pass_obj(run), help="Serve: what mqfast does without a command.", params=daemon_options()
)
