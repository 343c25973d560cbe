"""The command line. The only place that reads the process's environment."""

import logging
import os
import sys
from collections.abc import Sequence

import click

from mqfast import __version__
from mqfast.cli.folder import check, repair_command
from mqfast.errors import MqfastError
from mqfast.settings import CONFIG, SETTINGS, help_text, load

DESCRIPTION = """Job-queue daemon: serves queues over TCP and a Unix socket.

A setting comes from its flag, else from its environment variable, else from the TOML file, else it is the default.

Stop it with SIGTERM or SIGINT: waiting pulls are answered and output is sent first, a second signal forces."""


def _option(flag: str, name: str, metavar: str, text: str, bare: str | None) -> click.Option:
    if bare is None:
        return click.Option([flag, name], metavar=metavar, help=text)
    return click.Option([flag, name], metavar=f"[{metavar}]", help=text, is_flag=False, flag_value=bare)


def _serve(**flags: str | None) -> None:
    settings = load(flags, os.environ)
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    from mqfast.server import serve  # only now: --help and a bad setting need no engine

    serve(settings, lambda line: print(line, flush=True))


@click.pass_context
def _serve_unless_told(context: click.Context, /, **flags: str | None) -> None:
    if context.invoked_subcommand is None:
        _serve(**flags)
    elif any(value is not None for value in flags.values()):
        raise click.UsageError(f"settings of the daemon come after the command: mqfast {context.invoked_subcommand} …")


def _settings() -> list[click.Parameter]:
    return [
        _option(CONFIG.flag, "config", CONFIG.kind.metavar, help_text(CONFIG), None),
        *(_option(s.flag, s.key, s.kind.metavar, help_text(s), s.kind.bare) for s in SETTINGS),
    ]


command = click.Group(
    "mqfast",
    callback=_serve_unless_told,
    invoke_without_command=True,
    help=DESCRIPTION,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    params=_settings(),
    commands=[
        click.Command("serve", callback=_serve, help="Serve: what mqfast does without a command.", params=_settings()),
        check,
        repair_command,
    ],
)
click.version_option(__version__, prog_name="mqfast", message="%(prog)s %(version)s")(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, or the process's. Returns the exit status; failures are told on stderr."""
    try:
        status = command.main(args=arguments, prog_name="mqfast", standalone_mode=False)
    except click.Abort:
        return 130  # SIGINT before the daemon was up
    except click.ClickException as error:
        click.echo(f"mqfast: {error.format_message()}", err=True)
        return error.exit_code
    except MqfastError as error:
        for line in error.lines:
            click.echo(f"mqfast: {line}", err=True)
        return error.exit_status
    return status if isinstance(status, int) else 0


if __name__ == "__main__":
    sys.exit(main())
