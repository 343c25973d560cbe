"""The C command table (csrc/commands.def, fields.def, errors.def) as frozen dataclasses, and what is rendered from it.

``python -m mqfast.commands`` prints the tables of docs/protocol.md; with a file as argument it renews them there.
With ``--reference`` it prints docs/commands.md.
Source: the compiled module, so what is printed is what runs.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mqfast import _engine


@dataclass(frozen=True, slots=True)
class Field:
    """A field of requests. minimum and maximum: of the value for u64, of the length in bytes or items otherwise."""

    name: str
    camel: str
    type: str  # one of the types that fields.def explains
    minimum: int
    maximum: int
    doc: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command: the names of its fields, what its answer is, where REST offers it ("" = nowhere)."""

    name: str
    plane: str  # what a token must open: open (none needed), produce, work, job, read, admin
    required: tuple[str, ...]
    optional: tuple[str, ...]
    result: str
    http_method: str
    http_path: str
    doc: str


@dataclass(frozen=True, slots=True)
class Error:
    """A kind of refusal. retryable: the same request may succeed later."""

    code: str
    text: str
    number: int
    http_status: int
    retryable: bool


_fields, _commands, _errors = _engine.tables()

FIELDS: tuple[Field, ...] = tuple(Field(*row) for row in _fields)
COMMANDS: tuple[Command, ...] = tuple(Command(*row) for row in _commands)
ERRORS: tuple[Error, ...] = tuple(Error(*row) for row in _errors)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def commands_table() -> str:
    """The commands as Markdown."""
    rows = [(f"`{row.name}`", _code(row.required), _code(row.optional), row.doc) for row in COMMANDS]
    return _table(("Command", "Required", "Optional", "What it does"), rows)


def _limits(row: Field) -> str:
    if row.type == "u64":
        return f"{row.minimum} to 2^64-1" if row.maximum == 2**64 - 1 else f"{row.minimum} to {row.maximum}"
    if row.type == "i32":
        return "-2^31 to 2^31-1"
    if row.type == "percent":
        return "clamped to 0..100"
    if row.type == "id":
        return "1 to 2^53-1"
    if row.type in ("text", "quote"):
        return f"{row.minimum} to {row.maximum} bytes"
    return f"at most {row.maximum} items" if row.maximum else ""


_TYPES = {
    "u64": "integer",
    "i32": "integer",
    "id": "integer",
    "percent": "integer",
    "text": "string",
    "quote": "string",
    "raw": "any JSON",
    "flag": "true, false",
    "ids": "list of ids",
    "texts": "list of strings",
    "raws": "list of any JSON",
    "items": "list of objects",
}


def fields_table() -> str:
    """The fields as Markdown."""
    rows = []
    for row in FIELDS:
        names = (row.name,) if row.name == row.camel else (row.name, row.camel)
        rows.append((_code(names), _TYPES[row.type], _limits(row), row.doc))
    return _table(("Field", "Type", "Limits", "Meaning"), rows)


def errors_table() -> str:
    """The codes of refusals as Markdown."""
    rows = [(f"`{row.code}`", row.text, "yes" if row.retryable else "no", str(row.http_status)) for row in ERRORS]
    return _table(("Code", "Text, unless it says more", "Retryable", "HTTP"), rows)


def routes_table() -> str:
    """What REST offers, as Markdown."""
    rows = []
    for row in COMMANDS:
        if row.http_path:
            fields = tuple(name for name in (*row.required, *row.optional) if f"{{{name}}}" not in row.http_path)
            rows.append((f"`{row.http_method} {row.http_path}`", f"`{row.name}`", _code(fields)))
    return _table(("Request", "Command", "In the query (`GET`) or in the body"), rows)


_WHO = {
    "open": "anybody, even without a token",
    "produce": "`producer`, `admin`",
    "work": "`worker`, `admin`",
    "job": "every role",
    "read": "`reader`, `admin`",
    "admin": "`admin`",
}


def _section(row: Command) -> str:
    fields = {field.name: field for field in FIELDS}
    parts = [f"## {row.name}", row.doc[:1].upper() + row.doc[1:] + "."]
    rows = []
    for name in (*row.required, *row.optional):
        field = fields[name]
        needed = "yes" if name in row.required else ""
        rows.append((f"`{name}`", needed, _TYPES[field.type], _limits(field), field.doc))
    if rows:
        parts.append(_table(("Field", "Required", "Type", "Limits", "Meaning"), rows))
    parts.append(f"Who may: {_WHO[row.plane]}.")
    if row.http_path:
        parts[-1] += f" REST: `{row.http_method} {row.http_path}`."
    return "\n\n".join(parts)


def reference() -> str:
    """A page with a section for each command: its fields, whose token opens it, where REST has it."""
    head = (
        "# Commands\n\n"
        "Made from the table that the daemon itself reads (`python -m mqfast.commands --reference`).\n"
        "What each answers and what they promise is in [the protocol](protocol.md). Any request may have a `req_id`.\n"
        "*Who may* is for tokens with roles; a token of AUTH_TOKENS opens everything."
    )
    return "\n\n".join((head, *(_section(row) for row in COMMANDS))) + "\n"


TABLES = {"commands": commands_table, "fields": fields_table, "errors": errors_table, "routes": routes_table}


def renew(text: str) -> str:
    """The text with everything between `<!-- NAME:begin -->` and `<!-- NAME:end -->` made anew.

    Raises ValueError if a table's marks are missing.
    """
    for name, render in TABLES.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"there is no {begin} with {end} behind it")
        text = f"{before}{begin}\n{render()}\n{end}{after}"
    return text


def main(arguments: list[str]) -> None:
    if arguments == ["--reference"]:
        print(reference(), end="")
        return
    if not arguments:
        print("\n\n".join(render() for render in TABLES.values()))
    for name in arguments:
        path = Path(name)
        path.write_text(renew(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
