"""How fast the Python client is beside RQ and Celery on redis: the same work in one run, round by round in turn.

    .venv/bin/pip install '.[bench]' && .venv/bin/python perf/sdk/compare_py.py [--rounds 3] [--seconds 0.5]

mqfast keeps its jobs in memory, redis runs without persistence; all keep what jobs return. Payloads of 100 bytes. Rates
are medians over the rounds; a factor is the median of the ratios within a round. Ends within about a minute.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
PATHS = (str(ROOT), str(ROOT / "bindings" / "py"))
sys.path[:0] = PATHS

from perf.comparison.servers import running  # noqa: E402
from perf.sdk.python_sides import SIDES, Producer  # noqa: E402

DATA = {"text": "x" * 89}
BATCH = 100
THREADS = 8
WORKER_S = 60.0
WORKER = "import sys; from perf.sdk.python_sides import work; work(*sys.argv[1:])"


def rate(seconds: float, work: Callable[[], int]) -> float:
    """Calls ``work`` until the time is up; how many a second."""
    start = time.perf_counter()
    count = 0
    while time.perf_counter() - start < seconds:
        count += work()
    return count / (time.perf_counter() - start)


def pushed_alone(producer: Producer, seconds: float) -> float:
    def push() -> int:
        producer.push(DATA)
        return 1

    return rate(seconds, push)


def pushed_by_threads(producer: Producer, seconds: float) -> float:
    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(lambda _: pushed_alone(producer, seconds), range(THREADS)))


def pushed_in_batches(producer: Producer, seconds: float) -> float:
    batch = [DATA] * BATCH

    def push() -> int:
        producer.push_batch(batch)
        return BATCH

    return rate(seconds, push)


def worked(side: str, producer: Producer, port: int, name: str) -> float:
    """Jobs a second of one worker, in a process of its own, on a backlog."""
    total = SIDES[side][2]
    for _ in range(0, total, BATCH):
        producer.push_batch([DATA] * BATCH)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WORKER, side, str(port), name, str(total)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(PATHS)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=WORKER_S,
        check=True,
    )
    return float(done.stdout.splitlines()[-1])


WORK: dict[str, Callable[[str, Producer, int, str, float], float]] = {
    "push, one after the other": lambda _side, producer, _port, _name, seconds: pushed_alone(producer, seconds),
    f"push, {THREADS} threads": lambda _side, producer, _port, _name, seconds: pushed_by_threads(producer, seconds),
    f"push, batches of {BATCH}": lambda _side, producer, _port, _name, seconds: pushed_in_batches(producer, seconds),
    "worker, one handler": lambda side, producer, port, name, _seconds: worked(side, producer, port, name),
}


def measure(what: str, ports: dict[str, int], rounds: int, seconds: float) -> dict[str, list[float]]:
    """The rates of each side, round by round. The first round warms up and does not count."""
    rates: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(rounds + 1):
        for side, (make, _, _) in SIDES.items():
            name = f"compare-{os.getpid()}-{number}"
            producer = make(ports[side], name)
            result = WORK[what](side, producer, ports[side], name, seconds)
            producer.close()
            if number > 0:
                rates[side].append(result)
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with running("mqfast", cores) as mqfast, running("redis", cores) as redis:
        ports = {side: mqfast.port if side == "mqfast" else redis.port for side in SIDES}
        print("| Python, 100-byte payloads | mqfast, a second | RQ, a second | Celery, a second | to RQ | to Celery |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for what in WORK:
            rates = measure(what, ports, options.rounds, options.seconds)
            ours = rates["mqfast"]
            factors = [median(a / b for a, b in zip(ours, rates[side], strict=True)) for side in ("RQ", "Celery")]
            shown = [f"{median(values):,.0f}" for values in rates.values()] + [f"{one:.1f}" for one in factors]
            print(f"| {what} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
