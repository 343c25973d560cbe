"""Options, fields and refusals of the protocol.

Generated from the daemon's command table by generate.py. Do not edit: change the table, then generate again.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypedDict

from .errors import RefusedError


class PushOptions(TypedDict, total=False):
    """How a job is to be run. Times are milliseconds; what is left out has the daemon's default."""

    # higher runs first
    priority: int | None
    # milliseconds from now until the job may run
    delay: int | None
    # milliseconds from the push after which a job not yet pulled expires; 0 = never
    ttl: int | None
    # milliseconds a worker has from the pull, 0 = no limit
    timeout: int | None
    # failures after which the job goes to the dead-letter queue; 0 = no limit
    max_attempts: int | None
    # milliseconds before the first retry, doubled for each further one
    backoff: int | None
    # milliseconds the wait before a retry never exceeds
    max_backoff: int | None
    # refused as a duplicate while another job of the queue holds the same key
    unique_key: str | None
    # ids of jobs that must be completed first
    depends_on: list[int] | None


class _PushData(TypedDict):
    # the job's payload: any JSON value, kept byte for byte
    data: Any


class PushItem(_PushData, PushOptions, total=False):
    """A job of a batch: its payload and its options."""


class CronOptions(PushOptions, total=False):
    """When a cron fires, and the options of the jobs it pushes."""

    # an IANA time zone
    timezone: str | None
    # allow; skip: not fired while the job of the last time has not ended
    overlap: Literal["allow", "skip"] | None
    # once: what was missed is fired once, late; skip: not at all
    misfire: Literal["once", "skip"] | None
    # true: set, but not fired
    paused: bool | None


class Field(NamedTuple):
    """What a field may be. minimum and maximum: of a number, of bytes, of items."""

    camel: str
    type: str
    minimum: int
    maximum: int


class CommandFields(NamedTuple):
    """The names of a command's fields."""

    required: tuple[str, ...]
    optional: tuple[str, ...]


FIELDS: Mapping[str, Field] = {
    "cmd": Field("cmd", "text", 1, 64),
    "req_id": Field("reqId", "quote", 0, 128),
    "queue": Field("queue", "text", 1, 255),
    "data": Field("data", "raw", 0, 0),
    "priority": Field("priority", "i32", 0, 0),
    "delay": Field("delay", "u64", 0, 18446744073709551615),
    "ttl": Field("ttl", "u64", 0, 18446744073709551615),
    "timeout": Field("timeout", "u64", 0, 18446744073709551615),
    "max_attempts": Field("maxAttempts", "u64", 0, 18446744073709551615),
    "backoff": Field("backoff", "u64", 0, 18446744073709551615),
    "max_backoff": Field("maxBackoff", "u64", 0, 18446744073709551615),
    "unique_key": Field("uniqueKey", "text", 0, 1024),
    "depends_on": Field("dependsOn", "ids", 0, 1000),
    "jobs": Field("jobs", "items", 0, 100000),
    "lease": Field("lease", "u64", 1, 18446744073709551615),
    "count": Field("count", "u64", 0, 18446744073709551615),
    "id": Field("id", "id", 0, 0),
    "ids": Field("ids", "ids", 0, 100000),
    "result": Field("result", "raw", 0, 0),
    "results": Field("results", "raws", 0, 100000),
    "token": Field("token", "text", 0, 1024),
    "tokens": Field("tokens", "texts", 0, 100000),
    "error": Field("error", "quote", 0, 1048576),
    "unrecoverable": Field("unrecoverable", "flag", 0, 0),
    "progress": Field("progress", "percent", 0, 100),
    "message": Field("message", "quote", 0, 65536),
    "limit": Field("limit", "u64", 1, 18446744073709551615),
    "duration": Field("duration", "u64", 1, 18446744073709551615),
    "state": Field("state", "text", 1, 32),
    "cursor": Field("cursor", "text", 0, 300),
    "dir": Field("dir", "text", 1, 16),
    "reason": Field("reason", "text", 1, 32),
    "preview": Field("preview", "u64", 0, 18446744073709551615),
    "events": Field("events", "texts", 0, 64),
    "name": Field("name", "text", 1, 255),
    "schedule": Field("schedule", "text", 1, 256),
    "timezone": Field("timezone", "text", 1, 64),
    "overlap": Field("overlap", "text", 1, 16),
    "misfire": Field("misfire", "text", 1, 16),
    "paused": Field("paused", "flag", 0, 0),
    "search": Field("search", "text", 0, 255),
    "filter": Field("filter", "text", 1, 16),
    "sort": Field("sort", "text", 1, 16),
    "max_length": Field("maxLength", "u64", 0, 18446744073709551615),
}

COMMANDS: Mapping[str, CommandFields] = {
    "PUSH": CommandFields(("queue", "data"), ("priority", "delay", "ttl", "timeout", "max_attempts", "backoff", "max_backoff", "unique_key", "depends_on")),
    "PUSHB": CommandFields(("queue", "jobs"), ()),
    "PULL": CommandFields(("queue",), ("timeout", "lease")),
    "PULLB": CommandFields(("queue", "count"), ("timeout", "lease")),
    "ACK": CommandFields(("id",), ("result", "token")),
    "ACKB": CommandFields(("ids",), ("results", "tokens")),
    "FAIL": CommandFields(("id",), ("token", "error", "unrecoverable")),
    "RELEASE": CommandFields((), ("delay", "id", "ids", "token", "tokens")),
    "HEARTBEAT": CommandFields(("id",), ("lease", "token")),
    "PROGRESS": CommandFields(("id", "progress"), ("message",)),
    "GETPROGRESS": CommandFields(("id",), ()),
    "GETJOB": CommandFields(("id",), ()),
    "GETJOBS": CommandFields(("queue", "state"), ("limit", "cursor", "dir", "reason", "preview")),
    "WAITJOB": CommandFields(("id",), ("timeout",)),
    "GETRESULT": CommandFields(("id",), ()),
    "CANCEL": CommandFields(("id",), ()),
    "DLQ": CommandFields(("queue",), ("count",)),
    "RETRYDLQ": CommandFields(("queue",), ("id", "ids", "reason")),
    "PURGEDLQ": CommandFields(("queue",), ("ids", "reason")),
    "GETDLQCOUNTS": CommandFields((), ()),
    "DRAIN": CommandFields(("queue",), ()),
    "OBLITERATE": CommandFields(("queue",), ()),
    "RATELIMIT": CommandFields(("queue", "limit"), ("duration",)),
    "RATELIMITCLEAR": CommandFields(("queue",), ()),
    "SETCONCURRENCY": CommandFields(("queue", "limit"), ()),
    "CLEARCONCURRENCY": CommandFields(("queue",), ()),
    "SETQUEUE": CommandFields(("queue",), ("max_length",)),
    "PAUSE": CommandFields(("queue",), ()),
    "RESUME": CommandFields(("queue",), ()),
    "ISPAUSED": CommandFields(("queue",), ()),
    "LISTQUEUES": CommandFields((), ("limit", "cursor", "dir", "search", "filter", "sort")),
    "STATS": CommandFields((), ()),
    "CRON": CommandFields(("queue", "data", "name", "schedule"), ("priority", "delay", "ttl", "timeout", "max_attempts", "backoff", "max_backoff", "unique_key", "depends_on", "timezone", "overlap", "misfire", "paused")),
    "CRONDELETE": CommandFields(("name",), ()),
    "CRONRUN": CommandFields(("name",), ()),
    "CRONPAUSE": CommandFields(("name",), ()),
    "CRONRESUME": CommandFields(("name",), ()),
    "CRONLIST": CommandFields((), ()),
    "METRICS": CommandFields((), ("limit",)),
    "SUBSCRIBE": CommandFields(("queue", "events"), ()),
    "UNSUBSCRIBE": CommandFields(("queue",), ("events",)),
    "CLIENTS": CommandFields((), ("limit", "cursor")),
    "TOPOLOGY": CommandFields((), ()),
    "AUTH": CommandFields(("token",), ()),
    "PING": CommandFields((), ()),
    "HELLO": CommandFields((), ()),
}


class InvalidError(RefusedError):
    """``invalid``: invalid; asking again will not help."""

    code = "invalid"
    retryable = False


class UnknownCommandError(RefusedError):
    """``unknown_command``: unknown command; asking again will not help."""

    code = "unknown_command"
    retryable = False


class NotFoundError(RefusedError):
    """``not_found``: not found; asking again will not help."""

    code = "not_found"
    retryable = False


class DuplicateError(RefusedError):
    """``duplicate``: duplicate job; asking again will not help."""

    code = "duplicate"
    retryable = False


class BadIdError(RefusedError):
    """``bad_id``: bad id; asking again will not help."""

    code = "bad_id"
    retryable = False


class FailedError(RefusedError):
    """``failed``: job failed; asking again will not help."""

    code = "failed"
    retryable = False


class WaitTimeoutError(RefusedError, builtins.TimeoutError):
    """``timeout``: timeout; the same request may succeed later."""

    code = "timeout"
    retryable = True


class AuthRequiredError(RefusedError):
    """``auth_required``: authentication required; asking again will not help."""

    code = "auth_required"
    retryable = False


class AuthFailedError(RefusedError):
    """``auth_failed``: invalid token; asking again will not help."""

    code = "auth_failed"
    retryable = False


class PayloadTooLargeError(RefusedError):
    """``payload_too_large``: payload too large; asking again will not help."""

    code = "payload_too_large"
    retryable = False


class LineTooLongError(RefusedError):
    """``line_too_long``: line too long; asking again will not help."""

    code = "line_too_long"
    retryable = False


class QueueFullError(RefusedError):
    """``queue_full``: queue full; the same request may succeed later."""

    code = "queue_full"
    retryable = True


class OutOfMemoryError(RefusedError):
    """``out_of_memory``: out of memory; the same request may succeed later."""

    code = "out_of_memory"
    retryable = True


class StorageFullError(RefusedError):
    """``storage_full``: storage full; the same request may succeed later."""

    code = "storage_full"
    retryable = True


class StorageFailedError(RefusedError):
    """``storage_failed``: storage failed; asking again will not help."""

    code = "storage_failed"
    retryable = False


class LeaseLostError(RefusedError):
    """``lease_lost``: lease lost: the job was given to another worker or is pending again; asking again will not help."""

    code = "lease_lost"
    retryable = False


class RateLimitedError(RefusedError):
    """``rate_limited``: rate limited; the same request may succeed later."""

    code = "rate_limited"
    retryable = True


class ShuttingDownError(RefusedError):
    """``shutting_down``: shutting down; the same request may succeed later."""

    code = "shutting_down"
    retryable = True


class UnavailableError(RefusedError):
    """``unavailable``: unavailable; the same request may succeed later."""

    code = "unavailable"
    retryable = True


class NotSupportedError(RefusedError):
    """``not_supported``: not supported; asking again will not help."""

    code = "not_supported"
    retryable = False


class ForbiddenError(RefusedError):
    """``forbidden``: forbidden: the token is not for this; asking again will not help."""

    code = "forbidden"
    retryable = False


REFUSALS: Mapping[str, type[RefusedError]] = {
    "invalid": InvalidError,
    "unknown_command": UnknownCommandError,
    "not_found": NotFoundError,
    "duplicate": DuplicateError,
    "bad_id": BadIdError,
    "failed": FailedError,
    "timeout": WaitTimeoutError,
    "auth_required": AuthRequiredError,
    "auth_failed": AuthFailedError,
    "payload_too_large": PayloadTooLargeError,
    "line_too_long": LineTooLongError,
    "queue_full": QueueFullError,
    "out_of_memory": OutOfMemoryError,
    "storage_full": StorageFullError,
    "storage_failed": StorageFailedError,
    "lease_lost": LeaseLostError,
    "rate_limited": RateLimitedError,
    "shutting_down": ShuttingDownError,
    "unavailable": UnavailableError,
    "not_supported": NotSupportedError,
    "forbidden": ForbiddenError,
}
"""The class of each code."""

RETRYABLE_CODES: frozenset[str] = frozenset(
    {
        "timeout",
        "queue_full",
        "out_of_memory",
        "storage_full",
        "rate_limited",
        "shutting_down",
        "unavailable",
    }
)
"""The codes after which the same request may succeed later."""
