"""pyperf suite of the engine alone: one request line in, one answer line out, no sockets.

``python perf/bench_engine.py -o new.json``, then ``python -m pyperf compare_to old.json new.json``. Batches tell the
time of one job.
"""

import re
import time
from collections.abc import Callable

import pyperf

from mqfast._engine import Engine

BATCH = 100
DATA = b'{"to":"user@example.org","template":"welcome","pad":"' + b"x" * 45 + b'"}'
PUSH = b'{"cmd":"PUSH","queue":"q","data":' + DATA + b"}"
PULL = b'{"cmd":"PULL","queue":"q","timeout":0}'
PUSHB = b'{"cmd":"PUSHB","queue":"q","jobs":[' + b",".join([b'{"data":' + DATA + b"}"] * BATCH) + b"]}"
PULLB = b'{"cmd":"PULLB","queue":"q","count":%d,"timeout":0}' % BATCH

_ID = re.compile(rb'"id":(\d+),"queue"')


def _checked(engine: Engine, line: bytes) -> bytes:
    answer = engine.execute(line)
    if not answer.startswith(b'{"ok":true'):
        raise RuntimeError(f"{line[:80]!r} was answered with {answer[:200]!r}")
    return answer


def _ack(answer: bytes) -> bytes:
    found = _ID.search(answer)
    if found is None:
        raise RuntimeError(f"no job in {answer[:200]!r}")
    return b'{"cmd":"ACK","id":%b}' % found[1]


def _ackb(answer: bytes) -> bytes:
    ids = _ID.findall(answer)
    if len(ids) != BATCH:
        raise RuntimeError(f"{len(ids)} jobs in an answer instead of {BATCH}")
    return b'{"cmd":"ACKB","ids":[%b]}' % b",".join(ids)


def _timed(engine: Engine, lines: list[bytes]) -> float:
    execute = engine.execute
    start = time.perf_counter()
    for line in lines:
        execute(line)
    return time.perf_counter() - start


def bench_push(loops: int) -> float:
    """Pushes to an ever longer queue."""
    return _timed(Engine(), [PUSH] * loops)


def bench_pull(loops: int) -> float:
    """Pulls from a queue that has a job for each."""
    engine = Engine()
    for _ in range(loops):
        _checked(engine, PUSH)
    return _timed(engine, [PULL] * loops)


def bench_ack(loops: int) -> float:
    """Acks of as many held jobs."""
    engine = Engine()
    acks = []
    for _ in range(loops):
        _checked(engine, PUSH)
        acks.append(_ack(_checked(engine, PULL)))
    return _timed(engine, acks)


def bench_cycle(loops: int) -> float:
    """Push, pull, ack; finding the id in the answer, about half a microsecond, is in the time."""
    engine = Engine()
    execute = engine.execute
    start = time.perf_counter()
    for _ in range(loops):
        execute(PUSH)
        execute(_ack(execute(PULL)))
    return time.perf_counter() - start


def bench_pushb(loops: int) -> float:
    """Batches pushed to an ever longer queue."""
    return _timed(Engine(), [PUSHB] * loops)


def bench_pullb(loops: int) -> float:
    """Batches pulled from a queue that has enough."""
    engine = Engine()
    for _ in range(loops):
        _checked(engine, PUSHB)
    return _timed(engine, [PULLB] * loops)


def bench_ackb(loops: int) -> float:
    """Acks of as many held batches."""
    engine = Engine()
    acks = []
    for _ in range(loops):
        _checked(engine, PUSHB)
        acks.append(_ackb(_checked(engine, PULLB)))
    return _timed(engine, acks)


SINGLE: dict[str, Callable[[int], float]] = {
    "engine push": bench_push,
    "engine pull": bench_pull,
    "engine ack": bench_ack,
    "engine push+pull+ack": bench_cycle,
}
BATCHED: dict[str, Callable[[int], float]] = {
    f"engine pushb {BATCH}": bench_pushb,
    f"engine pullb {BATCH}": bench_pullb,
    f"engine ackb {BATCH}": bench_ackb,
}

if __name__ == "__main__":
    runner = pyperf.Runner()
    for name, function in SINGLE.items():
        runner.bench_time_func(name, function)
    for name, function in BATCHED.items():
        runner.bench_time_func(name, function, inner_loops=BATCH)
