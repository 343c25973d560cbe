"""Write magicqueue/_commands.py from the daemon's command table: option types, command fields, a class for each code.

``.venv/bin/python bindings/py/generate.py`` renews the file. Source: the compiled module (mqfast.commands), so what is
generated is what the daemon runs.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mqfast.commands import COMMANDS, ERRORS, FIELDS, Command, Error, Field

TARGET = Path(__file__).parent / "magicqueue" / "_commands.py"

HEAD = '''\
"""Options, fields and refusals of the protocol.

Generated from the daemon's command table by generate.py. Do not edit: change the table, then generate again.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypedDict

from .errors import RefusedError
'''

TYPES = {
    "u64": "int",
    "i32": "int",
    "id": "int",
    "percent": "int",
    "text": "str",
    "quote": "str",
    "raw": "Any",
    "flag": "bool",
    "ids": "list[int]",
    "texts": "list[str]",
    "raws": "list[Any]",
    "items": "list[PushItem]",
}

NARROWER = {
    "overlap": 'Literal["allow", "skip"]',
    "misfire": 'Literal["once", "skip"]',
}
"""Fields whose texts are among a few."""

CLASSES = {"timeout": "WaitTimeoutError"}
"""Names that would hide a builtin; the class of ``timeout`` is one of that builtin's, too."""

PARENTS = {"timeout": "RefusedError, builtins.TimeoutError"}

BY_NAME = {field.name: field for field in FIELDS}
PUSH = next(command for command in COMMANDS if command.name == "PUSH")
CRON = next(command for command in COMMANDS if command.name == "CRON")


def class_name(code: str) -> str:
    return CLASSES.get(code) or "".join(word.capitalize() for word in code.split("_")) + "Error"


def meaning(field: Field, command: str) -> str:
    """What a field means to a command: the table's text, or its part behind ``COMMAND:``."""
    parts = re.split(r"(?:^|; )([A-Z]+): ", field.doc)
    if len(parts) == 1:
        return field.doc
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(command, field.doc)


def member(field: Field) -> str:
    """A member of an option type, its meaning in the comment above."""
    kind = NARROWER.get(field.name, TYPES[field.type])
    return f"    # {meaning(field, 'PUSH')}\n    {field.name}: {kind} | None"


def option_types() -> str:
    """The options of a push and of a cron, and an item of a batch."""
    push = "\n".join(member(BY_NAME[name]) for name in PUSH.optional)
    cron = "\n".join(member(BY_NAME[name]) for name in CRON.optional if name not in PUSH.optional)
    return (
        "class PushOptions(TypedDict, total=False):\n"
        '    """How a job is to be run. Times are milliseconds; what is left out has the daemon\'s default."""\n\n'
        f"{push}\n\n\n"
        "class _PushData(TypedDict):\n"
        f"    # {BY_NAME['data'].doc}\n    data: Any\n\n\n"
        "class PushItem(_PushData, PushOptions, total=False):\n"
        '    """A job of a batch: its payload and its options."""\n\n\n'
        "class CronOptions(PushOptions, total=False):\n"
        '    """When a cron fires, and the options of the jobs it pushes."""\n\n'
        f"{cron}\n"
    )


def tables() -> str:
    """What each field may be, and which fields each command has."""

    def field(row: Field) -> str:
        return f'    "{row.name}": Field("{row.camel}", "{row.type}", {row.minimum}, {row.maximum}),'

    def command(row: Command) -> str:
        return f'    "{row.name}": CommandFields({names(row.required)}, {names(row.optional)}),'

    def names(row: tuple[str, ...]) -> str:
        comma = "," if len(row) == 1 else ""
        return "(" + ", ".join(f'"{name}"' for name in row) + comma + ")"

    return "\n".join(
        [
            "class Field(NamedTuple):",
            '    """What a field may be. minimum and maximum: of a number, of bytes, of items."""\n',
            "    camel: str\n    type: str\n    minimum: int\n    maximum: int\n\n",
            "class CommandFields(NamedTuple):",
            '    """The names of a command\'s fields."""\n',
            "    required: tuple[str, ...]\n    optional: tuple[str, ...]\n\n",
            "FIELDS: Mapping[str, Field] = {",
            *map(field, FIELDS),
            "}\n",
            "COMMANDS: Mapping[str, CommandFields] = {",
            *map(command, COMMANDS),
            "}\n",
        ]
    )


def error_class(error: Error) -> str:
    again = "the same request may succeed later" if error.retryable else "asking again will not help"
    text = error.text[0].lower() + error.text[1:]
    return (
        f"class {class_name(error.code)}({PARENTS.get(error.code, 'RefusedError')}):\n"
        f'    """``{error.code}``: {text}; {again}."""\n\n'
        f'    code = "{error.code}"\n    retryable = {error.retryable}\n\n'
    )


def errors() -> str:
    """A class for each code, and the table from one to the other."""
    rows = "\n".join(f'    "{error.code}": {class_name(error.code)},' for error in ERRORS)
    retryable = "\n".join(f'        "{error.code}",' for error in ERRORS if error.retryable)
    return (
        "\n".join(error_class(error) for error in ERRORS)
        + f'\nREFUSALS: Mapping[str, type[RefusedError]] = {{\n{rows}\n}}\n"""The class of each code."""\n\n'
        + f"RETRYABLE_CODES: frozenset[str] = frozenset(\n    {{\n{retryable}\n    }}\n)\n"
        + '"""The codes after which the same request may succeed later."""\n'
    )


def render() -> str:
    """The file. Raises KeyError for a type of field that this generator does not know."""
    return "\n\n".join([HEAD, option_types(), tables().rstrip("\n") + "\n", errors()])


def main() -> None:
    TARGET.write_text(render(), encoding="utf-8")
    print(f"{len(COMMANDS)} commands, {len(FIELDS)} fields, {len(ERRORS)} codes", file=sys.stderr)


if __name__ == "__main__":
    main()
