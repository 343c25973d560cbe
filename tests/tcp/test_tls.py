"""TLS over TCP and HTTP: certificates made here, real clients of Python's ssl, files that change or are wrong."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.tcp.client import Client
from tests.tcp.daemon_process import Daemon
from tests.tcp.waiting import eventually


class Served:
    """A daemon with a certificate for localhost, and what trusts it."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.authority = trustme.CA()
        self.certificate, self.key = folder / "server.pem", folder / "server.key"
        self.renew("localhost", "127.0.0.1")
        self.daemon = Daemon(
            "--tls-cert", str(self.certificate), "--tls-key", str(self.key), "--http", "1", "--http-port", "0", *flags
        )
        self.context = ssl.create_default_context()
        self.authority.configure_trust(self.context)

    def renew(self, *names: str) -> None:
        issued = self.authority.issue_cert(*names)
        self.key.write_bytes(issued.private_key_pem.bytes())
        self.certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))

    def connect(self) -> ssl.SSLSocket:
        assert self.daemon.tcp is not None
        plain = socket.create_connection(self.daemon.tcp, timeout=15)
        return self.context.wrap_socket(plain, server_hostname="localhost")

    def ask(self, connection: ssl.SSLSocket, cmd: str, **fields: object) -> dict[str, Any]:
        connection.sendall(json.dumps({"cmd": cmd, **fields}).encode() + b"\n")
        line = b""
        while not line.endswith(b"\n"):
            part = connection.recv(1 << 16)
            assert part, "the connection has ended"
            line += part
        answer: dict[str, Any] = json.loads(line)
        return answer

    def http(self) -> http.client.HTTPSConnection:
        assert self.daemon.http is not None
        return http.client.HTTPSConnection("localhost", self.daemon.http[1], timeout=15, context=self.context)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path)
    yield one
    one.daemon.send_stop()
    one.daemon.wait()


def test_jobs_pass_and_what_is_held_goes_back(served: Served) -> None:
    with served.connect() as producer:
        for number in range(3):
            assert served.ask(producer, "PUSH", queue="q", data={"n": number, "text": "x" * 40_000})["ok"]
        with served.connect() as worker:
            assert worker.version() == "TLSv1.3"
            assert served.ask(worker, "PULLB", queue="q", count=10)["jobs"][2]["data"]["n"] == 2
        eventually(lambda: served.ask(producer, "STATS")["queued"], lambda queued: queued == 3)


def test_plain_clients_are_refused_and_the_unix_socket_is_plain(tmp_path: Path) -> None:
    one = Served(tmp_path, "--unix-socket", str(tmp_path / "s"))
    try:
        with Client(one.daemon.address("tcp")) as plain:
            plain.send("PING")
            assert plain.has_answer(15)
            with pytest.raises((AssertionError, OSError, ValueError)):
                plain.receive()
        with one.daemon.connect("unix") as client:
            client.ping()
    finally:
        one.daemon.send_stop()
        one.daemon.wait()


def test_tls_before_1_2_is_refused(served: Served) -> None:
    served.context.maximum_version = ssl.TLSVersion.TLSv1_2
    with served.connect() as connection:
        assert connection.version() == "TLSv1.2"
        assert served.ask(connection, "PING")["pong"]


def test_many_connections_at_once(served: Served) -> None:
    counts: list[int] = []

    def push(number: int) -> None:
        with served.connect() as connection:
            for i in range(50):
                assert served.ask(connection, "PUSH", queue=f"q{number}", data=i)["ok"]
            counts.append(50)

    threads = [threading.Thread(target=push, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 1000
    with served.connect() as connection:
        assert served.ask(connection, "STATS")["queued"] == 1000


def test_rest_over_https(served: Served) -> None:
    connection = served.http()
    payload = {"text": "é" * 100_000}
    connection.request("POST", "/queues/q/jobs", json.dumps({"data": payload}), {"Content-Type": "application/json"})
    assert connection.getresponse().read()
    connection.request("GET", "/queues/q/jobs?timeout=5000")  # on the same connection
    response = connection.getresponse()
    assert response.status == 200
    assert json.loads(response.read())["data"][0]["data"] == payload
    connection.request("GET", "/")
    response = connection.getresponse()
    assert response.status == 200 and response.read()
    connection.close()


def test_a_pull_that_waits_over_https_is_woken(served: Served) -> None:
    connection = served.http()
    connection.request("GET", "/queues/later/jobs?timeout=15000")
    with served.connect() as producer:
        eventually(lambda: served.ask(producer, "CLIENTS"), lambda answer: "later" in json.dumps(answer))
        served.ask(producer, "PUSH", queue="later", data=7)
    assert json.loads(connection.getresponse().read())["data"][0]["data"] == 7
    connection.close()


def test_plain_http_to_https_ends(served: Served) -> None:
    assert served.daemon.http is not None
    with socket.create_connection(served.daemon.http, timeout=15) as plain:
        plain.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            while plain.recv(1000):
                pass
    connection = served.http()
    connection.request("GET", "/health")
    assert connection.getresponse().read() == b'{"ok":true}'
    connection.close()


def serial(connection: ssl.SSLSocket) -> object:
    certificate = connection.getpeercert()
    assert certificate is not None
    return certificate["serialNumber"]


def test_a_renewed_certificate_is_shown_after_sighup(served: Served) -> None:
    with served.connect() as old:
        served.renew("localhost", "127.0.0.1")
        with served.connect() as still:
            assert serial(still) == serial(old)
        os.kill(served.daemon.pid, signal.SIGHUP)
        eventually(served.daemon.stderr_text, lambda text: "new connections get the certificate as it is now" in text)
        with served.connect() as fresh:
            assert serial(fresh) != serial(old)
        https = served.http()
        https.connect()
        assert serial(https.sock) != serial(old)
        https.close()
        assert served.ask(old, "PING")["pong"]
        served.certificate.write_text("nonsense")
        os.kill(served.daemon.pid, signal.SIGHUP)
        eventually(served.daemon.stderr_text, lambda text: "the certificate stays as it was" in text)
        with served.connect() as again:
            assert served.ask(again, "PING")["pong"]


def run_with(*flags: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "mqfast", "--port", "0", "--unix-socket", "0", *flags],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stderr


def test_files_that_cannot_be_used_end_the_start(tmp_path: Path) -> None:
    one, other = trustme.CA().issue_cert("localhost"), trustme.CA().issue_cert("localhost")
    certificate, key, foreign = tmp_path / "c.pem", tmp_path / "k.pem", tmp_path / "f.pem"
    one.cert_chain_pems[0].write_to_path(str(certificate))
    one.private_key_pem.write_to_path(str(key))
    other.private_key_pem.write_to_path(str(foreign))
    assert run_with("--tls-cert", str(certificate))[0] == 2
    status, said = run_with("--tls-cert", str(tmp_path / "none"), "--tls-key", str(key))
    assert status == 1 and f"the certificate {tmp_path}/none cannot be used: No such file" in said
    status, said = run_with("--tls-cert", str(certificate), "--tls-key", str(foreign))
    assert status == 1 and str(foreign) in said
    assert "Traceback" not in said
