"""The OpenAPI 3.1 description, from the tables of commands, fields, errors and shapes."""

import json
from collections.abc import Sequence
from typing import Any

import falcon

from mqfast import __version__
from mqfast.commands import ERRORS, FIELDS, Command, Field
from mqfast.http.errors import STATUSES
from mqfast.http.routes import DEFAULTS, IF_NOT_FOUND, INSTEAD, THEN, WAITS, Route
from mqfast.http.shapes import Schema, shape

PATH = "/openapi.json"
_INTEGERS = {"u64", "id", "percent"}
_FIELDS = {row.name: row for row in FIELDS}
_LINKS = {"CRON": ("name", "$request.path.name")}
_REFUSED = {"$ref": "#/components/responses/Refused"}
_STATUSES = sorted({*STATUSES.values(), 403, 415} - {401})


def document(routes: Sequence[Route], commands: Sequence[Command]) -> Schema:
    """The description of these routes and of those without a command."""
    paths: dict[str, Any] = {}
    by_name = {row.name: row for row in commands}
    for route in routes:
        operation = _operation(route, by_name)
        if route.command.name in _LINKS:
            operation["responses"]["200"]["links"] = _links(routes, *_LINKS[route.command.name])
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    paths["/metrics"]["get"]["responses"]["200"]["content"] |= _TEXT["200"]["content"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mqfast",
            "version": __version__,
            "description": "A job queue. Times are integer milliseconds; absolute ones count from the Unix epoch.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"token": []}],
        "paths": paths | _others(),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Push": _push(routes), "Job": _JOB, "JobState": _JOB_STATE, "Refusal": _refusal()},
            "responses": {"Refused": _json("refused", {"$ref": "#/components/schemas/Refusal"})},
        },
    }


def _operation(route: Route, commands: dict[str, Command]) -> Schema:
    name = route.command.name
    parameters = [{**_parameter(_FIELDS[field]), "in": "path", "required": True} for field in route.path_fields]
    if not route.has_body:
        parameters += [_in_query(route, _FIELDS[field]) for field in route.query_fields]
    result = commands[THEN.get(name, name)].result
    data = {"type": "boolean"} if name in IF_NOT_FOUND else shape(result).schema
    operation: Schema = {
        "operationId": name.lower(),
        "summary": route.command.doc,
        "parameters": parameters,
        "responses": {"200": _answer(data), **_refusals()},
    }
    if route.has_body:
        body = _body(route, route.command)
        instead = INSTEAD.get(name)
        if instead is not None:
            other = commands[instead.command]
            body = {"anyOf": [body, _body(route, other)]}
            operation["responses"]["200"] = _answer({"anyOf": [data, shape(other.result).schema]})
        needed = set(route.command.required) - set(route.path_fields)
        operation["requestBody"] = {"required": bool(needed), "content": {"application/json": {"schema": body}}}
    return operation


def _push(routes: Sequence[Route]) -> Schema:
    """A job as it is pushed, its queue left to the path."""
    (push,) = (route for route in routes if route.command.name == "PUSH")
    return _body(push, push.command)


def _links(routes: Sequence[Route], field: str, source: str) -> Schema:
    """What can be asked about what was just made: every route with this field in its path."""
    names = [route.command.name.lower() for route in routes if route.path_fields == (field,)]
    return {name: {"operationId": name, "parameters": {field: source}} for name in names}


def _body(route: Route, command: Command) -> Schema:
    required = [name for name in command.required if name not in route.path_fields]
    optional = [name for name in command.optional if name not in route.path_fields]
    properties = {name: _schema(_FIELDS[name]) for name in required}
    properties |= {name: {"anyOf": [_schema(_FIELDS[name]), {"type": "null"}]} for name in optional}
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


def _parameter(field: Field) -> Schema:
    return {"name": field.name, "description": field.doc, "schema": _schema(field) | {"description": field.doc}}


def _in_query(route: Route, field: Field) -> Schema:
    name = route.command.name
    schema = _schema(field)
    default = DEFAULTS.get(name, {}).get(field.name)
    if default is not None:
        schema["default"] = int(default)
    if name in WAITS and field.name == "timeout":
        schema["default"] = WAITS[name].default_ms
    required = field.name in route.command.required and default is None
    parameter = {**_parameter(field), "schema": schema, "in": "query", "required": required}
    if field.type in ("ids", "texts"):
        parameter |= {"style": "form", "explode": False}
    return parameter


def _schema(field: Field) -> Schema:
    """What a value may be. Lengths are of UTF-8, which a schema cannot say but for the ends of their range."""
    about: Schema = {"description": field.doc}
    if field.type == "id":
        return about | {"type": "integer", "minimum": 1, "maximum": (1 << 53) - 1}
    if field.type == "percent":
        return about | {"type": "integer"}
    if field.type in _INTEGERS:
        return about | {"type": "integer", "minimum": field.minimum, "maximum": field.maximum}
    if field.type == "i32":
        return about | {"type": "integer", "minimum": -(1 << 31), "maximum": (1 << 31) - 1}
    if field.type in ("text", "quote"):
        return about | {"type": "string", "minLength": field.minimum, "maxLength": field.maximum}
    if field.type == "flag":
        return about | {"type": "boolean"}
    items: dict[str, Schema] = {
        "ids": {"type": "integer", "minimum": 1, "maximum": (1 << 53) - 1},
        "texts": {"type": "string"},
        "raws": {},
        "items": {"$ref": "#/components/schemas/Push"},
    }
    if field.type in items:
        return about | {"type": "array", "items": items[field.type], "maxItems": field.maximum}
    return about  # raw: any JSON


def _json(text: str, schema: Schema) -> Schema:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _answer(data: Schema) -> Schema:
    schema = {"type": "object", "required": ["ok", "data"], "properties": {"ok": {"const": True}, "data": data}}
    return _json("done", schema)


def _refusals() -> Schema:
    return {"401": _REFUSED} | {str(status): _REFUSED for status in _STATUSES}


def _refusal() -> Schema:
    codes = [row.code for row in ERRORS]
    return {
        "type": "object",
        "required": ["ok", "error", "code"],
        "properties": {
            "ok": {"const": False},
            "error": {"type": "string"},
            "code": {"enum": codes},
            "retryable": {"type": "boolean"},
        },
    }


_NUMBER: Schema = {"type": "integer"}
_JOB: Schema = {
    "type": "object",
    "required": ["id", "queue", "data", "attempts"],
    "properties": {
        "id": {"type": "integer"},
        "queue": {"type": "string"},
        "data": {"description": "the payload; with preview a string: the beginning of its text"},
        **{name: _NUMBER for name in ("priority", "created_at", "run_at", "started_at", "attempts", "max_attempts")},
        **{name: _NUMBER for name in ("backoff", "max_backoff", "ttl", "timeout", "progress", "deliveries")},
        "unique_key": {"type": ["string", "null"]},
        "depends_on": {"type": "array", "items": _NUMBER},
        "progress_msg": {"type": ["string", "null"]},
        "token": {"type": ["string", "null"]},
        "last_error": {"type": ["string", "null"]},
        "reason": {"type": ["string", "null"]},
    },
}
_STATES = ["waiting", "delayed", "waitingparent", "active", "completed", "failed", "unknown"]
_JOB_STATE: Schema = {
    "description": "a job and where it is; of one that is gone since only its id is known",
    "type": "object",
    "required": ["id", "state"],
    "properties": {**_JOB["properties"], "state": {"enum": _STATES}},
}
_TEXT: Schema = {
    "200": {
        "description": "the text format of Prometheus",
        "content": {kind: {"schema": {"type": "string"}} for kind in ("text/plain", "application/openmetrics-text")},
    }
}


def _others() -> Schema:
    """What no command stands behind."""
    queue = {"name": "queue", "in": "query", "schema": {"type": "string", "default": "*"}}
    names = {"name": "events", "in": "query", "schema": {"type": "string"}, "description": "names, with commas between"}
    stream = {"description": "what happens", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    healthy = _json("the daemon serves", {"type": "object", "required": ["ok"], "properties": {"ok": {"const": True}}})
    return {
        "/events": {
            "get": {
                "operationId": "events",
                "summary": "what happens to jobs, as server-sent events",
                "parameters": [queue, names],
                "responses": {"200": stream, **_refusals()},
            }
        },
        "/health": {"get": {"operationId": "health", "security": [{}], "responses": {"200": healthy}}},
        "/metrics/prometheus": {"get": {"operationId": "prometheus", "responses": {**_TEXT, **_refusals()}}},
        PATH: {
            "get": {
                "operationId": "openapi",
                "responses": {"200": _json("this description", {"type": "object"}), **_refusals()},
            }
        },
    }


class OpenApi:
    """Answers with the description."""

    def __init__(self, routes: Sequence[Route], commands: Sequence[Command]) -> None:
        self._text = json.dumps(document(routes, commands), separators=(",", ":")).encode()

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.data = self._text
        response.content_type = falcon.MEDIA_JSON

    on_head = on_get
