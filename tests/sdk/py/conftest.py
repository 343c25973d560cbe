"""The package of this repository, and a daemon, for its tests."""

import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[3] / "bindings" / "py"
sys.path[:0] = [str(PACKAGE), str(Path(__file__).parent), str(Path(__file__).parent / "unit")]

from tests.tcp.fixtures import daemon, daemon_with, queue, start_daemon  # noqa: E402

__all__ = ["daemon", "daemon_with", "queue", "start_daemon"]
