"""The daemon under a supervisor that the test plays: what systemd is told, and the log in JSON."""

import contextlib
import ctypes
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mqfast import __version__
from tests.daemon.test_lifecycle import PATIENCE, Daemon, Start, assert_serves, run, start, with_reactors

__all__ = ["start"]

WATCHDOG_USEC = "400000"

HUNG = """
from mqfast._engine import Reactors
class Hung(Reactors):
    def run(self, index):
        if index == 1: threading.Event().wait()
        Reactors.run(self, index)
server.Reactors = Hung
"""


class Systemd:
    """A socket for notifications."""

    def __init__(self) -> None:
        self.name = f"@mqfast-{os.getpid()}-{time.monotonic_ns()}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.name[1:])
        self.socket.settimeout(PATIENCE)

    def next(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.socket.recv(9999).decode().split("\n"))

    def waiting(self) -> list[dict[str, str]]:
        """What has been sent so far."""
        self.socket.setblocking(False)
        found = []
        try:
            while True:
                found.append(self.next())
        except BlockingIOError:
            return found
        finally:
            self.socket.settimeout(PATIENCE)


@pytest.fixture
def systemd() -> Iterator[Systemd]:
    played = Systemd()
    yield played
    played.socket.close()


def test_is_told_when_it_serves_reloads_and_stops(start: Start, systemd: Systemd, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    tokens.write_text('[[token]]\ntoken = "0123456789abcdef"\nroles = ["admin"]\n')
    tokens.chmod(0o600)
    daemon = start(NOTIFY_SOCKET=systemd.name, TOKENS_FILE=str(tokens))
    ready = systemd.next()
    assert ready["READY"] == "1"
    assert f"mqfast {__version__} {ready['STATUS']}\n".split(" ", 2)[2] == daemon.line.split(" ", 2)[2]
    daemon.send(signal.SIGHUP)
    reloading = systemd.next()
    assert reloading["RELOADING"] == "1"
    assert 0 < int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert systemd.next() == ready
    daemon.stop()
    assert systemd.next()["STOPPING"] == "1"
    assert systemd.waiting() == []


def test_watchdog_is_fed_while_it_serves(start: Start, systemd: Systemd) -> None:
    daemon = start(NOTIFY_SOCKET=systemd.name, WATCHDOG_USEC=WATCHDOG_USEC, REACTORS="3")
    assert "READY" in systemd.next()
    for _ in range(5):
        assert systemd.next() == {"WATCHDOG": "1"}
    assert_serves(daemon.port)
    daemon.stop()


def test_watchdog_of_another_process_is_not_fed(start: Start, systemd: Systemd) -> None:
    daemon = start(NOTIFY_SOCKET=systemd.name, WATCHDOG_USEC="4000", WATCHDOG_PID="1")
    assert "READY" in systemd.next()
    assert_serves(daemon.port)
    daemon.stop()
    assert [list(told) for told in systemd.waiting()] == [["STOPPING", "STATUS"]]


def test_watchdog_starves_when_one_of_the_reactors_hangs(start: Start, systemd: Systemd) -> None:
    daemon = start(command=with_reactors(HUNG), NOTIFY_SOCKET=systemd.name, WATCHDOG_USEC=WATCHDOG_USEC, REACTORS="3")
    wait_for(daemon, "reactor-1 has not answered for ")
    daemon.send(signal.SIGTERM)
    assert daemon.wait()[0] == 1
    assert [next(iter(told)) for told in systemd.waiting()] == ["READY", "STOPPING"]


PTRACE_ATTACH, PTRACE_DETACH, WALL = 16, 17, 0x40000000  # of <sys/ptrace.h> and <sys/wait.h>


@contextlib.contextmanager
def stopped_thread(pid: int, position: int) -> Iterator[None]:
    """One thread of a child stands still; position: among its threads in the order in which they began."""
    thread = sorted(int(name) for name in os.listdir(f"/proc/{pid}/task"))[position]
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    if ptrace(PTRACE_ATTACH, thread, 0, 0) != 0:
        pytest.skip(f"no ptrace here: {os.strerror(ctypes.get_errno())}")
    try:
        os.waitpid(thread, WALL)
        yield
    finally:
        ptrace(PTRACE_DETACH, thread, 0, 0)


def test_watchdog_starves_while_a_reactor_stands_still_and_is_fed_when_it_goes_on(
    start: Start, systemd: Systemd
) -> None:
    daemon = start(NOTIFY_SOCKET=systemd.name, WATCHDOG_USEC=WATCHDOG_USEC, REACTORS="2")
    assert "READY" in systemd.next()
    assert systemd.next() == {"WATCHDOG": "1"}
    with stopped_thread(daemon.process.pid, 2):  # after the main thread and reactor-0
        wait_for(daemon, "reactor-1 has not answered for ")
        systemd.waiting()
        time.sleep(2 * int(WATCHDOG_USEC) / 1e6)  # more time can only let more come
        assert systemd.waiting() == []
    assert systemd.next() == {"WATCHDOG": "1"}
    daemon.stop()


def wait_for(daemon: Daemon, text: str) -> None:
    """Until it is on the log."""
    deadline = time.monotonic() + PATIENCE
    while text not in daemon.log.read_text():
        assert time.monotonic() < deadline, daemon.log.read_text()
        time.sleep(0.01)


def test_supervisor_that_does_not_listen_does_not_keep_it_from_serving(start: Start, tmp_path: Path) -> None:
    daemon = start(NOTIFY_SOCKET=str(tmp_path / "none"), WATCHDOG_USEC=WATCHDOG_USEC)
    assert_serves(daemon.port)
    daemon.stop()
    assert "cannot notify the supervisor of READY=1" in daemon.log.read_text()


# The log as JSON


def test_everything_it_says_is_a_json_object_a_line(start: Start) -> None:
    daemon = start(LOG_FORMAT="json", LOG_LEVEL="info", HTTP="1", HTTP_PORT="0", REACTORS="1")
    announced = json.loads(daemon.line)
    assert announced["message"].endswith("(1 reactor)") and announced["level"] == "info"
    port = int(announced["message"].split("http://127.0.0.1:")[1].split(",")[0].split(" ")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as web:
        web.sendall(
            b"GET /jobs/7?\"\\{}%0A' HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: req-1\r\nConnection: close\r\n\r\n"
        )
        while web.recv(4096):
            pass
    daemon.send(signal.SIGHUP)
    wait_for(daemon, "SIGHUP")
    daemon.stop()
    lines = [json.loads(line) for line in daemon.log.read_bytes().splitlines()]
    (request,) = [line for line in lines if line["message"] == "http"]
    assert request["logger"] == "mqfast.http"
    assert (request["id"], request["method"], request["status"], request["peer"]) == ("req-1", "GET", 404, "127.0.0.1")
    assert request["target"] == "/jobs/7?\"\\{}%0A'"
    assert 0 <= request["ms"] < PATIENCE * 1000
    assert [line["message"] for line in lines if line["logger"] == "mqfast"][-1] == "stopping on SIGTERM"


def test_end_by_failure_is_a_json_line_too(start: Start) -> None:
    port = str(start().port)
    result = run("--port", port, LOG_FORMAT="json")
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    told = json.loads(line)
    assert told["level"] == "critical" and told["message"].startswith(f"cannot listen on 127.0.0.1:{port}: ")
