"""The command line. The only place that reads the process's environment."""

import io
import os
import sys
from collections.abc import Sequence

import click

from mqfast import __version__
from mqfast.cli.commands import Commands
from mqfast.cli.errors import INTERRUPTED, PIPE_CLOSED, ReaderGoneError
from mqfast.cli.options import Session
from mqfast.cli.serve import daemon_options, run
from mqfast.cli.text import clean
from mqfast.errors import MqfastError

DESCRIPTION = """Job queue: the daemon, and the commands to use it.

Without a command it serves queues over TCP and a Unix socket. Stop it with SIGTERM or SIGINT: waiting pulls are
answered and output is sent first, a second signal forces.

A setting comes from its flag, else from its environment variable, else from the TOML file, else it is the default.
The other commands find the daemon by the same settings, or by --url; each has a --help of its own."""


@click.pass_context
def _serve_unless_told(context: click.Context, /, **flags: str | None) -> int:
    if context.invoked_subcommand is None:
        return run(context.obj, **flags)
    if any(value is not None for value in flags.values()):
        raise click.UsageError(f"settings of the daemon come after the command: mqfast {context.invoked_subcommand} …")
    return 0


command = Commands(
    "mqfast",
    callback=_serve_unless_told,
    invoke_without_command=True,
    help=DESCRIPTION,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    params=daemon_options(),
)
click.version_option(__version__, prog_name="mqfast", message="%(prog)s %(version)s")(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, or the process's. Returns the exit status; failures are told on stderr."""
    _open_standard_files()
    try:
        status = command.main(args=arguments, prog_name="mqfast", standalone_mode=False, obj=Session(os.environ))
        sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except (ReaderGoneError, BrokenPipeError):
        # What is still in the buffer must not be tried again at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except click.NoSuchOption as error:
        return _tell([error.format_message(), *_where_it_belongs(error, arguments or sys.argv[1:])], error.exit_code)
    except click.ClickException as error:
        return _tell(error.format_message().splitlines(), error.exit_code)
    except MqfastError as error:
        return _tell(error.lines, error.exit_status)
    return status if isinstance(status, int) else 0


def _where_it_belongs(error: click.NoSuchOption, words: Sequence[str]) -> list[str]:
    """For an option before the command that stands behind it: mqfast --url … stats."""
    if error.ctx is None or error.ctx.parent is not None:
        return []
    for name in words:
        found = command.get_command(error.ctx, name)
        if found is not None and any(error.option_name in parameter.opts for parameter in found.params):
            return [f"options of a command come after it: mqfast {name} {error.option_name} …"]
    return []


def _open_standard_files() -> None:
    """A stdin or stdout that was closed is the null device, and what the terminal's encoding lacks is escaped."""
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115 - for as long as the process runs
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _tell(lines: Sequence[str], status: int) -> int:
    for line in lines:
        click.echo(f"mqfast: {clean(line)}", err=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
