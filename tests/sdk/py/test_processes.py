"""Handlers in processes: they are replaced, told to stop, and end with their parent."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from magicqueue import AuthFailedError, Queue, Worker
from tests.sdk.py.package import WAIT_S, port_of, run_python
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import StartDaemon

PROGRAM = str(Path(__file__).with_name("process_worker.py"))


def start(daemon: Daemon, queue: str) -> subprocess.Popen[str]:
    return run_python(PROGRAM, queue, str(port_of(daemon)))


def end(process: subprocess.Popen[str], expected: str = "stopped\n") -> None:
    assert process.communicate(timeout=WAIT_S)[0] == expected


def running_job(queue: Queue, file: Path) -> tuple[int, int]:
    """A job that runs until the file is there, and the process that runs it."""
    with queue.events("progress") as events:
        id_ = queue.push({"do": "wait for a file", "file": str(file)})
        assert events.next(WAIT_S) is not None
    return id_, int(queue.get_progress(id_)["message"] or 0)


def test_a_killed_child_is_replaced_and_its_job_done(daemon: Daemon, queue: str) -> None:
    process = start(daemon, queue)
    with Queue(queue, "127.0.0.1", port_of(daemon)) as one:
        assert one.push_and_wait({"do": "die once"}, wait_s=WAIT_S) == 2
        pids = {one.push_and_wait({"do": "tell your pid"}, wait_s=WAIT_S) for _ in range(3)}
        assert process.pid not in pids
    process.send_signal(signal.SIGTERM)
    end(process)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_lets_running_handlers_end(
    daemon: Daemon, queue: str, tmp_path: Path, number: signal.Signals
) -> None:
    process = run_python(PROGRAM, queue, str(port_of(daemon)), start_new_session=True)
    with Queue(queue, "127.0.0.1", port_of(daemon)) as one:
        id_, child = running_job(one, tmp_path / "go")
        # The child gets its own besides what its parent tells it, and one more.
        os.killpg(process.pid, number)
        os.kill(child, number)
        with pytest.raises(TimeoutError):
            # Were they taken for a second signal, the job would be given back meanwhile.
            one.wait_job(id_, 0.3)
        job = one.get_job(id_)
        assert job is not None and job.state == "active"
        (tmp_path / "go").touch()
        assert one.wait_job(id_, WAIT_S) == 1
    end(process)


def test_a_second_signal_to_the_parent_gives_running_jobs_back(daemon: Daemon, queue: str, tmp_path: Path) -> None:
    process = start(daemon, queue)
    with Queue(queue, "127.0.0.1", port_of(daemon)) as one:
        id_, _ = running_job(one, tmp_path / "never")
        process.send_signal(signal.SIGTERM)
        # Signals of a kind are not counted: another kind is surely a second one.
        process.send_signal(signal.SIGINT)
        end(process)
        job = one.get_job(id_)
        assert job is not None
        assert (job.state, job.attempts) == ("waiting", 0)


def test_children_end_with_a_parent_that_is_killed(daemon: Daemon, queue: str, tmp_path: Path) -> None:
    process = start(daemon, queue)
    with Queue(queue, "127.0.0.1", port_of(daemon)) as one:
        id_, child = running_job(one, tmp_path / "go")
        ended = os.pidfd_open(child)
        process.kill()
        process.wait(WAIT_S)
        (tmp_path / "go").touch()
        # It ends what it has begun, and then itself.
        assert one.wait_job(id_, WAIT_S) == 1
    assert select.select([ended], [], [], WAIT_S)[0]
    os.close(ended)
    end(process, "")


def test_a_refusal_of_a_child_is_raised(start_daemon: StartDaemon, queue: str) -> None:
    daemon = start_daemon("--auth-tokens", "secret")
    options: dict[str, Any] = {"executor": "processes", "token": "wrong"}
    with pytest.raises(AuthFailedError):
        Worker(queue, print, "127.0.0.1", port_of(daemon), **options).start()
