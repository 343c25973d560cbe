"""A job's command as a child process: payload in, result out, ended when time is up or the worker stops.

Payload and output go through files, so that no pipe can fill up; what is waited for is the child's end, by a
descriptor, beside the worker's own stop.
"""

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

KILL_SECONDS = 5.0
"""What a command has to end in after SIGTERM, before SIGKILL."""

ERROR_BYTES = 2000


class Stop:
    """A stop that threads can wait for beside other descriptors. `requested` and `forced` become readable for good."""

    def __init__(self) -> None:
        self.requested, self._request = os.pipe()
        self.forced, self._force = os.pipe()
        self._ends = [self._request, self._force]

    def request(self) -> None:
        """The first time: take no more jobs. The second: end what runs, too."""
        if self._ends:
            os.close(self._ends.pop(0))

    def is_requested(self, seconds: float = 0) -> bool:
        """Wait for a stop at most so long."""
        return bool(select.select([self.requested], [], [], seconds)[0])

    def is_forced(self, seconds: float = 0) -> bool:
        return bool(select.select([self.forced], [], [], seconds)[0])

    def close(self) -> None:
        while self._ends:
            os.close(self._ends.pop())
        os.close(self.requested)
        os.close(self.forced)


class AbandonedError(Exception):
    """The job is not this worker's any more: its command is to be ended, and nothing said about it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended. status: as of the shell (128 + N for signal N); None: it was ended by the worker.

    ended: why the worker ended it: "timeout", "stop" or "". output: what it wrote. error: the last of its stderr.
    """

    status: int | None
    ended: str
    output: bytes
    error: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: between heartbeats, of the job's timeout (None: none), left to a command when the worker stops."""

    heartbeat: float
    timeout: float | None
    grace: float


def run(
    command: Sequence[str],
    payload: bytes,
    environ: Mapping[str, str],
    limits: Limits,
    stop: Stop,
    heartbeat: Callable[[], None],
) -> Outcome:
    """Run the command with the payload on its stdin, and wait for its end.

    heartbeat is called in between; it raises AbandonedError to have the command ended. Raises OSError if there is no
    such command.
    """
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        stdin.write(payload)
        stdin.seek(0)
        started = time.monotonic()
        child = subprocess.Popen(
            command, stdin=stdin, stdout=stdout, stderr=stderr, env=dict(environ), start_new_session=True
        )
        try:
            ended = _wait(child, started, limits, stop, heartbeat)
        except BaseException:
            _end(child)
            raise
        seconds = time.monotonic() - started
        status = None if ended else child.returncode if child.returncode >= 0 else 128 - child.returncode
        return Outcome(status, ended, _read(stdout), _tail(stderr), seconds)


def _wait(
    child: subprocess.Popen[bytes], started: float, limits: Limits, stop: Stop, heartbeat: Callable[[], None]
) -> str:
    """Wait for the child's end, or end it. Why it was ended, "" if it ended by itself."""
    timeout_at = None if limits.timeout is None else started + limits.timeout
    beat_at = started + limits.heartbeat
    grace_at: float | None = None
    handle = os.pidfd_open(child.pid)
    try:
        while True:
            watched = [handle, stop.forced, *([stop.requested] if grace_at is None else [])]
            next_at = min(at for at in (beat_at, timeout_at, grace_at) if at is not None)
            ready, _, _ = select.select(watched, [], [], max(0.0, next_at - time.monotonic()))
            now = time.monotonic()
            if handle in ready:
                child.wait()
                return ""
            if timeout_at is not None and now >= timeout_at:
                _end(child)
                return "timeout"
            if stop.forced in ready or (grace_at is not None and now >= grace_at):
                _end(child)
                return "stop"
            if stop.requested in ready:
                grace_at = now + limits.grace
            if now >= beat_at:
                heartbeat()
                beat_at = time.monotonic() + limits.heartbeat
    finally:
        os.close(handle)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and what it started: politely, then not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(KILL_SECONDS)
            return


def _read(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _tail(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - ERROR_BYTES))
    return file.read().decode(errors="replace").strip()
