"""Draws what compare.py has measured: ``python perf/plot.py`` makes docs/*.svg of perf/results/*.json.

The same data give the same bytes (with the same matplotlib). Colours are variables of CSS, so that a picture fits a
light page and a dark one.
"""

import argparse
import io
import sys
from html import escape
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from perf.comparison.results import SERVERS, Figure, figures  # noqa: E402

# What matplotlib writes, the variable that takes its place, and its colours in the light and in the dark.
INK, GRID = "#010101", "#020202"
COLOURS = {
    INK: ("ink", "#17242b", "#e6ebee"),
    GRID: ("grid", "#d5dbdf", "#46525b"),
    "#030303": ("echo", "#7c8a95", "#8a99a6"),
    "#040404": ("mqfast", "#00796b", "#4db6a4"),
    "#050505": ("redis", "#b3403a", "#e5837c"),
    "#060606": ("beanstalkd", "#b07d10", "#dfb04e"),
}
OF_SERVER = {name: colour for colour, (name, _, _) in COLOURS.items()}
MARKERS = {"echo": "|", "mqfast": "o", "redis": "s", "beanstalkd": "D"}
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "mqfast",
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.major.size": 0,
}


def main(arguments: list[str]) -> int:
    """Draws the figures; status 1 if a file cannot be used."""
    parser = argparse.ArgumentParser(prog="plot.py", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="of compare.py --json [perf/results/*.json]")
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "docs", help="folder for the pictures [docs]")
    asked = parser.parse_args(arguments)
    try:
        found = figures(asked.files or sorted((ROOT / "perf/results").glob("*.json")))
    except (OSError, ValueError, KeyError) as error:
        print(f"plot: {error}", file=sys.stderr)
        return 1
    for figure in found:
        path = asked.out / f"{figure.name}.svg"
        path.write_text(draw(figure), encoding="utf-8")
        print(path)
    return 0


def draw(figure: Figure) -> str:
    """The picture as SVG."""
    with rc_context(STYLE):
        height = 1.3 + 0.36 * len(figure.rows)
        foot = 0.17 / height  # room for the source
        canvas = Canvas(figsize=(8.8, height), layout=ConstrainedLayoutEngine(rect=(0, foot, 1, 1 - foot)))
        axes = canvas.subplots()
        if figure.name == "memory":
            _bars(axes, figure)
        else:
            _dots(axes, figure)
        pad = 8 if figure.name == "memory" else 28  # room for the legend
        axes.set_title(figure.title, loc="left", fontsize=11, fontweight="bold", pad=pad)
        axes.set_yticks(range(len(figure.rows)), [label for label, _ in figure.rows])
        axes.invert_yaxis()
        axes.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        canvas.text(0.005, 0.05 / height, figure.source, fontsize=8)
        drawn = io.StringIO()
        canvas.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _with_colours(drawn.getvalue(), figure)


def _dots(axes: Axes, figure: Figure) -> None:
    """A mark for each server on a logarithmic axis; where there are two values, a line from the one to the other."""
    present = [name for name in SERVERS if any(name in values for _, values in figure.rows)]
    ranges = any(len(value) > 1 for _, values in figure.rows for value in values.values())
    for place, name in enumerate(present):
        shift = (place - (len(present) - 1) / 2) * 0.18
        points = [(row + shift, values[name]) for row, (_, values) in enumerate(figure.rows) if name in values]
        heights = [height for height, _ in points]
        if ranges:
            lows, highs = [value[0] for _, value in points], [value[-1] for _, value in points]
            axes.hlines(heights, lows, highs, color=OF_SERVER[name], linewidth=2)
        label = "echo: the bound" if name == "echo" else name
        firsts = [value[0] for _, value in points]
        look: dict[str, Any] = {
            "color": OF_SERVER[name],
            "markersize": 10 if name == "echo" else 6,
            "markeredgewidth": 1.5,
        }
        axes.plot(firsts, heights, MARKERS[name], label=label, **look)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(figure.unit + ", logarithmic")
    axes.grid(axis="x", linewidth=0.8)
    axes.grid(axis="y", linewidth=0.5, linestyle=":")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=4, frameon=False, borderpad=0.2, handlelength=1.2)


def _short(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _bars(axes: Axes, figure: Figure) -> None:
    for row, (label, values) in enumerate(figure.rows):
        value = values[label][0]
        axes.barh(row, value, height=0.6, color=OF_SERVER[label])
        axes.annotate(f"{value:,.0f}", (value, row), (4, 0), textcoords="offset points", va="center")
    axes.set_xlabel(figure.unit)
    axes.margins(x=0.08)
    axes.set_xlim(left=0)
    axes.grid(axis="x", linewidth=0.8)


def _with_colours(svg: str, figure: Figure) -> str:
    for colour, (name, _, _) in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    light = " ".join(f"--{name}: {colour};" for name, colour, _ in COLOURS.values())
    dark = " ".join(f"--{name}: {colour};" for name, _, colour in COLOURS.values())
    head = (
        f"<title>{escape(figure.title)}</title>\n <desc>{escape(figure.words())}</desc>\n"
        f" <style>svg {{ {light} }} @media (prefers-color-scheme: dark) {{ svg {{ {dark} }} }}</style>\n "
    )
    return svg.replace("<metadata>", head + "<metadata>", 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
