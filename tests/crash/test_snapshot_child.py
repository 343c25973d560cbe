"""The child that writes a snapshot has, by fork, all that the daemon has open; nobody else may notice."""

import contextlib
import os
import signal
import time
from pathlib import Path

from tests.tcp.client import Client
from tests.tcp.daemon_process import Daemon

SECONDS = 60.0
BATCH = [{"data": "x" * 500}] * 1000
BATCHES = 40  # that stay: 20 MB, which take the child a while


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _sockets(pid: int) -> list[str]:
    links = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    return [link for link in links if link.startswith("socket:")]


def _stopped_child(daemon: Daemon, client: Client) -> int:
    """The child of a snapshot, stopped after it has closed what it need not have; until then jobs come and go."""
    for _ in range(BATCHES):
        client.ok("PUSHB", queue="q", jobs=BATCH)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        for child in _children(daemon.pid):
            try:
                os.kill(child, signal.SIGSTOP)
                if not _sockets(child):
                    return child
                os.kill(child, signal.SIGCONT)
            except (ProcessLookupError, FileNotFoundError):
                pass  # it has ended meanwhile: the next one then
        client.ok("PUSHB", queue="passing", jobs=BATCH)
        client.ok("DRAIN", queue="passing")
    raise AssertionError("no child of a snapshot closed its sockets")


def test_connections_close_at_once_while_a_snapshot_is_written(tmp_path: Path) -> None:
    daemon = Daemon("--persist", str(tmp_path / "log"), "--fsync", "none", "--reactors", "1")
    try:
        with daemon.connect() as client, daemon.connect() as other:
            other.ping()
            child = _stopped_child(daemon, client)
            try:
                other.end_input()  # the daemon closes, too, and its end is seen here
                assert other.receive_to_end() == []
                for _ in range(100):
                    with daemon.connect() as short:
                        short.ping()
                    client.ping()
                assert len(client.ok("CLIENTS")["connections"]) == 1
            finally:
                os.kill(child, signal.SIGCONT)
    finally:
        daemon.stop()


def test_a_stop_does_not_wait_for_a_snapshot(tmp_path: Path) -> None:
    """One of many gigabytes takes minutes; the log alone has everything."""
    arguments = ("--persist", str(tmp_path / "log"), "--fsync", "none", "--reactors", "1")
    daemon = Daemon(*arguments)
    child = None
    try:
        with daemon.connect() as client:
            child = _stopped_child(daemon, client)
            pushed = client.counts("q")["pending"]
    finally:
        daemon.stop()  # says so by itself if it takes too long
        with contextlib.suppress(ProcessLookupError):
            if child is not None:
                os.kill(child, signal.SIGCONT)
    again = Daemon(*arguments)
    try:
        with again.connect() as client:
            assert client.counts("q")["pending"] == pushed
    finally:
        again.stop()
