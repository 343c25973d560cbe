"""mqfast bench: what a daemon can do here, with this load."""

import os
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any

import click

from mqfast.cli.connection import Connection
from mqfast.cli.errors import REFUSED
from mqfast.cli.load import Load, Tally, push_lines, run_load
from mqfast.cli.options import Daemon, talks_to_daemon
from mqfast.cli.output import tell
from mqfast.cli.progress import progress_bar
from mqfast.cli.text import DURATION
from mqfast.errors import MqfastError

PERCENTILES = (50.0, 90.0, 99.0, 99.9)
_DEFAULT_JOBS = 1_000_000
_FILL_BATCH = 250
_FILLED_JOBS = 200_000


@click.command()
@click.argument("mode", type=click.Choice(["push", "pull", "cycle"]), default="cycle")
@click.option("--time", "-t", "duration", type=DURATION, default="3s", show_default=True, help="How long.")
@click.option("--jobs", "-n", type=click.IntRange(1), help=f"How many jobs at most.  [default: {_DEFAULT_JOBS:,}]")
@click.option("--connections", "-c", type=click.IntRange(1, 10_000), default=4, show_default=True, help="Connections.")
@click.option(
    "--pipeline", "-p", type=click.IntRange(1, 10_000), default=1, show_default=True, help="Requests in flight."
)
@click.option("--batch", "-b", type=click.IntRange(1, 10_000), default=1, show_default=True, help="Jobs of a request.")
@click.option(
    "--payload", type=click.IntRange(2, 1 << 20), default=100, show_default=True, help="Bytes of a job's data."
)
@talks_to_daemon
def bench(
    daemon: Daemon,
    mode: str,
    duration: int,
    jobs: int | None,
    connections: int,
    pipeline: int,
    batch: int,
    payload: int,
) -> int:
    """Load the daemon and say how many jobs a second it did, and how long its answers took.

    push adds jobs; pull takes and acknowledges jobs that were added before; cycle does all three for each job. The
    jobs are in a queue bench-… of their own, which is removed at the end. This generator is one Python thread: with
    few requests in flight, or small batches, it is the slower side.

    \b
    mqfast bench push --connections 10 --pipeline 16
    mqfast bench cycle --batch 50 --time 10s
    """
    queue = f"bench-{os.urandom(4).hex()}"
    load = Load(mode, queue, payload, pipeline, batch, jobs or _DEFAULT_JOBS, duration / 1000)
    with ExitStack() as stack:
        opened = [stack.enter_context(daemon.connect()) for _ in range(connections)]
        control = stack.enter_context(daemon.connect())
        stack.callback(_clean_up, control, queue)
        if mode == "pull":
            _fill(control, load, jobs or _FILLED_JOBS)
        with progress_bar(f"bench {mode}") as advance:
            tally = run_load(opened, load, advance)
    facts = _facts(load, tally, connections)
    if daemon.output.as_json:
        daemon.output.document(facts)
    elif daemon.output.on_terminal:
        from mqfast.cli.bench_report import show

        show(daemon.output.console(), facts, tally)
    else:
        _print(daemon, facts)
    if tally.refused:
        tell(f"{tally.refused:,} requests were refused: {tally.first_refusal}")
    return REFUSED if tally.refused else 0


def _fill(control: Connection, load: Load, jobs: int) -> None:
    """The jobs that a bench of pulls takes."""
    while jobs > 0:
        batch = min(jobs, _FILL_BATCH)
        control.send_bytes(push_lines(replace(load, pipeline=1, batch=batch)))
        control.receive()
        jobs -= batch


def _clean_up(control: Connection, queue: str) -> None:
    with suppress(MqfastError):  # what the bench failed with is what counts
        control.ask("OBLITERATE", queue=queue)


def _facts(load: Load, tally: Tally, connections: int) -> dict[str, Any]:
    latencies = {
        name: {
            **{f"p{percent:g}": round(found.percentile(percent) / 1000) for percent in PERCENTILES},
            "max": round(found.highest / 1000),
            "mean": round(found.mean / 1000),
            "requests": found.count,
        }
        for name, found in tally.latencies.items()
    }
    return {
        "mode": load.mode,
        "connections": connections,
        "pipeline": load.pipeline,
        "batch": load.batch,
        "payload": load.payload,
        "seconds": round(tally.seconds, 3),
        "jobs": tally.jobs,
        "jobs_per_second": round(tally.jobs / tally.seconds) if tally.seconds else 0,
        "refused": tally.refused,
        "latency_us": latencies,
        "jobs_by_tenth_of_a_second": tally.slices,
    }


def _print(daemon: Daemon, facts: dict[str, Any]) -> None:
    for key in ("jobs_per_second", "jobs", "seconds"):
        daemon.output.fields(key, facts[key])
    for name, values in facts["latency_us"].items():
        daemon.output.fields(name, *(f"{key} {value}us" for key, value in values.items() if key != "requests"))
