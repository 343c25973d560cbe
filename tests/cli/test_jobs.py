"""push, pull, ack, fail, release, job, jobs, wait, cancel: jobs by hand."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Mq
from tests.cli.program import running, terminal
from tests.tcp.client import Client

EXACT = '{"a":1.50,"big":123456789012345678901234567890,"a":-0,"e":1E400,"s":"\\u0041é"}'


def test_push_sends_the_payload_byte_for_byte_and_prints_the_id(mq: Mq, wire: Client, queue: str) -> None:
    number = int(mq("push", queue, EXACT).stdout)
    wire.send("PULL", queue=queue, timeout=0)
    line = wire.receive_line().decode()
    assert f'"id":{number},' in line
    assert f'"data":{EXACT},' in line


def test_push_takes_every_option_of_a_job(mq: Mq, wire: Client, queue: str) -> None:
    first = wire.push(queue)
    options = [
        "--priority", "-3", "--delay", "1h", "--ttl", "2d", "--timeout", "1.5s", "--max-attempts", "4",
        "--backoff", "250", "--max-backoff", "10m", "--unique-key", "k", "--depends-on", str(first),
    ]  # fmt: skip
    number = mq("push", queue, "--json", "null", *options).json()["id"]
    job = wire.ok("GETJOB", id=number)["job"]
    assert job["run_at"] - job["created_at"] == 3_600_000
    wanted: dict[str, object] = {"priority": -3, "ttl": 172_800_000, "timeout": 1500, "max_attempts": 4, "backoff": 250}
    wanted |= {"max_backoff": 600_000, "unique_key": "k", "depends_on": [first]}
    assert {name: job[name] for name in wanted} == wanted
    assert "Duplicate job with key: k" in mq("push", queue, "1", "--unique-key", "k", status=1).stderr


def test_push_of_several_arguments_is_one_batch_and_names_the_refused(mq: Mq, wire: Client, queue: str) -> None:
    ended = mq("push", queue, "--text", "one", "two words", "--unique-key", "k", status=1)
    assert "job 2: Duplicate job with key: k" in ended.stderr
    assert len(ended.stdout.split()) == 1
    assert wire.pull(queue)["data"] == "one"


def test_push_reads_lines_of_stdin_and_names_those_that_are_wrong(mq: Mq, wire: Client, queue: str) -> None:
    ended = mq("push", queue, "--json", stdin=b'{"n":1}\n\nnope\n  2  \n"\xff"\nNaN\n[3]', status=1)
    assert ended.json() == {"pushed": 3, "refused": 3}
    assert [line.split(":")[0] for line in ended.stderr.splitlines()] == ["line 3", "line 5", "line 6"]
    assert [wire.pull(queue)["data"] for _ in range(3)] == [{"n": 1}, 2, [3]]
    assert mq("push", queue, "--text", "-", stdin="a b\nc\n").stdout == f"pushed 2 jobs to {queue}\n"
    assert [wire.pull(queue)["data"] for _ in range(2)] == ["a b", "c"]


def test_push_of_a_large_file_keeps_the_order_and_can_begin_later(
    mq: Mq, wire: Client, queue: str, tmp_path: Path
) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text("".join(f"{n}\n" for n in range(2500)), encoding="utf-8")
    mq("push", queue, "--file", str(file), "--from-line", "3")
    jobs = wire.ok("PULLB", queue=queue, count=10_000, timeout=0)["jobs"]
    assert [job["data"] for job in jobs] == list(range(2, 2500))
    assert "No such file" in mq("push", queue, "--file", str(tmp_path / "none"), status=2).stderr


def test_push_draws_a_progress_bar_on_a_terminal(env: dict[str, str], queue: str, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text("1\n" * 5000, encoding="utf-8")
    with terminal("push", queue, "--file", str(file), env=env) as shown:
        assert shown.end() == 0
        assert "pushing to" in shown.text and "jobs" in shown.text
        assert f"pushed 5,000 jobs to {queue}" in shown.text


def test_push_says_what_to_do_about_text(mq: Mq, queue: str) -> None:
    ended = mq("push", queue, "hello", status=2)
    assert "hello is not JSON" in ended.stderr and "--text" in ended.stderr
    assert "exclude each other" in mq("push", queue, "1", "--file", "README.md", status=2).stderr
    assert "no duration" in mq("push", queue, "1", "--delay", "soon", status=2).stderr


def test_push_waits_for_the_result(wire: Client, env: dict[str, str], queue: str) -> None:
    with running("push", queue, "1", "--wait", env=env) as pushing:
        wire.ok("ACK", id=wire.pull(queue, timeout=15_000)["id"], result={"ok": 1.5})
        ended = pushing.end()
    assert (ended.status, ended.stdout) == (0, '{"ok":1.5}\n')


def test_wait_tells_results_failures_and_time_outs(mq: Mq, wire: Client, queue: str) -> None:
    done, dead, open_ = (wire.push(queue, max_attempts=1) for _ in range(3))
    wire.ok("ACK", id=wire.pull(queue)["id"], result="yes")
    wire.ok("FAIL", id=wire.pull(queue)["id"], error="no luck")
    assert mq("wait", str(done)).stdout == '"yes"\n'
    assert f"job {dead} failed: no luck" in mq("wait", str(dead), status=1).stderr
    assert "Timeout" in mq("wait", str(open_), "--timeout", "10ms", status=1).stderr
    assert mq("wait", "9", status=4).stdout == ""


def test_pull_holds_by_a_lease_until_ack_fail_or_release(mq: Mq, wire: Client, queue: str) -> None:
    for n in range(4):
        wire.push(queue, n, max_attempts=1)
    first, second = (line.split("\t") for line in mq("pull", queue, "-n", "2").stdout.splitlines())
    assert (first[1], second[1]) == ("0", "1")
    third = mq("pull", queue, "--json").json()
    assert third["data"] == 2
    assert mq("ack", first[0], "--result", '{"x":1}', "--json").json() == {"id": int(first[0]), "state": "completed"}
    assert wire.ok("GETRESULT", id=int(first[0]))["result"] == {"x": 1}
    assert "among the dead letters" in mq("fail", second[0], "broken").stdout
    assert wire.ok("DLQ", queue=queue)["jobs"][0]["last_error"] == "broken"
    assert mq("release", str(third["id"]), "--token-of-delivery", "wrong", status=1).stderr.startswith(
        "mqfast: Lease lost"
    )
    mq("release", str(third["id"]), "--token-of-delivery", third["token"])
    assert wire.pull(queue)["data"] == 2
    assert f"Job {first[0]} not found" in mq("ack", first[0], status=4).stderr
    assert "quoted twice" in mq("ack", first[0], "--result", "text", status=2).stderr


def test_pull_acknowledges_at_once_if_told_and_says_when_there_is_nothing(mq: Mq, wire: Client, queue: str) -> None:
    wire.push(queue, EXACT)
    assert json.loads(mq("pull", queue, "--ack", "--json").stdout)["data"] == EXACT
    assert wire.counts(queue)["completed"] == 1
    assert "no job came" in mq("pull", queue, status=4).stderr
    assert mq("pull", queue, "--wait", "20ms", status=4).stdout == ""


def test_job_shows_everything_of_a_job(mq: Mq, wire: Client, env: dict[str, str], queue: str) -> None:
    number = wire.push(queue, {"deep": [1, {"x": 2}]}, max_attempts=2, unique_key="key-1")
    wire.pull(queue)
    wire.ok("FAIL", id=number, error="first try")
    assert mq("job", str(number), "--json").json()["errors"][0]["error"] == "first try"
    facts = dict(line.split("\t") for line in mq("job", str(number)).stdout.splitlines())
    assert (facts["queue"], facts["attempts"], facts["unique key"]) == (queue, "1 of 2 failed", "key-1")
    wire.pull(queue)
    wire.ok("ACK", id=number, result=[1])
    assert mq("job", str(number), "--json").json()["result"] == [1]
    with terminal("job", str(number), env=env) as shown:
        assert shown.end() == 0
        for text in ("completed", "key-1", "result", "first try", '"deep"'):
            assert text in shown.text
    assert "there is no job 9:" in mq("job", "9", status=4).stderr


def test_jobs_lists_by_state_with_previews_and_says_when_there_are_more(mq: Mq, wire: Client, queue: str) -> None:
    for n in range(3):
        wire.push(queue, {"n": n, "long": "x" * 1000})
    wire.push(queue, 9, delay=3_600_000)
    held = wire.pull(queue)["id"]
    rows = mq("jobs", queue).rows
    assert [row[1] for row in rows] == ["active", "waiting", "waiting", "delayed"]
    assert rows[0][0] == str(held) and rows[0][5].endswith("…")
    whole = mq("jobs", queue, "--state", "waiting", "--newest", "--json").json()
    assert [job["data"]["n"] for job in whole] == [2, 1]
    ended = mq("jobs", queue, "-n", "2")
    assert len(ended.rows) == 2 and "there are more" in ended.stderr
    assert mq("jobs", queue, "--state", "failed").rows == []


def test_cancel_removes_what_it_can_and_names_the_rest(mq: Mq, wire: Client, queue: str) -> None:
    numbers = [wire.push(queue) for _ in range(2)]
    ended = mq("cancel", *map(str, numbers), "9", "--json", status=4)
    assert ended.json() == {"cancelled": numbers}
    assert "Job 9 not found" in ended.stderr
    assert wire.counts(queue)["pending"] == 0


@pytest.mark.parametrize("number", ["0", "-1", "x", str(2**53)])
def test_what_is_no_id_is_a_usage_error(mq: Mq, number: str) -> None:
    assert mq("job", "--", number, status=2).stdout == ""
