"""A daemon that keeps its jobs: killed at any moment under load, ended by signal, on a folder in use or damaged.

The ledger is the client's: what was answered counts, and only that. MQFAST_KILLS=200 makes the long run.
"""

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.test_lifecycle import PATIENCE, environment

KILLS = int(os.environ.get("MQFAST_KILLS", "5"))
SEED = int(os.environ.get("MQFAST_CRASH_SEED", "1"))


class Client:
    """A blocking connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.file = self.socket.makefile("rwb")

    def __call__(self, cmd: str, **fields: Any) -> dict[str, Any]:
        self.file.write(json.dumps({"cmd": cmd, **fields}).encode() + b"\n")
        self.file.flush()
        line = self.file.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("the daemon has gone")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.file.close()
        self.socket.close()


class Daemon:
    """A daemon on a folder, on a free port."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mqfast", "--port", "0", "--unix-socket", "0", "--persist", str(folder), *flags],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.process.communicate()[1])
        self.port = int(line.partition("127.0.0.1:")[2].partition(",")[0])

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "log"


class Ledger:
    """What a few clients were told, by all of them together."""

    def __init__(self) -> None:
        self.pushed: dict[int, Any] = {}
        self.acked: set[int] = set()
        self.asked_to_ack: set[int] = set()  # perhaps done: the answer may have been lost with the daemon
        self.lock = threading.Lock()

    def work(self, port: int, number: int) -> None:
        """Push, pull and acknowledge until the daemon is gone."""
        client = Client(port)
        count = 0
        with contextlib.suppress(ConnectionError, OSError):
            while True:
                count += 1
                answer = client("PUSH", queue=f"q{count % 3}", data=[number, count])
                with self.lock:
                    assert answer["id"] not in self.pushed, "an id was given out twice"
                    self.pushed[answer["id"]] = [number, count]
                if count % 2:
                    job = client("PULL", queue=f"q{(count + 1) % 3}", timeout=0)["job"]
                    if job is not None:
                        with self.lock:
                            assert job["id"] not in self.acked, "an acknowledged job came back"
                            self.asked_to_ack.add(job["id"])
                        assert client("ACK", id=job["id"])["ok"]
                        with self.lock:
                            self.acked.add(job["id"])
        client.close()

    def check(self, client: Client) -> None:
        """Everything answered is there, and nothing acknowledged is."""
        with self.lock:
            for id, data in self.pushed.items():
                answer = client("GETJOB", id=id)
                if id in self.acked:
                    assert answer["state"] == "completed", (id, answer)
                elif id not in self.asked_to_ack:
                    assert answer["state"] == "waiting", (id, answer)
                    assert answer["job"]["data"] == data


def test_killed_at_any_moment_nothing_answered_is_lost_and_nothing_acknowledged_comes_back(folder: Path) -> None:
    rng = random.Random(SEED)
    ledger = Ledger()
    for _ in range(KILLS):
        daemon = Daemon(folder)
        client = Client(daemon.port)
        ledger.check(client)
        client.close()
        threads = [threading.Thread(target=ledger.work, args=(daemon.port, number)) for number in range(4)]
        goal = len(ledger.pushed) + rng.randrange(1, 600)
        for thread in threads:
            thread.start()
        while len(ledger.pushed) < goal and daemon.process.poll() is None:
            pass
        daemon.kill()
        for thread in threads:
            thread.join()
    daemon = Daemon(folder)
    client = Client(daemon.port)
    ledger.check(client)
    client.close()
    assert daemon.end() == 0


@pytest.mark.parametrize("fsync", ["always", "everysec", "none"])
def test_everything_comes_back_after_an_orderly_end(folder: Path, fsync: str) -> None:
    daemon = Daemon(folder, "--fsync", fsync)
    mq = Client(daemon.port)
    held = mq("PUSH", queue="q", data="held", priority=5)["id"]
    dead = mq("PUSH", queue="d", data="dead", max_attempts=1)["id"]
    done = mq("PUSH", queue="e", data="done")["id"]
    delayed = mq("PUSH", queue="q", data="later", delay=3_600_000, unique_key="k")["id"]
    child = mq("PUSH", queue="c", data="child", depends_on=[held])["id"]
    mq("PULL", queue="q")
    mq("PROGRESS", id=held, progress=40, message="half")
    mq("PULL", queue="d")
    mq("FAIL", id=dead, error="broken")
    mq("PULL", queue="e")
    mq("ACK", id=done, result={"r": [1, 2.50]})
    mq("PAUSE", queue="p")
    mq("RATELIMIT", queue="l", limit=7, duration=500)
    mq("SETCONCURRENCY", queue="l", limit=3)
    mq("CRON", name="c", queue="q", data=1, schedule="@yearly", timezone="Europe/Berlin")
    crons, queues, stats = mq("CRONLIST"), mq("LISTQUEUES"), mq("STATS")
    mq.close()
    assert daemon.end() == 0
    daemon = Daemon(folder, "--fsync", fsync)
    mq = Client(daemon.port)
    job = mq("GETJOB", id=held)
    assert (job["state"], job["job"]["progress"], job["job"]["progress_msg"]) == ("waiting", 40, "half")
    assert mq("DLQ", queue="d")["jobs"][0]["last_error"] == "broken"
    assert mq("WAITJOB", id=done)["result"] == {"r": [1, 2.5]}
    assert mq("GETJOB", id=delayed)["state"] == "delayed"
    assert mq("PUSH", queue="q", data=1, unique_key="k")["code"] == "duplicate"
    assert mq("GETJOB", id=child)["job"]["waits_for"] == [{"id": held, "state": "waiting"}]
    assert mq("CRONLIST") == crons
    assert mq("STATS")["completed"] == stats["completed"]
    names = {row["name"]: row for row in mq("LISTQUEUES")["queues"]}
    before = {row["name"]: row for row in queues["queues"]}
    for name in ("p", "l", "d", "e"):
        assert names[name] == before[name]
    assert mq("PULL", queue="q")["job"]["id"] == held, "in its old place"
    mq("ACK", id=held)
    assert mq("PULL", queue="c", timeout=5000)["job"]["id"] == child
    mq.close()
    assert daemon.end() == 0


def test_a_second_daemon_on_the_folder_is_refused(folder: Path) -> None:
    daemon = Daemon(folder)
    with pytest.raises(RuntimeError, match="another daemon uses the folder"):
        Daemon(folder)
    assert daemon.end() == 0


def test_a_torn_tail_is_cut_and_damage_before_it_stops_the_start_with_advice(folder: Path) -> None:
    daemon = Daemon(folder)
    mq = Client(daemon.port)
    for number in range(20):
        mq("PUSH", queue="q", data=number)
    mq.close()
    daemon.end()
    (log,) = folder.glob("*.log")
    whole = log.read_bytes()
    log.write_bytes(whole[:-10])
    daemon = Daemon(folder)
    mq = Client(daemon.port)
    assert mq("STATS")["queued"] == 19
    mq.close()
    daemon.end()
    log.write_bytes(whole[:500] + b"x" + whole[501:])
    with pytest.raises(RuntimeError, match=r"\.log is damaged at byte \d+: .* restore the file from a backup"):
        Daemon(folder)
    assert log.read_bytes()[500:501] == b"x", "nothing was changed"
