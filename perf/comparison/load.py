"""One run of the load generator as a function call."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from perf.comparison.servers import BUILD, HOST, ROOT, Server


class LoadError(Exception):
    """The generator ended the run: a refused answer, a closed connection. The text says which."""


@dataclass(frozen=True)
class Idle:
    """Memory of the server, bytes, around the opening of idle connections."""

    connections: int
    rss_before: int
    rss_connected: int
    rss_asked: int


@dataclass(frozen=True)
class Result:
    """What one run measured. rate: operations a second; times in microseconds, CPU times for each operation."""

    ops: int
    seconds: float
    rate: float
    load_cpu_us: float
    server_cpu_us: float
    p50_us: float
    p99_us: float
    idle: Idle | None

    @property
    def cpu_us(self) -> float:
        """CPU time of an operation on both sides of the socket."""
        return self.server_cpu_us + self.load_cpu_us


def build() -> None:
    """Builds generator and echo server where needed. Raises LoadError with the compiler's words."""
    made = subprocess.run(
        ["make", "--silent", "-C", str(ROOT / "perf" / "load")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if made.returncode:
        raise LoadError(f"perf/load does not build:\n{made.stdout}")


def run(server: Server, options: Sequence[str], cores: Sequence[int]) -> Result:
    """Puts load on the server with these options of mqload, from these cores (none: any)."""
    command = [str(BUILD / "mqload"), "--target", server.name, "--host", HOST, "--port", str(server.port)]
    done = subprocess.run(
        [*command, "--server-pid", str(server.pid), *options],
        capture_output=True,
        text=True,
        preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
    )
    if done.returncode:
        raise LoadError(f"mqload {' '.join(options)} on {server.name}: {done.stderr.strip()}")
    said = json.loads(done.stdout)
    idle = said.get("idle")
    return Result(
        ops=said["ops"],
        seconds=said["seconds"],
        rate=said["rate"],
        load_cpu_us=said["load_cpu_us"],
        server_cpu_us=said["server_cpu_us"],
        p50_us=said["latency_us"]["p50"],
        p99_us=said["latency_us"]["p99"],
        idle=Idle(**idle) if idle else None,
    )
