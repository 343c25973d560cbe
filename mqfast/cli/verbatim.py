"""JSON whose payloads stay as they were written, every digit of every number and every duplicate key.

The json module would read a payload into Python's values and write others. Here the members `data` and `result` of
answers become Raw, the JSON text itself, and dumps() puts such text back as it is.
"""

import json
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

_SPACE = " \t\n\r"
_RAW = frozenset({"data", "result"})
_PARTS = frozenset({"job", "jobs", "crons"})
_LEAVES = json.JSONDecoder(parse_int=str, parse_float=str)  # to find an end: no digit is worth reading
_VALUES = json.JSONDecoder()


class Raw(str):
    """JSON text."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "Raw":
        """Text as JSON on one line. Raises ValueError with what is wrong and where."""
        try:
            json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse_constant)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        text.encode()
        return cls(text.strip(_SPACE).replace("\n", " ").replace("\r", " "))  # between tokens only: strict JSON


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def loads(text: str) -> dict[str, Any]:
    """An answer, or a line of an export: an object whose payloads are Raw. Raises ValueError."""
    try:
        value, end = _object(text, _skip(text, 0))
    except (IndexError, StopIteration, RecursionError):
        raise ValueError("not a JSON object") from None
    if _skip(text, end) != len(text):
        raise ValueError("there is more behind the JSON object")
    return value


def _skip(text: str, at: int) -> int:
    end = len(text)
    while at < end and text[at] in _SPACE:
        at += 1
    return at


def _object(text: str, at: int) -> tuple[dict[str, Any], int]:
    if text[at] != "{":
        raise ValueError("not a JSON object")
    members: dict[str, Any] = {}
    at = _skip(text, at + 1)
    if text[at] == "}":
        return members, at + 1
    while True:
        if text[at] != '"':
            raise ValueError("not a JSON object")
        key, at = scanstring(text, at + 1, True)
        at = _skip(text, at)
        if text[at] != ":":
            raise ValueError("not a JSON object")
        members[key], at = _member(key, text, _skip(text, at + 1))
        at = _skip(text, at)
        if text[at] == "}":
            return members, at + 1
        if text[at] != ",":
            raise ValueError("not a JSON object")
        at = _skip(text, at + 1)


def _member(key: str, text: str, at: int) -> tuple[Any, int]:
    if key in _RAW:
        _, end = _LEAVES.raw_decode(text, at)
        return Raw(text[at:end]), end
    if key in _PARTS and text[at] == "{":
        return _object(text, at)
    if key in _PARTS and text[at] == "[":
        return _array(text, at)
    return _VALUES.raw_decode(text, at)


def _array(text: str, at: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    at = _skip(text, at + 1)
    if text[at] == "]":
        return items, at + 1
    while True:
        item, at = _object(text, at)
        items.append(item)
        at = _skip(text, at)
        if text[at] == "]":
            return items, at + 1
        if text[at] != ",":
            raise ValueError("not a JSON list")
        at = _skip(text, at + 1)


def previewed(job: dict[str, Any]) -> dict[str, Any]:
    """A row of a listing with a preview: its data is the beginning of the JSON text, marked if it is not all."""
    text = str(json.loads(job["data"]))
    return {**job, "data": text if job["data_size"] <= len(text.encode()) else f"{text}…"}


def dumps(value: object) -> str:
    """JSON on one line, in ASCII but for what is Raw in it."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(str(key))}:{dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(dumps, value)) + "]"
    return json.dumps(value)
