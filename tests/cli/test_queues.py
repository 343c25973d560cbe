"""queues, pause, resume, limits, drain, obliterate, dlq, cron, clients: queues as wholes."""

from tests.cli.conftest import Mq
from tests.cli.program import terminal
from tests.tcp.client import Client


def test_queues_lists_counts_and_finds_by_name(mq: Mq, wire: Client, queue: str) -> None:
    wire.push(f"{queue}-a")
    wire.push(f"{queue}-b")
    wire.push(f"{queue}-b", delay=3_600_000)
    assert [row[:4] for row in mq("queues", f"{queue}-*").rows] == [
        [f"{queue}-a", "1", "0", "0"],
        [f"{queue}-b", "1", "0", "1"],
    ]
    found = mq("queues", f"{queue}-*", "--sort", "delayed", "-n", "1", "--json").json()
    assert [row["name"] for row in found] == [f"{queue}-b"]
    assert mq("queues", "no-such-queue", "--json").json() == []


def test_pause_and_resume_take_several_queues(mq: Mq, wire: Client, queue: str) -> None:
    mq("pause", queue, f"{queue}-2")
    assert wire.ok("ISPAUSED", queue=f"{queue}-2")["paused"] is True
    assert [row["name"] for row in mq("queues", queue, "--filter", "paused", "--json").json()] == [queue, f"{queue}-2"]
    assert mq("resume", queue, "--json").json() == {"queue": queue, "done": "resume"}
    assert wire.ok("ISPAUSED", queue=queue)["paused"] is False


def test_limits_are_set_shown_and_taken_away(mq: Mq, wire: Client, queue: str) -> None:
    wire.push(queue)
    set_all = ("--rate", "5/10s", "--concurrency", "3", "--length", "1")
    assert mq("limits", queue, *set_all).rows == [[queue, "5/10s", "3", "1", "0", "1"]]
    assert "Queue full" in mq("push", queue, "2", status=1).stderr
    row = next(row for row in wire.ok("LISTQUEUES")["queues"] if row["name"] == queue)
    assert (row["rate_limit"], row["rate_duration"], row["concurrency_limit"]) == (5, 10_000, 3)
    assert queue in [row[0] for row in mq("limits").rows]
    mq("limits", queue, "--rate", "none", "--concurrency", "none", "--length", "none")
    assert queue not in [row[0] for row in mq("limits").rows]
    assert "is no rate" in mq("limits", queue, "--rate", "fast", status=2).stderr
    assert "neither a number" in mq("limits", queue, "--concurrency", "x", status=2).stderr
    assert "Invalid" in mq("limits", queue, "--rate", "0/s", status=1).stderr
    assert "say which queue" in mq("limits", "--rate", "1/s", status=2).stderr


def test_drain_and_obliterate_ask_before_they_drop(mq: Mq, wire: Client, env: dict[str, str], queue: str) -> None:
    for _ in range(3):
        wire.push(queue)
    wire.pull(queue)
    assert "--yes" in mq("drain", queue, status=2).stderr
    assert wire.counts(queue)["pending"] == 2
    with terminal("drain", queue, env=env) as asked:
        asked.wait_for(lambda text: "[y/N]" in text)
        asked.type("n\n")
        assert asked.end() == 1
    with terminal("drain", queue, env=env) as asked:
        asked.wait_for(lambda text: "[y/N]" in text)
        asked.type("y\n")
        assert asked.end() == 0
        assert f"dropped 2 jobs of {queue}" in asked.text
    assert wire.counts(queue) == {"pending": 0, "processing": 1, "delayed": 0, "dlq": 0, "completed": 0}
    assert mq("obliterate", queue, "--yes", "--json").json() == {"queue": queue, "dropped": 1}


def kill_some(wire: Client, queue: str, count: int) -> list[int]:
    """Dead letters in a queue; their ids."""
    for n in range(count):
        wire.push(queue, n, max_attempts=1)
    ids = [wire.pull(queue)["id"] for _ in range(count)]
    for number in ids:
        wire.ok("FAIL", id=number, error=f"reason {number}")
    return ids


def test_dlq_counts_lists_retries_and_purges(mq: Mq, wire: Client, queue: str) -> None:
    ids = kill_some(wire, queue, 4)
    assert [queue, "4", "4", "0", "0", "0", "0"] in mq("dlq").rows
    listed = mq("dlq", "list", queue, "-n", "3")
    assert [row[0] for row in listed.rows] == [str(number) for number in ids[:3]]
    assert listed.rows[0][2:] == ["failed", f"reason {ids[0]}", "0"]
    assert mq("dlq", "list", queue, "--reason", "timeout", "--json").json() == []
    assert mq("dlq", "retry", queue, str(ids[0]), "--json").json() == {"queue": queue, "retried": 1}
    assert mq("dlq", "retry", queue, str(ids[0]), status=4).stdout.startswith("put 0 jobs back")
    assert "--yes" in mq("dlq", "purge", queue, str(ids[1]), status=2).stderr
    mq("dlq", "purge", queue, str(ids[1]), "--yes")
    assert mq("dlq", "retry", queue, "--reason", "failed").stdout == f"put 2 jobs back into {queue}\n"
    assert wire.counts(queue)["dlq"] == 0
    kill_some(wire, f"{queue}-2", 2)
    assert mq("dlq", "purge", f"{queue}-2", "--all", "-y").stdout == f"dropped 2 dead letters of {queue}-2\n"


def test_dlq_acts_on_nothing_unless_told_on_what(mq: Mq, queue: str) -> None:
    assert "say which" in mq("dlq", "retry", queue, status=2).stderr
    assert "say which" in mq("dlq", "purge", queue, "5", "--all", "--yes", status=2).stderr


def test_cron_is_added_listed_run_paused_and_removed(mq: Mq, wire: Client, queue: str) -> None:
    name = f"cron-{queue}"
    added = mq("cron", "add", name, "0 3 * * MON", queue, '{"k":1.0}', "--timezone", "Europe/Vienna", "--priority", "7")
    assert f"{name} runs in" in added.stdout
    row = next(row for row in mq("cron").rows if row[0] == name)
    assert (row[1], row[2], row[5], row[7]) == ("0 3 * * MON", "Europe/Vienna", queue, '{"k":1.0}')
    mq("cron", "run", name)
    job = wire.pull(queue)
    assert (job["data"], job["priority"]) == ({"k": 1.0}, 7)
    assert name in [row["name"] for row in mq("cron", "--json").json()]
    mq("cron", "pause", name)
    assert next(row for row in mq("cron", "list", "--json").json() if row["name"] == name)["paused"] is True
    mq("cron", "resume", name)
    mq("cron", "rm", name)
    assert "Cron job not found" in mq("cron", "rm", name, status=4).stderr
    assert "Invalid" in mq("cron", "add", name, "61 * * * *", queue, status=1).stderr
    assert "not JSON" in mq("cron", "add", name, "@daily", queue, "x", status=2).stderr


def test_clients_shows_who_is_connected(mq: Mq, wire: Client, queue: str) -> None:
    wire.push(queue)
    wire.pull(queue)
    held = [row for row in mq("clients", "--json").json() if row["holds"]]
    assert [row["holds"] for row in held] == [1]
    assert len(mq("clients").rows) >= 2
