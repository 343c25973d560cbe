"""GET /events: what happens to jobs, as server-sent events; each is what SUBSCRIBE tells on a socket."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import falcon

from mqfast.http.errors import Refusal, refuse
from mqfast.http.routes import query_of
from mqfast.http.serve import CHANNEL, Channel
from mqfast.http.shapes import OK, code_of
from mqfast.http.waiting import SHUTTING_DOWN, Execute, Link, Links, Slots

PATH = "/events"
QUIET_SECONDS = 15  # without an event a comment is sent, so that proxies keep the stream open
_SEQ = re.compile(rb'"seq":([0-9]+)\}$')


class Events:
    """Streams of events. `?queue=` (all without one), `?events=pushed,failed` (all without one)."""

    def __init__(self, execute: Execute, links: Links, slots: Slots) -> None:
        self._execute = execute
        self._links = links
        self._slots = slots

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        query = query_of(request.env["QUERY_STRING"])
        events = [name for name in query.get("events", "").split(",") if name]
        line = json.dumps({"cmd": "SUBSCRIBE", "queue": query.get("queue", "*"), "events": events}).encode()
        era = self._links.era
        asked = self._execute(line, request.context.token)  # it has no events to give, but says who may not have them
        if code_of(asked) != "not_supported":
            refuse(response, asked, code_of(asked))
            return
        with ExitStack() as stack:
            stack.enter_context(self._slots.taken())
            link = stack.enter_context(self._links.link(era, socket.SHUT_RDWR))
            answer, _, rest = _ask(link, line).partition(b"\n")
            if not answer.startswith(OK):
                refuse(response, answer, code_of(answer))
                return
            channel: Channel = request.env[CHANNEL]
            if not channel.watch(partial(link.end, socket.SHUT_RDWR)):
                return
            stack.callback(channel.let_go)
            response.stream = _Stream(link, rest, stack.pop_all())
        response.content_type = "text/event-stream"
        response.set_header("X-Accel-Buffering", "no")


def _ask(link: Link, line: bytes) -> bytes:
    try:
        link.send(line)
        return link.read() or SHUTTING_DOWN
    except OSError:
        raise Refusal("shutting_down") from None


class _Stream:
    """The body: blocks of complete events. close() gives back what it has."""

    def __init__(self, link: Link, first: bytes, resources: ExitStack) -> None:
        self._link = link
        self._first = first
        self._resources = resources

    def __iter__(self) -> Iterator[bytes]:
        yield b": events follow\n\n"  # the headers go out with it
        lines: bytes | None = self._first
        while lines is not None:
            if lines:
                yield b"".join(map(_event, lines.splitlines()))
            try:
                lines = self._link.read(QUIET_SECONDS)
            except TimeoutError:
                yield b":\n\n"
                lines = b""
            except OSError:
                return

    def close(self) -> None:
        self._resources.close()


def _event(line: bytes) -> bytes:
    seq = _SEQ.search(line)
    return b"id: %s\ndata: %s\n\n" % (seq[1], line) if seq else b"data: %s\n\n" % line
