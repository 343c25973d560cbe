"""A reader of log folders in format 1, written from docs/durability.md and the table of csrc/log/frame.c.

It shares no code with the library, so what both read alike is what the documents say.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEAD = struct.Struct("<4sHHHHIQQqIIIQI")
RECORD_HEAD = struct.Struct("<BBHI")
SNAPSHOT_END = 65_535
BODY_MAX = 2**26  # more than any frame has: the library says 1 MiB and one decision more

HAS_KEY, HAS_OPTIONS, HAS_PARENTS = 1, 2, 4
HAS_TEXT = 1
PUSHED_MORE, HAS_ID, ID_STEP = 24, 8, 1024

_BASE = (("at_ms", "q"), ("id", "Q"))
_OPTIONS = tuple(
    (name, "Q", HAS_OPTIONS) for name in ("max_attempts", "backoff_ms", "max_backoff_ms", "ttl_ms", "timeout_ms")
)
_ERROR = ("text", "text", HAS_TEXT)
_PUSH_FLAGS = {"paused": 8, "skip_overlap": 16, "skip_misfire": 32, "ttl_runs": 64, "pulled": 128}

Field = tuple[str, str] | tuple[str, str, int]
"""Name, struct's letter or "text", and the flag without which it is not there."""

TYPES: dict[int, tuple[str, tuple[Field, ...], dict[str, int]]] = {
    1: (
        "PUSHED",
        (
            *_BASE,
            ("run_at_ms", "q"),
            ("priority", "i"),
            ("queue", "text"),
            ("data", "text"),
            ("key", "text", HAS_KEY),
            *_OPTIONS,
            ("parents", "text", HAS_PARENTS),
        ),
        _PUSH_FLAGS,
    ),
    2: ("LEASED", (*_BASE, ("token", "Q"), ("lease_ms", "Q")), {}),
    3: ("EXTENDED", (*_BASE, ("lease_ms", "Q")), {}),
    4: ("ACKED", (*_BASE, _ERROR), {"keep": 2}),
    5: ("RETRIED", (*_BASE, ("run_at_ms", "q"), ("reason", "B"), _ERROR), {}),
    6: ("DEAD", (*_BASE, ("reason", "B"), _ERROR), {}),
    7: ("EXPIRED", _BASE, {}),
    8: ("RELEASED", (*_BASE, ("run_at_ms", "q")), {"lost": 2, "unsent": 4}),
    9: ("CANCELLED", _BASE, {}),
    10: ("PROGRESS", (*_BASE, ("progress", "B"), _ERROR), {}),
    11: (
        "QUEUE_SET",
        (
            ("at_ms", "q"),
            ("queue", "text"),
            ("rate_limit", "Q"),
            ("rate_duration_ms", "Q"),
            ("concurrency", "Q"),
            ("length", "Q"),
        ),
        {"paused": 8},
    ),
    12: (
        "CRON_SET",
        (
            ("at_ms", "q"),
            ("run_at_ms", "q"),
            ("priority", "i"),
            ("name", "text"),
            ("queue", "text"),
            ("schedule", "text"),
            ("timezone", "text"),
            ("data", "text"),
            ("delay_ms", "Q"),
            ("key", "text", HAS_KEY),
            *_OPTIONS,
            ("parents", "text", HAS_PARENTS),
        ),
        _PUSH_FLAGS,
    ),
    13: ("CRON_DEL", (("at_ms", "q"), ("name", "text")), {}),
    14: (
        "CRON_FIRED",
        (("at_ms", "q"), ("run_at_ms", "q"), ("last_run_ms", "q"), ("cron_job", "Q"), ("name", "text")),
        {},
    ),
    15: ("DEP_DONE", (*_BASE, ("parent", "Q")), {"dropped": 2}),
    16: ("DLQ_RETRIED", (*_BASE, ("run_at_ms", "q")), {}),
    17: ("DLQ_PURGED", _BASE, {}),
    18: ("TRIMMED", _BASE, {}),
    19: ("QUEUE_GONE", (("at_ms", "q"), ("queue", "text")), {}),
    20: ("STATE_SLOT", (("id", "Q"), ("parents", "text")), {}),
    21: (
        "STATE_QUEUE",
        (
            ("queue", "text"),
            ("rate_limit", "Q"),
            ("rate_duration_ms", "Q"),
            ("concurrency", "Q"),
            ("completed", "Q"),
            ("length", "Q"),
        ),
        {"paused": 8},
    ),
    22: (
        "STATE_JOB",
        (
            *_BASE,
            ("run_at_ms", "q"),
            ("priority", "i"),
            ("queue", "text"),
            ("data", "text"),
            ("key", "text", HAS_KEY),
            *_OPTIONS,
            ("parents", "text", HAS_PARENTS),
            ("outcomes", "text", HAS_PARENTS),
            ("state", "B"),
            ("reason", "B"),
            ("progress", "B"),
            ("attempts", "I"),
            ("deliveries", "I"),
            ("losses", "I"),
            ("started_ms", "q"),
            ("ended_ms", "q"),
            ("token", "Q"),
            ("lease_ms", "Q"),
            ("lease_until_ms", "q"),
            ("timeout_at_ms", "q"),
            ("error", "text"),
            ("message", "text"),
            ("result", "text"),
            ("history", "text"),
        ),
        _PUSH_FLAGS,
    ),
    23: ("STATE_TOTALS", (("parents", "text"),), {}),
}


class FormatError(Exception):
    """The bytes are not what the format says; the text has the file and the offset."""


@dataclass(frozen=True, slots=True)
class Record:
    """fields: by name; texts are bytes; flags that mean something by themselves are true or false."""

    type: str
    slot: int
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Frame:
    shard: int
    epoch: int
    number: int
    time_ms: int
    durable: int
    records: tuple[Record, ...]


def _crc_table() -> list[int]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_CRC_TABLE = _crc_table()


def crc32c(data: bytes, crc: int = 0) -> int:
    """CRC-32C (Castagnoli); `crc` is that of the bytes before."""
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _field(body: bytes, at: int, kind: str) -> tuple[Any, int]:
    if kind != "text":
        size = struct.calcsize(f"<{kind}")
        return struct.unpack_from(f"<{kind}", body, at)[0], at + size
    (size,) = struct.unpack_from("<I", body, at)
    if at + 4 + size > len(body):
        raise FormatError(f"a text of {size} bytes in a record of {len(body)}")
    return body[at + 4 : at + 4 + size], at + 4 + size


def read_record(body: bytes, at: int, before: Record | None) -> tuple[Record, int]:
    """The record at this offset, and where the next one is. before: the record before it in the frame."""
    type_number, flags, slot, size = RECORD_HEAD.unpack_from(body, at)
    content = body[at + 8 : at + 8 + size]
    after = at + (8 + size + 7) // 8 * 8
    if len(content) != size or after > len(body) or any(body[at + 8 + size : after]):
        raise FormatError(f"a record at byte {at} of a body of {len(body)} is cut off")
    if type_number == PUSHED_MORE:
        return _more(content, flags, slot, before), after
    name, fields, named_flags = TYPES[type_number]
    values: dict[str, Any] = {flag: bool(flags & bit) for flag, bit in named_flags.items()}
    place = 0
    for field, kind, *condition in fields:
        if all(flags & int(bit) for bit in condition) and place < size:
            values[field], place = _field(content, place, kind)
    return Record(name, slot, values), after


def _more(content: bytes, flags: int, slot: int, before: Record | None) -> Record:
    if before is None or before.type != "PUSHED":
        raise FormatError("PUSHED_MORE, and no PUSHED before it")
    place, id = 0, before.fields["id"] + ID_STEP
    if flags & HAS_ID:
        id, place = _field(content, 0, "Q")
    data, place = _field(content, place, "text")
    common = {name: value for name, value in before.fields.items() if name not in ("key", "parents")}
    return Record("PUSHED", slot, {**common, "id": id, "data": data})


def read_file(path: Path, *, is_snapshot: bool = False, chain: int | None = None) -> tuple[list[Frame], int]:
    """The frames of a segment or a snapshot, and the chain after them.

    chain: what the first frame's must be; None: any, as for the first segment that there is. A segment may end in
    zeros; there is no other end than a whole frame here: a torn one is an error. Raises FormatError.
    """
    content, at, frames = path.read_bytes(), 0, []
    expected = 0 if is_snapshot else chain
    number = 1 if is_snapshot else int(path.stem)
    while at < len(content) and (is_snapshot or any(content[at : at + 4])):
        frame, head_chain, body_n = _read_frame(content, at, path)
        if frame.number != number or (expected is not None and head_chain != expected):
            raise FormatError(f"{path} at {at}: a frame that does not follow the one before")
        expected = crc32c(content[at : at + HEAD.size], head_chain)
        number += 1
        at += HEAD.size + body_n
        frames.append(frame)
    if any(content[at:]):
        raise FormatError(f"{path} at {at}: neither a frame nor zeros")
    if is_snapshot and (not frames or frames[-1].shard != SNAPSHOT_END or frames[-1].records):
        raise FormatError(f"{path}: no end of a snapshot")
    return frames, expected or 0


def _read_frame(content: bytes, at: int, path: Path) -> tuple[Frame, int, int]:
    if len(content) - at < HEAD.size:
        raise FormatError(f"{path} at {at}: a header is cut off")
    magic, version, flags, shard, writer, records, epoch, number, time_ms, body_n, body_crc, chain, durable, crc = (
        HEAD.unpack_from(content, at)
    )
    body = content[at + HEAD.size : at + HEAD.size + body_n]
    if magic != b"MQF1" or version != 1 or crc != crc32c(content[at : at + HEAD.size - 4]):
        raise FormatError(f"{path} at {at}: no header")
    if flags or writer or len(body) != body_n or body_n > BODY_MAX or body_crc != crc32c(body):
        raise FormatError(f"{path} at {at}: a body that is not as its header says")
    return Frame(shard, epoch, number, time_ms, durable, tuple(_records(body, records))), chain, body_n


def _records(body: bytes, count: int) -> Iterator[Record]:
    at, record = 0, None
    for _ in range(count):
        record, at = read_record(body, at, record)
        yield record
    if at != len(body):
        raise FormatError(f"{count} records take {at} bytes of a body of {len(body)}")


def records_of(frames: list[Frame]) -> list[Record]:
    return [record for frame in frames for record in frame.records]


def read_segments(folder: Path) -> list[Frame]:
    """All frames of the log, over its segments, which must follow each other."""
    frames: list[Frame] = []
    chain: int | None = None
    for path in sorted(folder.glob("*.log")):
        more, after = read_file(path, chain=chain)
        if frames and more and more[0].number != frames[-1].number + 1:
            raise FormatError(f"{path}: frames are missing before it")
        chain = after if more else chain
        frames += more
    return frames


def read_snapshots(folder: Path) -> dict[int, list[Frame]]:
    """The frames of each snapshot, by the number of the last frame of the log that it holds."""
    return {int(path.stem): read_file(path, is_snapshot=True)[0] for path in sorted(folder.glob("*.snap"))}
