"""Load for a daemon: connections that keep a number of requests in flight, and what their answers took.

One thread serves all connections. A connection sends a burst of requests in one write, and the next one when all are
answered; the time of a request is that from the write to the arrival of its answer.
"""

import re
import selectors
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from mqfast.cli.connection import Connection
from mqfast.cli.histogram import Histogram
from mqfast.cli.verbatim import Raw, dumps

_JOB = re.compile(rb'\{"id":(\d+),"queue"')
_ERROR = re.compile(rb'"error":"((?:[^"\\]|\\.)*)"')
_CHUNK = 1 << 18
SLICE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent. mode: push, pull or cycle (push, pull and ack of each job). batch: jobs of one request."""

    mode: str
    queue: str
    payload: int
    pipeline: int
    batch: int
    jobs: int
    seconds: float


@dataclass(slots=True)
class Tally:
    """What came of it. slices: jobs done in each tenth of a second. refused: answers that were no success."""

    jobs: int = 0
    seconds: float = 0.0
    refused: int = 0
    first_refusal: str = ""
    slices: list[int] = field(default_factory=list)
    latencies: dict[str, Histogram] = field(default_factory=dict)


Burst = tuple[str, bytes, int, int]
"""Name of the requests, their lines, how many there are, how many jobs are done when they are answered."""

Script = Generator[Burst, bytes, None]
"""The bursts of a connection; it is sent the answers of each."""


def run_load(connections: list[Connection], load: Load, advance: Callable[[int, int], None]) -> Tally:
    """Send the load until its jobs or its time are used up; advance(0, jobs done since the last
    call) is called about ten times a second.

    Raises UnreachableError if a connection is lost.
    """
    tally = Tally()
    selector = selectors.DefaultSelector()
    started = time.perf_counter_ns()
    deadline = started + round(load.seconds * 1e9)
    flows = [_Flow(connection, _script(load), tally, started) for connection in connections]
    for flow in flows:
        selector.register(flow.connection, selectors.EVENT_READ, flow)
        flow.begin()
    next_tick, told = started, 0
    running = len(flows)
    while running:
        for key, _ in selector.select(SLICE_SECONDS):
            flow = key.data
            if flow.receive() and (tally.jobs >= load.jobs or time.perf_counter_ns() >= deadline or not flow.begin()):
                selector.unregister(flow.connection)
                running -= 1
        now = time.perf_counter_ns()
        if now >= next_tick:
            next_tick = now + round(SLICE_SECONDS * 1e9)
            advance(0, tally.jobs - told)
            told = tally.jobs
    tally.seconds = (time.perf_counter_ns() - started) / 1e9
    selector.close()
    return tally


class _Flow:
    """A connection and the burst that it waits for."""

    def __init__(self, connection: Connection, script: Script, tally: Tally, started: int) -> None:
        self.connection = connection
        self._script = script
        self._tally = tally
        self._started = started
        self._answers: bytes | None = None
        self._received: list[bytes] = []
        self._missing = 0
        self._burst: Burst = ("", b"", 0, 0)
        self._sent = 0

    def begin(self) -> bool:
        """Send the next burst. False: there is none."""
        try:
            self._burst = next(self._script) if self._answers is None else self._script.send(self._answers)
        except StopIteration:
            return False
        self._received = []
        self._missing = self._burst[2]
        self._sent = time.perf_counter_ns()
        self.connection.send_bytes(self._burst[1])
        return True

    def receive(self) -> bool:
        """Take what has come. True: the burst is answered."""
        data = self.connection.receive_bytes(_CHUNK)
        now = time.perf_counter_ns()
        lines = data.count(b"\n")
        name, _, _, jobs = self._burst
        if lines:
            self._tally.latencies.setdefault(name, Histogram()).add(now - self._sent, lines)
        self._received.append(data)
        self._missing -= lines
        if self._missing > 0:
            return False
        self._answers = b"".join(self._received)
        self._note_refusals(self._answers)
        if jobs:
            self._count(jobs, now)
        return True

    def _note_refusals(self, answers: bytes) -> None:
        refused = answers.count(b'"ok":false')
        if refused and not self._tally.refused:
            found = _ERROR.search(answers)
            self._tally.first_refusal = found[1].decode(errors="replace") if found else ""
        self._tally.refused += refused

    def _count(self, jobs: int, now: int) -> None:
        self._tally.jobs += jobs
        slot = int((now - self._started) / 1e9 / SLICE_SECONDS)
        slices = self._tally.slices
        slices.extend([0] * (slot + 1 - len(slices)))
        slices[slot] += jobs


def _script(load: Load) -> Script:
    scripts: dict[str, Callable[[Load], Script]] = {"push": _pushing, "pull": _pulling, "cycle": _cycling}
    return scripts[load.mode](load)


def _pushing(load: Load) -> Script:
    lines = push_lines(load)
    while True:
        yield "push", lines, load.pipeline, load.pipeline * load.batch


def _pulling(load: Load) -> Script:
    """Until nothing is left."""
    while True:
        answers = yield "pull", _pull_lines(load), load.pipeline, 0
        ids = _JOB.findall(answers)
        if not ids:
            return
        acks, count = _ack_lines(load, ids)
        yield "ack", acks, count, len(ids)


def _cycling(load: Load) -> Script:
    pushes, pulls = push_lines(load), _pull_lines(load)
    while True:
        yield "push", pushes, load.pipeline, 0
        answers = yield "pull", pulls, load.pipeline, 0
        ids = _JOB.findall(answers)
        if ids:
            acks, count = _ack_lines(load, ids)
            yield "ack", acks, count, len(ids)


def push_lines(load: Load) -> bytes:
    """A burst of pushes."""
    data = Raw(dumps("x" * max(0, load.payload - 2)))
    if load.batch == 1:
        return _line(cmd="PUSH", queue=load.queue, data=data) * load.pipeline
    return _line(cmd="PUSHB", queue=load.queue, jobs=[{"data": data}] * load.batch) * load.pipeline


def _pull_lines(load: Load) -> bytes:
    if load.batch == 1:
        return _line(cmd="PULL", queue=load.queue, timeout=0) * load.pipeline
    return _line(cmd="PULLB", queue=load.queue, count=load.batch, timeout=0) * load.pipeline


def _ack_lines(load: Load, ids: list[bytes]) -> tuple[bytes, int]:
    if load.batch == 1:
        return b"".join(b'{"cmd":"ACK","id":%s}\n' % number for number in ids), len(ids)
    parts = [ids[at : at + load.batch] for at in range(0, len(ids), load.batch)]
    return b"".join(b'{"cmd":"ACKB","ids":[%s]}\n' % b",".join(part) for part in parts), len(parts)


def _line(**fields: object) -> bytes:
    return dumps(fields).encode() + b"\n"
