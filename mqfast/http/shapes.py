"""Answers of the engine as REST gives them, by kind of result: what is in ``"data"``, and what OpenAPI says of it.

Nothing is parsed that need not be: payloads and results are cut out of the engine's answer byte for byte.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

OK = b'{"ok":true'
_PROGRESS = re.compile(rb'\{"ok":true,"progress":\{"id":[0-9]+,"progress":([0-9]+),"message":(.*)\}\}', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Shape:
    """data: from the engine's answer (``"ok":true``) to the JSON text of ``"data"``; schema: of that."""

    data: Callable[[bytes], bytes]
    schema: Schema


def _member(name: str) -> Callable[[bytes], bytes]:
    """The answer's only member."""
    start = len(OK) + len(f',"{name}":')
    return lambda answer: answer[start:-1]


def _list(name: str) -> Callable[[bytes], bytes]:
    """The list that is the answer's first member; of a page of it all members."""
    member = _member(name)
    return lambda answer: member(answer) if answer.endswith(b"]}") else _rest(answer)


def _rest(answer: bytes) -> bytes:
    """All members but ok, as an object; true if there are none."""
    return b"{" + answer[len(OK) + 1 :] if len(answer) > len(OK) + 1 else b"true"


def _any(answer: bytes) -> bytes:
    """Of a kind that is not in the table: the only member, or all of them as an object."""
    members = json.loads(answer, parse_int=str)
    return _member(next(name for name in members if name != "ok"))(answer) if len(members) == 2 else _rest(answer)


def _count(answer: bytes) -> bytes:
    return answer[answer.rindex(b'"count":') + len(b'"count":') : -1]


def _ids(answer: bytes) -> bytes:
    return _rest(answer) if b'"errors":' in answer else _rest(answer)[:-1] + b',"errors":[]}'


def _result(answer: bytes) -> bytes:
    return answer[answer.index(b'"result":') + len(b'"result":') : -1]


def _progress(answer: bytes) -> bytes:
    found = _PROGRESS.fullmatch(answer)
    if found is None:
        raise ValueError(answer)
    return b"[%s,%s]" % found.groups()


def _job_state(answer: bytes) -> bytes:
    """The job with its state in it; null if there is none."""
    end = answer.rindex(b',"state":"')
    job = answer[len(OK) + len(b',"job":') : end]
    return job if job == b"null" else job[:-1] + answer[end:]


_INTEGER: Schema = {"type": "integer"}
_ID: Schema = {"type": "integer", "minimum": 0, "maximum": (1 << 53) - 1}
_JOB: Schema = {"$ref": "#/components/schemas/Job"}
_OBJECTS: Schema = {"type": "array", "items": {"type": "object"}}
_COUNTS = {name: _INTEGER for name in ("queued", "processing", "delayed", "dlq", "completed", "waiting")}

SHAPES: dict[str, Shape] = {
    "OK": Shape(_rest, {"const": True}),
    "COUNT": Shape(_count, _INTEGER),
    "ID": Shape(_member("id"), _ID),
    "IDS": Shape(
        _ids,
        {
            "type": "object",
            "required": ["ids", "errors"],
            "properties": {"ids": {"type": "array", "items": _ID}, "errors": _OBJECTS},
        },
    ),
    "JOB": Shape(_member("job"), {"anyOf": [_JOB, {"type": "null"}]}),
    "JOBS": Shape(_list("jobs"), {"type": "array", "items": _JOB}),
    "JOB_STATE": Shape(_job_state, {"$ref": "#/components/schemas/JobState"}),
    "JOBS_PAGE": Shape(
        _rest,
        {
            "type": "object",
            "required": ["jobs", "cursor"],
            "properties": {"jobs": {"type": "array", "items": _JOB}, "cursor": {"type": ["string", "null"]}},
        },
    ),
    "PROGRESS": Shape(
        _progress,
        {
            "description": "the progress, 0 to 100, and the message or null",
            "type": "array",
            "items": {"type": ["integer", "string", "null"]},
            "minItems": 2,
            "maxItems": 2,
        },
    ),
    "RESULT": Shape(_result, {}),
    "PAUSED": Shape(_member("paused"), {"type": "boolean"}),
    "QUEUES": Shape(
        _list("queues"), {"anyOf": [_OBJECTS, {"type": "object", "required": ["queues", "total", "cursor"]}]}
    ),
    "STATS": Shape(_rest, {"type": "object", "required": list(_COUNTS), "properties": _COUNTS}),
    "CRONS": Shape(_list("crons"), _OBJECTS),
    "METRICS": Shape(_member("metrics"), {"type": "object"}),
    "COUNTS": Shape(_member("counts"), {"type": "object", "additionalProperties": {"type": "object"}}),
    "CLIENTS": Shape(
        _rest,
        {
            "type": "object",
            "required": ["connections", "cursor"],
            "properties": {"connections": _OBJECTS, "cursor": {"type": ["string", "null"]}},
        },
    ),
}
"""The kinds of result; one that is not here is given as its only member, or as an object of all its members."""

OTHER = Shape(_any, {})


def shape(kind: str) -> Shape:
    """The shape of a kind of result."""
    return SHAPES.get(kind, OTHER)


def code_of(refusal: bytes) -> str:
    """The code in a refusal of the engine. The text before it may hold anything; it is behind that."""
    return refusal[refusal.rindex(b'"code":"') + len(b'"code":"') :].partition(b'"')[0].decode()
