"""SUBSCRIBE: which events are told, to whom, and what `seq` promises. Fields and refusals are in the transcripts."""

from __future__ import annotations

import json
import threading
from collections import Counter

import pytest

from mqfast._engine import Engine
from tests.tcp.client import check_refusal, encode
from tests.tcp.daemon_process import Daemon
from tests.tcp.ear import Ear
from tests.tcp.fixtures import Connect, StartDaemon, unique_name

PONG = {"ok": True, "pong": True}
HOUR_MS = 3_600_000


@pytest.fixture
def ear(connect: Connect) -> Ear:
    return Ear(connect())


# Each event


def test_the_life_of_a_job_is_told_step_by_step(connect: Connect, ear: Ear, queue: str) -> None:
    client = connect()
    ear.subscribe(queue)
    job_id = client.push(queue, max_attempts=2)
    client.pull(queue)
    client.ok("PROGRESS", id=job_id, progress=50, message="half")
    client.ok("FAIL", id=job_id, error="no")
    client.pull(queue)
    client.ok("ACK", id=job_id)
    kinds = ("pushed", "active", "progress", "retrying", "active", "completed")
    ear.hears(*((kind, job_id) for kind in kinds))


def test_a_line_is_made_of_event_queue_job_and_seq(connect: Connect, queue: str) -> None:
    listener, client = connect(), connect()
    listener.ok("SUBSCRIBE", queue=queue, events=["pushed"])
    job_id = client.push(queue, {"secret": 1})
    assert listener.receive() == {"event": "pushed", "queue": queue, "job": job_id, "seq": 1}


@pytest.mark.parametrize("fields", [{}, {"delay": HOUR_MS}], ids=["ready", "delayed"])
def test_pushed_by_push_and_by_each_job_of_a_batch(
    connect: Connect, ear: Ear, queue: str, fields: dict[str, object]
) -> None:
    client = connect()
    ear.subscribe(queue, "pushed")
    one = client.push(queue, **fields)
    jobs = [{"data": 1, **fields}, {"data": 2, "priority": "refused"}, {"data": 3, **fields}]
    first, refused, last = client.ok("PUSHB", queue=queue, jobs=jobs)["ids"]
    assert refused == 0
    client.refusal("PUSH", queue=queue)
    waiting = client.push(queue, depends_on=[last])
    ear.hears(("pushed", one), ("pushed", first), ("pushed", last), ("pushed", waiting))


def test_active_by_every_kind_of_pull(connect: Connect, ear: Ear, queue: str) -> None:
    client, worker = connect(), connect()
    ear.subscribe(queue, "active")
    ids = [client.push(queue, n) for n in range(4)]
    worker.pull(queue)
    worker.pull(queue, lease=60_000)
    worker.ok("PULLB", queue=queue, count=2)
    worker.park(queue, "r")
    ids.append(client.push(queue))
    assert worker.receive()["job"]["id"] == ids[4]
    worker.park(queue, "r", cmd="PULLB", count=2)
    ids.append(client.push(queue))
    assert worker.receive()["jobs"][0]["id"] == ids[5]
    ear.hears(*(("active", job_id) for job_id in ids))


def test_completed_by_ack_and_by_each_job_of_a_batch(connect: Connect, ear: Ear, queue: str) -> None:
    client = connect()
    ear.subscribe(queue, "completed")
    ids = [client.push(queue, n) for n in range(4)]
    client.ok("PULLB", queue=queue, count=4)
    client.ok("ACK", id=ids[1])
    client.ok("ACKB", ids=[ids[3], ids[1], ids[3], ids[0]])
    client.refusal("ACK", id=ids[1])
    client.ok("ACK", id=ids[2])
    ear.hears(*(("completed", ids[n]) for n in (1, 3, 0, 2)))


def test_failed_and_retrying_by_fail(connect: Connect, ear: Ear, queue: str) -> None:
    client = connect()
    ear.subscribe(queue, "failed", "retrying")
    job_id, other = client.push(queue, max_attempts=2, priority=1), client.push(queue)
    client.pull(queue)
    client.ok("FAIL", id=job_id)
    client.pull(queue)
    client.ok("FAIL", id=job_id)
    client.pull(queue)
    client.ok("FAIL", id=other, unrecoverable=True)
    ear.hears(("retrying", job_id), ("failed", job_id), ("failed", other))


def test_a_timed_out_job_is_told_as_timeout_and_then_as_what_becomes_of_it(
    connect: Connect, ear: Ear, queue: str
) -> None:
    client = connect()
    ear.subscribe(queue, "timeout", "retrying", "failed", "active", "stalled")
    job_id = client.push(queue, timeout=30, max_attempts=2)
    client.pull(queue)
    ear.hears(("active", job_id), ("timeout", job_id), ("retrying", job_id))
    client.pull(queue, timeout=10_000)
    ear.hears(("active", job_id), ("timeout", job_id), ("failed", job_id))


def test_expired_by_a_ttl_waiting_delayed_or_behind_a_dependency(connect: Connect, ear: Ear, queue: str) -> None:
    client = connect()
    ear.subscribe(queue, "expired", "cancelled", "failed")
    parent = client.push(queue)
    ids = [client.push(queue, ttl=60), client.push(queue, ttl=60, delay=HOUR_MS)]
    ids.append(client.push(queue, ttl=60, depends_on=[parent]))
    assert {ear.next() for _ in ids} == {("expired", job_id) for job_id in ids}


def test_cancelled_by_cancel_drain_and_obliterate(connect: Connect, ear: Ear, queue: str) -> None:
    client = connect()
    ear.subscribe(queue, "cancelled")
    pending, held, delayed = client.push(queue, priority=-1), client.push(queue), client.push(queue, delay=HOUR_MS)
    assert client.pull(queue)["id"] == held
    for job_id in (held, pending, delayed):
        client.ok("CANCEL", id=job_id)
    client.refusal("CANCEL", id=held)
    ear.hears(("cancelled", held), ("cancelled", pending), ("cancelled", delayed))
    for cmd in ("DRAIN", "OBLITERATE"):
        first = client.push(queue)
        ids = {first, client.push(queue, delay=HOUR_MS), client.push(queue, depends_on=[first])}
        client.ok(cmd, queue=queue)
        assert {ear.next() for _ in ids} == {("cancelled", job_id) for job_id in ids}


def test_a_dependent_whose_dependency_is_dropped_is_told_as_failed(connect: Connect, ear: Ear, queue: str) -> None:
    client = connect()
    ear.subscribe(queue)
    first = client.push(unique_name())
    second = client.push(queue, depends_on=[first])
    client.ok("CANCEL", id=first)
    ear.hears(("pushed", second), ("failed", second))


def test_progress_each_time(connect: Connect, ear: Ear, queue: str) -> None:
    client = connect()
    ear.subscribe(queue, "progress")
    job_id = client.push(queue)
    client.refusal("PROGRESS", id=job_id, progress=1)
    client.pull(queue)
    for percent in (1, 1, 100):
        client.ok("PROGRESS", id=job_id, progress=percent)
    ear.hears(*[("progress", job_id)] * 3)


@pytest.mark.parametrize("end", ["close", "reset", "end_input"])
def test_stalled_when_the_workers_connection_ends(connect: Connect, ear: Ear, queue: str, end: str) -> None:
    client, worker = connect(), connect()
    ear.subscribe(queue, "stalled", "retrying", "failed")
    ids = {client.push(queue, n) for n in range(3)}
    worker.ok("PULLB", queue=queue, count=3)
    getattr(worker, end)()
    assert {ear.next() for _ in ids} == {("stalled", job_id) for job_id in ids}


def test_stalled_when_a_lease_ends(connect: Connect, ear: Ear, queue: str) -> None:
    client = connect()
    ear.subscribe(queue, "stalled", "retrying", "timeout")
    job_id = client.push(queue)
    client.pull(queue, lease=30)
    ear.hears(("stalled", job_id))


def test_stalled_and_failed_by_the_last_loss(daemon_with: StartDaemon, queue: str) -> None:
    daemon = daemon_with("--max-deliveries", "2")
    with daemon.connect() as client, daemon.connect() as listener:
        ear = Ear(listener).subscribe(queue, "stalled", "failed", "retrying")
        job_id = client.push(queue)
        for _ in range(2):
            with daemon.connect() as worker:
                worker.pull(queue, timeout=10_000)
        ear.hears(("stalled", job_id), ("stalled", job_id), ("failed", job_id))


def test_what_is_no_event_is_not_told(connect: Connect, ear: Ear, queue: str) -> None:
    client = connect()
    first, second = client.push(queue), client.push(queue)
    client.ok("PULLB", queue=queue, count=2)
    ear.subscribe(queue)
    client.ok("HEARTBEAT", id=first)
    client.ok("RELEASE", id=first)
    client.ok("FAIL", id=second, unrecoverable=True)
    client.ok("RETRYDLQ", queue=queue)
    client.ok("PULLB", queue=queue, count=2)
    client.ok("FAIL", id=second, unrecoverable=True)
    client.ok("PURGEDLQ", queue=queue)
    client.ok("ACK", id=first)
    for cmd in ("PAUSE", "RESUME", "CLEARCONCURRENCY", "RATELIMITCLEAR", "ISPAUSED", "DLQ"):
        client.ok(cmd, queue=queue)
    last = client.push(queue)
    assert ear.next() == ("failed", second)
    assert {ear.next(), ear.next()} == {("active", first), ("active", second)}
    ear.hears(("failed", second), ("completed", first), ("pushed", last))


def test_the_release_of_a_dependent_is_no_event(connect: Connect, ear: Ear, queue: str) -> None:
    client = connect()
    ear.subscribe(queue)
    first = client.push(queue)
    second = client.push(queue, depends_on=[first])
    client.pull(queue)
    client.ok("ACK", id=first)
    client.pull(queue, timeout=10_000)
    client.ok("ACK", id=second)
    ear.hears(("pushed", first), ("pushed", second), ("active", first), ("completed", first))
    ear.hears(("active", second), ("completed", second))


def test_a_cron_run_by_hand_is_told_as_pushed(connect: Connect, ear: Ear, queue: str) -> None:
    client = connect()
    ear.subscribe(queue)
    client.ok("CRON", name=queue, queue=queue, data=1, schedule="@yearly")
    client.ok("CRONRUN", name=queue)
    job_id = client.pull(queue)["id"]
    client.ok("CRONDELETE", name=queue)
    ear.hears(("pushed", job_id), ("active", job_id))


# Who is told


def test_only_the_queues_and_events_subscribed_to_are_told(connect: Connect, ear: Ear, queue: str) -> None:
    client, other = connect(), unique_name()
    ear.subscribe(queue, "completed", "pushed")
    for name in (other, queue, other, queue):
        job_id = client.push(name)
        client.pull(name)
        client.ok("ACK", id=job_id)
        if name == queue:
            ear.hears(("pushed", job_id), ("completed", job_id))


def test_a_star_is_every_queue_known_and_new(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    with daemon.connect() as client, daemon.connect() as listener:
        client.push("known")
        ear = Ear(listener).subscribe("*", "pushed")
        names = ["known", "new", "*", "é", "new"]
        ids = [client.push(name) for name in names]
        lines = [ear.check(listener.receive()) for _ in names]
        assert sorted((line["job"], line["queue"]) for line in lines) == sorted(zip(ids, names, strict=True))


def test_an_event_that_several_subscriptions_match_is_told_once(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    with daemon.connect() as client, daemon.connect() as listener:
        ear = Ear(listener).subscribe("*", "pushed", "completed").subscribe("q", "pushed", "active").subscribe("r")
        for name in ("q", "other"):
            job_id = client.push(name)
            client.pull(name)
            client.ok("ACK", id=job_id)
            if name == "q":
                ear.hears(("pushed", job_id), ("active", job_id), ("completed", job_id))
            else:
                ear.hears(("pushed", job_id), ("completed", job_id))


def test_a_second_subscription_to_a_queue_replaces_the_first(connect: Connect, ear: Ear, queue: str) -> None:
    client = connect()
    ear.subscribe(queue, "pushed").subscribe(queue, "active", "completed")
    job_id = client.push(queue)
    client.pull(queue)
    ear.hears(("active", job_id))
    ear.subscribe(queue, "pushed")
    client.ok("ACK", id=job_id)
    last = client.push(queue)
    ear.hears(("pushed", last))


def test_unsubscribing_from_one_queue_leaves_the_others(connect: Connect, ear: Ear, queue: str) -> None:
    client, other = connect(), unique_name()
    ear.subscribe(queue).subscribe(other)
    ear.client.ok("UNSUBSCRIBE", queue=queue)
    client.push(queue)
    ear.hears(("pushed", client.push(other)))


def test_single_events_may_be_taken_out_of_a_subscription(connect: Connect, ear: Ear, queue: str) -> None:
    client = connect()
    ear.subscribe(queue)
    ear.client.ok("UNSUBSCRIBE", queue=queue, events=["pushed", "active"])
    job_id = client.push(queue)
    client.pull(queue)
    client.ok("ACK", id=job_id)
    ear.hears(("completed", job_id))
    ear.subscribe(queue, "pushed", "active")
    ear.client.ok("UNSUBSCRIBE", queue=queue, events=["completed", "pushed"])
    job_id = client.push(queue)
    client.pull(queue)
    ear.hears(("active", job_id))
    ear.client.ok("UNSUBSCRIBE", queue=queue, events=["active"])
    client.push(queue)
    ear.client.ping()
    assert not ear.client.has_answer(0.02)


def test_a_queue_unsubscribed_from_is_still_told_to_a_star(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    with daemon.connect() as client, daemon.connect() as listener:
        ear = Ear(listener).subscribe("*", "pushed").subscribe("q", "active")
        listener.ok("UNSUBSCRIBE", queue="q")
        ear.hears(("pushed", client.push("q")))
        client.pull("q")
        ear.subscribe("q", "active")
        listener.ok("UNSUBSCRIBE", queue="*")
        job_id = client.push("q")
        client.pull("q")
        ear.hears(("active", job_id))


def test_seq_goes_on_through_changes_of_the_subscriptions(connect: Connect, ear: Ear, queue: str) -> None:
    client, other = connect(), unique_name()
    for _ in range(5):
        ear.subscribe(queue, "pushed").subscribe(other, "pushed")
        ear.hears(("pushed", client.push(queue)))
        ear.hears(("pushed", client.push(other)))
        ear.client.ok("UNSUBSCRIBE", queue=other)
        client.push(other)
        ear.hears(("pushed", client.push(queue)))
        ear.client.ok("UNSUBSCRIBE", queue=queue)
    assert ear.seq == 15


def test_what_happened_before_the_subscription_is_not_told(connect: Connect, ear: Ear, queue: str) -> None:
    client = connect()
    for _ in range(100):
        client.push(queue)
        ear.subscribe(queue, "pushed")
        ear.hears(("pushed", client.push(queue)))
        ear.client.ok("UNSUBSCRIBE", queue=queue)


def test_a_connection_may_have_a_thousand_subscriptions(connect: Connect, ear: Ear) -> None:
    client, names = connect(), [unique_name() for _ in range(1001)]
    for name in names[:1000]:
        ear.subscribe(name, "pushed")
    answer = check_refusal(ear.client.call("SUBSCRIBE", queue=names[1000], events=["pushed"]), "unavailable")
    assert answer["retryable"] is True
    client.push(names[1000])
    ear.subscribe(names[0], "pushed", "active")
    ear.hears(("pushed", client.push(names[999])), ("pushed", client.push(names[0])))
    ear.client.ok("UNSUBSCRIBE", queue=names[500])
    ear.subscribe(names[1000], "pushed")
    ear.hears(("pushed", client.push(names[1000])))


def test_two_hundred_subscribers_all_hear_everything(connect: Connect, queue: str) -> None:
    client, ears = connect(), [Ear(connect()).subscribe(queue) for _ in range(200)]
    expected = []
    for number in range(40):
        job_id = client.push(queue, number)
        client.pull(queue)
        client.ok("ACK", id=job_id)
        expected += [(kind, job_id) for kind in ("pushed", "active", "completed")]
    for ear in ears:
        ear.hears(*expected)
    for ear in ears:
        ear.client.ping()
        assert not ear.client.has_answer()


def test_subscribers_that_go_do_not_concern_the_others(connect: Connect, queue: str) -> None:
    client, stays = connect(), Ear(connect()).subscribe(queue, "pushed")
    for number in range(60):
        goes = Ear(connect()).subscribe(queue, "pushed")
        if number % 2:
            goes.client.reset()
        else:
            goes.client.close()
        stays.hears(("pushed", client.push(queue)))


def test_every_event_of_many_workers_is_told_in_the_order_of_each_job(daemon: Daemon, ear: Ear, queue: str) -> None:
    ear.subscribe(queue)

    def work(worker: int) -> None:
        with daemon.connect("unix" if worker % 2 else "tcp") as client:
            for number in range(100):
                client.push(queue, number)
                job = client.pull(queue, timeout=10_000)
                client.ok("PROGRESS", id=job["id"], progress=number)
                client.ok("ACK", id=job["id"])

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(8)]
    for thread in threads:
        thread.start()
    lives: dict[int, list[str]] = {}
    for _ in range(8 * 100 * 4):
        kind, job_id = ear.next()
        lives.setdefault(job_id, []).append(kind)
    for thread in threads:
        thread.join(30)
    assert len(lives) == 800
    assert Counter(map(tuple, lives.values())) == {("pushed", "active", "progress", "completed"): 800}


@pytest.mark.parametrize(
    "hostile",
    ['"', "\\", "\n", "\r\n", "\x00\x1f\x7f", 'a","event":"x', "é😀", "\u2028\u2029", "</script>", "\ufeff", "x" * 250],
)
def test_names_of_queues_come_back_as_they_are(connect: Connect, ear: Ear, queue: str, hostile: str) -> None:
    client, name = connect(), hostile + queue[-5:]
    ear.subscribe(name, "pushed")
    job_id = client.push(name)
    line = ear.check(ear.client.receive())
    assert (line["queue"], line["job"]) == (name, job_id)


# Events among the answers of a connection


@pytest.mark.parametrize("req_id", [{}, {"reqId": "r"}], ids=["without reqId", "with reqId"])
def test_events_come_while_a_pull_waits_on_the_same_connection(
    connect: Connect, ear: Ear, queue: str, req_id: dict[str, str]
) -> None:
    client, elsewhere = connect(), unique_name()
    ear.subscribe(queue, "pushed")
    ear.client.send("PULL", queue=elsewhere, **req_id)
    ear.client.send("WAITJOB", id=client.push(elsewhere, "held", delay=HOUR_MS), **req_id)
    for _ in range(20):
        ear.hears(("pushed", client.push(queue)))
    client.push(elsewhere, "wanted")
    assert ear.client.receive()["job"]["data"] == "wanted"


def test_what_a_connection_does_itself_is_told_to_it_too(connect: Connect, queue: str) -> None:
    client = connect()
    lines = [encode("SUBSCRIBE", queue=queue, events=[]), encode("PUSH", queue=queue, data=1)]
    client.send_bytes(b"".join(lines) + encode("PULL", queue=queue, timeout=0) + encode("PING"))
    received = [client.receive() for _ in range(6)]
    assert received[0] == {"ok": True}
    answers = [line for line in received if "ok" in line]
    ear = Ear(client)
    told = [ear.check(line)["event"] for line in received if "ok" not in line]
    assert answers[1]["id"] == answers[2]["job"]["id"]
    assert (len(answers), answers[3], told) == (4, PONG, ["pushed", "active"])


def test_a_puller_that_listens_gets_its_job_and_its_events(connect: Connect, ear: Ear, queue: str) -> None:
    client = connect()
    ear.subscribe(queue, "pushed", "active")
    for _ in range(50):
        ear.client.send("PULL", queue=queue)
        job_id = client.push(queue)
        lines = [ear.client.receive() for _ in range(3)]
        assert [line["job"]["id"] for line in lines if "ok" in line] == [job_id]
        assert [ear.check(line)["event"] for line in lines if "ok" not in line] == ["pushed", "active"]
        ear.client.ok("ACK", id=job_id)


def test_events_stand_between_large_answers_never_in_them(connect: Connect, ear: Ear, queue: str) -> None:
    client, large = connect(), unique_name()
    for number in range(8):
        client.push(large, str(number) * 100_000)
    ear.subscribe(queue, "pushed")
    ear.client.send_bytes(encode("PULL", queue=large, timeout=0) * 8)
    ids = [client.push(queue) for _ in range(500)]
    lines = [ear.client.receive() for _ in range(508)]
    assert [line["job"]["data"][0] for line in lines if "ok" in line] == list("01234567")
    assert [ear.check(line)["job"] for line in lines if "ok" not in line] == ids


# Ends


def test_a_half_closed_subscriber_gets_its_answers_and_whole_lines(connect: Connect, queue: str) -> None:
    client, listener = connect(), connect()
    listener.send_bytes(encode("SUBSCRIBE", queue=queue, events=[]) + encode("PING"))
    listener.end_input()
    assert [listener.receive(), listener.receive()] == [{"ok": True}, PONG]
    ear, ids = Ear(listener), [client.push(queue) for _ in range(50)]
    heard: list[int] = []
    try:  # whether events go on or the connection ends is open; not both, and nothing is cut
        while len(heard) < 50:
            heard.append(ear.next()[1])
    except ConnectionError as end:
        assert "unfinished line: b''" in str(end)
    assert heard == ids[: len(heard)]
    assert client.ok("PULLB", queue=queue, count=99)["jobs"][-1]["id"] == ids[-1]


def test_stopping_ends_a_subscription_behind_a_whole_line(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    with daemon.connect() as listener, daemon.connect() as client:
        ear = Ear(listener).subscribe("*")
        ids = client.ok("PUSHB", queue="q", jobs=[{"data": n} for n in range(1000)])["ids"]
        assert ear.next() == ("pushed", ids[0])
        daemon.stop()
        lines = listener.receive_to_end()
        assert [ear.check(line)["job"] for line in lines] == ids[1 : len(lines) + 1]


def test_the_totals_of_metrics_are_what_the_events_tell(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    with daemon.connect() as client, daemon.connect() as listener:
        ear = Ear(listener).subscribe("*")
        client.push("t", timeout=30, max_attempts=2, backoff=HOUR_MS)
        client.pull("t")
        client.push("e", ttl=30)
        for number in range(8):
            job_id = client.push("q", number)
            client.pull("q")
            client.ok("ACK" if number < 4 else "FAIL", id=job_id, **({} if number < 4 else {"unrecoverable": True}))
        client.ok("CANCEL", id=client.push("c"))
        job_id = client.push("q")
        client.pull("q")
        client.ok("FAIL", id=job_id)
        with daemon.connect() as worker:
            worker.pull("q")
        expected = {"pushed": 12, "active": 11, "completed": 4, "failed": 4, "retrying": 2, "timeout": 1}
        expected |= {"expired": 1, "cancelled": 1, "stalled": 1}
        assert Counter(ear.next()[0] for _ in range(sum(expected.values()))) == expected
        metrics = client.ok("METRICS")["metrics"]
        totals = {name.removeprefix("total_"): n for name, n in metrics.items() if name.startswith("total_")}
        names = ("pushed", "completed", "expired", "cancelled", "stalled")
        assert totals == {name: expected[name] for name in names} | {"timed_out": 1, "failed": 5, "retried": 2}


def test_called_from_within_the_process_there_is_nobody_to_tell() -> None:
    engine = Engine()
    answer = json.loads(engine.execute(b'{"cmd":"SUBSCRIBE","queue":"q","events":[]}'))
    check_refusal(answer, "not_supported")
    engine.close()
