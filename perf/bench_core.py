"""The parts of the C core alone, as a pyperf suite: ``python perf/bench_core.py -o new.json``.

The loops are in C: ``make -C csrc bench-core`` prints one JSON object, nanoseconds for an operation by name. This runs
it several times, each a process of its own, and writes the results where ``python -m pyperf compare_to`` finds them.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pyperf

CSRC = Path(__file__).resolve().parent.parent / "csrc"


def measure() -> dict[str, float]:
    """Seconds for an operation by name, from one run. Raises RuntimeError when there are none."""
    made = subprocess.run(
        ["make", "--silent", "--no-print-directory", "-C", str(CSRC), "bench-core"], capture_output=True, text=True
    )
    if made.returncode:
        raise RuntimeError(f"make bench-core failed:\n{made.stdout}{made.stderr}")
    start = made.stdout.find("{")
    if start < 0:
        raise RuntimeError("make bench-core printed no results")
    return {name: float(ns) / 1e9 for name, ns in json.loads(made.stdout[start:]).items()}


def suite(measured: list[dict[str, float]]) -> pyperf.BenchmarkSuite:
    """One benchmark for each name, one run of one value for each measurement."""
    benchmarks = []
    for name in measured[0]:
        metadata = {"name": name, "unit": "second"}
        runs = [pyperf.Run([once[name]], metadata=metadata, collect_metadata=False) for once in measured]
        benchmarks.append(pyperf.Benchmark(runs))
    return pyperf.BenchmarkSuite(benchmarks)


def main() -> int:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description="ns per operation of the parts of the C core")
    parser.add_argument("-o", "--output", help="write a pyperf file")
    parser.add_argument("--runs", type=int, default=10, help="how often everything is measured [10]")
    asked = parser.parse_args()
    if asked.runs < 2:
        parser.error("--runs: at least 2")
    try:
        measured = [measure() for _ in range(asked.runs)]
    except RuntimeError as error:
        print(f"bench_core: {error}", file=sys.stderr)
        return 1
    results = suite(measured)
    for benchmark in results.get_benchmarks():
        print(f"{benchmark.get_name()}: {benchmark.mean() * 1e9:.2f} ns +- {benchmark.stdev() * 1e9:.2f} ns")
    if asked.output:
        results.dump(asked.output, replace=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
