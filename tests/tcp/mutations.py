"""Seeded mutations of valid lines, and an independent word on whether a line is a JSON object."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from tests.tcp.client import encode

INTERESTING = (
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\x00",
    b"\x1f",
    b"\x7f",
    b"\x80",
    b"\xc3\xa9",
    b"\xf0\x9f\x98\x80",
    b"\xed\xa0\x80",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00",
    b"null",
    b"true",
    b"-",
    b"0",
    b"1e999",
    b"18446744073709551616",
    b"9007199254740993",
    b"\r",
    b" ",
    b"/**/",
    b"'",
    b'"reqId":"m",',
    b'"cmd":"ping",',
)


def valid_lines(queue: str) -> list[bytes]:
    """Lines that never park: no newline at their ends."""
    lines = [
        encode("PUSH", queue=queue, data={"n": [1, 2.5, "x", None, True]}, priority=3, max_attempts=2),
        encode("PUSH", queue=queue, data='é\\"', unique_key="k", backoff=5, maxBackoff=7, ttl=0, timeout=0),
        encode("PUSH", queue=queue, data=0, delay=5, reqId="r"),
        encode("PUSHB", queue=queue, jobs=[{"data": 1}, {"data": "two", "priority": -1}, {"data": [3], "delay": 1}]),
        encode("ACK", id=12345, token="t", result={"a": 1}),
        encode("ACKB", ids=[1, 2, 3], tokens=["a", None, "c"], results=[1, "x", None]),
        encode("FAIL", id=77, error="why", unrecoverable=True),
        encode("RELEASE", ids=[1, 2], delay=5),
        encode("RELEASE", id=5, token="t"),
        encode("CANCEL", id=1025),
        encode("DLQ", queue=queue, count=3),
        encode("RETRYDLQ", queue=queue, id=4),
        encode("ISPAUSED", queue=queue),
        encode("HELLO"),
        encode("PING", reqId="p"),
        encode("AUTH", token="none"),
    ]
    return [line[:-1] for line in lines]


def pulling_lines(queue: str) -> list[bytes]:
    """Lines that may park once they are mutated."""
    lines = [
        encode("PULL", queue=queue, timeout=0),
        encode("PULL", queue=queue, timeout=5, reqId="p"),
        encode("PULLB", queue=queue, count=3, timeout=0),
        encode("PULLB", queue=queue, count=0),
    ]
    return [line[:-1] for line in lines]


def mutated(lines: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """`count` lines, each a valid one changed in 1 to 4 places; none holds a newline."""
    chance = random.Random(seed)
    for _ in range(count):
        line = bytearray(chance.choice(lines))
        for _ in range(chance.randint(1, 4)):
            _mutate(line, chance, lines)
        yield bytes(line).replace(b"\n", b" ")


def _mutate(line: bytearray, chance: random.Random, lines: list[bytes]) -> None:
    at = chance.randint(0, len(line))
    kind = chance.randrange(7)
    if kind == 0:
        line[at : at + 1] = bytes([chance.randrange(256)])
    elif kind == 1:
        del line[at : at + chance.randint(1, 8)]
    elif kind == 2:
        line[at:at] = chance.choice(INTERESTING)
    elif kind == 3:
        end = at + chance.randint(1, 30)
        line[at:at] = line[at:end] * chance.randint(1, 3)
    elif kind == 4:
        del line[at:]
    elif kind == 5:
        line[at : at + 1] = chance.choice(INTERESTING)
    else:
        other = chance.choice(lines)
        line[at:] = other[chance.randint(0, len(other)) :]


def is_json_object(line: bytes) -> bool:
    """What a strict reader says: RFC 8259 and valid UTF-8."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        return isinstance(json.loads(line.decode("utf-8"), parse_constant=refuse, parse_int=str), dict)
    except (ValueError, RecursionError):
        return False
