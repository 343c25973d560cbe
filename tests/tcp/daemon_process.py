"""A real daemon as a child process, from its start-up line to its clean end."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.tcp.client import Address, Client

REPOSITORY = Path(__file__).resolve().parents[2]
START_S = 20.0
STOP_S = 10.0
SETTINGS = re.compile(
    r"(HOST|PORT|UNIX_SOCKET|AUTH|TOKENS|TLS|LINE|REACTORS|PERSIST|FSYNC|HTTP|LOG|MAX|RESULT|LEASE|CORS|METRICS|DASHBOARD"
    r"|MQFAST)(_\w+)?"
)
"""Environment variables that could be settings of the daemon: a test's daemon must not inherit them."""

REFUSED = re.compile(r".* WARNING \d+ (wrong tokens|connections closed: no token came)\b.*\n")
"""On stderr, where tests try wrong tokens, or none for a long time."""

START_LINE = re.compile(r"mqfast (?P<version>\S+) listening on (?P<where>.+) \((?P<reactors>\d+) reactors?\)\n")


class Daemon:
    """A started daemon. `stop` insists on a clean end; it may be called again."""

    def __init__(self, *flags: str) -> None:
        self._stopping = False
        self._stopped = False
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mqfast", "--port", "0", *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=REPOSITORY,
            env={name: value for name, value in os.environ.items() if not SETTINGS.fullmatch(name)},
        )
        try:
            line = self._read_start_line()
            match = START_LINE.fullmatch(line)
            if match is None:
                raise RuntimeError(f"unexpected start-up line {line!r}; stderr: {self.stderr_text()}")
        except BaseException:
            self._process.kill()
            self._close()
            raise
        self.version = match["version"]
        self.reactors = int(match["reactors"])
        self.tcp: tuple[str, int] | None = None
        self.tcp6: tuple[str, int] | None = None
        self.unix: str | None = None
        self.http: tuple[str, int] | None = None  # with the flag --http; on IPv4
        for place in match["where"].split(", "):
            self._note_listener(place)

    @property
    def pid(self) -> int:
        return self._process.pid

    def address(self, transport: str = "tcp") -> Address:
        """Where to connect: transport is "tcp", "tcp6" or "unix"."""
        address = {"tcp": self.tcp, "tcp6": self.tcp6, "unix": self.unix}[transport]
        if address is None:
            raise RuntimeError(f"the daemon does not listen on {transport}")
        return address

    def connect(self, transport: str = "tcp") -> Client:
        return Client(self.address(transport))

    def descriptors(self) -> list[str]:
        """Those that it has open."""
        return os.listdir(f"/proc/{self.pid}/fd")

    def resident_bytes(self) -> int:
        """The resident memory of the process."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def send_stop(self) -> None:
        """Send SIGTERM; a second one would force the daemon, so `stop` sends none after this."""
        self._stopping = True
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """Until it has ended, whatever it has written to stderr."""
        self._stopped = True
        self._process.communicate(timeout=STOP_S)
        self._close()

    def stop(self) -> None:
        """Stop by SIGTERM (if not sent before): exit status 0, and not a word on stderr or behind the line."""
        if self._stopped:
            return
        self._stopped = True
        if self._process.poll() is None and not self._stopping:
            self.send_stop()
        try:
            assert self._process.stdout is not None
            more = self._process.communicate(timeout=STOP_S)[0]
            status = self._process.returncode
            errors = REFUSED.sub("", self.stderr_text())
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"the daemon did not stop within {STOP_S} s of SIGTERM") from None
        finally:
            self._close()
        if status != 0 or errors or more:
            raise AssertionError(f"unclean end: exit status {status}, stdout {more!r}, stderr:\n{errors}")

    def _note_listener(self, place: str) -> None:
        if place.startswith(("http://", "https://")):
            host, _, port = place.partition("://")[2].rpartition(":")
            if not host.startswith("["):
                self.http = (host, int(port))
            return
        if place.startswith("unix:"):
            self.unix = place.removeprefix("unix:")
            return
        host, _, port = place.removeprefix("tls://").rpartition(":")
        if host.startswith("["):
            self.tcp6 = (host.strip("[]"), int(port))
        else:
            self.tcp = (host, int(port))

    def _read_start_line(self) -> str:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        deadline = time.monotonic() + START_S
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise RuntimeError(f"no start-up line within {START_S} s; so far {line!r}")
            byte = os.read(pipe, 1)
            if not byte:
                self._process.wait(STOP_S)
                raise RuntimeError(f"the daemon ended with {self._process.returncode}: {self.stderr_text()}")
            line += byte
        return line.decode()

    def stderr_text(self) -> str:
        """What it has written there so far."""
        size = os.fstat(self._stderr.fileno()).st_size
        # the place in the file is the daemon's too: it must not be moved
        return os.pread(self._stderr.fileno(), size, 0).decode(errors="replace")

    def _close(self) -> None:
        self._process.wait(STOP_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._stderr.close()
