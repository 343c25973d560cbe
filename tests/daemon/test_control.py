"""The control loops in a whole daemon: one that dies takes it down with a clear message."""

import json
import re
import socket
import subprocess
import sys

import pytest

from tests.daemon.test_lifecycle import PATIENCE, environment

BREAK = """
import sys
from mqfast.control import {module}
def broken(self):
    raise RuntimeError("no more")
{module}.{cls}.run = broken
from mqfast.__main__ import main
sys.exit(main(["--port", "0", "--unix-socket", ""]))
"""

PUSHES = {
    "cron": [{"cmd": "CRON", "name": "c", "queue": "q", "data": 1, "schedule": "*/1"}],
    "timeouts": [{"cmd": "PUSH", "queue": "q", "data": 1, "ttl": 1}],
}


@pytest.mark.parametrize(("loop", "module", "cls"), [("cron", "cron", "Cron"), ("timeouts", "sweeps", "Sweep")])
def test_a_loop_that_dies_takes_the_daemon_down_with_a_message(loop: str, module: str, cls: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", BREAK.format(module=module, cls=cls)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert match is not None, line
        with socket.create_connection(("127.0.0.1", int(match[1])), timeout=PATIENCE) as client:
            for request in PUSHES[loop]:
                client.sendall(json.dumps(request).encode() + b"\n")
            _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1
        assert f"the {loop} loop failed: no more" in errors
        assert "Traceback" not in errors
    finally:
        process.kill()
        process.wait()
