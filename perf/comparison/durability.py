"""What it costs to be on the disk: against no log at all, and against redis and beanstalkd set as like as they can be.

All cores are free to server and generator: each server has a thread or child of its own that writes. Ratios are of
rates within a round, medians over the rounds. What `always` can reach is the disk's own rate of syncs, told beside it.
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from mqfast._engine import Engine
from perf.comparison import load, servers
from perf.comparison.capacity import JOBS, Finding

WARMUP_OPS = 500
SYNC_BYTES = 4096
SYNC_SECONDS = 1.0
REPLAY_RECORDS = 10_000_000
PAUSE_TARGET_MS = 20.0

_WORKLOADS: dict[str, tuple[str, ...]] = {
    **{f"push {n} conn": ("--workload", "push", "--connections", str(n)) for n in (1, 10, 50)},
    **{f"pushb 100 {n} conn": ("--workload", "pushb", "--batch", "100", "--connections", str(n)) for n in (1, 10, 50)},
    **{f"cycle {n} conn": ("--workload", "cycle", "--connections", str(n)) for n in (1, 10, 50)},
}
_OPS = {"push": 200_000, "pushb": 600_000, "cycle": 200_000}

_MEMORY, _ALWAYS, _EVERYSEC = "memory", "always", "everysec"
_RUNS = (
    ("mqfast", _MEMORY),
    ("mqfast", _ALWAYS),
    ("redis", _ALWAYS),
    ("beanstalkd", _ALWAYS),
    ("mqfast", _EVERYSEC),
    ("redis", _EVERYSEC),
    ("beanstalkd", _EVERYSEC),
)


def durability(rounds: int, seconds: float, wanted: Sequence[str]) -> list[Finding]:
    """Rates with the log on, as ratios; wanted: beginnings of names of workloads."""
    absent = servers.missing(("redis", "beanstalkd"))
    runs = [run for run in _RUNS if run[0] not in absent]
    findings = [Finding("fdatasync of 4 KiB appended, the disk's own rate", _sync_rate(), "/s")]
    for name, options in _WORKLOADS.items():
        if not name.startswith(tuple(wanted)):
            continue
        by_round = [
            _round(name, options, [*runs[number % len(runs) :], *runs[: number % len(runs)]], seconds)
            for number in range(rounds + 1)
        ][1:]
        findings += _findings(name, by_round)
    return findings


def _round(
    name: str, options: Sequence[str], runs: Sequence[tuple[str, str]], seconds: float
) -> dict[tuple[str, str], float]:
    rates = {}
    for server_name, mode in runs:
        limits = ["--seconds", str(seconds), "--warmup-ops", str(WARMUP_OPS), "--ops", str(_OPS[name.split()[0]])]
        with _folder() as folder:
            log = None if mode == _MEMORY else servers.Log(folder, mode == _ALWAYS)
            with servers.running(server_name, (), log=log) as server:
                rates[server_name, mode] = load.run(server, [*options, *limits], ()).rate
        print(f"  {name}: {server_name} {mode} {rates[server_name, mode]:,.0f}/s", file=sys.stderr)
    return rates


def _findings(name: str, rounds: Sequence[dict[tuple[str, str], float]]) -> Iterator[Finding]:
    def ratio(over: tuple[str, str], under: tuple[str, str]) -> float:
        return median(rates[over] / rates[under] for rates in rounds)

    yield Finding(f"{name}: in memory", median(rates["mqfast", _MEMORY] for rates in rounds), "/s")
    for mode, target in ((_ALWAYS, 0.5 if "50 conn" in name else None), (_EVERYSEC, 0.9)):
        own = ("mqfast", mode)
        yield Finding(f"{name}: {mode}", median(rates[own] for rates in rounds), "/s")
        yield Finding(f"{name}: {mode} to memory", ratio(own, ("mqfast", _MEMORY)), "", target)
        for other in ("redis", "beanstalkd"):
            if (other, mode) in rounds[0]:
                yield Finding(f"{name}: {mode} to {other}", ratio(own, (other, mode)), "", 1.0)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """On the disk of the checkout: the system's temporary folder may be in memory."""
    path = Path(tempfile.mkdtemp(prefix="log-", dir=servers.BUILD))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def _sync_rate() -> float:
    """How often a second this disk can make 4 KiB behind the last ones durable, in room asked for ahead."""
    with _folder() as folder, open(folder / "probe", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 256 << 20)
        block, count, begin = bytes(SYNC_BYTES), 0, time.monotonic()
        while time.monotonic() < begin + SYNC_SECONDS:
            os.pwrite(file.fileno(), block, count * SYNC_BYTES)
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.monotonic() - begin)


# Starting again


@contextlib.contextmanager
def _engine(folder: Path) -> Iterator[Engine]:
    engine = Engine(folder=str(folder), fsync="none")
    log = threading.Thread(target=engine.run_log)
    log.start()
    try:
        yield engine
    finally:
        engine.stop_log()
        log.join()
        engine.close()


def _batch(first: int, count: int, payload: str) -> bytes:
    jobs = ",".join(f'{{"data":{{"n":{n},"text":"{payload}"}}}}' for n in range(first, first + count))
    return f'{{"cmd":"PUSHB","queue":"q","jobs":[{jobs}]}}'.encode()


def _start_seconds(folder: Path) -> float:
    begin = time.monotonic()
    engine = Engine(folder=str(folder), fsync="none")
    seconds = time.monotonic() - begin
    engine.close()
    return seconds


def recovery() -> list[Finding]:
    """A million jobs: bytes of log, replay, a snapshot and what it does to others; then ten million records."""
    with _folder() as folder:
        findings = list(_million(folder))
    with _folder() as folder:
        findings += _ten_million(folder)
    return findings


def _million(folder: Path) -> Iterator[Finding]:
    payload = "x" * 76  # with what is around it, 100 bytes of data
    with _engine(folder) as engine:
        for first in range(0, JOBS, 1000):
            engine.execute(_batch(first, 1000, payload))
    written = sum(path.stat().st_size for path in folder.glob("*.log"))
    yield Finding("log of a pushed job, its 100 bytes of data included", written / JOBS, "bytes")
    yield Finding("replay of 1,000,000 jobs", _start_seconds(folder), "s", 1.0, at_least=False)
    with _engine(folder) as engine:
        calm = _worst_probe_ms(engine, lambda: time.sleep(1))
        begin = time.monotonic()
        worst = _worst_probe_ms(engine, engine.snapshot)
        yield Finding("snapshot of 1,000,000 jobs made in", time.monotonic() - begin, "s")
        yield Finding("meanwhile a push took at worst", worst, "ms", PAUSE_TARGET_MS, at_least=False)
        yield Finding("in a calm second a push took at worst", calm, "ms")
    for path in sorted(folder.glob("*.log"))[:-1]:
        path.unlink()  # all in the snapshot
    yield Finding("start from the snapshot", _start_seconds(folder), "s", 1.0, at_least=False)


def _worst_probe_ms(engine: Engine, during: object) -> float:
    """The longest that any push took while `during` ran."""
    over, worst = threading.Event(), 0.0

    def probe() -> None:
        nonlocal worst
        while not over.is_set():
            begin = time.perf_counter()
            engine.execute(b'{"cmd":"PUSH","queue":"probe","data":1}')
            worst = max(worst, time.perf_counter() - begin)

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        assert callable(during)
        during()
    finally:
        over.set()
        thread.join()
    return worst * 1000


def _ten_million(folder: Path) -> Iterator[Finding]:
    """Half of them before a snapshot. Each job is pushed, pulled and acked: three records."""
    jobs, batch = REPLAY_RECORDS // 3, 1000
    with _engine(folder) as engine:
        for number, first in enumerate(range(0, jobs, batch)):
            if number == jobs // batch // 2:
                engine.snapshot()
            ids = json.loads(engine.execute(_batch(first, batch, "")))["ids"]
            engine.execute(b'{"cmd":"PULLB","queue":"q","count":%d,"timeout":0,"lease":60000}' % batch)
            engine.execute(b'{"cmd":"ACKB","ids":%s}' % json.dumps(ids).encode())
    yield Finding(
        f"replay of {REPLAY_RECORDS:,} records, half in a snapshot", _start_seconds(folder), "s", 5.0, at_least=False
    )
    for path in folder.glob("*.snap"):
        path.unlink()
    if int(min(path.stem for path in folder.glob("*.log"))) == 1:
        yield Finding(f"replay of {REPLAY_RECORDS:,} records without one", _start_seconds(folder), "s")
