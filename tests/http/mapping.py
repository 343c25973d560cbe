"""Requests of the protocol as requests of REST, and REST's answers as the protocol's; for playing transcripts.

Written from the protocol page, on purpose not from the code that it tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mqfast.commands import COMMANDS, ERRORS, FIELDS, Command
from tests.http.client import HttpClient, Response, name
from tests.tcp.client import Answer, Client

_STATUS = {error.code: error.http_status for error in ERRORS}
_KINDS = {field.name: field.type for field in FIELDS}
_SNAKE = {field.camel: field.name for field in FIELDS}
_OFFERED = {row.name: row for row in COMMANDS if row.http_path}
_NUMBERS = {"u64", "i32", "id", "percent"}
_COUNT_IN_LIST = {"ACKB", "RETRYDLQ"}


@dataclass(frozen=True)
class Call:
    """A request of REST; ask for its answer with `answer`."""

    command: Command
    fields: Mapping[str, Any]
    path: str
    body: bytes | None

    def answer(self, web: HttpClient) -> Answer:
        response = web.ask(self.command.http_method, self.path, self.body)
        return _answer(self.command, self.fields, response)


def call_of(request: object) -> Call | None:
    """The request as REST has it; None if REST cannot say the same."""
    if not isinstance(request, dict) or not isinstance(request.get("cmd"), str) or "reqId" in request:
        return None
    command = str(request["cmd"]).upper()
    fields = {_SNAKE.get(str(key), str(key)): value for key, value in request.items() if key != "cmd"}
    if "req_id" in fields:
        return None
    if command == "PUSHB":
        push = _OFFERED["PUSH"]
        row = Command(**{**_members(push), "name": "PUSHB", "result": "IDS", "required": ("queue", "jobs")})
        if "jobs" not in fields:
            return None
    elif command in _OFFERED:
        row = _OFFERED[command]
    else:
        return None
    return _build(row, fields)


def _members(row: Command) -> dict[str, Any]:
    return {key: getattr(row, key) for key in row.__dataclass_fields__}


def _build(row: Command, fields: dict[str, Any]) -> Call | None:
    path, rest = row.http_path, dict(fields)
    for key in [part[1:-1] for part in row.http_path.split("/") if part.startswith("{")]:
        value = rest.pop(key, None)
        is_right = isinstance(value, int) and not isinstance(value, bool) if key == "id" else isinstance(value, str)
        if not is_right or value == "":
            return None
        try:
            path = path.replace("{%s}" % key, name(str(value)))
        except UnicodeEncodeError:  # a lone surrogate
            return None
    if row.http_method == "GET":
        query = _query(row, rest)
        return None if query is None else Call(row, fields, path + query, None)
    body = json.dumps(rest).encode() if rest else None
    return Call(row, fields, path, body)


def _query(row: Command, rest: dict[str, Any]) -> str | None:
    """Fields in a query have no types but the table's: what is wrong in its type alone cannot be said."""
    if row.name == "PULLB" and not all(isinstance(rest.get(key), int) for key in ("count", "timeout")):
        return None  # REST has defaults where the protocol refuses, or waits for ever
    parts = []
    for key, value in rest.items():
        if value is None:
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        is_text = isinstance(value, str) and _KINDS.get(key) not in _NUMBERS
        if not is_number and not is_text:
            return None
        parts.append(f"{key}={name(str(value))}")
    return "?" + "&".join(parts) if parts else ""


def _answer(row: Command, fields: Mapping[str, Any], response: Response) -> Answer:
    answer: Answer = response.json
    if row.name == "GETJOB" and response.status == 404:
        assert answer == _refusal("not_found", f"Job {fields['id']} not found")
        return {"ok": True, "job": None, "state": "unknown"}
    if not answer["ok"]:
        assert response.status == _STATUS[answer["code"]], answer
        return answer
    assert response.status == 200 and set(answer) == {"ok", "data"}
    data = answer["data"]
    if row.name == "CRONDELETE" and data is False:
        return _refusal("not_found", "Cron job not found")
    return {"ok": True, **_BACK[row.result](row.name, fields, data)}


def _refusal(code: str, text: str) -> Answer:
    return {"ok": False, "error": text, "code": code, "retryable": False}


def _ok(command: str, fields: Mapping[str, Any], data: Any) -> Answer:
    assert data is True
    return {}


def _id(command: str, fields: Mapping[str, Any], data: Any) -> Answer:
    """A push answers the job."""
    assert data["queue"] == fields["queue"] and data["state"]
    return {"id": data["id"]}


def _ids(command: str, fields: Mapping[str, Any], data: Any) -> Answer:
    assert set(data) == {"ids", "errors"}
    return data if data["errors"] else {"ids": data["ids"]}


def _count(command: str, fields: Mapping[str, Any], data: Any) -> Answer:
    assert type(data) is int
    return {"ids": [data], "count": data} if command in _COUNT_IN_LIST else {"count": data}


def _job_state(command: str, fields: Mapping[str, Any], data: Any) -> Answer:
    job = dict(data)
    return {"state": job.pop("state"), "job": job}


def _progress(command: str, fields: Mapping[str, Any], data: Any) -> Answer:
    progress, message = data
    return {"progress": {"id": fields["id"], "progress": progress, "message": message}}


def _object(command: str, fields: Mapping[str, Any], data: Any) -> Answer:
    return dict(data)


def _named(key: str) -> Callable[[str, Mapping[str, Any], Any], Answer]:
    return lambda command, fields, data: {key: data}


_BACK: dict[str, Callable[[str, Mapping[str, Any], Any], Answer]] = {
    "OK": _ok,
    "ID": _id,
    "IDS": _ids,
    "COUNT": _count,
    "JOBS": _named("jobs"),
    "JOB_STATE": _job_state,
    "JOBS_PAGE": _object,
    "PROGRESS": _progress,
    "RESULT": lambda command, fields, data: {"id": fields["id"], "result": data},
    "QUEUES": lambda command, fields, data: {"queues": data} if isinstance(data, list) else dict(data),
    "COUNTS": _named("counts"),
    "CLIENTS": _object,
    "STATS": _object,
    "CRONS": _named("crons"),
    "METRICS": _named("metrics"),
}


class Exchange:
    """Sends by REST what REST can say, the rest by the protocol. A token that AUTH accepts is REST's from then on.

    by_rest: how many requests went over REST.
    """

    def __init__(self, web: HttpClient, tcp: Client) -> None:
        self._web = web
        self._tcp = tcp
        self.by_rest = 0

    def __call__(self, request: object) -> Answer:
        call = call_of(request)
        if call is not None:
            self.by_rest += 1
            return call.answer(self._web)
        line = request if isinstance(request, str) else json.dumps(request)
        answer = self._tcp.call_line(line)
        if isinstance(request, dict) and request.get("cmd") == "AUTH" and answer["ok"]:
            self._web.token = request["token"]
        return answer
