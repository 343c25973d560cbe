"""What the supervisor is sent, at a socket of the test's own, and when the watchdog is fed."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mqfast.systemd import PARTS, Supervisor, Watchdog

PATIENCE = 20.0
WATCHDOG_SECONDS = 8.0  # of a clock that the test turns
BEAT = WATCHDOG_SECONDS / PARTS


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """Where a supervisor listens, and what NOTIFY_SOCKET is for it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(PATIENCE)
        name = str(tmp_path / "notify") if request.param == "path" else f"@mqfast-test-{os.getpid()}"
        receiver.bind(name if request.param == "path" else "\0" + name[1:])
        yield receiver, name


def test_words_are_those_of_sd_notify(systemd: tuple[socket.socket, str]) -> None:
    receiver, name = systemd
    supervisor = Supervisor(name)
    supervisor.ready("listening\non 127.0.0.1:1")
    assert receiver.recv(999) == b"READY=1\nSTATUS=listening on 127.0.0.1:1"
    before = time.monotonic_ns() // 1000
    supervisor.reloading()
    first, second = receiver.recv(999).split(b"\n")
    assert first == b"RELOADING=1"
    assert before <= int(second.removeprefix(b"MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    supervisor.alive()
    assert receiver.recv(999) == b"WATCHDOG=1"
    supervisor.stopping()
    assert receiver.recv(999).startswith(b"STOPPING=1\n")


def test_nobody_is_told_nothing() -> None:
    supervisor = Supervisor.from_environment({"WATCHDOG_USEC": "1000"}, 1)
    supervisor.ready("x")
    assert supervisor.watchdog_seconds is None


def test_supervisor_that_has_gone_is_logged_and_harmless(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Supervisor(str(tmp_path / "none")).ready("x")
    assert "cannot notify the supervisor of READY=1: " in caplog.text


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "9" * 5000}, None),
    ],
)
def test_watchdog_is_fed_only_if_it_is_ours(environ: dict[str, str], seconds: float | None) -> None:
    supervisor = Supervisor.from_environment({"NOTIFY_SOCKET": "/run/notify", **environ}, 7)
    assert supervisor.watchdog_seconds == seconds


@pytest.mark.parametrize("name", ["@", "/", "relative", "vsock:2:1234"])
def test_address_of_another_kind_is_refused_in_a_line(name: str, caplog: pytest.LogCaptureFixture) -> None:
    supervisor = Supervisor.from_environment({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1"}, 7)
    assert supervisor.watchdog_seconds is None
    assert f"NOTIFY_SOCKET is neither a path nor an abstract name: {name}" in caplog.text


class Fed(Supervisor):
    """Counts how often it is told of life."""

    def __init__(self) -> None:
        super().__init__("/nowhere", WATCHDOG_SECONDS)
        self.times = 0

    def alive(self) -> None:
        self.times += 1


@pytest.fixture
def reactors() -> Iterator[list[socket.socket]]:
    """The reactors' ends of the connections, in turn."""
    ends: list[socket.socket] = []
    yield ends
    for end in ends:
        end.close()


def make(supervisor: Supervisor, ends: list[socket.socket], count: int) -> Watchdog:
    def connect() -> int:
        ours, theirs = socket.socketpair()
        ends.append(theirs)
        return ours.detach()

    return Watchdog(supervisor, connect, count)


def serve(end: socket.socket) -> None:
    """Answer all that was asked; something must have been."""
    asked = end.recv(999)
    assert set(asked.splitlines()) == {b'{"cmd":"PING"}'}
    end.sendall(b'{"ok":true,"pong":true}\n' * asked.count(b"\n"))


def test_watchdog_is_fed_while_every_reactor_answers(reactors: list[socket.socket]) -> None:
    fed = Fed()
    watchdog = make(fed, reactors, 3)
    assert watchdog.beat(100.0) == BEAT
    assert fed.times == 0, "nobody has been asked yet"
    for turn in range(1, 6):
        for end in reactors:
            serve(end)
        assert watchdog.beat(100.0 + turn * BEAT) == BEAT
        assert fed.times == turn
    watchdog.close()


def test_nothing_is_done_before_it_is_due(reactors: list[socket.socket]) -> None:
    fed = Fed()
    watchdog = make(fed, reactors, 1)
    watchdog.beat(100.0)
    serve(reactors[0])
    assert watchdog.beat(100.0 + BEAT / 2) == BEAT / 2
    assert fed.times == 0
    watchdog.close()


@pytest.mark.parametrize("silent", [0, 1, 2])
def test_watchdog_starves_while_one_reactor_is_silent(
    reactors: list[socket.socket], silent: int, caplog: pytest.LogCaptureFixture
) -> None:
    fed = Fed()
    watchdog = make(fed, reactors, 3)
    watchdog.beat(0.0)
    for turn in range(1, 1 + 2 * PARTS):
        for index, end in enumerate(reactors):
            if index != silent:
                serve(end)
        watchdog.beat(turn * BEAT)
    assert fed.times == 0
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert line == f"reactor-{silent} has not answered for {BEAT:.1f} s: the watchdog is not told we live"
    for end in reactors:
        serve(end)
    watchdog.beat(100 * BEAT)
    assert fed.times == 1, "it answers again"
    watchdog.close()


def test_reactor_that_closes_its_connection_does_not_live(reactors: list[socket.socket]) -> None:
    fed = Fed()
    watchdog = make(fed, reactors, 1)
    watchdog.beat(0.0)
    reactors[0].close()
    for turn in range(1, PARTS):
        watchdog.beat(turn * BEAT)
    assert fed.times == 0
    watchdog.close()
