"""What may be sent a second time after a connection was lost before the answer came.

The rule: a job is never pushed twice, and nothing is destroyed twice, without the caller's knowing. What may not be
sent again ends as ConnectionLostError with ``maybe_done``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PARKING = frozenset({"PULL", "PULLB", "WAITJOB"})
"""Commands whose answer may have to wait: they get a ``reqId``, so that they hold back no other."""

NEVER = frozenset(
    (
        "PUSHB",
        "CANCEL",
        "RETRYDLQ",
        "PURGEDLQ",
        "DRAIN",
        "OBLITERATE",
        "CRONDELETE",
        "CRONRUN",
        "SUBSCRIBE",
        "UNSUBSCRIBE",
        "AUTH",
    )
)
"""Subscriptions are made again by the client itself."""

WITH_TOKEN = frozenset({"ACK", "FAIL"})
WITH_TOKENS = frozenset({"ACKB"})

ALWAYS = frozenset(
    (
        "PULL",
        "PULLB",
        "HEARTBEAT",
        "PROGRESS",
        "GETPROGRESS",
        "GETJOB",
        "GETJOBS",
        "WAITJOB",
        "GETRESULT",
        "DLQ",
        "GETDLQCOUNTS",
        "CLIENTS",
        "RATELIMIT",
        "RATELIMITCLEAR",
        "SETCONCURRENCY",
        "CLEARCONCURRENCY",
        "SETQUEUE",
        "PAUSE",
        "RESUME",
        "ISPAUSED",
        "LISTQUEUES",
        "STATS",
        "CRON",
        "CRONPAUSE",
        "CRONRESUME",
        "CRONLIST",
        "METRICS",
        "TOPOLOGY",
        "PING",
        "HELLO",
    )
)
"""A pull may be sent again: what was on its way to the lost connection goes back to the queue (with a lease: when that
ends)."""


def _has_token(request: Mapping[str, Any]) -> bool:
    """A token stands for one delivery, which the first sending has ended: the second is refused."""
    return isinstance(request.get("token"), str)


def _has_tokens(request: Mapping[str, Any]) -> bool:
    ids, tokens = request.get("ids"), request.get("tokens")
    if not isinstance(ids, list) or not isinstance(tokens, list):
        return False
    return len(ids) <= len(tokens) and all(isinstance(token, str) for token in tokens)


def command_of(request: Mapping[str, Any]) -> str:
    """The command's name in capitals; empty if it has none."""
    name = request.get("cmd")
    return name.upper() if isinstance(name, str) else ""


def may_resend(request: Mapping[str, Any]) -> bool:
    """Whether a request may be sent again after a lost connection. Unknown commands may not."""
    command = command_of(request)
    if command == "PUSH":
        # The key makes the second push a refused duplicate of the first.
        return isinstance(request.get("unique_key", request.get("uniqueKey")), str)
    if command in WITH_TOKEN:
        return _has_token(request)
    if command in WITH_TOKENS:
        return _has_tokens(request)
    if command == "RELEASE":
        return _has_token(request) or _has_tokens(request)
    return command in ALWAYS
