"""Crons of a running daemon: that they fire, when, and what stops them. Fields and refusals are in the transcripts.

What is waited for are whole seconds, the shortest schedule; each wait is for a job that has to come. Where none may
come, another cron that fires each second tells that the time is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.tcp.client import Answer, Client, check_refusal
from tests.tcp.daemon_process import Daemon
from tests.tcp.ear import Ear
from tests.tcp.fixtures import StartDaemon
from tests.tcp.waiting import eventually, now_ms

SOON_MS = 10_000
CLOCKS_MS = 20
"""How far apart this process's clock and the daemon's may be."""

YEARLY = "@yearly"
NEVER = "*/31536000"


@pytest.fixture
def client(start_daemon: StartDaemon) -> Iterator[Client]:
    """A connection to a daemon without other crons and queues."""
    with start_daemon().connect() as connection:
        yield connection


def define(client: Client, name: str, schedule: str = "*/1", **fields: object) -> None:
    assert client.ok("CRON", **{"name": name, "queue": name, "data": 1, "schedule": schedule, **fields}) == {"ok": True}


def shown(client: Client, name: str) -> Answer:
    (row,) = [row for row in client.ok("CRONLIST")["crons"] if row["name"] == name]
    assert isinstance(row, dict)
    return row


def take(client: Client, queue: str, count: int = 1) -> list[Answer]:
    """The next jobs of the queue, each waited for and acknowledged."""
    jobs = []
    for _ in range(count):
        jobs.append(client.pull(queue, timeout=SOON_MS))
        client.ok("ACK", id=jobs[-1]["id"])
    return jobs


def until_run_after(client: Client, name: str, last_run: int) -> None:
    eventually(lambda: shown(client, name)["last_run"] or 0, lambda run: run > last_run)


def seconds_pass(client: Client, count: int) -> None:
    """At least so many seconds, as a cron of its own tells."""
    define(client, "clock")
    take(client, "clock", count)
    client.ok("CRONDELETE", name="clock")


# Firing


def test_a_cron_of_each_second_fires_at_each_second_from_its_definition(client: Client) -> None:
    before = now_ms()
    define(client, "c", data={"n": 1}, priority=3)
    after = now_ms()
    row = shown(client, "c")
    if row["last_run"] is None:  # else it has fired since
        assert before + 1000 - CLOCKS_MS <= row["next_run"] <= after + 1000 + CLOCKS_MS
    jobs = take(client, "c", 3)
    assert [(job["data"], job["priority"], job["queue"]) for job in jobs] == [({"n": 1}, 3, "c")] * 3
    for second, job in enumerate(jobs, 1):
        assert job["created_at"] >= before + 1000 * second - CLOCKS_MS, "none before its second"


def test_last_run_and_next_run_are_exact_multiples_of_a_second_from_the_first(client: Client) -> None:
    define(client, "c")
    first = shown(client, "c")["next_run"]
    seen: set[int] = set()
    while len(seen) < 3:
        assert len(take(client, "c")) == 1
        row = shown(client, "c")
        assert (row["last_run"] - first) % 1000 == 0
        assert (row["next_run"] - first) % 1000 == 0
        assert row["last_run"] < row["next_run"]
        assert row["last_run"] >= max(seen, default=0)
        seen.add(row["last_run"])


def test_a_parked_puller_gets_the_job_of_a_cron(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    with daemon.connect() as client, daemon.connect() as worker, daemon.connect() as listener:
        ear = Ear(listener).subscribe("c", "pushed", "active")
        worker.park("c", "r")
        define(client, "c")
        job_id = worker.receive()["job"]["id"]
        ear.hears(("pushed", job_id), ("active", job_id))


def test_many_crons_fire_each_for_itself(client: Client) -> None:
    names = [f"cron {number}" for number in range(50)]
    for number, name in enumerate(names):
        define(client, name, data=number)
    for number, name in enumerate(names):
        (job,) = take(client, name)
        assert (job["data"], job["queue"]) == (number, name)
    assert [row["name"] for row in client.ok("CRONLIST")["crons"]] == sorted(names)


def test_several_crons_may_push_to_one_queue(client: Client) -> None:
    for name in ("a", "b", "c"):
        define(client, name, queue="q", data=name)
    seen: set[str] = set()
    while seen != {"a", "b", "c"}:
        seen.add(take(client, "q")[0]["data"])


def test_a_cron_in_fields_with_seconds_fires_on_the_second(client: Client) -> None:
    define(client, "c", "* * * * * *")
    take(client, "c", 2)
    assert shown(client, "c")["last_run"] % 1000 == 0
    assert shown(client, "c")["next_run"] % 1000 == 0


def test_setting_an_equal_definition_again_and_again_does_not_put_it_off(client: Client) -> None:
    def set_and_pull() -> Answer | None:
        define(client, "c", data={"a": [1]}, max_attempts=2)
        job: Answer | None = client.ok("PULL", queue="c", timeout=50)["job"]
        return job

    assert eventually(set_and_pull, lambda job: job is not None)


def test_a_changed_definition_fires_with_what_is_new(client: Client) -> None:
    define(client, "c", data="old")
    assert take(client, "c")[0]["data"] == "old"
    last = shown(client, "c")["last_run"]
    define(client, "c", data="new", queue="d")
    assert shown(client, "c")["last_run"] >= last
    assert take(client, "d")[0]["data"] == "new"


# Stopping


def test_a_paused_cron_stops_and_goes_on_when_resumed(client: Client) -> None:
    define(client, "c")
    take(client, "c")
    client.ok("CRONPAUSE", name="c")
    assert (shown(client, "c")["paused"], shown(client, "c")["next_run"]) == (True, None)
    client.ok("DRAIN", queue="c")
    seconds_pass(client, 2)
    assert client.nothing_to_pull("c")
    before = now_ms()
    client.ok("CRONRESUME", name="c")
    (job,) = take(client, "c")
    assert job["created_at"] >= before + 1000 - CLOCKS_MS, (
        "it counts from the resumption, and what was missed is not made up for"
    )
    assert shown(client, "c")["paused"] is False


def test_what_is_deleted_or_defined_as_paused_does_not_fire(client: Client) -> None:
    define(client, "paused", paused=True)
    define(client, "deleted")
    take(client, "deleted")
    client.ok("CRONDELETE", name="deleted")
    client.ok("DRAIN", queue="deleted")
    seconds_pass(client, 2)
    assert client.nothing_to_pull("paused")
    assert client.nothing_to_pull("deleted")
    assert shown(client, "paused")["last_run"] is None
    assert [row["name"] for row in client.ok("CRONLIST")["crons"]] == ["paused"]


def test_the_daemon_stops_cleanly_with_crons(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    with daemon.connect() as client:
        for number in range(20):
            define(client, f"{number}", "*/1" if number % 2 else YEARLY)
        take(client, "1")
    daemon.stop()


# Overlap


def test_with_overlap_skip_nothing_is_fired_until_the_last_job_has_ended(client: Client) -> None:
    ends: dict[str, dict[str, object]] = {"ACK": {}, "FAIL": {"unrecoverable": True}, "CANCEL": {}, "OBLITERATE": {}}
    for end in ends:
        define(client, end, overlap="skip")
    jobs = {end: client.pull(end, timeout=SOON_MS) for end in ends}
    seconds_pass(client, 3)
    for end, fields in ends.items():
        assert client.nothing_to_pull(end)
        client.ok(end, id=jobs[end]["id"], queue=end, **fields)
    for end in ends:
        assert client.pull(end, timeout=SOON_MS)["id"] != jobs[end]["id"]


def test_a_job_that_still_waits_or_is_retried_has_not_ended(client: Client) -> None:
    define(client, "c", overlap="skip", backoff=1)
    eventually(lambda: client.counts("c") if shown(client, "c")["last_run"] else {}, lambda row: row != {})
    seconds_pass(client, 2)
    assert client.counts("c")["pending"] == 1
    job = client.pull("c")
    client.ok("FAIL", id=job["id"])
    seconds_pass(client, 2)
    again = client.pull("c", timeout=SOON_MS)
    assert (again["id"], again["attempts"]) == (job["id"], 1)
    assert client.nothing_to_pull("c")


def test_jobs_that_expire_or_are_drained_have_ended(client: Client) -> None:
    define(client, "expires", overlap="skip", ttl=50)
    define(client, "drained", overlap="skip")
    for _ in range(2):
        last = {name: shown(client, name)["last_run"] or 0 for name in ("expires", "drained")}
        for name in last:
            until_run_after(client, name, last[name])
        client.ok("DRAIN", queue="drained")


def test_a_unique_key_that_is_held_skips_a_slot_and_does_no_harm(client: Client) -> None:
    define(client, "c", unique_key="k")
    client.pull("c", timeout=SOON_MS)
    seconds_pass(client, 2)
    assert client.nothing_to_pull("c")
    assert client.counts("c")["processing"] == 1
    client.ok("OBLITERATE", queue="c")
    assert client.pull("c", timeout=SOON_MS)["unique_key"] == "k"


def test_with_overlap_allowed_every_slot_is_fired(client: Client) -> None:
    define(client, "c", overlap="allow")
    jobs = [client.pull("c", timeout=SOON_MS) for _ in range(3)]
    assert len({job["id"] for job in jobs}) == 3
    assert client.counts("c")["processing"] == 3


# Running by hand


def test_running_by_hand_does_not_put_off_the_next_slot(client: Client) -> None:
    define(client, "c", NEVER)
    row, before = shown(client, "c"), now_ms()
    client.ok("CRONRUN", name="c")
    now = shown(client, "c")
    assert now["next_run"] == row["next_run"]
    assert before - CLOCKS_MS <= now["last_run"] <= now_ms() + CLOCKS_MS
    assert take(client, "c")[0]["data"] == 1


def test_the_data_of_a_cron_is_kept_as_it_was_written(client: Client) -> None:
    text = '{ "n" : 1.00e+2, "big":123456789012345678901234567890, "s":"\\u00e9\\/" }'
    client.call_line(f'{{"cmd":"CRON","name":"c","queue":"c","schedule":"@yearly","data":{text}}}')
    client.send("CRONLIST")
    assert text.encode() in client.receive_line()
    client.ok("CRONRUN", name="c")
    client.send("PULL", queue="c")
    assert text.encode() in client.receive_line()
    row = shown(client, "c")
    client.call_line(f'{{"cmd":"CRON","name":"c","queue":"c","schedule":"{NEVER}","data":{text}}}')
    client.call_line(f'{{"cmd":"CRON","name":"c","queue":"c","schedule":"@yearly","data":{text.replace(" ", "")}}}')
    assert shown(client, "c")["last_run"] == row["last_run"]
    client.send("CRONLIST")
    assert text.replace(" ", "").encode() in client.receive_line()


@pytest.mark.parametrize("hostile", ['"', "\\", "\n", "\x00\x1f", "é😀", "</script>", "x" * 255, " "])
def test_names_of_crons_come_back_as_they_are(client: Client, hostile: str) -> None:
    define(client, hostile, YEARLY, data=None)
    client.ok("CRONRUN", name=hostile)
    assert client.pull(hostile)["queue"] == hostile
    assert shown(client, hostile)["name"] == hostile
    client.ok("CRONDELETE", name=hostile)
    check_refusal(client.call("CRONDELETE", name=hostile), "not_found")


# When the next run is: nothing has to be waited for


def next_run(client: Client, schedule: str, zone: str = "UTC") -> datetime:
    """When a cron would run next, as local time of its zone."""
    define(client, "next", schedule, timezone=zone)
    return datetime.fromtimestamp(shown(client, "next")["next_run"] / 1000, ZoneInfo(zone))


def test_next_run_of_seconds_counts_from_the_definition(client: Client) -> None:
    for seconds in (7, 3600, 31_536_000):
        before = now_ms()
        define(client, "c", f"*/{seconds}")
        assert before - CLOCKS_MS <= shown(client, "c")["next_run"] - 1000 * seconds <= now_ms() + CLOCKS_MS


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
def test_next_run_is_a_local_time_of_the_zone(client: Client, zone: str) -> None:
    now = datetime.now(ZoneInfo(zone))
    found = next_run(client, "30 12 * * *", zone)
    assert (found.hour, found.minute, found.second, found.microsecond) == (12, 30, 0, 0)
    assert now < found <= now + timedelta(hours=26)
    found = next_run(client, "15 30 12 15 JUL *", zone)
    assert (found.month, found.day, found.hour, found.minute, found.second) == (7, 15, 12, 30, 15)
    assert now < found <= now + timedelta(days=367)
    found = next_run(client, "0 12 * * MON", zone)
    assert (found.isoweekday(), found.hour) == (1, 12)
    assert now < found <= now + timedelta(days=7, hours=2)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
    ],
)
def test_named_schedules_are_what_their_fields_say(client: Client, name: str, fields: str) -> None:
    def both() -> tuple[datetime, datetime]:
        return next_run(client, name, "America/New_York"), next_run(client, fields, "America/New_York")

    one, two = eventually(both, lambda found: found[0] == found[1])  # asked again if an hour began in between
    assert one == two > datetime.now(UTC)


def test_day_of_month_or_day_of_week_suffices_if_both_are_given(client: Client) -> None:
    today = datetime.now(UTC).date()
    days = [today + timedelta(days=n) for n in range(1, 40)]
    wanted = [day for day in days if day.day == 13 or day.isoweekday() == 5]

    def matches(found: datetime) -> bool:
        return (found.hour, found.minute) == (0, 0) and found.date() == wanted[0]

    assert matches(next_run(client, "0 0 13 * FRI")) or datetime.now(UTC).date() != today
    only_day = next_run(client, "0 0 13 * *")
    assert only_day.day == 13
    only_week = next_run(client, "0 0 * * FRI")
    assert only_week.isoweekday() == 5
    assert min(only_day, only_week) == next_run(client, "0 0 13 * 5") or datetime.now(UTC).date() != today


def test_leap_day_is_found_years_ahead(client: Client) -> None:
    found = next_run(client, "0 0 29 2 *")
    assert (found.month, found.day) == (2, 29)
    assert datetime.now(UTC) < found < datetime.now(UTC) + timedelta(days=8 * 366)


def changes(zone: str) -> Iterator[tuple[datetime, timedelta]]:
    """The coming changes of the zone's clocks: the first instant (in UTC) after each, and by how much they jump."""
    at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=2)
    for _ in range(800 * 48):
        step = timedelta(minutes=30)
        before, after = at.astimezone(ZoneInfo(zone)), (at + step).astimezone(ZoneInfo(zone))
        jump = (after.utcoffset() or timedelta()) - (before.utcoffset() or timedelta())
        if jump:
            yield at + step, jump
        at += step


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago"])
def test_a_time_that_does_not_exist_runs_at_the_first_instant_after_the_gap(client: Client, zone: str) -> None:
    instant, jump = next((instant, jump) for instant, jump in changes(zone) if jump > timedelta())
    gap_begins = (instant - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)) + timedelta(microseconds=1)
    missing = gap_begins + jump / 2  # wall-clock arithmetic: in the middle of the gap
    schedule = f"{missing.minute} {missing.hour} {missing.day} {missing.month} *"
    assert next_run(client, schedule, zone).astimezone(UTC) == instant


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago"])
def test_a_time_that_comes_twice_has_one_run(client: Client, zone: str) -> None:
    instant, jump = next((instant, jump) for instant, jump in changes(zone) if jump < timedelta())
    second = instant.astimezone(ZoneInfo(zone))  # the clock was set back: this local time was there before
    schedule = f"{second.minute} {second.hour} {second.day} {second.month} *"
    assert next_run(client, schedule, zone).astimezone(UTC) in (instant + jump, instant)


# Idleness


def switches(daemon: Daemon) -> int:
    """How often the daemon's threads have gone to sleep: each time something woke one of them."""
    lines = [
        line
        for task in Path(f"/proc/{daemon.pid}/task").iterdir()
        for line in (task / "status").read_text().splitlines()
    ]
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


@pytest.mark.parametrize("crons", [0, 100])
def test_a_daemon_whose_crons_are_far_away_sleeps(start_daemon: StartDaemon, crons: int) -> None:
    daemon = start_daemon()
    with daemon.connect() as client:
        for number in range(crons):
            define(client, f"{number}", YEARLY if number % 2 else NEVER, paused=number % 3 == 0)
        client.ping()
        before = switches(daemon)
        assert client.ok("PULL", queue="q", timeout=1500)["job"] is None
        assert switches(daemon) - before < 20
