"""The screen of mqfast stats --watch, drawn from a sample and the history before it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mqfast.cli.chart import area, bar
from mqfast.cli.connection import Answer
from mqfast.cli.output import Column, cell
from mqfast.cli.queues import COLUMNS, state_of
from mqfast.cli.sample import History, Sample
from mqfast.cli.text import clean, show_bytes, show_count, show_duration

CHART_COLOURS = {"pushed": "yellow", "completed": "green", "failed": "red"}
_COUNTS = (
    ("ready", "queued", "yellow"),
    ("active", "processing", "cyan"),
    ("delayed", "delayed", "blue"),
    ("waiting", "waiting", "magenta"),
    ("dead", "dlq", "bold red"),
    ("done", "completed", "green"),
)
_LATENCIES = (("in queue", "wait_ms"), ("running", "run_ms"), ("in all", "latency_ms"))
_SMALL_WIDTH, _SMALL_HEIGHT = 60, 18


@dataclass(frozen=True, slots=True)
class View:
    """What the person at the screen chose, and what it has to tell. trouble: why there is nothing newer."""

    address: str
    sort: str = "pending"
    first: int = 0
    frozen: bool = False
    trouble: str = ""


def queue_rows(height: int) -> int:
    """How many queues a screen of this height shows."""
    return max(1, height - _head_height(height) - 2)


def _chart_height(height: int) -> int:
    return 0 if height < _SMALL_HEIGHT else 4 if height < 30 else 8 if height < 45 else 10


def _head_height(height: int) -> int:
    chart = _chart_height(height)
    return 3 + (chart + 2 + 4 if chart else 0)


def draw(sample: Sample | None, history: History, view: View, width: int, height: int) -> RenderableType:
    """The whole screen."""
    screen = Layout()
    if sample is None:
        return Group(_title("", view, width), Text(f"\n  {clean(view.trouble)}", style="yellow"))
    parts = [
        Layout(_title(sample.version, view, width), size=1),
        Layout(_counts(sample, width), size=2),
    ]
    chart = _chart_height(height)
    if chart:
        parts.append(Layout(_charts(history, width, chart), size=chart + 2))
        parts.append(Layout(_facts(sample, width), size=4))
    parts.append(Layout(_queues(sample, view, width, queue_rows(height)), ratio=1))
    parts.append(Layout(_footer(sample, view, width, queue_rows(height)), size=1))
    screen.split_column(*parts)
    return screen


def _title(version: str, view: View, width: int) -> Text:
    left = Text.assemble((" mqfast ", "bold black on cyan"), f" {version}  ", (clean(view.address), "bold"))
    right = Text(time.strftime("%H:%M:%S "), style="dim")
    if view.frozen:
        right = Text(" held, space goes on ", style="black on yellow")
    if view.trouble:
        right = Text(" no connection, trying again ", style="bold white on red")
    left.truncate(max(0, width - right.cell_len - 1), overflow="ellipsis")
    left.append(" " * max(1, width - left.cell_len - right.cell_len))
    return left.append_text(right)


def _counts(sample: Sample, width: int) -> RenderableType:
    table = Table.grid(expand=True)
    for _ in _COUNTS:
        table.add_column(ratio=1, justify="center", no_wrap=True)
    table.add_row(
        *(
            Text.assemble(
                (show_count(sample.stats[key]), f"bold {style}" if sample.stats[key] else "dim"),
                (f" {name}", "" if sample.stats[key] else "dim"),
            )
            for name, key, style in _COUNTS
        )
    )
    return Group(Text(""), table)


def _charts(history: History, width: int, height: int) -> RenderableType:
    names: Sequence[str] = ("pushed", "completed") if width < 120 else ("pushed", "completed", "failed")
    table = Table.grid(expand=True)
    for _ in names:
        table.add_column(ratio=1)
    inner = width // len(names) - 4
    table.add_row(*(_chart(name, history, max(1, inner), height) for name in names))
    return table


def _chart(name: str, history: History, width: int, height: int) -> Panel:
    colour = CHART_COLOURS[name]
    rows = area(list(history.rates[name]), width, height)
    title = Text.assemble((f" {name} ", colour), (f"{show_count(history.now(name))}/s ", "bold"))
    peak = Text(f" peak {show_count(history.peak(name, width))}/s ", style="dim")
    return Panel(
        Text("\n".join(rows), style=colour, no_wrap=True, overflow="crop"),
        title=title,
        title_align="left",
        subtitle=peak,
        subtitle_align="right",
        border_style="bright_black",
    )


def _facts(sample: Sample, width: int) -> RenderableType:
    """How long jobs take, and how the daemon is."""
    latencies = Table(box=None, padding=(0, 1), pad_edge=True, header_style="dim")
    latencies.add_column("time", style="cyan", min_width=8)
    for name in ("p50", "p90", "p99", "max"):
        latencies.add_column(name, justify="right", min_width=6)
    for title, key in _LATENCIES:
        percentiles = sample.metrics[key]
        latencies.add_row(title, *(_latency(percentiles[name]) for name in ("p50", "p90", "p99", "max")))
    facts = Table.grid(padding=(0, 1))
    facts.add_column(style="cyan", justify="right", no_wrap=True, min_width=8)
    facts.add_column(no_wrap=True, overflow="ellipsis")
    for name, value in _health(sample):
        facts.add_row(name, value)
    both = Table.grid(expand=True, padding=(0, 1))
    both.add_column(no_wrap=True)
    both.add_column(ratio=1)
    both.add_row(latencies, facts)
    return both


def _latency(ms: float | None) -> Text:
    return Text("-", style="dim") if ms is None else Text(show_duration(ms))


def _health(sample: Sample) -> list[tuple[str, Text]]:
    metrics = sample.metrics
    memory = metrics["memory"]
    used = show_bytes(memory["used"])
    if memory["limit"]:
        filled = memory["used"] / memory["limit"]
        colour = "red" if filled > 0.9 else "yellow" if filled > 0.7 else "green"
        shown = Text.assemble(f"{used} of {show_bytes(memory['limit'])} ", (bar(filled, 1, 10), colour))
    else:
        shown = Text(used)
    failures = Text.assemble(
        _mark(metrics["total_failed"], "failed"),
        ", ",
        _mark(metrics["total_timed_out"], "timeouts"),
        ", ",
        _mark(metrics["total_stalled"], "lost"),
    )
    return [("", Text("")), ("memory", shown), ("log", _log(metrics["log"])), ("attempts", failures)]


def _mark(count: int, what: str) -> Text:
    return Text(f"{show_count(count)} {what}", style="red" if count else "dim")


def _log(log: Answer | None) -> Text:
    if log is None:
        return Text("off, memory only", style="dim")
    if log["full"]:
        return Text("THE DISK IS FULL: pushes are refused", style="bold white on red")
    return Text(f"{show_bytes(log['bytes'])} written, fsync {log['fsync']}")


def _queues(sample: Sample, view: View, width: int, rows: int) -> RenderableType:
    columns = _columns(width)
    table = Table(box=None, expand=True, header_style="bold cyan", padding=(0, 1), pad_edge=True)
    for column in columns:
        mark = "▾" if column.key == view.sort else ""
        table.add_column(
            column.title + mark,
            justify="right" if column.right else "left",
            ratio=1 if column.grow else None,
            no_wrap=True,
            overflow="ellipsis",
        )
    for queue in sample.queues[view.first : view.first + rows]:
        row = {**queue, "state": state_of(queue)}
        table.add_row(*(cell(column, row) for column in columns))
    if not sample.queues:
        return Group(table, Text("\n  no queues yet: mqfast push QUEUE DATA makes one", style="dim"))
    return table


def _columns(width: int) -> list[Column]:
    """As many of the columns as a screen of this width has room for."""
    by_key = {column.key: column for column in COLUMNS}
    rates = [_rate("IN/s", "in", "yellow"), _rate("OUT/s", "out", "green")]
    keys = ["name", "pending", "processing", "dlq"]
    if width < _SMALL_WIDTH:
        return [by_key[key] for key in keys]
    keys[3:3] = ["delayed"] if width < 100 else ["delayed", "waiting"]
    if width >= 100:
        keys.append("completed")
    return [*(by_key[key] for key in keys), *rates, by_key["head_age"], _STATE]


def _rate(title: str, key: str, style: str) -> Column:
    return Column(title, key, show=_show_rate, right=True, style=lambda row: style if row.get(key) else "dim")


def _show_rate(rate: float) -> str:
    return "0" if not rate else f"{rate:.1f}" if rate < 10 else show_count(rate)


_STATE = Column("", "state", style=lambda row: "bold yellow" if row.get("paused") else "dim")


def _footer(sample: Sample, view: View, width: int, rows: int) -> Text:
    last = min(view.first + rows, len(sample.queues))
    shown = f"queues {view.first + 1}-{last} of {sample.matching:,}" if sample.queues else "no queues"
    keys = (("q", "quit"), ("s", f"sorted by {view.sort}"), ("space", "hold"), ("↑↓", shown))
    text = Text(no_wrap=True, overflow="ellipsis")
    for key, meaning in keys:
        text.append(f" {key} ", style="bold black on bright_black")
        text.append(f" {meaning}  ", style="dim")
    return text
