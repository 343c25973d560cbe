"""The results as tables in Markdown and as JSON, with the machine that they were measured on."""

import dataclasses
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

from perf.comparison.capacity import Finding
from perf.comparison.servers import ROOT
from perf.comparison.throughput import Measured, Row


def machine() -> dict[str, object]:
    """What a number must be told with. commit: "unknown" where this is no checkout."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": _commit(),
    }


def _commit() -> str:
    git = ROOT / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        return (git / head.removeprefix("ref: ")).read_text().strip() if head.startswith("ref: ") else head
    except OSError:
        return "unknown"


def throughput_tables(rows: Sequence[Row]) -> str:
    """Ratios to the echo server in the same round, by rate and by CPU time; then the numbers behind them."""
    return f"{_ratios(rows)}\n\n{_numbers(rows)}"


def _ratios(rows: Sequence[Row]) -> str:
    names = [measured.server for measured in rows[0].servers if measured.server != "echo"]
    lines = _head(["to echo", "target", *names, *(f"{name}, CPU" for name in names)])
    for row in rows:
        rated = [measured for measured in row.servers if measured.server != "echo"]
        cells = [_ratio(measured.ratio, measured, row) for measured in rated]
        cells += [_ratio(measured.cpu_ratio, measured, row) for measured in rated]
        lines.append(_line([row.workload, f"{row.target:.2f}", *cells]))
    return "\n".join(lines)


def _numbers(rows: Sequence[Row]) -> str:
    names = [measured.server for measured in rows[0].servers]
    head = (
        [f"{name}/s" for name in names] + [f"{name}, us CPU" for name in names] + [f"{name}, p50/p99" for name in names]
    )
    lines = _head(["absolute", "generator, us CPU", *head])
    for row in rows:
        cells = [row.workload, f"{row.servers[0].load_cpu_us:.2f}"]
        cells += [f"{measured.rate:,.0f}" for measured in row.servers]
        cells += [f"{measured.server_cpu_us:.2f}" for measured in row.servers]
        cells += [f"{measured.p50_us:.0f}/{measured.p99_us:.0f}" for measured in row.servers]
        lines.append(_line(cells))
    return "\n".join(lines)


def _ratio(ratio: float | None, measured: Measured, row: Row) -> str:
    if ratio is None:
        return "-"
    return f"**{ratio:.2f}**" if measured.server == "mqfast" and ratio >= row.target else f"{ratio:.2f}"


def _head(cells: Sequence[str]) -> list[str]:
    return [_line(cells), _line(["---"] + ["---:"] * (len(cells) - 1))]


def findings_table(findings: Sequence[Finding]) -> str:
    """A line for each number; a reached target is bold."""
    lines = _head(["measured", "value", "target"])
    for finding in findings:
        digits = 0 if abs(finding.value) >= 100 else 2
        value = f"{finding.value:,.{digits}f}"
        if finding.target is not None and finding.reached:
            value = f"**{value}**"
        sign = "≥" if finding.at_least else "≤"
        target = "" if finding.target is None else f"{sign} {finding.target:g}"
        lines.append(_line([finding.name, f"{value} {finding.unit}".strip(), target]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def as_json(rows: Sequence[Row], findings: dict[str, list[Finding]], how: dict[str, object]) -> dict[str, object]:
    """Everything measured, for a file."""
    said: dict[str, object] = {"machine": machine(), "how": how}
    if rows:
        said["throughput"] = [dataclasses.asdict(row) for row in rows]
    said.update({name: [dataclasses.asdict(finding) for finding in found] for name, found in findings.items()})
    return said
