"""export, import, backup, restore: jobs and logs from one place to another."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Mq
from tests.cli.program import argv, environment, run, until, url_of
from tests.tcp.client import Client
from tests.tcp.fixtures import StartDaemon

EXACT = '{"a":1.50,"a":2,"big":123456789012345678901234567890,"e":1E400}'


def test_dependencies_follow_their_jobs(start_daemon: StartDaemon, tmp_path: Path) -> None:
    source, target = start_daemon(), start_daemon()
    with source.connect() as wire:
        first = wire.push("b", "first")
        second = wire.push("a", "second", depends_on=[first])
        wire.push("0", "third", depends_on=[first, second])  # its queue comes before theirs
        wire.push("a", "later", delay=3_600_000)
    exported = run("export", env={"MQ_URL": url_of(source)})
    assert [line["state"] for line in exported.json_lines()] == ["waiting", "delayed", "waitingparent", "waitingparent"]
    imported = run("import", "--json", env={"MQ_URL": url_of(target)}, stdin=exported.stdout)
    assert imported.json() == {"pushed": 4, "refused": 0, "completed": 0}
    with target.connect() as wire:
        delayed = wire.ok("GETJOBS", queue="a", state="delayed")["jobs"][0]
        assert delayed["run_at"] - delayed["created_at"] > 3_500_000
        for queue, data in (("b", "first"), ("a", "second"), ("0", "third")):
            job = wire.pull(queue, timeout=10_000)
            assert job["data"] == data
            wire.ok("ACK", id=job["id"])


def test_completed_dependencies_are_left_out_and_missing_ones_refused(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    source, target = start_daemon(), start_daemon()
    file = tmp_path / "jobs.jsonl"
    with source.connect() as wire:
        done, still_open = wire.push("b", "done"), wire.push("b", "open")
        wire.push("a", "free soon", depends_on=[done, still_open])
        wire.ok("ACK", id=wire.pull("b")["id"])
    env = {"MQ_URL": url_of(source)}
    ended = run("export", "-o", str(file), env=env)
    assert ended.stderr == f"exported 2 jobs to {file}\n"
    assert json.loads(file.read_text(encoding="utf-8").splitlines()[1])["depends_on"] == [still_open]
    assert run("import", str(file), env={"MQ_URL": url_of(target)}).stdout == "imported 2 jobs\n"
    alone = run("export", "a", env=env).stdout
    ended = run("import", env={"MQ_URL": url_of(target)}, stdin=alone)
    assert (ended.status, ended.stdout) == (1, "imported 0 jobs; refused 1 line\n")
    assert ended.stderr == f"line 1: it waits for job {still_open}, which was not imported from this file\n"


def test_payloads_come_through_byte_for_byte(mq: Mq, wire: Client, queue: str) -> None:
    mq("push", queue, EXACT, "--priority", "3", "--unique-key", "k", "--max-attempts", "5")
    exported = mq("export", queue).stdout
    assert f'"data":{EXACT},' in exported
    assert mq("import", "--queue", f"{queue}-2", stdin=exported).stdout == "imported 1 job\n"
    wire.send("PULL", queue=f"{queue}-2", timeout=0)
    line = wire.receive_line().decode()
    for part in (f'"data":{EXACT},', '"priority":3', '"unique_key":"k"', '"max_attempts":5'):
        assert part in line


def test_export_takes_states_and_queues_and_many_pages(mq: Mq, wire: Client, queue: str) -> None:
    wire.ok("PUSHB", queue=queue, jobs=[{"data": n, "max_attempts": 1} for n in range(1200)])
    dead = wire.pull(queue)["id"]
    wire.ok("FAIL", id=dead, error="why")
    ended = mq("export", queue)
    assert [line["data"] for line in ended.json_lines()] == list(range(1, 1200))
    failed = mq("export", queue, "--state", "failed").json_lines()
    assert [(line["id"], line["reason"], line["last_error"]) for line in failed] == [(dead, "failed", "why")]
    assert "there is no queue" in mq("export", "no-such-queue", status=2).stderr


def test_import_names_lines_that_are_wrong_and_goes_on(mq: Mq, wire: Client, queue: str) -> None:
    lines = [
        json.dumps({"queue": queue, "data": 1}),
        "{broken",
        json.dumps({"data": 2}),
        json.dumps({"queue": queue}),
        json.dumps({"queue": queue, "data": 3, "state": "completed"}),
        json.dumps({"queue": queue, "data": 4, "priority": "high"}),
        "[1]",
        json.dumps({"queue": queue, "data": 5, "depends_on": [77]}),
        json.dumps({"queue": queue, "data": 6}),
    ]
    ended = mq("import", "--json", stdin="\n".join(lines), status=1)
    assert ended.json() == {"pushed": 2, "refused": 6, "completed": 1}
    told = {line.split(":")[0] for line in ended.stderr.splitlines()}
    assert told == {f"line {n}" for n in (2, 3, 4, 6, 7, 8)}
    assert "it waits for job 77" in ended.stderr
    assert [wire.pull(queue)["data"] for _ in range(2)] == [1, 6]
    assert "can be imported" in mq("import", "--dry-run", stdin=lines[0]).stdout
    assert mq("import", "--from-line", "9", "--json", stdin="\n".join(lines)).json()["pushed"] == 1


def test_import_into_a_full_daemon_tells_what_was_refused(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--max-memory", "2MiB")
    lines = "".join('{"queue":"q","data":"%s"}\n' % ("x" * 1000) for _ in range(5000))
    ended = run("import", env={"MQ_URL": url_of(daemon)}, stdin=lines)
    assert ended.status == 1
    with daemon.connect() as wire:
        pushed = wire.counts("q")["pending"]
    assert 0 < pushed < 5000
    assert ended.stdout == f"imported {pushed:,} jobs; refused {5000 - pushed:,} lines\n"
    assert len(ended.stderr.splitlines()) == 21  # twenty, and a word on the rest


@pytest.mark.parametrize("command", [["import"], ["push", "q"]])
def test_what_is_cut_short_says_where_to_go_on(start_daemon: StartDaemon, command: list[str]) -> None:
    daemon = start_daemon()
    line = b'{"queue":"q","data":1}\n'
    with subprocess.Popen(
        argv(*command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment({"MQ_URL": url_of(daemon)}),
    ) as process:
        assert process.stdin is not None
        process.stdin.write(line * 1001)  # a batch and the beginning of the next one
        process.stdin.flush()
        with daemon.connect() as wire:
            wire.push("q")
            until(lambda: wire.counts("q")["pending"] == 1001)
        daemon.stop()
        _, stderr = process.communicate(line * 1001, timeout=20)
    assert process.returncode == 3
    told = stderr.decode().splitlines()
    assert told[-2] == "1,000 jobs were pushed; to go on: --from-line 1001"
    assert "was lost" in told[-1]


def filled(start_daemon: StartDaemon, folder: Path) -> None:
    """A log folder with a job in it, and no daemon on it."""
    daemon = start_daemon("--persist", str(folder))
    with daemon.connect() as wire:
        for n in (1, 2, 3):  # a frame each
            wire.push("kept", {"n": n})
    daemon.stop()


def test_backup_and_restore_bring_the_jobs_back(start_daemon: StartDaemon, tmp_path: Path) -> None:
    log, copy, back = tmp_path / "log", tmp_path / "copies" / "copy", tmp_path / "back"
    filled(start_daemon, log)
    made = run("backup", str(log), str(copy), "--json")
    assert made.status == 0 and made.json()["whole"] is True
    assert sorted(path.name for path in copy.iterdir()) == sorted(p.name for p in log.iterdir() if p.name != "lock")
    shutil.rmtree(log)
    back.mkdir()
    restored = run("restore", str(copy), str(back))
    assert f"start with it: mqfast serve --persist {back}" in restored.stdout
    with start_daemon("--persist", str(back)).connect() as wire:
        assert wire.pull("kept")["data"] == {"n": 1}
    assert run("check", str(copy)).status == 0


def test_backup_of_a_running_daemon_says_what_to_do(start_daemon: StartDaemon, tmp_path: Path) -> None:
    with start_daemon("--persist", str(tmp_path / "log")).connect() as wire:
        wire.push("q")
    ended = run("backup", str(tmp_path / "log"), str(tmp_path / "copy"))
    assert ended.status == 2
    assert "a daemon uses the folder" in ended.stderr
    assert not (tmp_path / "copy").exists()


def test_damaged_folders_are_neither_backed_up_nor_restored(start_daemon: StartDaemon, tmp_path: Path) -> None:
    log, copy = tmp_path / "log", tmp_path / "copy"
    filled(start_daemon, log)
    assert run("backup", str(log), str(copy)).status == 0
    for folder, command in ((log, "backup"), (copy, "restore")):
        segment = next(folder.glob("*.log"))
        bent = bytearray(segment.read_bytes())
        bent[len(bent) // 2] ^= 0xFF  # in the second of three frames
        segment.write_bytes(bytes(bent))
        ended = run(command, str(folder), str(tmp_path / "target"))
        assert (ended.status, "is damaged" in ended.stderr, "mqfast check" in ended.stderr) == (2, True, True), ended
        assert not (tmp_path / "target").exists()


def test_nothing_is_written_over(start_daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "log"
    filled(start_daemon, log)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert "exists" in run("backup", str(log), str(tmp_path / "full")).stderr
    assert "is not empty" in run("restore", str(log), str(tmp_path / "full")).stderr
    assert "is not a log folder" in run("restore", str(tmp_path / "full"), str(tmp_path / "new")).stderr
    assert "is not a folder" in run("backup", str(tmp_path / "none"), str(tmp_path / "new")).stderr
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["file"]
