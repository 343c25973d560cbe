"""How soon things happen: delayed jobs, timeouts, dependents; and what a great sweep costs everybody else."""

import contextlib
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import quantiles

from perf.comparison import load, servers
from perf.comparison.capacity import Finding, compared_findings

BURST = 100_000
EXPIRIES = 1_000_000


class _Client:
    """A blocking connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((servers.HOST, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> "_Client":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._file.close()
        self._socket.close()

    def send(self, cmd: str, **fields: object) -> None:
        self._socket.sendall(json.dumps({"cmd": cmd, **fields}).encode() + b"\n")

    def line(self) -> dict[str, object]:
        answer: dict[str, object] = json.loads(self._file.readline())
        return answer

    def call(self, cmd: str, **fields: object) -> dict[str, object]:
        self.send(cmd, **fields)
        answer = self.line()
        if not answer.get("ok"):
            raise load.LoadError(f"{cmd} is refused: {answer}")
        return answer

    def counts(self, queue: str) -> dict[str, object]:
        queues = self.call("LISTQUEUES")["queues"]
        assert isinstance(queues, list)
        return next(row for row in queues if row["name"] == queue)

    def expired(self) -> int:
        metrics = self.call("METRICS")["metrics"]
        assert isinstance(metrics, dict)
        return int(metrics["total_expired"])


def _now_ms() -> float:
    return time.time() * 1000


def _spread(name: str, values: Sequence[float], unit: str, p99: float | None) -> list[Finding]:
    cuts = quantiles(values, n=100)
    return [
        Finding(f"{name}: p50", cuts[49], unit),
        Finding(f"{name}: p99", cuts[98], unit, p99, at_least=False),
        Finding(f"{name}: worst", max(values), unit),
    ]


def timing() -> list[Finding]:
    """All of it, on a daemon that may use every core."""
    findings = []
    for measure in (_lateness, _burst, _timeouts, _release, _fan_out, _sweep):
        with servers.running("mqfast", ()) as server:
            print(f"  {measure.__name__.strip('_')}", file=sys.stderr)
            findings += measure(server.port)
    return findings


def _lateness(port: int) -> list[Finding]:
    """2,000 delayed jobs over two seconds, to 20 pullers that wait."""
    late: list[float] = []
    total = 2000

    def pull() -> None:
        with _Client(port) as client:
            while len(late) < total:
                job = client.call("PULL", queue="late", timeout=200)["job"]
                now = _now_ms()
                if isinstance(job, dict):
                    late.append(now - job["run_at"])
                    client.call("ACK", id=job["id"])

    with _Client(port) as producer:
        producer.call("PUSHB", queue="late", jobs=[{"data": i, "delay": 300 + i} for i in range(total)])
        _threads([pull] * 20)
    return _spread("delayed jobs, 1,000 a second, to waiting pulls: late by", late, "ms", 2)


def _burst(port: int) -> list[Finding]:
    """100,000 jobs due in one millisecond: when a pull gets one, and when all are ready."""
    with _Client(port) as client, _Client(port) as watcher:
        client.call("PUSHB", queue="burst", jobs=[{"data": 1, "delay": 1500}] * BURST)
        rows = client.call("GETJOBS", queue="burst", state="delayed", limit=1)["jobs"]
        assert isinstance(rows, list)
        due = rows[0]["run_at"]
        while _now_ms() < due - 20:
            time.sleep(0.001)
        pulls = []
        while client.call("PULL", queue="burst", timeout=0)["job"] is None:
            pass
        first = _now_ms() - due
        while watcher.counts("burst")["delayed"]:
            begun = time.perf_counter()
            if client.call("PULL", queue="burst", timeout=0)["job"] is None:
                raise load.LoadError("a pull found nothing although jobs were due")
            pulls.append((time.perf_counter() - begun) * 1000)
        ready = _now_ms() - due
    return [
        Finding(f"{BURST:,} jobs due in one ms: first pull that gets one, after", first, "ms", 2, at_least=False),
        Finding(f"{BURST:,} jobs due in one ms: all counted as ready after", ready, "ms"),
        Finding(
            f"{BURST:,} jobs due in one ms: slowest pull meanwhile", max(pulls, default=0.0), "ms", 5, at_least=False
        ),
    ]


def _timeouts(port: int) -> list[Finding]:
    """1,000 held jobs whose time runs out over a second: when the event comes."""
    with _Client(port) as client, _Client(port) as ear:
        ear.call("SUBSCRIBE", queue="slow", events=["timeout"])
        deadlines: dict[object, float] = {}
        late = []
        for i in range(1000):
            client.call("PUSH", queue="slow", data=i, timeout=1000, max_attempts=1)
            job = client.call("PULL", queue="slow")["job"]
            assert isinstance(job, dict)
            deadlines[job["id"]] = job["started_at"] + 1000
        for _ in range(1000):
            event = ear.line()
            late.append(_now_ms() - deadlines[event["job"]])
    return _spread("timeouts: event comes late by", late, "ms", 20)


def _release(port: int) -> list[Finding]:
    """One dependent at a time, from the ACK to its delivery, while 100,000 others wait for another job."""
    took = []
    with _Client(port) as client, _Client(port) as worker:
        blocker = client.call("PUSH", queue="blocker", data=1)["id"]
        for _ in range(10):
            client.call("PUSHB", queue="others", jobs=[{"data": 1, "depends_on": [blocker]}] * (BURST // 10))
        for i in range(500):
            parent = client.call("PUSH", queue="parents", data=i)["id"]
            client.call("PUSH", queue="children", data=i, depends_on=[parent])
            worker.send("PULL", queue="children")
            client.call("PULL", queue="parents")
            begun = time.perf_counter()
            client.call("ACK", id=parent)
            job = worker.line()["job"]
            took.append((time.perf_counter() - begun) * 1000)
            assert isinstance(job, dict)
            worker.call("ACK", id=job["id"])
    return _spread(f"dependent delivered after the ACK, {BURST:,} others waiting", took, "ms", 5)


def _fan_out(port: int) -> list[Finding]:
    """10,000 dependents of one job."""
    with _Client(port) as client, _Client(port) as watcher:
        parent = client.call("PUSH", queue="parent", data=1)["id"]
        client.call("PUSHB", queue="fan", jobs=[{"data": 1, "depends_on": [parent]}] * 10_000)
        client.call("PULL", queue="parent")
        begun = time.perf_counter()
        client.call("ACK", id=parent)
        while watcher.counts("fan")["pending"] != 10_000:
            pass
        took = (time.perf_counter() - begun) * 1000
    return [Finding("10,000 dependents of one job: all released after", took, "ms")]


def _sweep(port: int) -> list[Finding]:
    """A million jobs that expire in one millisecond, and what commands of others take meanwhile."""
    with _Client(port) as client, _Client(port) as prober, _Client(port) as watcher:
        expire = _now_ms() + 9000
        for _ in range(EXPIRIES // 20_000):
            ttl = int(expire - _now_ms())
            client.call("PUSHB", queue="perish", jobs=[{"data": 1, "ttl": ttl}] * 20_000)
        if _now_ms() > expire - 1500:
            raise load.LoadError("this machine is too slow: jobs expire before all are there")
        calm = _probe(prober, lambda: _now_ms() < expire - 400, "calm")
        while _now_ms() < expire - 5:
            time.sleep(0.001)
        left = threading.Event()
        begun = time.perf_counter()

        def watch() -> None:
            while watcher.expired() < EXPIRIES * 0.99:  # some were pulled just before their time
                time.sleep(0.005)
            left.set()

        thread = threading.Thread(target=watch)
        thread.start()
        burst = _probe(prober, lambda: not left.is_set(), "perish")
        thread.join()
        took = time.perf_counter() - begun
    findings = [Finding(f"{EXPIRIES:,} expiries in one ms: done after", took, "s")]
    for cmd in burst:
        findings.append(
            Finding(
                f"meanwhile {cmd}: p99 (calm {quantiles(calm[cmd], n=100)[98]:.2f})",
                quantiles(burst[cmd], n=100)[98],
                "ms",
            )
        )
        findings.append(
            Finding(f"meanwhile {cmd}: worst (calm {max(calm[cmd]):.2f})", max(burst[cmd]), "ms", 5, at_least=False)
        )
    return findings


def _probe(client: _Client, go_on: Callable[[], bool], same: str) -> dict[str, list[float]]:
    """Times of commands, in ms, one after another as long as go_on says; `same`: the queue that is swept."""
    times: dict[str, list[float]] = {
        "PUSH": [],
        "PULL": [],
        "ACK": [],
        "STATS": [],
        "PUSH to it": [],
        "PULL from it": [],
    }

    def timed(name: str, cmd: str, **fields: object) -> dict[str, object]:
        begun = time.perf_counter()
        answer = client.call(cmd, **fields)
        times[name].append((time.perf_counter() - begun) * 1000)
        return answer

    while go_on() or len(times["PUSH"]) < 3:
        timed("PUSH", "PUSH", queue="probe", data=1)
        job = timed("PULL", "PULL", queue="probe", timeout=0)["job"]
        assert isinstance(job, dict)
        timed("ACK", "ACK", id=job["id"])
        timed("STATS", "STATS")
        timed("PUSH to it", "PUSH", queue=same, data=1, priority=-1)
        timed("PULL from it", "PULL", queue=same, timeout=0)
    return times


def features(rounds: int, seconds: float, core: int) -> list[Finding]:
    """A queue with a far rate limit, a bound on held jobs and a subscriber, against a plain one."""
    findings = []
    loads = {
        "push 10 conn": ("--workload", "push", "--connections", "10", "--ops", "300000"),
        "cycle 10 conn": ("--workload", "cycle", "--connections", "10"),
        "cycle 4 conn x 16": ("--workload", "cycle", "--connections", "4", "--depth", "16"),
    }
    for name, options in loads.items():
        timed = [*options, "--seconds", str(seconds), "--warmup-ops", "2000"]
        for what, subscribe in (("limits", False), ("limits and a subscriber", True)):
            with (
                servers.running("mqfast", [core]) as full,
                servers.running("mqfast", [core]) as plain,
                _features_on(full.port, subscribe),
            ):
                findings += compared_findings(
                    f"{what} to plain: {name}", (full, timed, [core]), (plain, timed, [core]), rounds, 0.85
                )
    return findings


@contextlib.contextmanager
def _features_on(port: int, subscribe: bool) -> Iterator[None]:
    with _Client(port) as client, _Client(port) as ear:
        client.call("RATELIMIT", queue="bench", limit=10**12)
        client.call("SETCONCURRENCY", queue="bench", limit=10**6)
        if subscribe:
            ear.call("SUBSCRIBE", queue="bench", events=[])
            threading.Thread(target=_swallow, args=(ear,), daemon=True).start()
        yield


def _swallow(ear: _Client) -> None:
    with contextlib.suppress(OSError, ValueError):
        while ear._socket.recv(1 << 20):
            pass


def _threads(functions: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
