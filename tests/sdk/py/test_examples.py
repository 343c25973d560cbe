"""Each example runs and says what it should."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.sdk.py.package import PACKAGE, WAIT_S, port_of, run_python
from tests.tcp.daemon_process import Daemon

EXAMPLES = PACKAGE / "examples"

EXPECTED = {
    "basics.py": [
        "sent to ada@example.org",
        "100 sent",
        "magicqueue.errors.UnrecoverableError: no address: nobody",
        "1 dead",
    ],
    "older_program.py": [
        "queued True",
        "order [3, 1, 4, 5, 2]",
        "progress half",
        "crons [('nightly', '0 3 * * *', 2)]",
        "dead [] 0",
        "known True",
        "pong True True",
    ],
    "workflow.py": ["the film after 5 parts"],
    "unit_test.py": ["reminded 3 times"],
    "opentelemetry_tracing.py": ["2"],
}


def start(daemon: Daemon, name: str, *arguments: str, python: str = sys.executable) -> subprocess.Popen[str]:
    environment = {"MQ_URL": f"mq://127.0.0.1:{port_of(daemon)}"}
    return run_python(str(EXAMPLES / name), *arguments, python=python, environment=environment)


def say(daemon: Daemon, name: str, python: str = sys.executable) -> list[str]:
    """The lines that an example writes; it has to end well."""
    process = start(daemon, name, *([str(port_of(daemon))] if name == "older_program.py" else []), python=python)
    said = process.communicate(timeout=WAIT_S)[0].splitlines()
    assert process.returncode == 0
    return said


@pytest.mark.parametrize("name", EXPECTED)
def test_the_example_says(daemon: Daemon, name: str) -> None:
    assert say(daemon, name) == EXPECTED[name]


def test_tasks_are_done_by_processes_until_sigterm(daemon: Daemon) -> None:
    worker = start(daemon, "tasks.py", "worker")
    assert start(daemon, "tasks.py").communicate(timeout=WAIT_S)[0] == "55\n"
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=WAIT_S)
    assert worker.returncode == 0


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*EXPECTED, "tasks.py"}
