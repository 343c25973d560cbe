"""config show and completion: what the command line knows of itself."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from mqfast.__main__ import command
from mqfast.cli.commands import SECTIONS
from mqfast.cli.options import Session
from mqfast.settings import CLIENT_SETTINGS, SETTINGS
from tests.cli.program import argv, environment, run
from tests.tcp.client import Client
from tests.tcp.daemon_process import REPOSITORY


def test_config_show_says_where_each_value_came_from(tmp_path: Path) -> None:
    file = tmp_path / "mqfast.toml"
    file.write_text('reactors = 2\nport = 1\nauth_tokens = ["s3cret"]\nca = "x.pem"\n', encoding="utf-8")
    env = {"PORT": "7000", "MQ_URL": "mq://s3cret@h", "MQFAST_CONFIG": str(file)}
    ended = run("config", "show", "--json", "--fsync", "none", env=env)
    rows = {row["setting"]: (row["value"], row["source"]) for row in ended.json()}
    assert rows["FSYNC"] == ("none", "flag --fsync")
    assert rows["PORT"] == ("7000", "environment variable")
    assert rows["REACTORS"] == ("2", f"key reactors in {file}")
    assert rows["MQ_CA"] == ("x.pem", f"key ca in {file}")
    assert rows["LEASE"] == ("1800000", "default")
    assert rows["AUTH_TOKENS"] == ("(hidden)", f"key auth_tokens in {file}")
    assert rows["MQ_URL"] == ("mq://(hidden)@h", "environment variable")
    assert "s3cret" not in ended.stdout
    assert list(rows) == [setting.env for setting in (*SETTINGS, *CLIENT_SETTINGS)]
    assert len(run("config", "show", env=env).rows) == len(rows)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("--url", "mq://h", "stats"), "mqfast stats --url …"),
        (("--json", "queues"), "mqfast queues --json …"),
        (("--count", "3", "pull", "q"), "mqfast pull --count …"),
    ],
)
def test_an_option_before_its_command_is_told_where_it_belongs(arguments: tuple[str, ...], shown: str) -> None:
    ended = run(*arguments)
    assert ended.status == 2 and "No such option" in ended.stderr
    assert ended.stderr.splitlines()[-1] == f"mqfast: options of a command come after it: {shown}"


def test_an_option_that_no_command_has_is_only_refused() -> None:
    ended = run("--nonsense", "stats")
    assert ended.status == 2 and len(ended.stderr.splitlines()) == 1


def test_config_show_names_every_bad_setting() -> None:
    ended = run("config", "show", env={"PORT": "x", "FSYNC": "maybe"})
    assert ended.status == 2
    assert ended.stderr.count("expected") == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell: str) -> None:
    ended = run("completion", shell)
    assert ended.status == 0
    assert "_MQFAST_COMPLETE" in ended.stdout
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=ended.stdout.encode(), capture_output=True, check=False)
        assert checked.returncode == 0, checked.stderr
    assert run("completion", "tcsh").status == 2


def complete(words: str, env: dict[str, str]) -> list[str]:
    """What the shell would offer behind these words."""
    asked = {"_MQFAST_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(argv(), env=environment({**env, **asked}), capture_output=True, timeout=20, check=False)
    return [line.partition(",")[2] for line in done.stdout.decode().split()]


def test_shell_completes_commands_options_and_queues(wire: Client, env: dict[str, str], queue: str) -> None:
    wire.push(f"{queue}-complete-me")
    wire.push(f"{queue}-complete-\x1b[31m")
    assert complete("mqfast pu", env) == ["push", "pull"]
    assert "--max-attempts" in complete("mqfast push --max", env)
    assert complete(f"mqfast push {queue}-compl", env) == [f"{queue}-complete-me"]
    assert complete("mqfast push q", {"MQ_URL": "mq://127.0.0.1:1"}) == []


def test_every_command_has_help_and_a_place_in_the_documentation() -> None:
    page = (REPOSITORY / "docs/cli.md").read_text(encoding="utf-8")
    for names in SECTIONS.values():
        for name in names:
            assert f"mqfast {name}" in page, name
            shown = CliRunner().invoke(command, [name, "--help"], prog_name="mqfast", obj=Session({}))
            assert (shown.exit_code, f"Usage: mqfast {name}" in shown.stdout) == (0, True)


@pytest.mark.parametrize("command", ["queues", "push", "stats", "jobs"])
def test_commands_in_a_pipe_load_neither_the_engine_nor_the_web_server_nor_rich(
    env: dict[str, str], queue: str, command: str
) -> None:
    script = (
        "import sys\nfrom mqfast.__main__ import main\nmain(sys.argv[1:])\n"
        "heavy = ('mqfast._engine', 'falcon', 'waitress', 'rich', 'ssl')\n"
        "print(*(name for name in heavy if name in sys.modules), file=sys.stderr)"
    )
    arguments = {"push": [queue, "1"], "jobs": [queue]}.get(command, [])
    done = subprocess.run(
        [argv()[0], "-c", script, command, *arguments],
        env=environment(env),
        capture_output=True,
        cwd=os.getcwd(),
        check=False,
    )
    assert done.stderr == b"\n"
