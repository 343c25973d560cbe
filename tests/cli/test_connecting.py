"""How a command finds its daemon, what it says when it does not, and the statuses that it ends with."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mqfast.cli.address import Address, find_address, parse_url
from mqfast.cli.errors import STATUSES, InputError
from tests.cli.conftest import Mq
from tests.cli.program import run, running, url_of
from tests.tcp.daemon_process import REPOSITORY, Daemon
from tests.tcp.fixtures import StartDaemon

TLS = REPOSITORY / "tests/data/tls"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mq://example.org", Address("example.org", 6789)),
        ("mq://secret@example.org:7000", Address("example.org", 7000, token="secret")),
        ("mq://:a%2Fb@h:1", Address("h", 1, token="a/b")),
        ("mqs://[::1]:7000/", Address("::1", 7000, tls=True)),
        ("unix:///run/mq.sock", Address(path="/run/mq.sock")),
    ],
)
def test_url_names_an_address(url: str, expected: Address) -> None:
    assert parse_url(url) == expected


@pytest.mark.parametrize(
    "url", ["example.org", "http://h", "mq://", "mq://h:99999", "mq://h/path", "unix://host/p", "mq://h?x"]
)
def test_what_is_no_url_is_refused_without_its_token(url: str) -> None:
    with pytest.raises(InputError, match="the URL must be"):
        parse_url(url)
    ended = run("queues", "--url", url.replace("//", "//s3cret@"))
    assert ended.status == 2 or "s3cret" not in ended.stderr
    assert "s3cret" not in ended.stderr


def test_daemons_own_settings_say_where_it_is() -> None:
    assert find_address({}, {}) == Address("localhost", 6789)
    assert find_address({}, {"HOST": "0.0.0.0,::1", "PORT": "7"}) == Address("127.0.0.1", 7)
    assert find_address({}, {"UNIX_SOCKET": "/s", "AUTH_TOKENS": "a,b"}) == Address(path="/s", token="a")
    assert find_address({"url": "mq://h"}, {"MQ_URL": "mq://other", "MQ_TOKEN": "t"}) == Address("h", token="t")


def test_commands_work_over_a_unix_socket_and_by_a_settings_file(start_daemon: StartDaemon, tmp_path: Path) -> None:
    daemon = start_daemon("--unix-socket", str(tmp_path / "s"))
    env = {"MQ_URL": f"unix://{daemon.unix}"}
    assert run("push", "q", "1", env=env).status == 0
    (tmp_path / "mqfast.toml").write_text(f'unix_socket = "{daemon.unix}"\n', encoding="utf-8")
    assert run("queues", "--config", str(tmp_path / "mqfast.toml")).rows[0][:2] == ["q", "1"]
    assert run("queues", env={"UNIX_SOCKET": str(daemon.unix)}).rows[0][:2] == ["q", "1"]


def test_tls_is_spoken_and_the_certificate_is_checked(daemon: Daemon, queue: str) -> None:
    with tls_proxy(daemon) as port:
        url = f"mqs://localhost:{port}"
        ended = run("push", queue, '"over TLS"', "--url", url, "--ca", str(TLS / "certificate.pem"))
        assert ended.status == 0, ended
        shown = run("pull", queue, "--json", "--url", url, env={"MQ_CA": str(TLS / "certificate.pem")})
        assert shown.json()["data"] == "over TLS"
        distrusted = run("queues", "--url", url)
        assert distrusted.status == 3
        assert "not trusted" in distrusted.stderr and "--ca FILE" in distrusted.stderr
        missing = run("queues", "--url", url, "--ca", "/nowhere.pem")
        assert (missing.status, missing.stderr) == (3, "mqfast: there is no file /nowhere.pem of certificates\n")
        flags = run(
            "queues", "--tls", "--ca", str(TLS / "certificate.pem"), env={"HOST": "localhost", "PORT": str(port)}
        )
        assert flags.status == 0, flags


def test_workers_work_and_stop_over_tls(daemon: Daemon, queue: str) -> None:
    with tls_proxy(daemon) as port, daemon.connect() as wire:
        env = {"MQ_URL": f"mqs://localhost:{port}", "MQ_CA": str(TLS / "certificate.pem")}
        number = wire.push(queue)
        with running("work", queue, "echo 7", env=env) as worker:
            assert f"job {number} completed" in worker.line()
            worker.signal()
            assert worker.end().status == 0
        assert wire.ok("GETRESULT", id=number)["result"] == 7
        measured = run("bench", "--pipeline", "1", "-n", "20", "--json", env=env)
        assert measured.json()["jobs"] >= 20


@pytest.mark.parametrize(
    ("scheme", "host", "which", "ca", "expected"),
    [
        ("mq", "127.0.0.1", "tls", False, "speaks TLS: use mqs://… as its URL, or --tls"),
        ("mqs", "127.0.0.1", "plain", True, "does not speak TLS: use mq://… as its URL, and no --tls"),
        ("mq", "127.0.0.1", "http", False, "is an HTTP port"),
        ("mqs", "127.0.0.1", "https", True, "is an HTTP port"),
        ("mqs", "127.0.0.2", "tls", True, "is for another name: IP address mismatch"),
        ("mqs", "127.0.0.1", "tls", False, "is not trusted (self-signed certificate); name a file"),
    ],
)
def test_a_daemon_that_is_set_up_differently_is_told_and_ends_workers_too(
    scheme: str, host: str, which: str, ca: bool, expected: str, start_daemon: StartDaemon
) -> None:
    flags: tuple[str, ...] = ("--http", "1", "--http-port", "0")
    if which in ("tls", "https"):
        flags += ("--tls-cert", str(TLS / "certificate.pem"), "--tls-key", str(TLS / "key.pem"))
        flags += ("--host", "127.0.0.1,127.0.0.2")
    daemon = start_daemon(*flags)
    assert daemon.tcp is not None and daemon.http is not None
    port = (daemon.http if which.startswith("http") else daemon.tcp)[1]
    env = {"MQ_CA": str(TLS / "certificate.pem")} if ca else {}
    for token in ("", "some@"):
        place = ("--url", f"{scheme}://{token}{host}:{port}")
        commands = (("queues", *place), ("work", *place, "q", "cat"), ("bench", "push", *place, "-n", "10"))
        for command in commands:
            ended = run(*command, env=env)
            assert (ended.status, expected in ended.stderr) == (3, True), ended


def test_a_file_that_has_no_certificates_is_told(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    ended = run("queues", "--url", url_of(daemon).replace("mq:", "mqs:"), "--ca", __file__)
    assert ended.status == 3
    assert f"{__file__} cannot be used as a file of certificates" in ended.stderr


def test_an_alert_of_tls_is_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_answer_once, args=(server, b"\x15\x03\x01\x00\x02\x02\x46"))
        thread.start()
        ended = run("queues", "--url", f"mq://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert (ended.status, "speaks TLS" in ended.stderr) == (3, True), ended


def test_nothing_listening_says_how_to_start_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    ended = run("queues", "--url", f"mq://127.0.0.1:{port}")
    assert ended.status == 3
    assert ended.stderr == (f"mqfast: nothing listens at 127.0.0.1:{port}; start it with: mqfast serve --port {port}\n")
    ended = run("queues", "--url", "unix:///nowhere/s")
    assert (ended.status, "mqfast serve --unix-socket /nowhere/s" in ended.stderr) == (3, True)


def test_what_speaks_another_protocol_and_what_hangs_up_is_told() -> None:
    for answer, expected in ((b"220 mail.example.org ESMTP\r\n", "is no mqfast"), (b"", "was lost")):
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=_answer_once, args=(server, answer))
            thread.start()
            ended = run("queues", "--url", f"mq://127.0.0.1:{server.getsockname()[1]}")
            thread.join()
        assert ended.status == 3
        assert expected in ended.stderr


def _answer_once(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    server.close()  # who asks again is not kept waiting
    with connection:
        connection.recv(4096)
        connection.sendall(answer)


def test_tokens_are_given_from_each_place_and_refusals_say_where(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--auth-tokens", "good,other")
    without = run("queues", env={"MQ_URL": url_of(daemon)})
    assert without.status == 1
    assert "Authentication required" in without.stderr and "MQ_TOKEN" in without.stderr
    wrong = run("queues", env={"MQ_URL": url_of(daemon, "bad")})
    assert wrong.status == 1
    assert "Invalid token" in wrong.stderr and "bad" not in wrong.stderr
    for env in (
        {"MQ_URL": url_of(daemon, "good")},
        {"MQ_URL": url_of(daemon), "MQ_TOKEN": "other"},
        {"MQ_URL": url_of(daemon), "AUTH_TOKENS": "good"},
    ):
        assert run("queues", env=env).status == 0
    assert run("queues", "--token", "good", env={"MQ_URL": url_of(daemon)}).status == 0


def test_usage_errors_and_unknown_commands_have_status_2(mq: Mq) -> None:
    assert "no-such" in mq("no-such", status=2).stderr
    assert "--nope" in mq("queues", "--nope", status=2).stderr
    assert "QUEUE" in mq("push", status=2).stderr
    assert "255" in mq("push", "q" * 256, "1", status=2).stderr


def test_help_lists_every_command_and_the_exit_statuses() -> None:
    ended = run("--help")
    assert ended.status == 0
    for name in ("push", "work", "stats", "bench", "completion", "Exit status"):
        assert name in ended.stdout
    page = (REPOSITORY / "docs/cli.md").read_text(encoding="utf-8")
    for status, meaning in STATUSES.items():
        assert f"| {status} | {meaning} |" in page
        assert str(status) in ended.stdout


@contextmanager
def tls_proxy(daemon: Daemon) -> Iterator[int]:
    """A port of localhost that speaks TLS and passes everything on to the daemon."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve_tls, args=(server, context, daemon), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve_tls(server: socket.socket, context: ssl.SSLContext, daemon: Daemon) -> None:
    while True:
        try:
            plain, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_serve_one, args=(plain, context, daemon), daemon=True).start()


def _serve_one(plain: socket.socket, context: ssl.SSLContext, daemon: Daemon) -> None:
    assert daemon.tcp is not None
    try:
        with context.wrap_socket(plain, server_side=True) as secure, socket.create_connection(daemon.tcp) as behind:
            # One request, one answer at a time: all that these commands do.
            requests, answers = secure.makefile("rb"), behind.makefile("rb")
            while line := requests.readline():
                behind.sendall(line)
                secure.sendall(answers.readline())
    except OSError:
        return
