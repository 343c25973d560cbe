"""What the daemon alone is asked: a great backlog, many idle connections, a second reactor."""

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from perf.comparison import load, servers

PAYLOAD_BYTES = 100
JOBS = 1_000_000
IDLE_CONNECTIONS = 10_000
IDLE_SECONDS = 10.0

_CYCLES = {
    "cycle 1 conn": ("--workload", "cycle"),
    "cycle 4 conn x 16": ("--workload", "cycle", "--connections", "4", "--depth", "16"),
}


@dataclass(frozen=True)
class Finding:
    """One number and what it is to be. at_least: whether the target is a lower bound; None: it is only told."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = True

    @property
    def reached(self) -> bool:
        """True as well for what has no target."""
        if self.target is None:
            return True
        return self.value >= self.target if self.at_least else self.value <= self.target


def backlog(rounds: int, seconds: float, core: int) -> list[Finding]:
    """A million waiting jobs against an empty daemon: rate of cycles, idle CPU, memory for each job."""
    with ExitStack() as stack:
        empty = stack.enter_context(servers.running("mqfast", [core]))
        full = stack.enter_context(servers.running("mqfast", [core]))
        # A first job, so that what the daemon makes once is not counted for each job.
        load.run(full, ["--workload", "cycle", "--ops", "1"], [core])
        overhead = _fill(full, core)
        time.sleep(1)
        cpu = full.cpu_seconds()
        time.sleep(IDLE_SECONDS)
        percent = (full.cpu_seconds() - cpu) / IDLE_SECONDS * 100
        findings = [
            Finding(f"{JOBS:,} jobs: memory a job beyond its payload", overhead, "bytes", 160, at_least=False),
            Finding(f"{JOBS:,} jobs: idle CPU", percent, "% of a core", 1, at_least=False),
        ]
        for name, options in _CYCLES.items():
            timed = [*options, "--priorities", "10", "--seconds", str(seconds), "--warmup-ops", "2000"]
            compared = _compare((full, timed, [core]), (empty, timed, [core]), rounds)
            findings += _compared(f"{JOBS:,} jobs to none: {name}", compared, 0.85)
    return findings


def memory(names: Sequence[str], core: int) -> list[Finding]:
    """A million waiting jobs in each of these servers but the echo server: resident memory for each job."""
    findings = []
    for name in names:
        if name == "echo":
            continue
        with servers.running(name, [core]) as server:
            load.run(server, ["--workload", "cycle", "--ops", "1"], [core])
            findings.append(Finding(name, _fill(server, core), "bytes"))
    return findings


def _fill(server: servers.Server, core: int) -> float:
    """Gives it a million jobs; the resident memory that one takes beyond its payload, in bytes."""
    before = server.rss_bytes()
    filled = load.run(server, ["--workload", "fill", "--ops", str(JOBS), "--batch", "1000"], [core])
    _say(f"{server.name} filled at {filled.rate:,.0f} jobs/s")
    return (server.rss_bytes() - before) / JOBS - PAYLOAD_BYTES


def idle(rounds: int, seconds: float, core: int) -> list[Finding]:
    """Ten thousand connections that do nothing: memory for each, and what they cost the busy ones."""
    timed = ["--workload", "cycle", "--connections", "10", "--seconds", str(seconds), "--warmup-ops", "2000"]
    crowd = [*timed, "--idle", str(IDLE_CONNECTIONS)]
    with ExitStack() as stack:
        quiet = stack.enter_context(servers.running("mqfast", [core]))
        crowded = stack.enter_context(servers.running("mqfast", [core]))
        memory = load.run(crowded, crowd, [core]).idle
        assert memory is not None
        connected = (memory.rss_connected - memory.rss_before) / IDLE_CONNECTIONS
        asked = (memory.rss_asked - memory.rss_before) / IDLE_CONNECTIONS
        compared = _compare((crowded, crowd, [core]), (quiet, timed, [core]), rounds)
    what = f"{IDLE_CONNECTIONS:,} idle connections"
    return [
        Finding(f"{what}: memory each, only connected", connected, "bytes", 2048, at_least=False),
        Finding(f"{what}: memory each, after one answered request", asked, "bytes", 2048, at_least=False),
        *_compared(f"{what} to none: cycle 10 conn", compared, 0.95),
    ]


def reactors(rounds: int, seconds: float, cores: Sequence[int]) -> list[Finding]:
    """A second reactor against one: on the first's own core, and with all cores to choose from."""
    loads = {
        "push 50 conn": ("--workload", "push", "--connections", "50", "--ops", "400000"),
        "cycle 10 conn": ("--workload", "cycle", "--connections", "10"),
        "cycle 4 conn x 16": ("--workload", "cycle", "--connections", "4", "--depth", "16"),
    }
    places: dict[str, tuple[Sequence[int], Sequence[int]]] = {"unpinned": ((), ())}
    if len(cores) > 1:
        places = {"daemon on one core, generator on another": ((cores[0],), (cores[-1],)), **places}
    findings = []
    for place, (daemon_cores, load_cores) in places.items():
        for name, options in loads.items():
            timed = [*options, "--seconds", str(seconds), "--warmup-ops", "2000"]
            with ExitStack() as stack:
                one = stack.enter_context(servers.running("mqfast", daemon_cores, reactors=1))
                two = stack.enter_context(servers.running("mqfast", daemon_cores, reactors=2))
                compared = _compare((two, timed, load_cores), (one, timed, load_cores), rounds)
            findings += _compared(f"2 reactors to 1, {place}: {name}", compared, None)
    return findings


_Side = tuple[servers.Server, Sequence[str], Sequence[int]]


@dataclass(frozen=True)
class _Compared:
    """Medians over the rounds. ratio: of rates; cpu_ratio: of the CPU times of an operation, base to subject."""

    ratio: float
    cpu_ratio: float
    rate: float


def _compare(subject: _Side, base: _Side, rounds: int) -> _Compared:
    """What is compared within a round ran within the same second or two. The first round is not counted."""
    ratios, cpu_ratios, rates = [], [], []
    for number in range(rounds + 1):
        sides = [subject, base] if number % 2 else [base, subject]
        measured = {side[0].pid: load.run(*side) for side in sides}
        one, other = measured[subject[0].pid], measured[base[0].pid]
        _say(f"{' '.join(subject[1][:4])}: {one.rate:,.0f}/s to {other.rate:,.0f}/s")
        if number:
            ratios.append(one.rate / other.rate)
            cpu_ratios.append(other.cpu_us / one.cpu_us)
            rates.append(one.rate)
    return _Compared(median(ratios), median(cpu_ratios), median(rates))


def _compared(name: str, compared: _Compared, target: float | None) -> list[Finding]:
    return [
        Finding(name, compared.ratio, "", target),
        Finding(f"{name}, by CPU time", compared.cpu_ratio, "", target),
        Finding(f"{name}, absolute", compared.rate, "/s"),
    ]


def compared_findings(name: str, subject: _Side, base: _Side, rounds: int, target: float | None) -> list[Finding]:
    """The same load on two servers: the ratio of their rates, by CPU time too."""
    return _compared(name, _compare(subject, base, rounds), target)


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr)
