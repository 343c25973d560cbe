"""The command line of the comparison."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from perf.comparison import capacity, durability, load, report, rest, servers, throughput, timing

PARTS = ("throughput", "memory", "backlog", "idle", "reactors", "timing", "features", "durability", "recovery", "rest")


def main(argv: Sequence[str]) -> int:
    """Measures what is asked for, prints tables, writes JSON. Status 1 when a server or the load failed."""
    asked = _parse(argv)
    try:
        load.build()
        _measure(asked)
    except (servers.StartError, load.LoadError) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    workloads = [workload.name for workload in throughput.WORKLOADS]
    parser = argparse.ArgumentParser(
        prog="compare.py",
        description="Compares mqfast with an echo server, redis and beanstalkd on this machine. See perf/README.md.",
        epilog="workloads: " + ", ".join(workloads),
    )
    parser.add_argument("part", nargs="?", default="throughput", choices=[*PARTS, "all"])
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds; one more goes before [5]")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each run [1]")
    parser.add_argument("--servers", default=",".join(servers.NAMES), help="which, with commas [all]")
    parser.add_argument("--workloads", default="", help="beginnings of names, with commas: push 1,cycle [all]")
    parser.add_argument("--core", type=int, help="which core server and generator share [the last]")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    asked = parser.parse_args(argv)
    if asked.rounds < 1 or asked.seconds <= 0:
        parser.error("--rounds and --seconds must be more than 0")
    asked.servers = [name for name in asked.servers.split(",") if name]
    if not asked.servers or set(asked.servers) - set(servers.NAMES):
        parser.error(f"--servers: some of {', '.join(servers.NAMES)}")
    asked.wanted = tuple(name.strip() for name in asked.workloads.split(","))
    asked.workloads = [workload for workload in throughput.WORKLOADS if workload.name.startswith(asked.wanted)]
    if not asked.workloads:
        parser.error(f"--workloads: some of {', '.join(workloads)}")
    if asked.core is not None and asked.core not in os.sched_getaffinity(0):
        parser.error(f"--core: one of {', '.join(map(str, sorted(os.sched_getaffinity(0))))}")
    return asked


def _measure(asked: argparse.Namespace) -> None:
    servers.raise_file_limit()
    cores = sorted(os.sched_getaffinity(0))
    core = cores[-1] if asked.core is None else asked.core
    parts = PARTS if asked.part == "all" else (asked.part,)
    rows: list[throughput.Row] = []
    findings: dict[str, list[capacity.Finding]] = {}
    how: dict[str, object] = {
        "rounds": asked.rounds,
        "seconds": asked.seconds,
        "core": core,
        "date": datetime.now(UTC).date().isoformat(),
        "servers": servers.versions(asked.servers),
    }
    machine = report.machine()
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    for part in parts:
        if part == "throughput":
            rows = _throughput(asked, core)
        elif part == "memory":
            findings[part] = capacity.memory(_present(asked), core)
        elif part == "backlog":
            findings[part] = capacity.backlog(asked.rounds, asked.seconds, core)
        elif part == "idle":
            findings[part] = capacity.idle(asked.rounds, asked.seconds, core)
        elif part == "reactors":
            findings[part] = capacity.reactors(asked.rounds, asked.seconds, cores)
        elif part == "timing":
            findings[part] = timing.timing()
        elif part == "rest":
            findings[part] = rest.rest(asked.rounds, asked.seconds, core)
        elif part == "durability":
            findings[part] = durability.durability(asked.rounds, asked.seconds, asked.wanted)
        elif part == "recovery":
            findings[part] = durability.recovery()
        else:
            findings[part] = timing.features(asked.rounds, asked.seconds, core)
        if part in findings:
            print(f"\n{report.findings_table(findings[part])}", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(report.as_json(rows, findings, how), indent=1) + "\n")


def _present(asked: argparse.Namespace) -> list[str]:
    """The servers that were asked for and are installed; the others are named on stderr."""
    absent = servers.missing(asked.servers)
    for why in absent.values():
        print(why, file=sys.stderr)
    return [name for name in asked.servers if name not in absent]


def _throughput(asked: argparse.Namespace, core: int) -> list[throughput.Row]:
    rows = list(throughput.measure(asked.workloads, _present(asked), asked.rounds, asked.seconds, core))
    print(f"\n{report.throughput_tables(rows)}", flush=True)
    return rows
