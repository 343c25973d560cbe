"""work: a command for each job, and what becomes of jobs and commands when one of the sides ends."""

import json
import signal
from pathlib import Path

from tests.cli.conftest import Mq
from tests.cli.program import Running, running, until
from tests.tcp.client import Client
from tests.tcp.fixtures import StartDaemon


def outcome(worker: Running) -> dict[str, object]:
    row: dict[str, object] = json.loads(worker.line())
    return row


def test_payload_is_stdin_and_stdout_is_the_result(mq: Mq, wire: Client, queue: str) -> None:
    as_json, as_text, silent = (wire.push(queue, data) for data in ({"n": 1}, "text", "none"))
    script = 'read -r line; case $line in *n*:*) echo "$line";; *text*) printf "%s\\n%s" a "\\"";; esac'
    ended = mq("work", "--until-empty", queue, script)
    assert "3 jobs completed, 0 failed" in ended.stderr
    assert wire.ok("GETRESULT", id=as_json)["result"] == {"n": 1}
    assert wire.ok("GETRESULT", id=as_text)["result"] == 'a\n"'
    assert wire.ok("GETRESULT", id=silent)["result"] is None


def test_command_knows_its_job_by_its_environment(mq: Mq, wire: Client, queue: str) -> None:
    number = wire.push(queue, max_attempts=3, priority=5)
    mq(
        "work",
        "--until-empty",
        queue,
        'echo "\\"$MQ_JOB_ID $MQ_JOB_QUEUE $MQ_JOB_ATTEMPT/$MQ_JOB_MAX_ATTEMPTS $MQ_JOB_PRIORITY\\""',
    )
    assert wire.ok("GETRESULT", id=number)["result"] == f"{number} {queue} 1/3 5"


def test_exit_status_fails_the_job_with_the_end_of_stderr(mq: Mq, wire: Client, queue: str) -> None:
    wire.push(queue, 1, max_attempts=2)
    ended = mq("work", "--until-empty", "--json", queue, "echo first >&2; echo why >&2; exit 3", status=1)
    assert [(row["state"], row["status"]) for row in ended.json_lines()] == [("failed", 3)] * 2
    assert wire.ok("DLQ", queue=queue)["jobs"][0]["last_error"] == "exit status 3: first\nwhy"
    wire.push(f"{queue}-2", 1, max_attempts=50)
    mq("work", "--until-empty", "--fatal", "65", f"{queue}-2", "exit 65", status=1)
    assert wire.counts(f"{queue}-2")["dlq"] == 1


def test_several_words_are_a_program_and_its_arguments(mq: Mq, wire: Client, queue: str) -> None:
    number = wire.push(queue)
    mq("work", "--until-empty", queue, "printf", "%s", "$HOME; exit 1")
    assert wire.ok("GETRESULT", id=number)["result"] == "$HOME; exit 1"
    wire.push(queue)
    ended = mq("work", "--until-empty", queue, "/no/such/program", "x", status=2)
    assert "cannot run /no/such/program: no such file" in ended.stderr
    assert wire.counts(queue)["pending"] == 1  # it was released
    assert "options of work come before QUEUE" in mq("work", queue, "--json", "cat", status=2).stderr


def test_output_too_large_for_a_result_does_not_undo_the_job(mq: Mq, wire: Client, queue: str) -> None:
    number = wire.push(queue)
    ended = mq("work", "--until-empty", queue, "head -c 1100000 /dev/zero | tr '\\0' x")
    assert "too large" in ended.stderr
    assert wire.ok("GETJOB", id=number)["state"] == "completed"
    wire.push(queue)
    mq("work", "--until-empty", "--no-result", queue, "echo 1")
    assert wire.ok("GETJOBS", queue=queue, state="completed", dir="desc", limit=1)["jobs"][0]["id"] != number


def test_jobs_run_at_once_up_to_the_concurrency(wire: Client, env: dict[str, str], queue: str, tmp_path: Path) -> None:
    """Each command waits until three have begun: with fewer at once none would end."""
    for n in range(3):
        wire.push(queue, n)
    script = f'cd {tmp_path}; touch "$MQ_JOB_ID"; until [ "$(ls | wc -l)" = 3 ]; do sleep 0.02; done'
    with running("work", "--json", "--until-empty", "-c", "3", queue, script, env=env) as worker:
        assert {outcome(worker)["state"] for _ in range(3)} == {"completed"}
        assert worker.end().status == 0


def test_stop_lets_what_runs_end_and_takes_nothing_more(
    wire: Client, env: dict[str, str], queue: str, tmp_path: Path
) -> None:
    for n in range(2):
        wire.push(queue, n)
    begun, go_on = tmp_path / "begun", tmp_path / "go"
    script = f"mkfifo {go_on}; echo begun > {begun}; read -r line < {go_on}; echo 5"
    with running("work", "--json", queue, script, env=env) as worker:
        worker.line("stderr")
        assert wire.ok("SUBSCRIBE", queue=queue, events=["completed"])["ok"]
        until(lambda: has_line(begun))
        worker.signal(signal.SIGTERM)
        assert "stopping" in worker.line("stderr")
        go_on.write_text("go\n", encoding="utf-8")
        assert outcome(worker)["state"] == "completed"
        assert worker.end().status == 0
    assert wire.receive()["event"] == "completed"
    assert wire.counts(queue) == {"pending": 1, "processing": 0, "delayed": 0, "dlq": 0, "completed": 1}


def has_line(file: Path) -> bool:
    return file.exists() and file.read_text(encoding="utf-8").endswith("\n")


def is_running(pid: int) -> bool:
    """Whether there is such a process that is not only waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_second_signal_and_the_end_of_the_grace_release_the_job(
    wire: Client, env: dict[str, str], queue: str, tmp_path: Path
) -> None:
    for flags, signals in ((["--grace", "1h"], 2), (["--grace", "50ms"], 1)):
        number = wire.push(queue)
        wire.ok("SUBSCRIBE", queue=queue, events=["active"])
        # The command starts a child of its own, which must not outlive it.
        child = tmp_path / f"child-{signals}"
        script = f"sleep 1000 & echo $! > {child}; wait"
        with running("work", "--json", *flags, queue, script, env=env) as worker:
            assert wire.receive()["event"] == "active"
            worker.line("stderr")
            until(lambda file=child: has_line(file))  # type: ignore[misc]
            for _ in range(signals):
                worker.signal(signal.SIGINT)
                assert "stopping" in worker.line("stderr") or signals == 2
            ended = worker.end()
        assert ended.status == 0
        assert ended.json()["state"] == "released"
        grandchild = int(child.read_text(encoding="utf-8"))
        until(lambda pid=grandchild: not is_running(pid))  # type: ignore[misc]
        wire.ok("UNSUBSCRIBE", queue=queue)
        job = wire.pull(queue)
        assert (job["id"], job["attempts"]) == (number, 0)
        wire.ok("ACK", id=number)


def test_idle_worker_stops_at_once_and_keeps_no_job(wire: Client, env: dict[str, str], queue: str) -> None:
    with running("work", "--lease", "1h", queue, "cat", env=env) as worker:
        assert "waiting for jobs" in worker.line("stderr")
        worker.signal()
        assert worker.end().status == 0
    wire.push(queue)
    assert wire.pull(queue)


def test_job_longer_than_its_lease_is_kept_by_heartbeats(wire: Client, env: dict[str, str], queue: str) -> None:
    number = wire.push(queue)
    with running(
        "work", "--json", "--lease", "1s", "--until-empty", queue, "sleep 2.2; echo $MQ_JOB_DELIVERY", env=env
    ) as worker:
        assert outcome(worker)["state"] == "completed"
        assert worker.end().status == 0
    assert wire.ok("GETRESULT", id=number)["result"] == 1


def test_timeout_of_the_job_ends_its_command(mq: Mq, wire: Client, queue: str) -> None:
    wire.push(queue, timeout=200, max_attempts=1)
    ended = mq("work", "--until-empty", "--json", queue, "sleep 1000", status=1)
    assert ended.json()["state"] == "failed" and "longer than the job's timeout" in ended.json()["why"]
    assert wire.counts(queue)["dlq"] == 1


def test_cancelled_job_has_its_command_ended(wire: Client, env: dict[str, str], queue: str) -> None:
    wire.ok("SUBSCRIBE", queue=queue, events=["active"])
    number = wire.push(queue)
    with running("work", "--lease", "1s", queue, "sleep 1000", env=env) as worker:
        worker.line("stderr")
        assert wire.receive()["event"] == "active"
        wire.ok("CANCEL", id=number)
        assert f"job {number}: its command was ended" in worker.line("stderr")
        worker.signal()
        assert worker.end().status == 0


def test_worker_outlives_a_restart_of_the_daemon(start_daemon: StartDaemon, tmp_path: Path, queue: str) -> None:
    first = start_daemon("--unix-socket", str(tmp_path / "s"), "--persist", str(tmp_path / "log"))
    with running("work", "--json", queue, "cat", env={"MQ_URL": f"unix://{first.unix}"}) as worker:
        worker.line("stderr")
        first.stop()
        assert "trying again" in worker.line("stderr")
        second = start_daemon("--unix-socket", str(tmp_path / "s"), "--persist", str(tmp_path / "log"))
        assert worker.line("stderr") == "connected again"
        with second.connect() as wire:
            wire.push(queue, 1)
        assert outcome(worker)["state"] == "completed"
        worker.signal()
        assert worker.end().status == 0
