"""What mqfast bench found, drawn for a terminal: the rate over time, and how the answers' times are spread."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mqfast.cli.chart import area, bar
from mqfast.cli.histogram import Histogram
from mqfast.cli.load import SLICE_SECONDS, Tally
from mqfast.cli.text import show_count

COLOURS = {"push": "yellow", "pull": "cyan", "ack": "green"}
_CHART_HEIGHT = 6
_STEPS = 12
_LABEL, _SHARE = 11, 6  # characters of a bar's upper end and of its percentage
_MOST = 100


def show(console: Console, facts: dict[str, Any], tally: Tally) -> None:
    """Print the report at the console's width, at most 100 columns."""
    width = min(console.width, _MOST)
    console.print(_head(facts))
    if len(tally.slices) > 2:
        console.print(_rate(tally.slices, width), width=width)
    console.print(_latencies(facts["latency_us"]))
    spreads = Table.grid(expand=True, padding=(0, 2, 0, 0))
    count = len(tally.latencies)
    for _ in range(count):
        spreads.add_column(ratio=1)
    spreads.add_row(*(_spread(name, found, width // count - 3) for name, found in tally.latencies.items()))
    console.print(spreads, width=width)


def _head(facts: dict[str, Any]) -> Text:
    head = Text.assemble(
        (f"{facts['jobs_per_second']:,}", "bold green"),
        (" jobs a second", "bold"),
        f"  ({facts['jobs']:,} in {facts['seconds']:.1f} s)\n",
    )
    many = "s" if facts["connections"] > 1 else ""
    told = f"{facts['mode']}, {facts['connections']} connection{many}, {facts['pipeline']} in flight on each"
    if facts["batch"] > 1:
        told += f", {facts['batch']} jobs a request"
    head.append(f"{told}, payload {facts['payload']} bytes", style="dim")
    return head


def _rate(slices: Sequence[int], width: int) -> Panel:
    """The jobs a second of every tenth of one, stretched to the width; the last tenth is not a whole one."""
    rates = [jobs / SLICE_SECONDS for jobs in slices[:-1]]
    inner = width - 4
    stretched = [rates[min(len(rates) - 1, column * len(rates) // inner)] for column in range(inner)]
    rows = area(stretched, inner, _CHART_HEIGHT)
    return Panel(
        Text("\n".join(rows), style="green", no_wrap=True),
        title=Text(" jobs a second ", style="bold"),
        title_align="left",
        subtitle=Text(f" {len(rates) * SLICE_SECONDS:.1f} s, highest {show_count(max(rates))}/s ", style="dim"),
        subtitle_align="right",
        border_style="bright_black",
    )


def _latencies(latencies: dict[str, dict[str, int]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold cyan", pad_edge=False, show_edge=False)
    table.add_column("ANSWERS TO")
    names = [name for name in next(iter(latencies.values()), {}) if name != "requests"]
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("REQUESTS", justify="right")
    for name, values in latencies.items():
        row = [Text(show_time(values[key] * 1000)) for key in names]
        table.add_row(Text(name, style=f"bold {COLOURS[name]}"), *row, f"{values['requests']:,}")
    return table


def show_time(ns: float) -> str:
    """``850 ns``, ``42 us``, ``1.3 ms``, ``2.50 s``."""
    for unit, size, digits in (("s", 1e9, 2), ("ms", 1e6, 1), ("us", 1e3, 0)):
        if ns >= size:
            return f"{ns / size:.{digits}f} {unit}"
    return f"{ns:.0f} ns"


def _spread(name: str, found: Histogram, width: int) -> RenderableType:
    """A bar for each range of times, as long as its share."""
    rows = found.spread(_STEPS)
    top = max(count for _, count in rows)
    length = max(1, width - _LABEL - _SHARE)
    lines = []
    for upper, count in rows:
        line = Text(no_wrap=True, overflow="crop")
        line.append(f"{'≤ ' + show_time(upper):>{_LABEL - 1}} ", style="dim")
        line.append(bar(count, top, length).ljust(length), style=COLOURS[name])
        line.append(f"{100 * count / found.count:{_SHARE - 1}.1f}%" if count else "")
        lines.append(line)
    return Group(Text(f"\n{name}", style=f"bold {COLOURS[name]}"), *lines)
