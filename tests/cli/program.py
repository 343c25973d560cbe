"""The command line as a process: run to its end, run while a test goes on, run on a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.tcp.client import Client
from tests.tcp.daemon_process import REPOSITORY, SETTINGS, Daemon

WAIT_S = 20.0
"""Longest wait for anything: far above what a loaded machine needs."""


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def rows(self) -> list[list[str]]:
        """The cells of a table in a pipe, without its head."""
        return [line.split("\t") for line in self.stdout.splitlines()[1:]]

    def json(self) -> Any:
        return json.loads(self.stdout)

    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.stdout.splitlines()]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The tests' environment without settings, and with these."""
    kept = {name: value for name, value in os.environ.items() if not SETTINGS.fullmatch(name)}
    kept = {name: value for name, value in kept.items() if not name.startswith("MQ_")}
    return {**kept, "PYTHONPATH": str(REPOSITORY), **(more or {})}


def url_of(daemon: Daemon, token: str = "") -> str:
    host, port = daemon.tcp or ("", 0)
    return f"mq://{token + '@' if token else ''}{host}:{port}"


def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; what it asks (a daemon, the kernel) has no event to wait for."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not come true within {WAIT_S} s")
        time.sleep(0.01)


def subscribers(wire: Client) -> int:
    """How many connections have subscribed to events."""
    return sum(row["kind"] == "subscribe" for row in wire.ok("CLIENTS")["connections"])


def argv(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "mqfast", *arguments]


def run(
    *arguments: str, env: Mapping[str, str] | None = None, stdin: str | bytes = b"", cwd: Path | None = None
) -> Ended:
    """Run the command to its end."""
    done = subprocess.run(
        argv(*arguments),
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        timeout=WAIT_S,
        env=environment(env),
        cwd=cwd or REPOSITORY,
        check=False,
    )
    stderr = done.stderr.decode()
    assert "Traceback" not in stderr, stderr
    return Ended(done.returncode, done.stdout.decode(), stderr)


class Running:
    """A command that runs while the test goes on. Its stdout is read line by line, its stderr at the end."""

    def __init__(self, *arguments: str, env: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            argv(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(env),
            cwd=REPOSITORY,
        )

    def line(self, stream: str = "stdout") -> str:
        """The next line of stdout or stderr."""
        pipe = self.process.stdout if stream == "stdout" else self.process.stderr
        assert pipe is not None
        line = b""
        deadline = time.monotonic() + WAIT_S
        while not line.endswith(b"\n"):
            if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"no line on {stream} within {WAIT_S} s; so far {line!r}")
            byte = os.read(pipe.fileno(), 1)
            if not byte:
                break
            line += byte
        return line.decode().rstrip("\n")

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def end(self) -> Ended:
        """Wait for its end; what has not been read of its output."""
        stdout, stderr = self.process.communicate(timeout=WAIT_S)
        assert b"Traceback" not in stderr, stderr.decode()
        return Ended(self.process.returncode, stdout.decode(), stderr.decode())

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        with contextlib.suppress(ValueError):
            self.process.communicate()


class Terminal:
    """A command on a terminal of its own. screen: everything it has written there, as bytes."""

    def __init__(self, *arguments: str, env: Mapping[str, str], columns: int = 80, rows: int = 24) -> None:
        self.screen = b""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            argv(*arguments),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment({"TERM": "xterm-256color", **env}),
            cwd=REPOSITORY,
            start_new_session=True,
        )
        os.close(slave)

    @property
    def text(self) -> str:
        return self.screen.decode(errors="replace")

    def wait_for(self, wanted: Callable[[str], bool]) -> None:
        """Read until what was written satisfies the test."""
        deadline = time.monotonic() + WAIT_S
        while not wanted(self.text):
            if not self._read(deadline):
                raise AssertionError(f"it did not come; the screen has {self.text[-3000:]!r}")

    @property
    def is_cooked(self) -> bool:
        """Whether the terminal edits lines and echoes, as a shell wants to find it."""
        flags: int = termios.tcgetattr(self._master)[3]
        return bool(flags & termios.ICANON and flags & termios.ECHO)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def end(self) -> int:
        """Read to the end of the command; its exit status."""
        deadline = time.monotonic() + WAIT_S
        while self._read(deadline):
            pass
        return self.process.wait(WAIT_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def _read(self, deadline: float) -> bool:
        """Read what there is; False at the end, or when the time is over."""
        if not select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:  # how Linux tells that the other side is closed
            return False
        self.screen += data
        return bool(data)


@contextlib.contextmanager
def terminal(*arguments: str, env: Mapping[str, str], columns: int = 80, rows: int = 24) -> Iterator[Terminal]:
    opened = Terminal(*arguments, env=env, columns=columns, rows=rows)
    try:
        yield opened
    finally:
        opened.close()


@contextlib.contextmanager
def running(*arguments: str, env: Mapping[str, str]) -> Iterator[Running]:
    started = Running(*arguments, env=env)
    try:
        yield started
    finally:
        started.kill()
