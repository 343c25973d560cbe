"""The daemon as a process: how it starts, what it says, how it ends. Everything waits for a line or for the exit."""

import json
import os
import re
import resource
import select
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mqfast import __version__
from mqfast.settings import CONFIG, SETTINGS

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0  # seconds, for what should come at once: the machine may be slow
STOP_SECONDS = 2.0  # the promise for a clean stop
COMMAND = (sys.executable, "-m", "mqfast")


def environment(**settings: str) -> dict[str, str]:
    """This process's environment with these settings and no others."""
    names = {s.env for s in (CONFIG, *SETTINGS)}
    clean = {name: value for name, value in os.environ.items() if name not in names}
    return {**clean, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), clean.get("PYTHONPATH")])), **settings}


def run(*arguments: str, command: tuple[str, ...] = COMMAND, **settings: str) -> subprocess.CompletedProcess[str]:
    """A daemon that is expected to end by itself."""
    return subprocess.run(
        [*command, *arguments],
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


class Daemon:
    """A running daemon on a free port."""

    def __init__(self, log: Path, *arguments: str, command: tuple[str, ...] = COMMAND, **settings: str) -> None:
        self.log = log
        with log.open("w") as stderr:
            self.process = subprocess.Popen(
                [*command, *arguments],
                env=environment(**{"PORT": "0", **settings}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self.process.stdout is not None
        self.stdout = self.process.stdout
        self.line = self.stdout.readline() if select.select([self.stdout], [], [], PATIENCE)[0] else ""
        assert self.line, f"no start-up line; stderr: {log.read_text()}"
        found = re.search(r":(\d+)", self.line)
        assert found
        self.port = int(found[1])

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> tuple[int, float]:
        """The exit status and how many seconds it took to come."""
        start = time.monotonic()
        status = self.process.wait(PATIENCE)
        return status, time.monotonic() - start

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.send(number)
        status, seconds = self.wait()
        assert status == 0, self.log.read_text()
        assert seconds < STOP_SECONDS

    def errors(self) -> list[str]:
        """What it said on stderr but for its log."""
        return [line for line in self.log.read_text().splitlines() if line.startswith("mqfast: ")]


Start = Callable[..., Daemon]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Daemon] = []

    def start_one(*arguments: str, **options: Any) -> Daemon:
        daemon = Daemon(tmp_path / f"stderr-{len(started)}", *arguments, **options)
        started.append(daemon)
        return daemon

    yield start_one
    for daemon in started:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait(PATIENCE)
        daemon.stdout.close()


def connect(where: int | str, host: str = "127.0.0.1") -> socket.socket:
    """A connection to a TCP port of this machine, or to the Unix socket at a path."""
    if isinstance(where, int):
        return socket.create_connection((host, where), timeout=PATIENCE)
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE)
    client.connect(where)
    return client


def ask(client: socket.socket, line: bytes) -> dict[str, Any]:
    client.sendall(line + b"\n")
    return answer(client)


def answer(client: socket.socket) -> dict[str, Any]:
    """The next line, read byte by byte so that what follows stays in the socket."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = client.recv(1)
        assert byte, "the connection ended"
        line += byte
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def assert_serves(where: int | str, host: str = "127.0.0.1") -> None:
    with connect(where, host) as client:
        assert ask(client, b'{"cmd":"PING"}')["pong"] is True


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def abandon_socket(path: Path) -> None:
    """Leave the socket file of a program that has died."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))


# Start


def test_says_where_it_listens_in_one_line_and_serves_there(start: Start, tmp_path: Path) -> None:
    path = str(tmp_path / "mq.sock")
    daemon = start(UNIX_SOCKET=path, REACTORS="2")
    ipv6 = rf"\[::1\]:{daemon.port}, " if has_ipv6() else ""
    expected = rf"mqfast {__version__} listening on 127\.0\.0\.1:{daemon.port}, {ipv6}unix:{path} \(2 reactors\)\n"
    assert re.fullmatch(expected, daemon.line)
    assert_serves(daemon.port)
    if has_ipv6():
        assert_serves(daemon.port, "::1")
    assert_serves(path)
    daemon.stop()
    assert daemon.stdout.read() == ""


def test_one_reactor_is_singular_and_serves_many_connections(start: Start) -> None:
    daemon = start(REACTORS="1")
    assert daemon.line.endswith("(1 reactor)\n")
    clients = [connect(daemon.port) for _ in range(50)]
    for client in clients:
        with client:
            assert ask(client, b'{"cmd":"PING"}')["ok"] is True


def test_listens_on_the_hosts_it_is_given_and_on_no_other(start: Start) -> None:
    daemon = start("--host", "127.0.0.2,127.0.0.3", "--port", "0")
    assert f"listening on 127.0.0.2:{daemon.port}, 127.0.0.3:{daemon.port} (" in daemon.line
    assert_serves(daemon.port, "127.0.0.3")
    with pytest.raises(ConnectionRefusedError):
        connect(daemon.port)


def test_settings_reach_the_engine(start: Start, tmp_path: Path) -> None:
    config = tmp_path / "mqfast.toml"
    config.write_text('max_job_bytes = "1KiB"\nauth_tokens = ["secret"]\n')
    daemon = start("--config", str(config))
    push = b'{"cmd":"PUSH","queue":"q","data":"%s"}'
    with connect(daemon.port) as client:
        assert ask(client, push % b"x")["code"] == "auth_required"
        assert ask(client, b'{"cmd":"AUTH","token":"secret"}')["ok"] is True
        assert ask(client, push % b"x")["ok"] is True
        assert ask(client, push % (b"x" * 2000))["code"] == "payload_too_large"
    assert "secret" not in daemon.log.read_text()


def test_raises_its_limit_of_open_files(start: Start) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        daemon = start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)


def test_version_and_help_need_nothing_else() -> None:
    assert run("--version").stdout == f"mqfast {__version__}\n"
    text = " ".join(run("--help").stdout.split())
    for setting in (CONFIG, *SETTINGS):
        assert setting.flag in text
        assert f"[{setting.env}; default: {setting.default}]" in text


def test_installed_command_is_the_module() -> None:
    command = (str(Path(sys.executable).with_name("mqfast")),)
    assert run("--version", command=command).stdout == f"mqfast {__version__}\n"
    assert run("--help", command=command).stdout == run("--help").stdout


# Stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_cleanly_on_a_signal_with_connections_open(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "mq.sock"
    daemon = start(UNIX_SOCKET=str(path))
    with connect(daemon.port) as idle, connect(str(path)) as unix:
        assert ask(idle, b'{"cmd":"PING"}')["ok"] is True
        assert ask(unix, b'{"cmd":"PING"}')["ok"] is True
        daemon.stop(number)
        assert idle.recv(1) == b""
    assert daemon.log.read_text() == ""
    assert not path.exists()


def test_stop_answers_a_parked_pull(start: Start) -> None:
    daemon = start()
    with connect(daemon.port) as worker:
        worker.sendall(b'{"cmd":"PULL","queue":"empty","reqId":"parked"}\n')
        assert ask(worker, b'{"cmd":"PING"}')["ok"] is True  # so the pull is parked
        daemon.send(signal.SIGTERM)
        assert answer(worker)["reqId"] == "parked"
        assert worker.recv(1) == b""
    assert daemon.wait()[0] == 0


def fill_with_answers(client: socket.socket) -> None:
    """Ask without reading until the daemon has output that it cannot send and reads no more."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(0.5)
    with pytest.raises(TimeoutError):
        while True:
            client.sendall(b'{"cmd":"PING"}\n' * 1000)


def test_stop_does_not_wait_long_for_a_client_that_does_not_read(start: Start) -> None:
    daemon = start(MAX_OUTPUT="64KiB")
    with connect(daemon.port) as client:
        fill_with_answers(client)
        daemon.send(signal.SIGTERM)
        status, seconds = daemon.wait()
    assert status == 0, daemon.log.read_text()
    assert seconds < STOP_SECONDS


def test_second_signal_forces(start: Start) -> None:
    daemon = start(MAX_OUTPUT="64KiB")
    with connect(daemon.port) as client:
        fill_with_answers(client)
        daemon.send(signal.SIGTERM)
        daemon.send(signal.SIGINT)  # another one: two of the same may arrive as one
        status, seconds = daemon.wait()
    assert status == 1
    assert seconds < 1.0
    assert daemon.errors() == ["mqfast: stopped by force: some answers may not have been sent"]


def test_log_says_which_signal_stopped_it(start: Start) -> None:
    daemon = start(LOG_LEVEL="info")
    daemon.stop(signal.SIGINT)
    (line,) = daemon.log.read_text().splitlines()
    assert line.endswith(" INFO stopping on SIGINT")


# A reactor that goes wrong, played by a few lines in place of the engine's


def with_reactors(body: str) -> tuple[str, ...]:
    """The daemon with other Reactors."""
    code = (
        f"import sys, threading\nfrom mqfast import server\n{body}\nfrom mqfast.__main__ import main\nsys.exit(main())"
    )
    return sys.executable, "-c", code


BROKEN = """
class Reactors:
    def __init__(self, engine, count): self.stopped = threading.Event()
    def listen(self, fd, tls): pass
    def close(self): pass
    def stop(self, force=False): self.stopped.set()
    def run(self, index):
        if index == 1: raise OSError(24, "Too many open files")
        self.stopped.wait()
server.Reactors = Reactors
"""

STUCK = """
class Reactors:
    def __init__(self, engine, count): pass
    def listen(self, fd, tls): pass
    def close(self): pass
    def stop(self, force=False): pass
    def run(self, index): threading.Event().wait()
server.Reactors = Reactors
"""


def test_reactor_that_dies_takes_the_daemon_down_with_a_message(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "mq.sock"
    daemon = start(command=with_reactors(BROKEN), REACTORS="2", UNIX_SOCKET=str(path))
    status, _ = daemon.wait()
    assert status == 1
    assert daemon.errors() == ["mqfast: reactor-1 failed: [Errno 24] Too many open files"]
    assert not path.exists()


def test_reactor_that_never_ends_does_not_keep_the_daemon(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "mq.sock"
    daemon = start(command=with_reactors(STUCK), UNIX_SOCKET=str(path))
    daemon.send(signal.SIGTERM)
    status, seconds = daemon.wait()
    assert status == 1
    assert seconds < STOP_SECONDS + 0.5
    assert "the reactors do not end" in daemon.log.read_text()
    assert not path.exists()


# What cannot be listened on


def refusal(result: subprocess.CompletedProcess[str]) -> str:
    """The one line with which the daemon refused to start with status 1."""
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("mqfast: cannot listen on ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("mqfast: cannot listen on ").rstrip("\n")


IN_USE = "address already in use (another mqfast? choose another with --port)"


def test_port_of_a_running_daemon_is_refused(start: Start) -> None:
    daemon = start()
    assert refusal(run("--port", str(daemon.port))) == f"127.0.0.1:{daemon.port}: {IN_USE}"
    assert_serves(daemon.port)


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
def test_port_that_is_taken_on_ipv6_only_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        path = tmp_path / "mq.sock"
        assert refusal(run(PORT=str(port), UNIX_SOCKET=str(path))) == f"[::1]:{port}: {IN_USE}"
        assert not path.exists()


def test_address_of_another_machine_is_refused() -> None:
    assert refusal(run("--host", "192.0.2.1", "--port", "7")) == "192.0.2.1:7: not an address of this machine"


def test_stale_socket_file_is_replaced(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "mq.sock"
    abandon_socket(path)
    daemon = start(UNIX_SOCKET=str(path))
    assert_serves(str(path))
    daemon.stop()
    assert not path.exists()


def test_socket_file_of_a_killed_daemon_is_replaced(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "mq.sock"
    killed = start(UNIX_SOCKET=str(path))
    killed.send(signal.SIGKILL)
    killed.wait()
    assert path.exists()
    start(UNIX_SOCKET=str(path))
    assert_serves(str(path))


def test_socket_file_of_a_running_daemon_is_refused(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "mq.sock"
    start(UNIX_SOCKET=str(path))
    assert refusal(run(PORT="0", UNIX_SOCKET=str(path))).startswith(f"unix:{path}: a running program answers there")
    assert_serves(str(path))


def test_file_that_is_no_socket_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    link = tmp_path / "link"
    link.symlink_to(path)
    for place in (path, link, tmp_path):
        line = refusal(run(PORT="0", UNIX_SOCKET=str(place)))
        assert line == f"unix:{place}: a file that is not a socket is in its place"
    assert path.read_text() == "data"


def test_socket_in_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "mq.sock"
    assert refusal(run(PORT="0", UNIX_SOCKET=str(path))) == f"unix:{path}: no such file or directory"


def test_socket_file_that_someone_else_has_put_there_is_left_at_the_stop(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "mq.sock"
    daemon = start(UNIX_SOCKET=str(path))
    path.unlink()
    abandon_socket(path)
    daemon.stop()
    assert path.exists()


@pytest.mark.parametrize(("text", "mode"), [(None, 0o660), ("0600", 0o600), ("0666", 0o666)])
def test_socket_file_has_the_mode_that_is_set(start: Start, tmp_path: Path, text: str | None, mode: int) -> None:
    path = tmp_path / "mq.sock"
    start(UNIX_SOCKET=str(path), **({} if text is None else {"UNIX_SOCKET_MODE": text}))
    assert stat.S_IMODE(path.stat().st_mode) == mode


# Settings that cannot be used


def test_bad_settings_end_in_a_line_each_and_status_2() -> None:
    result = run("--max-line", "16MB", PORT="high", AUTH_TOKENS="secret,")
    assert (result.returncode, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    assert lines[0] == "mqfast: PORT (environment variable): expected a whole number from 0 to 65535, got 'high'"
    assert lines[1].startswith("mqfast: AUTH_TOKENS (environment variable): expected ")
    assert lines[2].startswith("mqfast: MAX_LINE (flag --max-line): expected ")
    assert "secret" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--http", "2"), "HTTP (flag --http): expected 1 or 0, got '2'"),
        (("--config", "/missing.toml"), "cannot read the settings file /missing.toml: no such file or directory"),
    ],
)
def test_setting_that_cannot_be_used_ends_in_one_line_and_status_2(arguments: tuple[str, ...], line: str) -> None:
    result = run(*arguments)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"mqfast: {line}\n")


@pytest.mark.parametrize("arguments", [("--prot", "1"), ("extra",), ("--port",)])
def test_command_line_that_cannot_be_read_ends_in_one_line_and_status_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("mqfast: ")
    assert result.stderr.count("\n") == 1


def test_bare_unix_socket_flag_is_the_usual_path() -> None:
    assert run("--unix-socket", "--port", "nonsense").returncode == 2  # --port is not taken for a path
