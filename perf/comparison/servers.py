"""The servers that are compared: how each is started, where it listens, how it is stopped."""

import contextlib
import os
import re
import resource
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "perf" / "load" / "build"
HOST = "127.0.0.1"
START_SECONDS = 10.0
FILES = 16384

NAMES = ("echo", "mqfast", "redis", "beanstalkd")


class StartError(Exception):
    """A server did not come up; the text says why."""


@dataclass(frozen=True)
class Server:
    """A running server. pid: the process whose CPU time and memory count."""

    name: str
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """CPU time of all its threads so far."""
        cpu_clock_of_process = (~self.pid << 3) | 2  # what clock_getcpuclockid(3) gives on Linux
        return time.clock_gettime(cpu_clock_of_process)

    def rss_bytes(self) -> int:
        """Resident memory, counted by the kernel at this moment."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        found = re.search(r"^Rss:\s+(\d+) kB", text, re.MULTILINE)
        if found is None:
            raise OSError(f"no Rss in /proc/{self.pid}/smaps_rollup")
        return int(found[1]) * 1024


@dataclass(frozen=True)
class Log:
    """Where a server is to keep its log. always: an answer means that it is on the disk; else a second may be lost
    (beanstalkd: 50 ms, which is as much as it is usually given)."""

    folder: Path
    always: bool


PROGRAMS = {"redis": ("redis-server", "--version"), "beanstalkd": ("beanstalkd", "-v")}
"""Servers that have to be installed: the program, and how it tells its version."""


def missing(names: Sequence[str]) -> dict[str, str]:
    """Which of these servers cannot be started here, and what to do about it."""
    return {
        name: f"{PROGRAMS[name][0]} is not installed: left out"
        for name in names
        if name in PROGRAMS and shutil.which(PROGRAMS[name][0]) is None
    }


def versions(names: Sequence[str]) -> dict[str, str]:
    """The versions of those of these servers that are compared with mqfast and are installed."""
    absent = missing(names)
    said = {}
    for name in names:
        if name in PROGRAMS and name not in absent:
            text = subprocess.run(PROGRAMS[name], capture_output=True, text=True, check=True).stdout
            found = re.search(r"\d+(\.\d+)+", text)
            said[name] = found[0] if found else "unknown"
    return said


def raise_file_limit() -> None:
    """For this process and all that it starts, so that ten thousand connections fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, max(hard, FILES)))


@contextlib.contextmanager
def running(name: str, cores: Sequence[int], reactors: int = 1, log: Log | None = None) -> Iterator[Server]:
    """The server of that name, fresh, on these cores (none: any); stopped at the end.

    Raises StartError. A start is tried three times: the module of mqfast may be in the middle of a build.
    """
    for attempt in range(3):
        try:
            process, port = _start(name, cores, reactors, log)
            break
        except StartError:
            if attempt == 2:
                raise
            time.sleep(2)
    try:
        yield Server(name, port, process.pid)
    finally:
        _stop(process)


def _command(name: str, port: int, reactors: int, log: Log | None) -> list[str]:
    if name == "echo":
        return [str(BUILD / "mqecho"), "0"]
    if name == "mqfast":
        kept = ["--persist", str(log.folder), "--fsync", "always" if log.always else "everysec"] if log else []
        return [sys.executable, "-m", "mqfast", "--port", "0", "--reactors", str(reactors), *kept]
    if name == "redis":
        plain = ["--save", "", "--io-threads", "1", "--appendonly", "yes" if log else "no"]
        kept = ["--dir", str(log.folder), "--appendfsync", "always" if log.always else "everysec"] if log else []
        return ["redis-server", "--port", str(port), "--bind", HOST, *plain, *kept]
    kept = ["-b", str(log.folder), "-f", "0" if log.always else "50"] if log else []
    return ["beanstalkd", "-l", HOST, "-p", str(port), *kept]


def _start(name: str, cores: Sequence[int], reactors: int, log: Log | None) -> tuple["subprocess.Popen[bytes]", int]:
    says_port = name in ("echo", "mqfast")
    port = 0 if says_port else _free_port()
    keep = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
    process = subprocess.Popen(
        _command(name, port, reactors, log),
        cwd=ROOT,
        env={key: os.environ[key] for key in keep if key in os.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if says_port else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if name == "redis" else None,
        # Before exec: threads that start later inherit it. This process has one thread, so the hook is safe.
        preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
    )
    try:
        return process, _port_said(process, name) if says_port else _port_open(process, name, port)
    except BaseException:
        _stop(process)
        raise


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _port_said(process: "subprocess.Popen[bytes]", name: str) -> int:
    """The port in the line that the server prints once it listens."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], START_SECONDS)[0]:
        raise StartError(f"{name} did not say within {START_SECONDS:.0f} s where it listens")
    line = process.stdout.readline().decode(errors="replace")
    found = re.search(r"listening on [\d.]+:(\d+)", line)
    if found is None:
        raise StartError(f"{name} did not start: {line.strip() or 'it ended'}")
    return int(found[1])


def _port_open(process: "subprocess.Popen[bytes]", name: str, port: int) -> int:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise StartError(f"{name} ended with status {process.returncode} instead of listening on port {port}")
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return port
        time.sleep(0.01)
    raise StartError(f"{name} does not listen on port {port}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
