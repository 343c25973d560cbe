"""REST from the command table: a request becomes one line of the protocol, the engine's answer becomes a response.

No command has a handler of its own. What is different for one of them stands in the tables below.

Path, query and body make one object. The body's text is put into the line as it came, so the engine sees every byte of
a payload and judges all of it; what the path says stands behind it and so counts. Only line breaks between tokens are
lost (they become tabs), since a line of the protocol can have none.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_to_bytes

import falcon

from mqfast.commands import COMMANDS, FIELDS, Command
from mqfast.http.errors import Refusal, invalid, refuse
from mqfast.http.serve import CHANNEL
from mqfast.http.shapes import OK, code_of, shape
from mqfast.http.waiting import Execute, Pulls


@dataclass(frozen=True, slots=True)
class Instead:
    """Another command that is meant if the body has this field and has not the other."""

    command: str
    field: str
    without: str


@dataclass(frozen=True, slots=True)
class Wait:
    """A command whose answer may be waited for. Milliseconds."""

    default_ms: int
    most_ms: int


INSTEAD = {"PUSH": Instead("PUSHB", "jobs", "data")}
WAITS = {"PULLB": Wait(default_ms=20_000, most_ms=60_000)}
DEFAULTS = {"PULLB": {"count": "1"}}  # and a lease: a pull over HTTP is never held by its connection
THEN = {"PUSH": "GETJOB"}  # asked with the id of the answer: what it says is the answer
IF_NOT_FOUND = {"CRONDELETE": b"false"}
NOT_SAFE = frozenset({"PULLB"})  # a GET that takes something: HEAD does not exist for it

_ROWS = {row.name: row for row in COMMANDS}
_FIELD_ROWS = {row.name: row for row in FIELDS}
_CAMEL = {row.camel: row.name for row in FIELDS}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBERS = frozenset({"u64", "i32", "id", "percent"})
_NOT_IN_QUERY = frozenset({"raw", "raws", "items"})
_BREAKS = bytes.maketrans(b"\r\n", b"\t\t")  # like them only allowed between tokens
_SPACE = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a command is found."""

    method: str
    path: str
    command: Command

    @property
    def path_fields(self) -> tuple[str, ...]:
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    @property
    def query_fields(self) -> tuple[str, ...]:
        return tuple(
            name
            for name in (*self.command.required, *self.command.optional)
            if name not in self.path_fields and _FIELD_ROWS[name].type not in _NOT_IN_QUERY
        )

    @property
    def has_body(self) -> bool:
        return self.method != "GET"


def routes() -> list[Route]:
    """Every route that the command table has."""
    return [Route(row.http_method, row.http_path, row) for row in COMMANDS if row.http_path]


# Requests


def path_of(target: str) -> str:
    """The path of a request's target, decoded but for slashes and percent signs of names: these stay %2F and %25.

    Raises Refusal if it is not UTF-8.
    """
    if not target.startswith("/") and "://" in target:
        target = "/" + target.partition("://")[2].partition("/")[2]
    path = re.split(r"[?#]", target, maxsplit=1)[0]
    if "%" not in path and path.isascii():
        return path
    parts = [unquote_to_bytes(part.encode("latin-1")) for part in path.split("/")]
    try:
        return "/".join(part.decode().replace("%", "%25").replace("/", "%2F") for part in parts)
    except UnicodeDecodeError:
        raise invalid("the path is not UTF-8") from None


def _name(part: str) -> str:
    return part.replace("%2F", "/").replace("%25", "%") if "%" in part else part


def _json(name: str, value: str) -> bytes:
    """A field's value from path or query. What is no number goes as a string, which the engine refuses by name."""
    kind = _FIELD_ROWS[name].type
    if (kind in _NUMBERS and _NUMBER.fullmatch(value)) or (kind == "flag" and value in ("true", "false")):
        return value.encode()
    if kind == "ids":
        items = value.split(",") if value else []
        return b"[%s]" % b",".join(_json("id", item) for item in items)
    if kind == "texts":
        return json.dumps([item for item in value.split(",") if item]).encode()
    return json.dumps(value).encode()


def query_of(query: str) -> dict[str, str]:
    """The fields in a query string by their names in snake case; of a repeated one the last. Raises Refusal."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=100)
    except UnicodeDecodeError:
        raise invalid("the query is not UTF-8") from None
    except ValueError:
        raise invalid("the query has too many fields") from None
    return {_CAMEL.get(name, name): value for name, value in pairs}


def _members(body: bytes) -> bytes:
    """What stands between the braces of the body. Raises Refusal unless it has braces; the engine judges the rest."""
    text = body.strip(_SPACE)
    if not text:
        return b""
    if text[:1] != b"{" or text[-1:] != b"}" or len(text) < 2:
        raise invalid("the body is not a JSON object")
    inner = text[1:-1].strip(_SPACE)
    return inner.translate(_BREAKS) if b"\n" in inner else inner


def _names(members: list[tuple[str, object]]) -> tuple[str, ...]:
    """Stands for an object: only its names are kept, so that a great body needs little memory."""
    return tuple([name for name, _ in members])


def _is_for(instead: Instead, inner: bytes) -> bool:
    """Whether the members of a body are the other command's. Only a body that is in doubt is parsed for it."""
    if b'"%s"' % instead.field.encode() not in inner:
        return False
    try:
        # Only the names matter here; numbers of any length are the engine's.
        names = json.loads(b"{%s}" % inner, object_pairs_hook=_names, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False  # the engine says what is wrong with it
    return instead.field in names and instead.without not in names


class Lines:
    """Makes the lines of one route. lease_ms: for pulls that do not say."""

    def __init__(self, route: Route, lease_ms: int) -> None:
        self._command = route.command.name
        self._query = frozenset(route.query_fields)
        self._instead = INSTEAD.get(self._command)
        self._wait = WAITS.get(self._command)
        self._defaults = dict(DEFAULTS.get(self._command, {}))
        if self._wait is not None:
            self._defaults |= {"timeout": str(self._wait.default_ms), "lease": str(lease_ms)}

    def make(self, path: Mapping[str, str], query: str, body: bytes) -> tuple[str, bytes, bool]:
        """The command, its line, and whether its answer is to be waited for. Raises Refusal."""
        command, fields, wait = self._command, [], False
        if query or self._defaults:
            given = self._defaults | {name: value for name, value in query_of(query).items() if name in self._query}
            if self._wait is not None:
                given, wait = self._clamped(given)
            fields = [b'"%s":%s' % (name.encode(), _json(name, value)) for name, value in given.items()]
        if body and (inner := _members(body)):
            if self._instead is not None and _is_for(self._instead, inner):
                command = self._instead.command
            fields.append(inner)
        for name, value in path.items():
            fields.append(b'"%s":%s' % (name.encode(), _json(name, _name(value))))
        fields.append(b'"reqId":null,"cmd":"%s"' % command.encode())
        return command, b"{%s}" % b",".join(fields), wait

    def _clamped(self, given: dict[str, str]) -> tuple[dict[str, str], bool]:
        assert self._wait is not None
        timeout = given["timeout"]
        if not _NUMBER.fullmatch(timeout) or timeout.startswith("-"):
            return given, False  # the engine refuses it
        ms = min(int(timeout[:20]), self._wait.most_ms)
        return given | {"timeout": str(ms)}, ms > 0


# Responses


class Endpoint:
    """Answers the requests of one route. execute: Engine.execute."""

    def __init__(self, route: Route, execute: Execute, pulls: Pulls, lease_ms: int) -> None:
        self._execute = execute
        self._pulls = pulls
        self._lines = Lines(route, lease_ms)
        self._has_body = route.has_body
        self._waits = route.command.name in WAITS

    def __call__(self, request: falcon.Request, response: falcon.Response, **path: str) -> None:
        environ = request.env
        length = int(environ.get("CONTENT_LENGTH") or 0) if self._has_body else 0
        body = environ["wsgi.input"].read(length) if length else b""
        command, line, wait = self._lines.make(path, environ["QUERY_STRING"], body)
        token = request.context.token
        channel = environ[CHANNEL]
        answer = self._pulls.pull(line, token, wait, channel) if self._waits else self._execute(line, token)
        self._respond(response, command, answer, path)

    def _respond(self, response: falcon.Response, command: str, answer: bytes, path: Mapping[str, str]) -> None:
        kind = _ROWS[command].result
        if answer.startswith(OK):
            data = shape(kind).data(answer)
            then = THEN.get(command)
            if then is not None:
                data = self._job(data, then)
            elif data == b"null" and kind == "JOB_STATE":
                raise Refusal("not_found", f"Job {path['id']} not found")
        else:
            code = code_of(answer)
            if code != "not_found" or command not in IF_NOT_FOUND:
                refuse(response, answer, code)
                return
            data = IF_NOT_FOUND[command]
        response.data = b'{"ok":true,"data":%s}' % data  # JSON is what Falcon says an answer is

    def _job(self, job_id: bytes, command: str) -> bytes:
        """The job just pushed; if it has come and gone already, what is known of it."""
        answer = self._execute(b'{"cmd":"%s","id":%s}' % (command.encode(), job_id))
        job = shape(_ROWS[command].result).data(answer) if answer.startswith(OK) else b"null"
        return b'{"id":%s,"state":"unknown"}' % job_id if job == b"null" else job
