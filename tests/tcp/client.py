"""A client for tests: one raw socket, lines in, lines out, every wait bounded.

It knows nothing of the protocol but that a line is answered by a line, so that a test can send anything at all.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Any

Address = tuple[str, int] | str
"""(host, port) for TCP, a path for a Unix socket."""

Answer = dict[str, Any]

TIMEOUT_S = 15.0
"""Longest wait for any one answer: far above what a healthy daemon needs on a loaded machine."""


def encode(cmd: str, **fields: object) -> bytes:
    """A command as one line, newline included."""
    return json.dumps({"cmd": cmd, **fields}, separators=(",", ":")).encode() + b"\n"


class Client:
    """One connection. Use as a context manager; leaving closes the socket."""

    def __init__(self, address: Address, timeout_s: float = TIMEOUT_S) -> None:
        if isinstance(address, str):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            self._socket = socket.socket(family, socket.SOCK_STREAM)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._timeout_s = timeout_s
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(address)
        except OSError:
            self._socket.close()
            raise
        self._received = bytearray()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Sending

    def send_bytes(self, data: bytes) -> None:
        self._socket.settimeout(self._timeout_s)
        self._socket.sendall(data)

    def send_line(self, line: bytes | str) -> None:
        """Send a line as it is; the newline is added."""
        self.send_bytes((line.encode() if isinstance(line, str) else line) + b"\n")

    def send(self, cmd: str, /, **fields: object) -> None:
        self.send_bytes(encode(cmd, **fields))

    def send_in_background(self, data: bytes) -> threading.Thread:
        """Send more than both sockets' buffers hold, while the caller reads the answers. Join the thread."""
        thread = threading.Thread(target=self.send_bytes, args=(data,), daemon=True)
        thread.start()
        return thread

    # Receiving

    def receive_line(self, timeout_s: float | None = None) -> bytes:
        """The next line, its newline removed. Raises TimeoutError, or ConnectionError if the connection ends first."""
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            if not self._fill(deadline):
                raise ConnectionError(f"the connection ended; unfinished line: {bytes(self._received[:200])!r}")
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line

    def receive(self, timeout_s: float | None = None) -> Answer:
        """The next line, parsed: always a JSON object in UTF-8."""
        line = self.receive_line(timeout_s)
        answer = json.loads(line.decode("utf-8"))
        if not isinstance(answer, dict):
            raise AssertionError(f"an answer that is no object: {line!r}")
        return answer

    def receive_to_end(self) -> list[Answer]:
        """Every line until the peer ends the connection; nothing may stand behind the last newline."""
        deadline = time.monotonic() + self._timeout_s
        while self._fill(deadline):
            pass
        *lines, rest = bytes(self._received).split(b"\n")
        self._received.clear()
        if rest:
            raise AssertionError(f"an unfinished line at the end: {rest[:200]!r}")
        return [json.loads(line) for line in lines]

    def has_answer(self, within_s: float = 0.0) -> bool:
        """Whether something can be read now. True also at the end of the connection."""
        return bool(self._received) or bool(select.select([self._socket], [], [], within_s)[0])

    # Request and answer

    def call_line(self, line: bytes | str) -> Answer:
        self.send_line(line)
        return self.receive()

    def call(self, cmd: str, /, **fields: object) -> Answer:
        self.send(cmd, **fields)
        return self.receive()

    def ok(self, cmd: str, /, **fields: object) -> Answer:
        """Call and insist on success."""
        answer = self.call(cmd, **fields)
        if answer.get("ok") is not True:
            raise AssertionError(f"{cmd} {str(fields)[:200]} was refused: {answer}")
        return answer

    def refusal(self, cmd: str, /, **fields: object) -> Answer:
        """Call and insist on a well-formed refusal."""
        return check_refusal(self.call(cmd, **fields))

    # Shorthands for what most tests do

    def push(self, queue: str, data: object = 0, **fields: object) -> int:
        """Push a job; its id."""
        job_id = self.ok("PUSH", queue=queue, data=data, **fields)["id"]
        assert type(job_id) is int
        return job_id

    def pull(self, queue: str, timeout: int = 0, **fields: object) -> Answer:
        """Pull a job that has to be there (within `timeout` ms)."""
        job = self.ok("PULL", queue=queue, timeout=timeout, **fields)["job"]
        if not isinstance(job, dict):
            raise AssertionError(f"no job in {queue}")
        return job

    def nothing_to_pull(self, queue: str) -> bool:
        return self.ok("PULL", queue=queue, timeout=0) == {"ok": True, "job": None}

    def ping(self) -> None:
        """A round trip: when it returns, every earlier line of this connection has been carried out."""
        answer = self.call("PING")
        if answer != {"ok": True, "pong": True}:
            raise AssertionError(f"not a pong: {answer}")

    def park(self, queue: str, req_id: str, cmd: str = "PULL", **fields: object) -> None:
        """Send a pull with a reqId and return once the daemon has parked it."""
        self.send(cmd, queue=queue, reqId=req_id, **fields)
        self.ping()

    def counts(self, queue: str) -> dict[str, int]:
        """The queue's row of LISTQUEUES, counts only. Raises KeyError for an unknown queue."""
        rows = [row for row in self.ok("LISTQUEUES")["queues"] if row["name"] == queue]
        if not rows:
            raise KeyError(queue)
        if len(rows) > 1:
            raise AssertionError(f"{queue} is listed {len(rows)} times")
        return {name: rows[0][name] for name in ("pending", "processing", "delayed", "dlq", "completed")}

    # Ends

    def end_input(self) -> None:
        """Half-close: no more lines from here, answers are still read."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """Close abruptly: the peer sees a reset instead of an end."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _fill(self, deadline: float) -> bool:
        """Read what is there into the buffer; False at the end of the connection."""
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"no answer in time; so far: {bytes(self._received[:200])!r}")
        self._socket.settimeout(left_s)
        data = self._socket.recv(1 << 18)
        self._received += data
        return bool(data)


def check_refusal(answer: Answer, code: str | None = None) -> Answer:
    """The answer, which has to be a refusal in the shape of the contract (and with this code, if one is given)."""
    good = (
        answer.get("ok") is False
        and isinstance(answer.get("error"), str)
        and isinstance(answer.get("code"), str)
        and isinstance(answer.get("retryable"), bool)
        and set(answer) - {"reqId"} == {"ok", "error", "code", "retryable"}
        and (answer["code"] != "invalid" or answer["error"].startswith("Invalid: "))
        and (code is None or answer["code"] == code)
    )
    if not good:
        raise AssertionError(f"expected a refusal {code or ''}, got {answer}")
    return answer
