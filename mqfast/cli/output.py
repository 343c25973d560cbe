"""What a command says: tables for people on a terminal, tabs between columns in a pipe, JSON for programs.

On a terminal nothing that a queue holds is written raw. rich is loaded only there, for it takes as long to load as most
commands take to run.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mqfast.cli.errors import ReaderGoneError
from mqfast.cli.text import clean, clean_json
from mqfast.cli.verbatim import Raw, dumps

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_CHUNK = 1 << 15
"""Characters written at once: with PYTHONUNBUFFERED Python takes a write for done of which a pipe took only a part."""

Row = Mapping[str, Any]

_JSON_COLOURS = {"null": "dim", "true": "green", "false": "red"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. key: of the row, for the plain form; show: the cell on a terminal, from the row.

    style: of the cell, from the row ("" for none). grow: it takes the width that is left, and is cut there.
    """

    title: str
    key: str
    show: Callable[[Any], str] | None = None
    right: bool = False
    style: Callable[[Row], str] | None = None
    grow: bool = False


class Output:
    """Where results go. as_json: every result is JSON instead."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.on_terminal = sys.stdout.isatty()

    def document(self, value: object) -> None:
        """A JSON document on one line."""
        self._write(clean_json(dumps(value)) if self.on_terminal else dumps(value))

    def line(self, text: str) -> None:
        """A line of text."""
        self._write(clean(text))

    def fields(self, *values: object) -> None:
        """A line of values with tabs between. JSON is verbatim in a pipe, and escaped on a terminal."""
        self._write("\t".join(self._field(value) for value in values))

    def _field(self, value: object) -> str:
        if isinstance(value, Raw):
            return clean_json(value) if self.on_terminal else str(value)
        return clean(plain(value))

    def done(self, text: str, facts: Mapping[str, object]) -> None:
        """What has been done: a line for people, these facts as JSON."""
        if self.as_json:
            self.document(facts)
        else:
            self.line(text)

    def table(self, columns: Sequence[Column], rows: Sequence[Row], *, empty: str, title: str = "") -> None:
        """The rows as a table, as lines with tabs, or as one JSON list. empty: what is said when there are none."""
        if self.as_json:
            self.document(list(rows))
        elif not self.on_terminal:
            self._write("\t".join(column.title.lower() for column in columns))
            for row in rows:
                self.fields(*(row.get(column.key) for column in columns))
        elif rows:
            self.console().print(rich_table(columns, rows, title))
        else:
            self.line(empty)

    def console(self) -> "Console":
        from rich.console import Console

        return Console(highlight=False, soft_wrap=False)

    def flush(self) -> None:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            raise ReaderGoneError from None

    def _write(self, text: str) -> None:
        try:
            for at in range(0, len(text), _CHUNK):
                sys.stdout.write(text[at : at + _CHUNK])
            sys.stdout.write("\n")
        except BrokenPipeError:
            raise ReaderGoneError from None


def rich_table(columns: Sequence[Column], rows: Iterable[Row], title: str = "") -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        title=title or None,
        title_justify="left",
        title_style="bold",
        header_style="bold cyan",
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        table.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if column.grow else None,
            min_width=None if column.grow else len(column.title),
        )
    table.expand = any(column.grow for column in columns)
    for row in rows:
        table.add_row(*(cell(column, row) for column in columns))
    return table


def cell(column: Column, row: Row) -> "Text":
    """A cell of a table on a terminal: never markup, never raw."""
    from rich.text import Text

    value = row.get(column.key)
    shown = column.show(value) if column.show else plain(value)
    style = column.style(row) if column.style is not None else "dim" if shown in ("-", "0") else ""
    return Text(clean(shown), style=style)


def plain(value: object) -> str:
    """A value as text without decoration; lists with commas, objects as JSON, nothing as ``-``."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Raw | dict):
        return dumps(value)
    if isinstance(value, list | tuple):
        return ",".join(plain(item) for item in value) or "-"
    return str(value)


def tell(text: str) -> None:
    """A line on stderr, for what is no result."""
    sys.stderr.write(clean(text) + "\n")
    sys.stderr.flush()
