"""A payload drawn for a terminal: JSON on several lines, in colours."""

import json

from rich.text import Text

from mqfast.cli.text import clean_json
from mqfast.cli.verbatim import Raw

LONGEST = 20_000
"""Characters shown at most: a terminal is no place for a megabyte."""


class _Literal(str):
    """A number as it was written."""

    __slots__ = ()


def payload(raw: Raw) -> Text:
    """The JSON text laid out and coloured; what is too long is cut, with a word on how to see it all."""
    from rich.highlighter import JSONHighlighter

    try:
        pretty = _pretty(json.loads(raw, parse_int=_Literal, parse_float=_Literal, object_pairs_hook=_Pairs), "")
    except (ValueError, RecursionError):
        pretty = str(raw)
    text = Text("\n".join(clean_json(line) for line in pretty[:LONGEST].split("\n")), no_wrap=False, overflow="fold")
    JSONHighlighter().highlight(text)
    if len(pretty) > LONGEST:
        text.append(f"\n… {len(pretty) - LONGEST:,} characters more; --json shows them", style="dim")
    return text


class _Pairs(list[tuple[str, object]]):
    """An object with its members as they came, double ones too."""


def _pretty(value: object, indent: str) -> str:
    inner = indent + "  "
    if isinstance(value, _Pairs) and value:
        members = [f"{inner}{_text(key)}: {_pretty(item, inner)}" for key, item in value]
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    if isinstance(value, _Pairs):
        return "{}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(inner + _pretty(item, inner) for item in value) + f"\n{indent}]"
    if isinstance(value, _Literal):
        return str(value)
    return _text(value)


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
