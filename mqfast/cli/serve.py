"""mqfast serve: the daemon."""

import logging

import click

from mqfast.cli.options import Session
from mqfast.settings import CONFIG, SETTINGS, help_text, load


def run(session: Session, **flags: str | None) -> None:
    """Serve until a stop signal, by these flags (keys of the settings) and the session's environment."""
    settings = load(flags, session.environ)
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    from mqfast.server import serve as serve_until_told  # only now: --help and a bad setting need no engine

    serve_until_told(settings, lambda line: print(line, flush=True))


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
