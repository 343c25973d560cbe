"""Each example runs and says what it should."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PACKAGE  # type: ignore[import-not-found]

from tests.tcp.daemon_process import Daemon

EXAMPLES = PACKAGE / "examples"
WAIT_S = 60.0

EXPECTED = {
    "basics.py": [
        "sent to ada@example.org",
        "100 sent",
        "magicqueue.errors.Unrecoverable: no address: nobody",
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


def start(daemon: Daemon, name: str, *arguments: str) -> subprocess.Popen[str]:
    assert daemon.tcp is not None
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "MQ_URL": f"mq://127.0.0.1:{daemon.tcp[1]}"}
    return subprocess.Popen(
        [sys.executable, str(EXAMPLES / name), *arguments], stdout=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.parametrize("name", EXPECTED)
def test_the_example_says(daemon: Daemon, name: str) -> None:
    assert daemon.tcp is not None
    process = start(daemon, name, *([str(daemon.tcp[1])] if name == "older_program.py" else []))
    said = process.communicate(timeout=WAIT_S)[0].splitlines()
    assert (process.returncode, said) == (0, EXPECTED[name])


def test_tasks_are_done_by_processes_until_sigterm(daemon: Daemon) -> None:
    worker = start(daemon, "tasks.py", "worker")
    assert start(daemon, "tasks.py").communicate(timeout=WAIT_S)[0] == "55\n"
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=WAIT_S)
    assert worker.returncode == 0


def test_every_example_is_run() -> None:
    assert {path.name for path in Path(EXAMPLES).glob("*.py")} == {*EXPECTED, "tasks.py"}
