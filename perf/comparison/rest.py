"""Pushes over REST, against a fixed answer from the plainest Falcon on waitress: what is waitress's and what is ours.

Both get the same bytes from the same clients on keep-alive connections. Server and clients share a core, and take turns
within a round, as in throughput.py.
"""

import contextlib
import os
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from perf.comparison import servers
from perf.comparison.capacity import Finding
from perf.comparison.load import LoadError

CONNECTIONS = (1, 10, 50)
TARGET = 0.7
WARMUP_SECONDS = 0.2
_BODY = b'{"data":"%s"}' % (b"x" * 100)
_REQUEST = (
    b"POST /queues/bench/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_COMMANDS = {
    "mqfast": ("-m", "mqfast", "--port", "0", "--reactors", "1", "--http", "1", "--http-port", "0"),
    "hello": ("-m", "perf.comparison.hello"),
}
_PORTS = {"mqfast": re.compile(r"http://[\d.]+:(\d+)"), "hello": re.compile(r"listening on [\d.]+:(\d+)")}


@dataclass(frozen=True)
class _Rate:
    """Requests a second; cpu_us: of the server, for each of them."""

    rate: float
    cpu_us: float


def rest(rounds: int, seconds: float, core: int) -> list[Finding]:
    """Rates of pushes over REST and their ratios to hello's."""
    findings: list[Finding] = []
    before = os.sched_getaffinity(0)
    with _running("hello", core) as hello, _running("mqfast", core) as mqfast:
        os.sched_setaffinity(0, {core})
        try:
            for connections in CONNECTIONS:
                findings += _compare(mqfast, hello, connections, rounds, seconds)
        finally:
            os.sched_setaffinity(0, before)
    return findings


def _compare(
    subject: servers.Server, base: servers.Server, connections: int, rounds: int, seconds: float
) -> Iterator[Finding]:
    ratios, cpu_ratios, rates = [], [], []
    for number in range(rounds + 1):  # the first is not counted
        sides = (subject, base) if number % 2 else (base, subject)
        measured = {side.name: _load(side, connections, seconds) for side in sides}
        ours, theirs = measured[subject.name], measured[base.name]
        print(f"  rest {connections} conn: {ours.rate:,.0f}/s to {theirs.rate:,.0f}/s", file=sys.stderr)
        if number:
            ratios.append(ours.rate / theirs.rate)
            cpu_ratios.append(theirs.cpu_us / ours.cpu_us)
            rates.append(ours.rate)
    name = f"pushes over REST to a falcon-on-waitress hello, {connections} conn"
    yield Finding(name, median(ratios), "", TARGET)
    yield Finding(f"{name}, by the server's CPU time", median(cpu_ratios), "", TARGET)
    yield Finding(f"{name}, absolute", median(rates), "/s")


def _load(server: servers.Server, connections: int, seconds: float) -> _Rate:
    """As many requests as can be made, one at a time on each connection."""
    clients = [socket.create_connection((servers.HOST, server.port)) for _ in range(connections)]
    try:
        for client in clients:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _requests(clients, WARMUP_SECONDS)
        cpu, begun = server.cpu_seconds(), time.perf_counter()
        count = _requests(clients, seconds)
        took, cpu = time.perf_counter() - begun, server.cpu_seconds() - cpu
    finally:
        for client in clients:
            client.close()
    return _Rate(count / took, cpu / count * 1e6)


def _requests(clients: Sequence[socket.socket], seconds: float) -> int:
    poll = select.poll()
    by_fd = {client.fileno(): client for client in clients}
    received = dict.fromkeys(by_fd, b"")
    for client in clients:
        poll.register(client, select.POLLIN)
        client.sendall(_REQUEST)
    end = time.perf_counter() + seconds
    count, busy = 0, len(clients)
    while busy:
        for fd, _ in poll.poll():
            received[fd] += by_fd[fd].recv(65536)
            if not _is_whole(received[fd]):
                continue
            received[fd] = b""
            count += 1
            if time.perf_counter() < end:
                by_fd[fd].sendall(_REQUEST)
            else:
                busy -= 1
    return count


def _is_whole(answer: bytes) -> bool:
    """Raises LoadError for anything but a whole or partial 200."""
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        if not answer:
            raise LoadError("a server has closed a connection")
        return False
    length = _LENGTH.search(head + b"\r\n")
    if not head.startswith(b"HTTP/1.1 200 ") or length is None:
        raise LoadError(f"unexpected answer: {answer[:300]!r}")
    return len(body) == int(length[1])


@contextlib.contextmanager
def _running(name: str, core: int) -> Iterator[servers.Server]:
    """One of the two on this core. Raises StartError."""
    process = subprocess.Popen(
        [sys.executable, *_COMMANDS[name]],
        cwd=servers.ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    try:
        assert process.stdout is not None
        if not select.select([process.stdout], [], [], servers.START_SECONDS)[0]:
            raise servers.StartError(f"{name} did not say in time where it listens")
        line = process.stdout.readline().decode(errors="replace")
        found = _PORTS[name].search(line)
        if found is None:
            raise servers.StartError(f"{name} did not start: {line.strip() or 'it ended'}")
        yield servers.Server(name, int(found[1]), process.pid)
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()
