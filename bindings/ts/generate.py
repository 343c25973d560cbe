"""Write src/commands.ts from the daemon's command table: request and option types, error codes, a class for each code;
and src/testing/fields.ts, by which the daemon in memory checks requests.

``.venv/bin/python bindings/ts/generate.py`` renews the files. Source: the compiled module (mqfast.commands), so what is
generated is what the daemon runs. What an answer looks like is not in that table; src/answers.ts has it, by kind.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mqfast.commands import COMMANDS, ERRORS, FIELDS, Command, Error, Field

SOURCES = Path(__file__).parent / "src"
NOTICE = (
    "// Generated from the daemon's command table by generate.py. Do not edit: change the table, then generate again.\n"
)

HEAD = f"""\
{NOTICE}
import type * as answers from "./answers.js";
import {{ RefusedError }} from "./errors.js";
"""

TYPES = {
    "u64": "number",
    "i32": "number",
    "id": "number",
    "percent": "number",
    "text": "string",
    "quote": "string",
    "raw": "unknown",
    "flag": "boolean",
    "ids": "readonly number[]",
    "texts": "readonly (string | null)[]",
    "raws": "readonly unknown[]",
    "items": "readonly PushItem[]",
}

NARROWER = {
    "state": "answers.ListedState",
    "dir": '"asc" | "desc"',
    "reason": "answers.FailureReason",
    "events": "readonly answers.EventName[]",
    "overlap": '"allow" | "skip"',
    "misfire": '"once" | "skip"',
}
"""Fields whose texts are among a few: a type that says which."""

ANSWERS = {
    "ID": "answers.IdAnswer",
    "IDS": "answers.IdsAnswer",
    "JOB": "answers.JobAnswer",
    "JOBS": "answers.JobsAnswer",
    "OK": "answers.OkAnswer",
    "COUNT": "answers.CountAnswer",
    "PROGRESS": "answers.ProgressAnswer",
    "JOB_STATE": "answers.JobStateAnswer",
    "JOBS_PAGE": "answers.JobsPageAnswer",
    "ENDING": "answers.EndingAnswer",
    "RESULT": "answers.ResultAnswer",
    "PAUSED": "answers.PausedAnswer",
    "QUEUES": "answers.QueuesAnswer",
    "STATS": "answers.StatsAnswer",
    "CRONS": "answers.CronsAnswer",
    "METRICS": "answers.MetricsAnswer",
    "COUNTS": "answers.CountsAnswer",
    "CLIENTS": "answers.ClientsAnswer",
    "TOPOLOGY": "answers.TopologyAnswer",
    "PONG": "answers.PongAnswer",
    "HELLO": "answers.HelloAnswer",
}

SHARED_BY = {"PUSHB": "PUSH", "CRON": "PUSH", "PULLB": "PULL", "WAITJOB": "PULL"}
"""Commands that mean by a field what another command means by it, where a field means different things."""

BY_NAME = {field.name: field for field in FIELDS}
JOB_OPTIONS = next(command for command in COMMANDS if command.name == "PUSH").optional


def meaning(field: Field, command: str) -> str:
    """What a field means to a command: the table's text, or its part behind `COMMAND:`."""
    parts = re.split(r"(?:^|; )([A-Z]+): ", field.doc)
    if len(parts) == 1:
        return field.doc
    by_command = dict(zip(parts[1::2], parts[2::2], strict=True))
    return by_command.get(command) or by_command.get(SHARED_BY.get(command, ""), field.doc)


def limits(field: Field) -> str:
    """The bounds of a field's value in words; empty where its type says it all."""
    if field.type == "u64":
        return f"at least {field.minimum}" if field.minimum else ""
    if field.type == "i32":
        return "-2^31 to 2^31-1"
    if field.type == "percent":
        return "clamped to 0..100"
    if field.type in ("text", "quote"):
        return f"{field.minimum} to {field.maximum} bytes"
    return f"at most {field.maximum} items" if field.maximum else ""


def member(field: Field, command: str, *, required: bool) -> str:
    """One member of an interface with its comment."""
    bounds = limits(field)
    text = meaning(field, command) + (f" ({bounds})" if bounds else "")
    kind = NARROWER.get(field.name, TYPES[field.type])
    mark, rest = ("", "") if required else ("?", " | undefined")
    text = text.replace("*/", "*\\/")  # would end the comment
    return f"  /** {text[0].upper()}{text[1:]}. */\n  {field.camel}{mark}: {kind}{rest};"


def pascal(code: str) -> str:
    return "".join(word.capitalize() for word in code.split("_"))


def request_name(command: Command) -> str:
    return command.name.capitalize() + "Request"


def request(command: Command) -> str:
    """The interface of a command's request."""
    options = [name for name in command.optional if name not in JOB_OPTIONS or command.name not in ("PUSH", "CRON")]
    parent = " extends PushOptions" if command.name in ("PUSH", "CRON") else ""
    lines = [f'  cmd: "{command.name}";']
    lines += [member(BY_NAME[name], command.name, required=True) for name in command.required]
    lines += [member(BY_NAME[name], command.name, required=False) for name in options]
    lines.append(member(BY_NAME["req_id"], command.name, required=False))
    doc = f"/** {command.name}: {command.doc}. */"
    return f"{doc}\nexport interface {request_name(command)}{parent} {{\n" + "\n".join(lines) + "\n}\n"


def options() -> str:
    """The options of a push, and an item of a batch."""
    members = "\n".join(member(BY_NAME[name], "PUSH", required=False) for name in JOB_OPTIONS)
    data = member(BY_NAME["data"], "PUSH", required=True).replace("unknown", "Data")
    return (
        "/** How a job is to be run. Times are milliseconds; what is left out has the daemon's default. */\n"
        f"export interface PushOptions {{\n{members}\n}}\n\n"
        "/** A job of a batch: its payload and its options. */\n"
        f"export interface PushItem<Data = unknown> extends PushOptions {{\n{data}\n}}\n"
    )


def maps() -> str:
    """Which request and which answer belong to a command."""
    requests = "\n".join(f"  {command.name}: {request_name(command)};" for command in COMMANDS)
    answers = "\n".join(f"  {command.name}: {ANSWERS[command.result]};" for command in COMMANDS)
    return (
        f"/** The request of each command. */\nexport interface Requests {{\n{requests}\n}}\n\n"
        f"/** The answer of each command, when it is not refused. */\nexport interface Answers {{\n{answers}\n}}\n\n"
        "/** The name of a command. */\nexport type CommandName = keyof Requests;\n\n"
        "/** Any request. */\nexport type Request = Requests[CommandName];\n"
    )


def error_class(error: Error) -> str:
    """The class of one code."""
    again = "the same request may succeed later" if error.retryable else "asking again will not help"
    return (
        f"/** `{error.code}`: {error.text[0].lower()}{error.text[1:]}; {again}. */\n"
        f"export class {pascal(error.code)}Error extends RefusedError {{\n"
        f'  override readonly name = "{pascal(error.code)}Error";\n}}\n'
    )


def errors() -> str:
    """The codes, a class for each, and the table from one to the other."""
    codes = "\n".join(f'  | "{error.code}"' for error in ERRORS)
    rows = "\n".join(f"  {error.code}: {pascal(error.code)}Error," for error in ERRORS)
    retryable = "\n".join(f'  "{error.code}",' for error in ERRORS if error.retryable)
    return (
        f"/** Why a request was refused. */\nexport type ErrorCode =\n{codes};\n\n"
        + "\n".join(error_class(error) for error in ERRORS)
        + "\n/** The class of each code. */\n"
        f"export const REFUSALS: Readonly<Record<ErrorCode, typeof RefusedError>> = {{\n{rows}\n}};\n\n"
        "/** The codes after which the same request may succeed later. */\n"
        f"export const RETRYABLE_CODES: ReadonlySet<string> = new Set<ErrorCode>([\n{retryable}\n]);\n"
    )


def render_commands() -> str:
    """commands.ts. Raises KeyError for a type or a kind of answer that this generator does not know."""
    return "\n".join([HEAD, options(), *(request(command) for command in COMMANDS), maps(), errors()])


def render_fields() -> str:
    """testing/fields.ts: what each field may be, and which fields each command has."""

    def field(row: Field) -> str:
        highest = "Infinity" if row.maximum >= 2**53 else row.maximum
        return f'  {row.camel}: {{ snake: "{row.name}", type: "{row.type}", min: {row.minimum}, max: {highest} }},'

    def names(row: tuple[str, ...]) -> str:
        return ", ".join(f'"{BY_NAME[name].camel}"' for name in row)

    def command(row: Command) -> str:
        return f"  {row.name}: {{ required: [{names(row.required)}], optional: [{names(row.optional)}] }},"

    types = " | ".join(f'"{name}"' for name in TYPES)
    return "\n".join(
        [
            NOTICE,
            "/** What a field may be. min and max: of a number, of the bytes of a text, of the items of a list. */",
            f"export interface Field {{\n  snake: string;\n  type: {types};\n  min: number;\n  max: number;\n}}\n",
            "export const FIELDS: Readonly<Record<string, Field>> = {",
            *map(field, FIELDS),
            "};\n",
            "export const COMMAND_FIELDS: Readonly<Record<string, { required: string[]; optional: string[] }>> = {",
            *map(command, COMMANDS),
            "};\n",
        ]
    )


FILES = {"commands.ts": render_commands, "testing/fields.ts": render_fields}


def main() -> None:
    for name, render in FILES.items():
        (SOURCES / name).write_text(render(), encoding="utf-8")
    print(f"{len(COMMANDS)} commands, {len(FIELDS)} fields, {len(ERRORS)} codes", file=sys.stderr)


if __name__ == "__main__":
    main()
