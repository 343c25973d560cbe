"""A request as the contract has it: which fields a command takes, what each may hold, and how it is written as a line.

Only one thing at a time may be wrong with a request (or with an item of a batch): which of two refusals comes first is
nobody's business.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

U64 = 2**64 - 1
SHOWN = 2**53 - 1  # the largest number that is shown, and the largest id

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Raw:
    """JSON text to be sent as it is: data and results, and what Python's writer cannot write."""

    text: str


@dataclass(frozen=True, slots=True)
class Starting:
    """Equal to every longer text that starts so: why exactly a request is invalid is the engine's business."""

    prefix: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and other.startswith(self.prefix) and len(other) > len(self.prefix)


class Refused(Exception):
    """What a command is refused with."""

    def __init__(self, code: str, error: str | Starting, *, retryable: bool = False) -> None:
        super().__init__(code, error)
        self.code, self.error, self.retryable = code, error, retryable

    def answer(self) -> Answer:
        return {"ok": False, "error": self.error, "code": self.code, "retryable": self.retryable}


def invalid() -> Refused:
    return Refused("invalid", Starting("Invalid: "))


def too_large() -> Refused:
    return Refused("payload_too_large", Starting("Payload too large"))


def bad_id() -> Refused:
    return Refused("bad_id", Starting(""))


def not_found(id: int) -> Refused:
    return Refused("not_found", f"Job {id} not found")


def not_held(id: int) -> Refused:
    return Refused("not_found", f"Job {id} not found in processing")


JOB_OPTIONS = {
    "priority", "delay", "ttl", "timeout", "max_attempts", "backoff", "max_backoff", "unique_key", "depends_on"
}  # fmt: skip
ITEM = ({"data"}, JOB_OPTIONS)
COMMANDS: dict[str, tuple[set[str], set[str]]] = {
    "PUSH": ({"queue", "data"}, JOB_OPTIONS),
    "PUSHB": ({"queue", "jobs"}, set()),
    "PULL": ({"queue"}, {"timeout", "lease"}),
    "PULLB": ({"queue", "count"}, {"timeout", "lease"}),
    "ACK": ({"id"}, {"result", "token"}),
    "ACKB": ({"ids"}, {"results", "tokens"}),
    "FAIL": ({"id"}, {"error", "token", "unrecoverable"}),
    "RELEASE": (set(), {"id", "token", "ids", "tokens", "delay"}),
    "HEARTBEAT": ({"id"}, {"token", "lease"}),
    "CANCEL": ({"id"}, set()),
    "PROGRESS": ({"id", "progress"}, {"message"}),
    "GETPROGRESS": ({"id"}, set()),
    "GETRESULT": ({"id"}, set()),
    "GETJOB": ({"id"}, set()),
    "GETJOBS": ({"queue", "state"}, {"limit", "cursor", "dir", "reason", "preview"}),
    "WAITJOB": ({"id"}, {"timeout"}),
    "DLQ": ({"queue"}, {"count"}),
    "RETRYDLQ": ({"queue"}, {"id", "ids", "reason"}),
    "PURGEDLQ": ({"queue"}, {"ids", "reason"}),
    "DRAIN": ({"queue"}, set()),
    "OBLITERATE": ({"queue"}, set()),
    "PAUSE": ({"queue"}, set()),
    "RESUME": ({"queue"}, set()),
    "ISPAUSED": ({"queue"}, set()),
    "RATELIMIT": ({"queue", "limit"}, {"duration"}),
    "RATELIMITCLEAR": ({"queue"}, set()),
    "SETCONCURRENCY": ({"queue", "limit"}, set()),
    "SETQUEUE": ({"queue"}, {"max_length"}),
    "CLEARCONCURRENCY": ({"queue"}, set()),
    "LISTQUEUES": (set(), set()),
    "STATS": (set(), set()),
    "METRICS": (set(), set()),
    "PING": (set(), set()),
}
DEFAULTS: dict[str, Any] = {
    "priority": 0, "delay": 0, "ttl": 0, "max_attempts": 0, "backoff": 0, "max_backoff": 3_600_000,
    "unrecoverable": False, "dir": "asc", "preview": 0,
}  # fmt: skip
TEXTS = {"queue": (1, 255), "unique_key": (0, 1024), "token": (0, 1024), "error": (0, 2**20), "message": (0, 2**16)}
NUMBERS = {
    "delay": 0, "ttl": 0, "timeout": 0, "max_attempts": 0, "backoff": 0, "max_backoff": 0, "count": 0, "preview": 0,
    "max_length": 0,
    "lease": 1, "limit": 1, "duration": 1,
}  # fmt: skip
STATES = ("waiting", "delayed", "waitingparent", "active", "completed", "failed")
REASONS = ("failed", "timeout", "worker_lost", "expired_lease", "dependency_failed")
CHOICES = {"state": STATES, "dir": ("asc", "desc"), "reason": REASONS}


def check_id(value: Any) -> None:
    if type(value) is not int:
        raise invalid()
    if not 1 <= value <= SHOWN:
        raise bad_id()


def check(name: str, value: Any, max_job_bytes: int) -> None:
    """Refuse what a field may not hold."""
    if name in TEXTS:
        low, high = TEXTS[name]
        if type(value) is not str or len(value.encode()) < low:
            raise invalid()
        if len(value.encode()) > high:
            raise too_large()
    elif name in NUMBERS:
        if type(value) is not int or not NUMBERS[name] <= value <= U64:
            raise invalid()
    elif name in CHOICES:
        if value not in CHOICES[name]:
            raise invalid()
    elif name == "priority":
        if type(value) is not int or not -(2**31) <= value < 2**31:
            raise invalid()
    elif name == "progress":
        if type(value) is not int:
            raise invalid()
    elif name in ("data", "result"):
        if len(value.text.encode()) > max_job_bytes:
            raise too_large()
    elif name == "unrecoverable":
        if type(value) is not bool:
            raise invalid()
    elif name == "id":
        check_id(value)
    elif name == "cursor":
        if type(value) is not str:
            raise invalid()
    else:
        check_list(name, value)


def check_list(name: str, value: Any) -> None:
    if type(value) is not list:
        raise invalid()
    if name in ("ids", "depends_on"):
        for id in value:
            check_id(id)
        if name == "depends_on" and len(value) > 1000:
            raise too_large()
    elif name == "tokens" and not all(token is None or type(token) is str for token in value):
        raise invalid()


def snake(name: str) -> str:
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name)


def is_null(value: Any) -> bool:
    return value is None or (type(value) is Raw and value.text == "null")


def fields(takes: tuple[set[str], set[str]], request: Any, max_job_bytes: int) -> dict[str, Any]:
    """The fields a command or an item of a batch takes, checked, with their defaults. Raises Refused."""
    required, optional = takes
    if type(request) is not dict:
        raise invalid()
    given = {
        name: value
        for key, value in request.items()
        if (name := snake(key)) in required or (name in optional and not is_null(value))
    }
    for name, value in given.items():
        check(name, value, max_job_bytes)
    if not required <= given.keys():
        raise invalid()
    return {name: given.get(name, DEFAULTS.get(name)) for name in (*required, *optional)}


def written(value: Any) -> str:
    """A request as JSON text."""
    if type(value) is Raw:
        return value.text
    if type(value) is dict:
        return "{" + ",".join([json.dumps(key) + ":" + written(item) for key, item in value.items()]) + "}"
    if type(value) is list:
        return "[" + ",".join([written(item) for item in value]) + "]"
    return json.dumps(value, ensure_ascii=False)
