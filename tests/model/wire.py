"""A request on the wire in any of its forms: every form means the same, and the daemon may not tell them apart."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from tests.model.requests import Answer, Raw, written

SPACES = ("", "", "", " ", "\t", "  \r ", " " * 40)
JUNK = ('"junk"', "-0", "[[],{}]", '{"cmd":"PUSH"}', "null", "1e9", '"\\ud83d\\ude00"')
UNKNOWN = ("colour", "Cmd", "CMD", "id ", "queue\\u0000", "_", "", "jobs2", "\\ud83d\\ude00")


def varied(request: Answer, chance: random.Random) -> str:
    """The request as JSON text: keys in any order, some twice (the last counts), spaces, escapes, unknown fields."""
    if chance.random() < 0.3:
        return written(request)
    return _object(request, chance, chance.random() < 0.5)


def _object(value: dict[str, Any], chance: random.Random, spaced: bool) -> str:
    members = [(name, _text(name, chance), _value(item, chance, spaced)) for name, item in value.items()]
    chance.shuffle(members)
    rows = [f"{key}{_space(chance, spaced)}:{_space(chance, spaced)}{text}" for _, key, text in members]
    if members and chance.random() < 0.2:
        rows.insert(0, f'"{chance.choice(members)[0]}":{chance.choice(JUNK)}')
    if chance.random() < 0.2:
        rows.insert(chance.randrange(len(rows) + 1), f'"{chance.choice(UNKNOWN)}":{chance.choice(JUNK)}')
    return "{" + ",".join(_space(chance, spaced) + row + _space(chance, spaced) for row in rows) + "}"


def _value(value: Any, chance: random.Random, spaced: bool) -> str:
    if type(value) is Raw:
        return value.text  # kept byte for byte
    if type(value) is dict:
        return _object(value, chance, spaced)
    if type(value) is list:
        return "[" + ",".join(_space(chance, spaced) + _value(item, chance, spaced) for item in value) + "]"
    return _text(value, chance) if type(value) is str else json.dumps(value)


def _space(chance: random.Random, spaced: bool) -> str:
    return chance.choice(SPACES) if spaced else ""


def _text(text: str, chance: random.Random) -> str:
    if chance.random() < 0.6:
        return json.dumps(text, ensure_ascii=chance.random() < 0.5)
    return '"' + "".join(_escaped(letter) if chance.random() < 0.4 else _plain(letter) for letter in text) + '"'


def _plain(letter: str) -> str:
    return json.dumps(letter, ensure_ascii=False)[1:-1]


def _escaped(letter: str) -> str:
    units = letter.encode("utf-16-be")
    return "".join(f"\\u{int.from_bytes(units[at : at + 2], 'big'):04x}" for at in range(0, len(units), 2))


def pieces(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """The bytes as they go to the system: all at once, or cut at random, down to single bytes."""
    longest = chance.choice((len(data), len(data), 200, 20, 1 if len(data) < 300 else 50))
    at = 0
    while at < len(data):
        size = chance.randint(1, max(1, longest))
        yield data[at : at + size]
        at += size
