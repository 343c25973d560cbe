"""waitress as the daemon uses it: sockets opened before, threads made, named and joined here, a stop that ends clean.

Who waits for something on behalf of a client (a job, an event) leaves a callback with the client's channel and is told
when it goes: the loop reads on for as long. An answer may also be held: if it cannot be sent, its callback is called,
and what it gave away can be taken back.
"""

import contextlib
import json
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest, Error

from mqfast.http.pool import Pool
from mqfast.http.tls import NothingYet, TlsSocket

CHANNEL = "mqfast.channel"  # the key of the channel in the WSGI environment
MAX_CONNECTIONS = 1000
IDLE_SECONDS = 120  # then a connection without a request is closed
REQUEST_SECONDS = 120  # for all of a request to come
STALLED_SECONDS = 30.0  # then one that does not read its answer is closed
IN_MEMORY = 1 << 20  # bytes of a body; a longer one goes to a file
HIGH_WATERMARK = 256 << 10  # unsent bytes past which the thread of a stream waits
TOGETHER = 64 << 10  # bytes of a body that are sent together with the headers
_LOOP_SECONDS = 1.0
_log = logging.getLogger("mqfast.http")


class Channel(HTTPChannel):
    """A client's connection."""

    request: "_Parser | None"  # of which a part has come
    head = b""  # of the answer: it goes out together with what follows it
    _lost: Callable[[], None] | None = None
    _sent = False  # all of the answer is in the output buffers
    _watched = False

    def hold(self, lost: Callable[[], None]) -> bool:
        """Have lost called, once and on any thread, if the client goes before its answer is sent or let_go().

        In place of what was held before. False: it has gone already, and lost is not called.
        """
        with self.outbuf_lock:
            self._lost = None
            if self._gone():
                return False
            self._lost, self._sent = lost, False
            return True

    def watch(self, lost: Callable[[], None]) -> bool:
        """As hold(), for something that may take long: the client's going is noticed at once."""
        if not self.hold(lost):
            return False
        self._watched = True
        self.server.pull_trigger()
        return True

    def let_go(self) -> None:
        """Call nothing any more."""
        with self.outbuf_lock:
            self._lost = None
            self._watched = False

    def give_up(self) -> None:
        """The answer is another than the one held: it counts as lost."""
        with self.outbuf_lock:
            lost, self._lost = self._lost, None
        if lost is not None:
            lost()

    def _gone(self) -> bool:
        """The socket itself is asked: the loop may not have come round to it yet."""
        if not self.connected or self.socket is None:
            return True
        try:
            return not self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def answered(self) -> None:
        """All of the answer is in the output buffers: it counts as sent when they are empty."""
        with self.outbuf_lock:
            self._sent = True
            if not self.total_outbufs_len and self.connected:
                self._lost = None

    def _flush_some(self, do_close: bool = True) -> bool:
        flushed = bool(super()._flush_some(do_close=do_close))
        if self._sent and not self.total_outbufs_len and self.connected:
            self._lost = None
        return flushed

    def write_soon(self, data: bytes) -> int:
        if self.head:
            head, self.head = self.head, b""
            if len(data) > TOGETHER:
                super().write_soon(head)
            else:
                data = head + data
        return int(super().write_soon(data))

    def handle_read(self) -> None:
        with contextlib.suppress(NothingYet):
            super().handle_read()

    def readable(self) -> bool:
        """Asked by the loop. While a request is worked on nothing is read, unless somebody wants to know of the end."""
        return bool((self._watched or not self.requests) and super().readable())

    def writable(self) -> bool:
        """Asked by the loop. A thread that answers sends by itself; while it does, the loop would only spin."""
        if self.total_outbufs_len and self.requests:
            with self.outbuf_lock:
                pass
        return bool(super().writable())

    def handle_close(self) -> None:
        with self.outbuf_lock:
            lost, self._lost = self._lost, None
            super().handle_close()
        if lost is not None:
            lost()

    def cut(self) -> None:
        """End the connection whatever it has unsent. The loop notices."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def late(self, now: float) -> bool:
        """Whether a part of a request has come, and the rest should have by now (seconds since the epoch)."""
        return bool(not self.requests and self.request is not None and self.request.begun_at < now - REQUEST_SECONDS)

    def refuse(self, error: Error) -> None:
        """Answer a request of which only a part has come. On the loop's thread."""
        with self.requests_lock:
            request, self.request = self.request, None
            assert request is not None
            request.error = error
            request.completed = True
            self.requests.append(request)
        self.server.add_task(self)

    @property
    def busy(self) -> bool:
        return bool(self.requests or self.total_outbufs_len)


class _Parser(HTTPRequestParser):
    """Refuses at the first line what is not HTTP, and what two readers could understand differently."""

    _START = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [^\s]+ HTTP/1\.[01]\r\n")
    _FOLDED = re.compile(rb"\r\n[ \t]")
    _ENCODING = re.compile(rb"^Transfer-Encoding[ \t]*:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
    completed: bool
    path = ""  # until there is one
    bare = False  # the refusal has no body: whoever sent this would not understand it
    _begun = False

    def __init__(self, adjustments: Adjustments) -> None:
        super().__init__(adjustments)
        self.begun_at = time.time()

    def received(self, data: bytes) -> int:
        if not self._begun and self.body_rcv is None and not self.completed:
            head = (self.header_plus + data).lstrip(b"\r\n")
            if b"\n" in head or (head and not head[:1].isalnum()):
                if self._START.match(head) is None:
                    self.error = BadRequest("not HTTP")
                    self.bare = self.completed = True
                    return len(data)
                self._begun = True
        return int(super().received(data))

    def parse_header(self, header_plus: bytes) -> None:
        if self._FOLDED.search(header_plus):
            raise ParsingError("a header goes on in the next line")
        encodings = b",".join(self._ENCODING.findall(header_plus))
        super().parse_header(header_plus)
        if encodings and self.version == "1.0":
            raise ParsingError("Transfer-Encoding is given in HTTP/1.0")
        if b"," in encodings:
            raise ParsingError("Transfer-Encoding is more than chunked once")
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("both Transfer-Encoding and Content-Length are given")


class _Task(WSGITask):
    channel: Channel

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[CHANNEL] = self.channel
        return environ

    def build_response_header(self) -> bytes:
        self.channel.head = super().build_response_header()
        return b""

    def finish(self) -> None:
        super().finish()
        if self.channel.head:
            self.channel.write_soon(b"")
        self.channel.answered()


class _RequestTimeout(Error):
    code = 408
    reason = "Request Timeout"


_CODES = {408: "timeout", 413: "payload_too_large", 431: "payload_too_large", 501: "not_supported"}


class _ErrorTask(ErrorTask):
    """A refusal before there is a request for the application, in the shape of all refusals."""

    def execute(self) -> None:
        error: Any = self.request.error
        if getattr(self.request, "bare", False):
            body = b""
        else:
            code = _CODES.get(error.code, "invalid" if error.code < 500 else "unavailable")
            text = f"{error.reason}: {error.body}"
            answer = {"ok": False, "error": text, "code": code, "retryable": error.code == 408}
            body = json.dumps(answer, separators=(",", ":")).encode()
            self.response_headers = [("Content-Type", "application/json")]
        self.status = f"{error.code} {error.reason}"
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


Channel.parser_class = _Parser
Channel.task_class = _Task
Channel.error_task_class = _ErrorTask


class _Listener(TcpWSGIServer):
    """Accepts connections. It also looks after them now and then, which waitress calls maintenance."""

    channel_class = Channel
    stalled_seconds = STALLED_SECONDS
    tls: ssl.SSLContext | None = None

    def accept(self) -> tuple[Any, Any] | None:
        accepted: tuple[Any, Any] | None = super().accept()
        if accepted is None or self.tls is None:
            return accepted
        return TlsSocket(accepted[0], self.tls), accepted[1]

    def maintenance(self, now: float) -> None:
        for channel in list(self.active_channels.values()):
            if channel.total_outbufs_len and channel.last_activity < now - self.stalled_seconds:
                channel.cut()  # a thread that waits for it to read is free then
            elif channel.late(now):
                channel.refuse(_RequestTimeout(f"not complete after {REQUEST_SECONDS} s"))
        super().maintenance(now)


class HttpServer:
    """Serves a WSGI application on sockets that listen already. start() and stop() once, on one thread.

    app: a WSGI callable. sockets: taken over, and closed by stop(). threads: how many answer. max_body, max_header:
    bytes of a request, past which it is refused with 413 or 431. failed: is told why if the server dies. tls: None is
    plain HTTP.
    stalled_seconds: after so long without reading anything of its answer a client is given up.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        sockets: Sequence[socket.socket],
        *,
        threads: int,
        max_body: int,
        max_header: int,
        failed: Callable[[str], None],
        tls: ssl.SSLContext | None = None,
        stalled_seconds: float = STALLED_SECONDS,
    ) -> None:
        # What is to be told about a client is told in its answer or in our own log.
        logging.getLogger("waitress").setLevel(logging.ERROR)
        adjustments = Adjustments(
            sockets=list(sockets),
            threads=threads,
            max_request_body_size=max_body + 1,
            max_request_header_size=max_header + 1,
            inbuf_overflow=IN_MEMORY,
            outbuf_high_watermark=HIGH_WATERMARK,
            connection_limit=MAX_CONNECTIONS,
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=stalled_seconds / 3,
            channel_request_lookahead=1,  # what is read while a client is watched
            asyncore_use_poll=True,
            clear_untrusted_proxy_headers=False,  # nothing here asks for them
            log_socket_errors=False,
            ident="mqfast",
            url_scheme="http" if tls is None else "https",
        )
        self._map: dict[int, Any] = {}
        self._pool = Pool(threads)
        self._listeners = [
            _Listener(
                app,
                map=self._map,
                _sock=sock,
                dispatcher=self._pool,
                adj=adjustments,
                bind_socket=False,
                sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()),
            )
            for sock in sockets
        ]
        for listener in self._listeners:
            listener.stalled_seconds = stalled_seconds
            listener.tls = tls
        self._failed = failed
        self._stop_by: float | None = None
        self._loop = threading.Thread(target=self._run, name="http", daemon=True)

    def start(self) -> None:
        self._pool.start()
        self._loop.start()

    def stop(self, seconds: float) -> bool:
        """Accept nobody any more, let requests in flight end for so long, close what is left. May be repeated.

        False if a thread still works on a request; nothing waits for it any more.
        """
        deadline = time.monotonic() + seconds
        if self._stop_by is None:
            self._stop_by = deadline
            if self._loop.is_alive():
                self._listeners[0].pull_trigger()
                self._loop.join()
            self._pool.stop()
        if not self._pool.join(deadline - time.monotonic()):
            return False
        for listener in self._listeners:
            listener.close()
        return True

    def _run(self) -> None:
        try:
            while self._stop_by is None:
                wasyncore.poll2(_LOOP_SECONDS, self._map)
            self._drain(self._stop_by)
        except Exception as error:
            _log.debug("http failed", exc_info=True)
            self._failed(f"http failed: {str(error) or type(error).__name__}")

    def _drain(self, deadline: float) -> None:
        for listener in self._listeners:
            wasyncore.dispatcher.close(listener)
        while any(channel.busy for channel in self._channels()) and (left := deadline - time.monotonic()) > 0:
            wasyncore.poll2(left, self._map)
        for channel in self._channels():
            channel.handle_close()

    def _channels(self) -> list[Channel]:
        return [member for member in self._map.values() if isinstance(member, Channel)]
