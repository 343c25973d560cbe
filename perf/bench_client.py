"""pyperf suite of round trips: a blocking socket of Python against a daemon in a process of its own, over loopback.

``python perf/bench_client.py -o new.json``, then ``python -m pyperf compare_to old.json new.json``. Batches tell the
time of one job.
"""

import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyperf

ROOT = Path(__file__).resolve().parent.parent
BATCH = 100
DATA = b'{"to":"user@example.org","template":"welcome","pad":"' + b"x" * 45 + b'"}'
PING = b'{"cmd":"PING"}\n'
PUSH = b'{"cmd":"PUSH","queue":"q","data":' + DATA + b"}\n"
PULL = b'{"cmd":"PULL","queue":"q","timeout":0}\n'
PUSHB = b'{"cmd":"PUSHB","queue":"q","jobs":[' + b",".join([b'{"data":' + DATA + b"}"] * BATCH) + b"]}\n"
PULLB = b'{"cmd":"PULLB","queue":"q","count":%d,"timeout":0}\n' % BATCH

_ID = re.compile(rb'"id":(\d+),"queue"')

Ask = Callable[[bytes], bytes]


@contextlib.contextmanager
def _daemon() -> Iterator[Ask]:
    """A fresh daemon, as a function from a request line to its answer line."""
    command = [sys.executable, "-m", "mqfast", "--host", "127.0.0.1", "--port", "0", "--reactors", "1"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            port = re.search(r"listening on [\d.]+:(\d+)", line)
            if port is None:
                raise RuntimeError(f"the daemon did not start: {line.strip() or 'it ended'}")
            with socket.create_connection(("127.0.0.1", int(port[1]))) as peer:
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                yield _asker(peer)
        finally:
            process.terminate()


def _asker(peer: socket.socket) -> Ask:
    def ask(line: bytes) -> bytes:
        peer.sendall(line)
        answer = peer.recv(1 << 18)
        while not answer.endswith(b"\n"):
            more = peer.recv(1 << 18)
            if not more:
                raise RuntimeError("the daemon closed the connection")
            answer += more
        if not answer.startswith(b'{"ok":true'):
            raise RuntimeError(f"{line[:80]!r} was answered with {answer[:200]!r}")
        return answer

    return ask


def _ping(ask: Ask) -> None:
    ask(PING)


def _push(ask: Ask) -> None:
    ask(PUSH)


def _cycle(ask: Ask) -> None:
    ask(PUSH)
    (number,) = _ID.findall(ask(PULL))
    ask(b'{"cmd":"ACK","id":%b}\n' % number)


def _batch(ask: Ask) -> None:
    ask(PUSHB)
    ids = _ID.findall(ask(PULLB))
    ask(b'{"cmd":"ACKB","ids":[%b]}\n' % b",".join(ids))


def _bench(loops: int, step: Callable[[Ask], None]) -> float:
    with _daemon() as ask:
        ask(PING)
        start = time.perf_counter()
        for _ in range(loops):
            step(ask)
        return time.perf_counter() - start


if __name__ == "__main__":
    runner = pyperf.Runner()
    runner.bench_time_func("client ping", _bench, _ping)
    runner.bench_time_func("client push", _bench, _push)
    runner.bench_time_func("client push+pull+ack", _bench, _cycle)
    runner.bench_time_func(f"client pushb+pullb+ackb {BATCH}", _bench, _batch, inner_loops=BATCH)
