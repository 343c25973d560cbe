"""mqfast completion: the script that lets a shell complete commands, options and the names of queues."""

import click
from click.shell_completion import CompletionItem, get_completion_class

from mqfast.cli.address import find_address
from mqfast.cli.connection import Connection
from mqfast.cli.options import Session
from mqfast.cli.text import clean
from mqfast.errors import MqfastError

SHELLS = ("bash", "zsh", "fish")
_QUEUES = 50
_SETUP = """The shell's set-up:

\b
bash:  mqfast completion bash > ~/.local/share/bash-completion/completions/mqfast
zsh:   mqfast completion zsh > "${fpath[1]}/_mqfast"
fish:  mqfast completion fish > ~/.config/fish/completions/mqfast.fish"""


class QueueName(click.ParamType[str]):
    """A queue's name; the shell completes it with those that the daemon has."""

    name = "queue"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            self.fail("a queue's name must be UTF-8", param, ctx)
        if not 0 < size <= 255:
            self.fail(f"a queue's name has 1 to 255 bytes, this one {size}", param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        session = ctx.find_object(Session)
        if session is None:
            return []
        try:
            with Connection(find_address({"url": ctx.params.get("url")}, session.environ)) as connection:
                pattern = incomplete.replace("*", "") + "*"
                queues = connection.ask("LISTQUEUES", search=pattern, limit=_QUEUES)["queues"]
        except MqfastError:
            return []  # a shell is no place to be told that there is no daemon
        names = [str(queue["name"]) for queue in queues]
        return [CompletionItem(name) for name in names if name.startswith(incomplete) and name == clean(name)]


QUEUE = QueueName()


@click.command(epilog=_SETUP)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes mqfast in SHELL."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "mqfast", "_MQFAST_COMPLETE").source())
