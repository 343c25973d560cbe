"""stats, the live screen, events, bench."""

import json
import os
import shlex
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Mq
from tests.cli.program import running, subscribers, terminal, until, url_of
from tests.tcp.client import Client
from tests.tcp.fixtures import StartDaemon


def test_stats_tells_counts_rates_and_percentiles(mq: Mq, wire: Client, queue: str) -> None:
    wire.push(queue)
    before = mq("stats", "--json").json()
    wire.push(queue)
    after = mq("stats", "--json").json()
    assert after["queued"] == before["queued"] + 1
    assert after["metrics"]["total_pushed"] == before["metrics"]["total_pushed"] + 1
    names = [line.split("\t")[0] for line in mq("stats").stdout.splitlines()]
    assert {"ready", "pushed", "in queue", "memory", "log"} <= set(names)


def test_watch_in_a_pipe_is_lines_without_end(env: dict[str, str]) -> None:
    with running("stats", "--watch", "--json", "--interval", "100ms", env=env) as watching:
        first, second = (json.loads(watching.line()) for _ in range(2))
        assert "metrics" in first and "metrics" in second
        watching.signal(signal.SIGINT)
        assert watching.end().status == 130
    with running("stats", "--watch", "--interval", "100ms", env=env) as watching:
        words = shlex.split(watching.line())
    assert words[0].startswith("ready=") and all("=" in word for word in words), "each is a name and its value"
    assert "pushed" in " ".join(words) and any(word.startswith("completed=") and "/s now" in word for word in words)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 50), (40, 10)])
def test_live_screen_shows_queues_takes_keys_and_gives_the_terminal_back(
    start_daemon: StartDaemon, columns: int, rows: int
) -> None:
    daemon = start_daemon()
    with daemon.connect() as wire:
        wire.push("screen-queue")
        wire.ok("RATELIMIT", queue="screen-queue", limit=5)
    env = {"MQ_URL": url_of(daemon)}
    with terminal("stats", "--watch", "--interval", "100ms", env=env, columns=columns, rows=rows) as screen:
        screen.wait_for(lambda text: "screen-q" in text and "READY▾" in text)
        assert not screen.is_cooked
        assert ("completed" in screen.text) == (rows > 18)
        for _ in range(7):
            screen.type("s")
        screen.wait_for(lambda text: "QUEUE▾" in text)
        screen.type(" ")
        screen.wait_for(lambda text: "held" in text)
        screen.type("q")
        assert screen.end() == 0
        assert screen.is_cooked
        assert "\x1b[?1049h" in screen.text and screen.text.rstrip().endswith("\x1b[?25h\x1b[?1049l")


def test_live_screen_waits_for_a_daemon_that_went_and_ends_by_signals(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    first = start_daemon("--unix-socket", str(tmp_path / "s"))
    env = {"MQ_URL": f"unix://{first.unix}"}
    with terminal("stats", "--watch", "--interval", "100ms", env=env) as screen:
        screen.wait_for(lambda text: "no queues yet" in text)
        first.stop()
        screen.wait_for(lambda text: "no connection" in text)
        start_daemon("--unix-socket", str(tmp_path / "s"))
        seen = len(screen.text)
        screen.wait_for(lambda text: "no queues yet" in text[seen:])
        os.kill(screen.process.pid, signal.SIGTERM)
        assert screen.end() == 0
        assert screen.is_cooked
        assert screen.text.rstrip().endswith("\x1b[?25h\x1b[?1049l")


def test_events_are_printed_as_they_happen(wire: Client, env: dict[str, str], queue: str) -> None:
    with running("events", queue, "--json", "-n", "2", "-e", "pushed", "-e", "completed", env=env) as following:
        until(lambda: subscribers(wire) > 0)
        number = wire.push(queue)
        assert json.loads(following.line()) == {"event": "pushed", "queue": queue, "job": number, "seq": 1}
        wire.ok("ACK", id=wire.pull(queue)["id"])
        assert json.loads(following.line())["event"] == "completed"
        assert following.end().status == 0
    with running("events", env=env) as following:
        until(lambda: subscribers(wire) > 0)
        number = wire.push(queue)
        assert following.line().split(" ")[1:] == ["pushed", str(number), queue]
        following.signal(signal.SIGINT)
        assert following.end().status == 130


def test_events_go_on_after_a_restart_only_if_told_to_follow(start_daemon: StartDaemon, tmp_path: Path) -> None:
    first = start_daemon("--unix-socket", str(tmp_path / "s"))
    env = {"MQ_URL": f"unix://{first.unix}"}
    with running("events", env=env) as once, running("events", "--follow", "--json", env=env) as following:
        with first.connect() as wire:
            until(lambda: subscribers(wire) == 2)
        first.stop()
        ended = once.end()
        assert (ended.status, "was lost" in ended.stderr) == (3, True)
        assert "trying again" in following.line("stderr")
        second = start_daemon("--unix-socket", str(tmp_path / "s"))
        while following.line("stderr") != "connected again":
            pass
        with second.connect() as wire:
            wire.push("q")
        assert json.loads(following.line())["event"] == "pushed"


@pytest.mark.parametrize("mode", ["push", "pull", "cycle"])
@pytest.mark.parametrize("shape", [[], ["--pipeline", "8", "--connections", "2"], ["--batch", "10", "-p", "2"]])
def test_bench_measures_and_leaves_nothing_behind(mq: Mq, wire: Client, mode: str, shape: list[str]) -> None:
    ended = mq("bench", mode, "--json", "--jobs", "200", "--time", "20s", *shape)
    facts = ended.json()
    assert facts["jobs"] >= 200 and facts["refused"] == 0
    assert sum(facts["jobs_by_tenth_of_a_second"]) == facts["jobs"]
    kinds = {"push": ["push"], "pull": ["pull", "ack"], "cycle": ["push", "pull", "ack"]}[mode]
    assert sorted(facts["latency_us"]) == sorted(kinds)
    for latency in facts["latency_us"].values():
        assert 0 < latency["p50"] <= latency["p99"] <= latency["max"]
    assert not [row for row in wire.ok("LISTQUEUES")["queues"] if row["name"].startswith("bench-")]


def test_bench_draws_its_report_on_a_terminal(env: dict[str, str]) -> None:
    with terminal("bench", "--time", "400ms", env=env) as shown:
        assert shown.end() == 0
        for text in ("jobs a second", "ANSWERS TO", "p99", "≤", "█"):
            assert text in shown.text


def test_bench_tells_of_refusals(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--max-job-bytes", "50")
    host, port = daemon.tcp or ("", 0)
    with running("bench", "push", "-n", "10", "--url", f"mq://{host}:{port}", env={}) as bench:
        ended = bench.end()
    assert ended.status == 1
    assert "requests were refused" in ended.stderr
