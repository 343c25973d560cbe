"""Rates on one core that server and generator share, where nothing hides behind parallelism.

What counts is the ratio to the echo server within a round: both ran within the same second or two, so what else the
machine does falls out. The order within a round turns, so that none always runs first.

On a machine that is busy otherwise, the core is taken away for milliseconds at a time and the rates of a round have
little in common. Server and generator fill the core, so their CPU time for an operation says the same as a rate, and
leaves out what others took: the second ratio is of these times.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from perf.comparison import load, servers

WARMUP_OPS = 2000

# Bounds of what a run stores. Memory that a virtual machine touches for the first time is slower than memory that
# a process has freed a moment ago, so a server that is quicker, and stores more, would be measured on slower memory.
# For the same reason the first run of each server, round 0, is not counted.
PUSHES = 400_000
BATCHED_PUSHES = 600_000


@dataclass(frozen=True)
class Workload:
    """options: for mqload. target: the ratio to echo that mqfast is to reach. max_ops: 0 stores nothing lasting."""

    name: str
    options: tuple[str, ...]
    target: float
    max_ops: int = 0


def _push(connections: int, depth: int, target: float) -> Workload:
    name = f"push {connections} conn" + (f" x {depth}" if depth > 1 else "")
    options = ("--workload", "push", "--connections", str(connections), "--depth", str(depth))
    return Workload(name, options, target, PUSHES)


def _cycle(connections: int, depth: int, target: float) -> Workload:
    name = f"cycle {connections} conn" + (f" x {depth}" if depth > 1 else "")
    return Workload(name, ("--workload", "cycle", "--connections", str(connections), "--depth", str(depth)), target)


WORKLOADS = (
    _push(1, 1, 0.92),
    _push(10, 1, 0.90),
    _push(50, 1, 0.88),
    _push(1, 16, 0.78),
    _push(1, 64, 0.55),
    Workload("pushb 100", ("--workload", "pushb", "--batch", "100"), 0.50, BATCHED_PUSHES),
    _cycle(1, 1, 0.92),
    _cycle(10, 1, 0.90),
    _cycle(50, 1, 0.88),
    _cycle(4, 16, 0.70),
    Workload("pullb 50 4 conn", ("--workload", "pullb", "--batch", "50", "--connections", "4"), 0.45),
)


@dataclass(frozen=True)
class Measured:
    """Medians over the rounds of one server under one workload.

    ratio: of its rate to echo's. cpu_ratio: of echo's CPU time for an operation, generator's and server's, to its own.
    Both None when echo was not run.
    """

    server: str
    ratio: float | None
    ratios: tuple[float, ...]
    cpu_ratio: float | None
    cpu_ratios: tuple[float, ...]
    rate: float
    server_cpu_us: float
    load_cpu_us: float
    p50_us: float
    p99_us: float


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    workload: str
    target: float
    servers: tuple[Measured, ...]


def measure(
    workloads: Sequence[Workload], names: Sequence[str], rounds: int, seconds: float, core: int
) -> Iterator[Row]:
    """A row for each workload as soon as it is measured."""
    for workload in workloads:
        by_round = [
            _round(workload, [*names[number % len(names) :], *names[: number % len(names)]], seconds, core)
            for number in range(rounds + 1)
        ][1:]
        yield Row(workload.name, workload.target, tuple(_summary(name, by_round) for name in names))


def _round(workload: Workload, names: Sequence[str], seconds: float, core: int) -> dict[str, load.Result]:
    results = {}
    for name in names:
        options = [*workload.options, "--seconds", str(seconds), "--warmup-ops", str(WARMUP_OPS)]
        if workload.max_ops and name != "echo":
            options += ["--ops", str(workload.max_ops)]
        with servers.running(name, [core]) as server:
            results[name] = load.run(server, options, [core])
        print(f"  {workload.name}: {name} {results[name].rate:,.0f}/s", file=sys.stderr)
    return results


def _summary(name: str, rounds: Sequence[dict[str, load.Result]]) -> Measured:
    own = [results[name] for results in rounds]
    pairs = [(results[name], results["echo"]) for results in rounds if "echo" in results]
    ratios = tuple(result.rate / echo.rate for result, echo in pairs)
    cpu_ratios = tuple(echo.cpu_us / result.cpu_us for result, echo in pairs)
    return Measured(
        server=name,
        ratio=median(ratios) if ratios else None,
        ratios=ratios,
        cpu_ratio=median(cpu_ratios) if cpu_ratios else None,
        cpu_ratios=cpu_ratios,
        rate=median(result.rate for result in own),
        server_cpu_us=median(result.server_cpu_us for result in own),
        load_cpu_us=median(result.load_cpu_us for result in own),
        p50_us=median(result.p50_us for result in own),
        p99_us=median(result.p99_us for result in own),
    )
