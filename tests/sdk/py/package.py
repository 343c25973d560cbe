"""The package of this repository, for programs that tests run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from tests.tcp.daemon_process import REPOSITORY, Daemon

__all__ = ["PACKAGE", "REPOSITORY", "WAIT_S", "port_of", "run_python"]

PACKAGE = REPOSITORY / "bindings" / "py"
WAIT_S = 60.0


def port_of(daemon: Daemon) -> int:
    assert daemon.tcp is not None
    return daemon.tcp[1]


def run_python(
    *arguments: str,
    python: str = sys.executable,
    start_new_session: bool = False,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    """A program that can import the package; its input and output are pipes."""
    return subprocess.Popen(
        [python, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE), **(environment or {})},
        cwd=REPOSITORY,
        start_new_session=start_new_session,
    )
