"""Clients for tests, every wait bounded: one of HTTP with whole answers, one of bytes for what is no HTTP."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import quote

from tests.tcp.client import TIMEOUT_S


@dataclass(frozen=True)
class Response:
    """An answer: its status, its headers (names in lower case), its body as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        """What was asked for; fails if it was refused."""
        answer = self.json
        assert self.status == 200 and answer["ok"] is True, (self.status, answer)
        assert set(answer) == {"ok", "data"}
        return answer["data"]

    def refused(self, status: int, code: str) -> str:
        """The text of the refusal; fails unless it is this one."""
        answer = self.json
        assert (self.status, answer["ok"], answer["code"]) == (status, False, code), (self.status, answer)
        assert set(answer) == {"ok", "error", "code", "retryable"} and answer["error"]
        assert self.headers["content-type"] == "application/json"
        return str(answer["error"])


def name(text: str) -> str:
    """A name as a segment of a path."""
    return quote(text, safe="")


class HttpClient:
    """One keep-alive connection, made anew when the server has closed it. Leaving the context closes it."""

    def __init__(self, address: tuple[str, int], token: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=timeout_s)
        self.token = token

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def send(self, method: str, path: str, body: object = None, **headers: str) -> None:
        """body: bytes as they are, anything else but None as JSON. headers: Accept_Encoding="gzip"."""
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        if self.token is not None:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        self._connection.request(method, path, body, sent)

    def receive(self) -> Response:
        response = self._connection.getresponse()
        body = response.read()
        return Response(response.status, {key.lower(): value for key, value in response.getheaders()}, body)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Response:
        self.send(method, path, body, **headers)
        return self.receive()

    def get(self, path: str, **headers: str) -> Response:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: object = None, **headers: str) -> Response:
        return self.ask("POST", path, body, **headers)

    def delete(self, path: str, body: object = None, **headers: str) -> Response:
        return self.ask("DELETE", path, body, **headers)

    def abort(self) -> None:
        """Go away without waiting for the answer."""
        assert self._connection.sock is not None
        self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._connection.close()


class Raw:
    """A socket, and what comes back on it. Leaving the context closes it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=TIMEOUT_S)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read_all(self) -> bytes:
        """Everything until the server closes."""
        chunks = []
        while True:
            try:
                chunk = self.socket.recv(65536)
            except ConnectionResetError:
                break
            if not chunk:
                break
            chunks.append(chunk)
        return b"".join(chunks)

    def read_until(self, mark: bytes) -> bytes:
        """Everything up to and with the mark. Raises ConnectionError if the server closes before it."""
        data = b""
        while mark not in data:
            chunk = self.socket.recv(65536)
            if not chunk:
                raise ConnectionError(f"closed after {data!r}")
            data += chunk
        return data
