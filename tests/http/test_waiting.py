"""Pulls that wait: they get what comes, take nothing for a client that has gone, and never starve other requests."""

from __future__ import annotations

import threading

import pytest

from tests.http.client import HttpClient, Raw
from tests.http.conftest import HTTP, OpenHttp, http_of
from tests.http.gauges import gauge, until_waiting, waiting
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import StartDaemon
from tests.tcp.waiting import Stopwatch, eventually

JSON_STATE = {"waiting", "active"}


@pytest.fixture
def own(start_daemon: StartDaemon) -> Daemon:
    """A daemon of the test's own, so that it can count who waits; two may."""
    return start_daemon(*HTTP, "--http-threads", "6")


@pytest.fixture
def watcher(own: Daemon, open_http: OpenHttp) -> HttpClient:
    return open_http(own)


def test_a_waiting_pull_gets_a_job_pushed_over_tcp(own: Daemon, open_http: OpenHttp, watcher: HttpClient) -> None:
    web = open_http(own)
    web.send("GET", "/queues/q/jobs?timeout=60000&lease=60000")
    until_waiting(watcher, 1)
    with own.connect() as tcp:
        pushed = tcp.call("PUSH", queue="q", data={"n": 10**30})["id"]
        (job,) = web.receive().data
        assert (job["id"], job["data"]) == (pushed, {"n": 10**30})
        assert tcp.call("GETJOB", id=pushed)["state"] == "active"
    assert web.post(f"/jobs/{pushed}/ack", {"token": job["token"]}).data is True
    assert waiting(watcher) == 0


def test_a_waiting_pull_of_many_gets_what_comes_first(own: Daemon, open_http: OpenHttp, watcher: HttpClient) -> None:
    web = open_http(own)
    web.send("GET", "/queues/q/jobs?timeout=60000&count=10")
    until_waiting(watcher, 1)
    watcher.post("/queues/q/jobs", {"data": 1})
    assert [job["data"] for job in web.receive().data] == [1]


def test_a_wait_ends_with_an_empty_list(web: HttpClient, queue: str) -> None:
    watch = Stopwatch()
    assert web.get(f"/queues/{queue}/jobs?timeout=200").data == []
    assert watch.ms >= 199


def test_each_waiting_pull_gets_a_job_of_its_own(own: Daemon, open_http: OpenHttp, watcher: HttpClient) -> None:
    clients = [open_http(own), open_http(own)]
    for web in clients:
        web.send("GET", "/queues/q/jobs")
    until_waiting(watcher, 2)
    watcher.post("/queues/q/jobs", {"jobs": [{"data": 1}, {"data": 2}]})
    assert sorted(job["data"] for web in clients for job in web.receive().data) == [1, 2]


@pytest.mark.parametrize("query", ["timeout=x", "timeout=-1", "lease=0", "count=x", "timeout=18446744073709551616x"])
def test_a_pull_with_a_bad_number_is_refused_at_once(web: HttpClient, queue: str, query: str) -> None:
    web.get(f"/queues/{queue}/jobs?{query}").refused(400, "invalid")


def test_a_longer_wait_than_the_longest_is_that_one(own: Daemon, open_http: OpenHttp, watcher: HttpClient) -> None:
    web = open_http(own)
    web.send("GET", "/queues/q/jobs?timeout=99999999999999999999999999")
    until_waiting(watcher, 1)
    watcher.post("/queues/q/jobs", {"data": 1})
    assert len(web.receive().data) == 1


# Clients that go


def test_a_client_that_goes_while_it_waits_takes_no_job(own: Daemon, open_http: OpenHttp, watcher: HttpClient) -> None:
    web = open_http(own)
    web.send("GET", "/queues/q/jobs?timeout=60000")
    until_waiting(watcher, 1)
    web.abort()
    until_waiting(watcher, 0)
    job_id = watcher.post("/queues/q/jobs", {"data": 1}).data["id"]
    job = watcher.get(f"/jobs/{job_id}").data
    assert (job["state"], job["deliveries"]) == ("waiting", 0)


def test_clients_that_go_as_their_job_comes_leave_it_to_others(
    own: Daemon, open_http: OpenHttp, watcher: HttpClient
) -> None:
    """Pushes and departures race; whatever wins, a job is either waiting again or was given to a socket still open."""
    with own.connect() as tcp:
        for round_number in range(40):
            web = HttpClient(http_of(own))
            web.send("GET", f"/queues/r{round_number}/jobs?timeout=60000")
            until_waiting(watcher, 1)
            going = threading.Thread(target=web.abort)
            going.start()
            job_id = tcp.call("PUSH", queue=f"r{round_number}", data=1)["id"]
            going.join()
            until_waiting(watcher, 0)
            assert tcp.call("GETJOB", id=job_id)["state"] in JSON_STATE
            assert tcp.counts(f"r{round_number}")["dlq"] == 0


def test_jobs_whose_answer_cannot_be_sent_are_back_at_once(own: Daemon, watcher: HttpClient) -> None:
    """The answer is larger than all buffers between server and client, who does not read it and goes."""
    jobs = [{"data": "x" * 1_000_000} for _ in range(12)]
    ids = watcher.post("/queues/q/jobs", {"jobs": jobs}).data["ids"]
    with Raw(http_of(own)) as raw, own.connect() as tcp:
        raw.send(b"GET /queues/q/jobs?count=12&lease=600000 HTTP/1.1\r\nHost: a\r\n\r\n")
        taken = eventually(lambda: tcp.counts("q")["processing"], lambda count: count > 0)
        assert raw.read_until(b"\r\n").startswith(b"HTTP/1.1 200")
        assert tcp.counts("q")["processing"] == taken
        raw.socket.close()
        eventually(lambda: tcp.counts("q"), lambda row: (row["processing"], row["pending"]) == (0, 12))
        job = tcp.call("GETJOB", id=ids[0])["job"]
        assert job["attempts"] == 0
        assert tcp.call("PULL", queue="q", timeout=0)["job"]["id"] == ids[0]


def test_jobs_whose_answer_is_sent_in_the_end_stay_held(own: Daemon, watcher: HttpClient) -> None:
    """The same large answer, read slowly and whole."""
    jobs = [{"data": "x" * 1_000_000} for _ in range(6)]
    watcher.post("/queues/q/jobs", {"jobs": jobs})
    web = HttpClient(http_of(own))
    web.send("GET", "/queues/q/jobs?count=6&lease=600000")
    with own.connect() as tcp:
        taken = eventually(lambda: tcp.counts("q")["processing"], lambda count: count > 0)
        assert len(web.receive().data) == taken
        web.close()
        assert watcher.get("/health").status == 200
        assert tcp.counts("q")["processing"] == taken


# Threads


def test_past_the_cap_pulls_are_refused_and_all_else_is_served(
    own: Daemon, open_http: OpenHttp, watcher: HttpClient
) -> None:
    held = [open_http(own), open_http(own)]
    for web in held:
        web.send("GET", "/queues/q/jobs?timeout=60000")
    until_waiting(watcher, 2)
    for path in ("/queues/q/jobs?timeout=60000", "/events"):
        over = watcher.get(path)
        over.refused(503, "unavailable")
        assert int(over.headers["retry-after"]) >= 1
    assert watcher.get("/queues/q/jobs?timeout=0").data == []
    for path in ("/stats", "/health", "/queues", "/metrics"):
        assert watcher.get(path).status == 200
    assert waiting(watcher) == 2
    for _ in held:
        watcher.post("/queues/q/jobs", {"data": 1})
    assert all(len(web.receive().data) == 1 for web in held)
    watcher.send("GET", "/queues/q/jobs?timeout=1")
    assert watcher.receive().data == []


def test_a_pull_that_finds_a_job_needs_no_place_among_the_waiting(
    own: Daemon, open_http: OpenHttp, watcher: HttpClient
) -> None:
    for web in (open_http(own), open_http(own)):
        web.send("GET", "/queues/q/jobs?timeout=60000")
    until_waiting(watcher, 2)
    watcher.post("/queues/r/jobs", {"data": 1})
    assert len(watcher.get("/queues/r/jobs?timeout=60000").data) == 1


def test_more_clients_than_threads_are_all_served(own: Daemon, open_http: OpenHttp) -> None:
    clients = [open_http(own) for _ in range(50)]
    for web in clients:
        web.send("POST", "/queues/q/jobs", {"data": 1})
    assert all(web.receive().status == 200 for web in clients)
    with own.connect() as tcp:
        assert tcp.counts("q")["pending"] == 50


def test_connections_of_waiting_pulls_are_given_back(watcher: HttpClient) -> None:
    for _ in range(50):
        assert watcher.get("/queues/q/jobs?timeout=1").data == []
    eventually(lambda: gauge(watcher, "mqfast_connections"), lambda count: count == 0)
