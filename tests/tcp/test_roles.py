"""Tokens with roles, over the socket and over HTTP, and the file that is read again on SIGHUP."""

from __future__ import annotations

import http.client
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tcp.client import Client, check_refusal
from tests.tcp.daemon_process import Daemon
from tests.tcp.waiting import eventually

TOKENS = """
[[token]]
token = "shop"
roles = ["producer"]
queues = ["shop:*"]

[[token]]
token = "worker"
roles = ["worker"]

[[token]]
token = "looks"
roles = ["reader"]

[[token]]
token = "root"
roles = ["admin"]
"""


class Served:
    """A daemon with a tokens file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "tokens.toml"
        self.write(TOKENS)
        self.daemon = Daemon("--tokens-file", str(self.file), "--http", "1", "--http-port", "0")

    def write(self, text: str) -> None:
        self.file.write_text(text)
        self.file.chmod(0o600)

    def enter(self, token: str) -> Client:
        client = self.daemon.connect()
        client.ok("AUTH", token=token)
        return client

    def reload(self, said: str) -> None:
        """SIGHUP, until this is logged."""
        os.kill(self.daemon.pid, signal.SIGHUP)
        eventually(self.daemon.stderr_text, lambda text: said in text)

    def http(self, method: str, path: str, token: str | None, body: object = None) -> tuple[int, dict[str, Any]]:
        assert self.daemon.http is not None
        connection = http.client.HTTPConnection(*self.daemon.http, timeout=15)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            content = response.read()
            return response.status, json.loads(content) if content.startswith(b"{") else {}
        finally:
            connection.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path)
    yield one
    one.daemon.send_stop()
    one.daemon.wait()


def test_a_queue_of_ones_own_and_no_other(served: Served) -> None:
    with served.enter("shop") as shop, served.enter("worker") as worker:
        id = shop.push("shop:orders", {"n": 1})
        check_refusal(shop.call("PUSH", queue="mail", data=1), "forbidden")
        check_refusal(shop.call("PULL", queue="shop:orders", timeout=0), "forbidden")
        check_refusal(worker.call("PUSH", queue="shop:orders", data=1), "forbidden")
        assert worker.pull("shop:orders")["id"] == id
        check_refusal(worker.call("STATS"), "forbidden")
        worker.ok("ACK", id=id)
        assert shop.ok("GETJOB", id=id)["state"] == "completed"


@pytest.mark.parametrize(
    ("token", "method", "path", "status"),
    [
        ("shop", "POST", "/queues/shop:orders/jobs", 200),
        ("shop", "POST", "/queues/mail/jobs", 403),
        ("shop", "GET", "/queues/shop:orders/jobs?timeout=0", 403),
        ("shop", "GET", "/metrics", 403),
        ("shop", "GET", "/metrics/prometheus", 403),
        ("shop", "GET", "/dashboard/snapshot?view=overview", 403),
        ("shop", "GET", "/events", 403),
        ("shop", "GET", "/openapi.json", 200),
        ("worker", "GET", "/queues/shop:orders/jobs?timeout=1", 200),
        ("worker", "GET", "/metrics", 403),
        ("looks", "GET", "/metrics", 200),
        ("looks", "GET", "/metrics/prometheus", 200),
        ("looks", "GET", "/dashboard/snapshot?view=overview", 200),
        ("looks", "GET", "/queues", 200),
        ("looks", "POST", "/queues/q/pause", 403),
        ("root", "POST", "/queues/q/pause", 200),
        ("wrong", "GET", "/queues", 401),
        (None, "GET", "/queues", 401),
        (None, "GET", "/health", 200),
    ],
)
def test_rest_asks_for_the_same(served: Served, token: str | None, method: str, path: str, status: int) -> None:
    body = {"data": 1} if path.endswith("/jobs") and method == "POST" else None
    found, answer = served.http(method, path, token, body)
    assert found == status, answer
    if status == 403:
        check_refusal(answer, "forbidden")


def test_the_file_is_read_again(served: Served) -> None:
    with served.enter("worker") as worker, served.enter("root") as root:
        root.push("q", 1)
        assert worker.pull("q")
        served.write(TOKENS.replace('"worker"\nroles', '"new-worker"\nroles'))
        served.reload("SIGHUP: 4 tokens are valid now")
        (answer,) = worker.receive_to_end()
        check_refusal(answer, "auth_required")
        assert root.counts("q")["pending"] == 1, "what it held is back"
        with served.enter("new-worker") as again:
            assert again.pull("q")["data"] == 1
    assert served.http("GET", "/queues/q/jobs?timeout=0", "worker")[0] == 401
    assert served.http("GET", "/queues/q/jobs?timeout=0", "new-worker")[0] == 200


@pytest.mark.parametrize("text", ["", "[[token]]\ntoken = 's3cret'\nroles = ['boss']\n"])
def test_a_file_with_a_fault_changes_nothing(served: Served, text: str) -> None:
    with served.enter("root") as root:
        served.write(text)
        served.reload("the tokens stay as they were")
        root.ok("STATS")
        with served.enter("worker") as worker:
            worker.ping()
    with served.daemon.connect() as stranger:
        check_refusal(stranger.call("STATS"), "auth_required")
    assert "s3cret" not in served.daemon.stderr_text()


def test_what_waits_over_http_ends_with_its_token(served: Served) -> None:
    """An event stream and a pull, begun with a token that SIGHUP then takes away."""
    assert served.daemon.http is not None
    connections = [http.client.HTTPConnection(*served.daemon.http, timeout=15) for _ in range(2)]
    stream, pull = connections
    headers = {"Authorization": "Bearer worker"}
    with served.enter("root") as root:
        stream.request("GET", "/events", headers=headers)
        events = stream.getresponse()
        assert events.status == 200
        pull.request("GET", "/queues/q/jobs?timeout=60000", headers=headers)
        eventually(lambda: [row["waits"] for row in root.ok("CLIENTS")["connections"]], lambda waits: 1 in waits)
        served.write(TOKENS.replace('"worker"\nroles', '"new-worker"\nroles'))
        served.reload("SIGHUP: 4 tokens are valid now")
        assert json.loads(pull.getresponse().read())["data"] == []
        root.push("q", "secret")
        assert b"pushed" not in events.read(), "and it has ended"
        assert root.counts("q")["pending"] == 1
    for connection in connections:
        connection.close()
