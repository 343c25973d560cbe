"""What compare.py has written to a file, as a picture's title, rows and words. Knows nothing of drawing."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVERS = ("echo", "mqfast", "redis", "beanstalkd")


@dataclass(frozen=True)
class Figure:
    """A picture's content.

    rows: a label and, for each server that was measured, its values: one number, or a low and a high one (p50, p99).
    source: machine, versions and date, in a line.
    """

    name: str
    title: str
    unit: str
    rows: tuple[tuple[str, dict[str, tuple[float, ...]]], ...]
    source: str

    def words(self) -> str:
        """All numbers as text, for those who cannot see the picture, and to tell whether it is of these data."""
        lines = [f"{self.title}. {self.source}."]
        for label, values in self.rows:
            told = ", ".join(f"{server} {' to '.join(map(_number, value))}" for server, value in values.items())
            lines.append(f"{label}: {told} {self.unit}.")
        return "\n".join(lines)


def figures(paths: list[Path]) -> list[Figure]:
    """The figures that these files of compare.py have data for. Raises ValueError if one is not such a file."""
    found = []
    for path in paths:
        said = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(said, dict) or not {"machine", "how"} <= set(said):
            raise ValueError(f"{path} was not written by perf/compare.py --json")
        if "throughput" in said:
            found += [_rates(said), _latencies(said)]
        if "memory" in said:
            found.append(_memory(said))
    return found


def _rates(said: dict[str, Any]) -> Figure:
    rows = tuple((label(row["workload"]), _by_server(row, "rate")) for row in said["throughput"])
    return Figure("throughput", "Jobs a second, server and load on one core", "jobs/s", rows, _source(said))


def _latencies(said: dict[str, Any]) -> Figure:
    rows = tuple((label(row["workload"]), _by_server(row, "p50_us", "p99_us")) for row in said["throughput"])
    return Figure("latency", "From sending to the answer, median to 99th percentile", "µs", rows, _source(said))


def _memory(said: dict[str, Any]) -> Figure:
    rows: list[tuple[str, dict[str, tuple[float, ...]]]] = [
        (found["name"], {found["name"]: (found["value"],)}) for found in said["memory"]
    ]
    return Figure("memory", "Memory a job beyond its payload, a million waiting", "bytes", tuple(rows), _source(said))


def _by_server(row: dict[str, Any], *keys: str) -> dict[str, tuple[float, ...]]:
    measured = {one["server"]: one for one in row["servers"]}
    return {name: tuple(measured[name][key] for key in keys) for name in SERVERS if name in measured}


def label(workload: str) -> str:
    """A workload's name in words: "push 1 conn x 16" is "push, 16 in flight"."""
    many = re.fullmatch(r"(push|pull)b (\d+)(?: (\d+) conn)?", workload)
    if many:
        what = "push" if many[1] == "push" else "push, pull, ack"
        return f"{what} in batches of {many[2]}" + (f", {_connections(many[3])}" if many[3] else "")
    plain = re.fullmatch(r"(push|cycle) (\d+) conn(?: x (\d+))?", workload)
    if plain is None:
        return workload
    parts = ["push" if plain[1] == "push" else "push, pull, ack"]
    if plain[2] != "1" or not plain[3]:
        parts.append(_connections(plain[2]))
    if plain[3]:
        parts.append(f"{plain[3]} in flight")
    return ", ".join(parts)


def _connections(count: str) -> str:
    return "1 connection" if count == "1" else f"{count} connections"


def _source(said: dict[str, Any]) -> str:
    machine, how = said["machine"], said["how"]
    versions = [f"{name} {version}" for name, version in how["servers"].items()]
    kernel = re.match(r"\d+\.\d+", machine["kernel"])
    linux = f"Linux {kernel[0] if kernel else machine['kernel']}"
    return ", ".join([f"{machine['cpu']}, {machine['cores']} cores", linux, *versions, how["date"]])


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.1f}"
