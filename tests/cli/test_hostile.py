"""Names, payloads and errors that would act on a terminal; pipes that close; output that stays readable."""

import json
import os
import re
import subprocess

import pytest

from tests.cli.conftest import Mq
from tests.cli.program import argv, environment, running, subscribers, terminal, until
from tests.tcp.client import Client

EVIL = "q\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\r\n[bold]x[/bold]"
OURS = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")
"""What rich writes: colours and cursor."""


def check_screen(screen: bytes) -> None:
    """Nothing of the evil name acts: no title, no C1, no turned text, no sequence but colours and the live screen's."""
    text = screen.decode()
    for part in ("\x1b]", "\x07", "\x9b", "\u202e", "\x1b[2J"):
        assert part not in text, screen
    assert b"\x1b" not in OURS.sub(b"", screen)


@pytest.fixture
def evil(wire: Client, queue: str) -> str:
    """A queue with an evil name, jobs and dead letters of evil content."""
    name = queue + EVIL
    number = wire.push(name, {EVIL: EVIL}, unique_key=EVIL, max_attempts=1)
    wire.pull(name)
    wire.ok("FAIL", id=number, error=EVIL)
    wire.push(name, EVIL)
    wire.call_line(
        json.dumps(
            {"cmd": "PUSH", "queue": name, "data": EVIL.replace("\x1b", "").replace("\x07", "").strip()},
            ensure_ascii=False,
        )
    )
    wire.ok("RATELIMIT", queue=name, limit=1000)
    wire.ok("CRON", name=EVIL, queue=name, data=EVIL, schedule="@yearly")
    return name


def test_nothing_evil_reaches_the_terminal(wire: Client, env: dict[str, str], evil: str) -> None:
    number = wire.ok("DLQ", queue=evil)["jobs"][0]["id"]
    commands = [
        ["queues"], ["jobs", evil], ["job", str(number)], ["job", "--json", str(number)],
        ["dlq"], ["dlq", "list", evil],
        ["cron"], ["limits"], ["clients"], ["queues", "--json"], ["jobs", "--json", evil], ["export", evil],
        ["push", evil, "1"], ["push", evil, "1", "2"], ["pause", evil], ["resume", evil], ["push", evil, EVIL],
        ["pull", evil], ["pull", evil, "--json"], ["config", "show", "--host", evil],
        ["cancel", "9"], ["wait", str(number)], ["dlq", "retry", evil, "--all"], ["drain", evil, "--yes"],
    ]  # fmt: skip
    for command in commands:
        with terminal(*command, env=env) as shown:
            shown.end()
            check_screen(shown.screen)
            assert "Traceback" not in shown.text, shown.text


def test_live_screens_are_clean_too(wire: Client, env: dict[str, str], evil: str) -> None:
    with terminal("stats", "--watch", "--interval", "100ms", env=env, columns=200, rows=50) as screen:
        screen.wait_for(lambda text: "\\x1b]0;" in text)
        screen.type("q")
        screen.end()
        check_screen(screen.screen)
    with terminal("events", evil, "-n", "1", env=env) as screen:
        until(lambda: subscribers(wire) > 0)
        wire.push(evil)
        assert screen.end() == 0
        check_screen(screen.screen)


def test_pipes_get_one_line_for_each_row_and_payloads_verbatim(mq: Mq, wire: Client, queue: str) -> None:
    name = f"{queue}\ttab\nline"
    wire.push(name, "\u009b")
    assert mq("queues", queue).rows[0][0] == f"{queue}\\x09tab\\x0aline"
    wire.call_line(json.dumps({"cmd": "PUSH", "queue": queue, "data": "\u009b"}, ensure_ascii=False))
    assert mq("pull", queue).stdout.split("\t")[1] == '"\u009b"\n'


@pytest.mark.parametrize("command", [["jobs", "-n", "100000", "--json"], ["export"], ["jobs", "-n", "100000"]])
def test_reader_that_goes_away_ends_the_command_quietly(
    wire: Client, env: dict[str, str], queue: str, command: list[str]
) -> None:
    wire.ok("PUSHB", queue=queue, jobs=[{"data": "x" * 100}] * 3000)
    name, *flags = command
    process = subprocess.Popen(
        argv(name, queue, *flags), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(env)
    )
    assert process.stdout is not None and process.stderr is not None
    assert os.read(process.stdout.fileno(), 100)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(20) == 141


def test_reader_of_events_that_goes_away_ends_them(wire: Client, env: dict[str, str], queue: str) -> None:
    with running("events", queue, env=env) as following:
        until(lambda: subscribers(wire) > 0)
        assert following.process.stdout is not None
        following.process.stdout.close()
        following.process.stdout = None
        wire.push(queue)
        wire.push(queue)
        assert following.process.wait(20) == 141


def test_closed_standard_files_and_poor_encodings_end_in_no_traceback(env: dict[str, str], queue: str) -> None:
    for redirections in ("<&-", ">&-", "<&- >&-"):
        script = f"exec {redirections}; exec {' '.join(argv('push', queue, '1'))}"
        done = subprocess.run(["sh", "-c", script], env=environment(env), capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
    ascii_only = environment({**env, "PYTHONIOENCODING": "ascii"})
    done = subprocess.run(
        argv("push", f"{queue}-\u00e9", "1", "2", "3"), env=ascii_only, capture_output=True, check=False
    )
    assert done.returncode == 0
    done = subprocess.run(argv("queues", queue), env=ascii_only, capture_output=True, check=False)
    assert f"{queue}-\\xe9".encode() in done.stdout
