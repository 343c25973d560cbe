"""HTTP in the daemon's life: its line, its ports, its end."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from tests.http.client import HttpClient, Raw
from tests.http.conftest import HTTP, OpenHttp, http_of
from tests.http.gauges import until_waiting
from tests.tcp.daemon_process import REPOSITORY
from tests.tcp.fixtures import StartDaemon


def test_a_pull_that_waits_is_answered_when_the_daemon_stops(start_daemon: StartDaemon, open_http: OpenHttp) -> None:
    daemon = start_daemon(*HTTP)
    web, watcher = open_http(daemon), open_http(daemon)
    web.send("GET", "/queues/q/jobs?timeout=60000")
    until_waiting(watcher, 1)
    daemon.send_stop()
    answer = web.receive()
    answer.refused(503, "shutting_down")
    assert "retry-after" in answer.headers
    daemon.stop()


def test_streams_end_when_the_daemon_stops(start_daemon: StartDaemon) -> None:
    daemon = start_daemon(*HTTP)
    with Raw(http_of(daemon)) as events, Raw(http_of(daemon)) as page:
        events.send(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        events.read_until(b"events follow")
        page.send(b"GET /dashboard/stream HTTP/1.1\r\nHost: a\r\n\r\n")
        page.read_until(b"\r\n\r\n")
        daemon.send_stop()
        events.read_all()
        page.read_all()
        daemon.stop()


def test_idle_and_half_sent_requests_do_not_keep_the_daemon(start_daemon: StartDaemon) -> None:
    daemon = start_daemon(*HTTP)
    with Raw(http_of(daemon)) as half, HttpClient(http_of(daemon)) as idle:
        half.send(b"POST /queues/q/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        assert idle.get("/health").status == 200
        daemon.stop()
        assert half.read_all() == b""


def test_what_was_answered_before_the_stop_is_kept(start_daemon: StartDaemon, tmp_path: Path) -> None:
    flags = (*HTTP, "--persist", str(tmp_path))
    daemon = start_daemon(*flags)
    with HttpClient(http_of(daemon)) as web:
        job_id = web.post("/queues/q/jobs", {"data": 1}).data["id"]
    daemon.stop()
    again = start_daemon(*flags)
    with HttpClient(http_of(again)) as web:
        assert web.get(f"/jobs/{job_id}").data["state"] == "waiting"


def test_a_port_that_is_taken_ends_the_start_with_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        flags = ["--port", "0", "--http", "--http-host", "127.0.0.1", "--http-port", str(port)]
        result = subprocess.run(
            [sys.executable, "-m", "mqfast", *flags], cwd=REPOSITORY, capture_output=True, text=True, timeout=20
        )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"mqfast: cannot listen on 127.0.0.1:{port}: address already in use "
        "(another mqfast? choose another with --http-port)\n"
    )


def test_without_http_nothing_listens_and_nothing_is_read(start_daemon: StartDaemon) -> None:
    assert start_daemon().http is None
    code = "import sys, mqfast.server; sys.exit(any(name in sys.modules for name in ('falcon', 'waitress')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, timeout=20).returncode == 0


def test_requests_are_logged_with_their_ids() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "mqfast", "--port", "0", *HTTP, "--log-level", "info"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        port = int(line.split("http://127.0.0.1:")[1].split(",")[0].split(" ")[0])
        with HttpClient(("127.0.0.1", port)) as web:
            assert web.get("/jobs/7?x=%0A", X_Request_Id="req-1").status == 404
    finally:
        process.terminate()
        errors = process.communicate(timeout=20)[1]
    (logged,) = [line for line in errors.splitlines() if "id=req-1" in line]
    assert " http id=req-1 method=GET target='/jobs/7?x=%0A' status=404 ms=" in logged
    assert logged.endswith(" peer=127.0.0.1")
