"""The package against the real daemon: addresses, tokens, threads, batching, workers, events, processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from typing import Any

import pytest

from magicqueue import (
    AuthFailedError,
    AuthRequiredError,
    ConnectionLostError,
    ConnectionOptions,
    InvalidError,
    JobLostError,
    MagicQueueClient,
    Middleware,
    Queue,
    Worker,
    aio,
)
from tests.sdk.py.package import WAIT_S, port_of, run_python
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import StartDaemon


def started(worker: Worker) -> threading.Thread:
    thread = threading.Thread(target=worker.start, daemon=True)
    thread.start()
    return thread


def stopped(worker: Worker, thread: threading.Thread) -> None:
    worker.stop()
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_a_unix_socket_and_urls_reach_the_daemon(daemon: Daemon, queue: str) -> None:
    assert daemon.unix is not None
    with Queue(queue, unix_socket=daemon.unix) as one, Queue.from_url(f"mq+unix://{daemon.unix}?queue={queue}") as two:
        assert one.push(1) < two.push(2)
    with Queue.from_url(f"mq://127.0.0.1:{port_of(daemon)}/{queue}") as three:
        assert [job.data for job in three.get_jobs("waiting")] == [1, 2]


def test_a_token_is_needed_and_checked(start_daemon: StartDaemon, queue: str) -> None:
    daemon = start_daemon("--auth-tokens", "secret")
    port = port_of(daemon)
    with Queue.from_url(f"mq://secret@127.0.0.1:{port}/{queue}") as good:
        good.push(1)
    with pytest.raises(AuthFailedError):
        Queue(queue, "127.0.0.1", port, token="wrong").push(1)
    with pytest.raises(AuthRequiredError):
        Queue(queue, "127.0.0.1", port).push(1)
    with pytest.raises(AuthFailedError):
        Worker(queue, print, "127.0.0.1", port, token="wrong").start()


def test_a_daemon_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(ConnectionLostError) as raised:
        Queue("q", "127.0.0.1", 1).push(1)
    assert raised.value.maybe_done is False


def test_a_worker_of_a_bad_queue_name_ends_with_the_refusal(daemon: Daemon) -> None:
    with pytest.raises(InvalidError):
        Worker("", print, "127.0.0.1", port_of(daemon)).start()


def test_threads_share_a_client_and_every_push_counts_once(daemon: Daemon, queue: str) -> None:
    with Queue(queue, "127.0.0.1", port_of(daemon)) as shared:
        ids: list[int] = []
        lock = threading.Lock()

        def push(number: int) -> None:
            mine = [shared.push([number, index]) for index in range(100)]
            mine.append(shared.push_soon([number, 100]).result(WAIT_S))
            with lock:
                ids.extend(mine)

        threads = [threading.Thread(target=push, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
        jobs = {job.id: tuple(job.data) for job in shared.get_jobs("waiting", page_size=1000)}
        assert set(jobs) == set(ids) and len(ids) == 16 * 101
        assert set(jobs.values()) == {(number, index) for number in range(16) for index in range(101)}


def test_large_payloads_cross_in_both_directions_while_answers_wait(daemon: Daemon, queue: str) -> None:
    text = "é" * 400_000
    with Queue(queue, "127.0.0.1", port_of(daemon)) as one:
        futures = [one.push_soon(text) for _ in range(60)]
        client = one.client
        for _ in range(60):
            assert client.send({"cmd": "PULL", "queue": queue, "timeout": 30_000})["job"]["data"] == text
        assert len({future.result(WAIT_S) for future in futures}) == 60


def test_a_parked_pull_does_not_hold_back_others(daemon: Daemon, queue: str) -> None:
    with MagicQueueClient("127.0.0.1", port_of(daemon)) as client:
        answers: list[Any] = []
        pull = {"cmd": "PULL", "queue": queue, "reqId": "mine"}
        thread = threading.Thread(target=lambda: answers.append(client.send(pull)))
        thread.start()
        assert client.send({"cmd": "PING"})["pong"] is True
        client.send({"cmd": "PUSH", "queue": queue, "data": 7})
        thread.join(WAIT_S)
        assert (answers[0]["job"]["data"], answers[0]["reqId"]) == (7, "mine")


@pytest.mark.parametrize("lease_ms", [None, 5000])
def test_a_worker_does_every_job_once_and_its_results_are_kept(
    daemon: Daemon, queue: str, lease_ms: int | None
) -> None:
    port = port_of(daemon)
    with Queue(queue, "127.0.0.1", port) as one:
        ids = one.push_many(range(3000))
        worker = Worker(
            queue, lambda job, _: job.data * 2, "127.0.0.1", port, concurrency=4, batch_size=50, lease_ms=lease_ms
        )
        thread = started(worker)
        assert one.wait_job(ids[-1], WAIT_S) == 2 * 2999
        stopped(worker, thread)
        assert [one.wait_job(id_, WAIT_S) for id_ in ids[::100]] == [2 * number for number in range(0, 3000, 100)]
        counts = one.counts()
        assert counts is not None
        assert (counts.completed, counts.pending, counts.processing) == (3000, 0, 0)


def test_coroutine_handlers_run_together_in_a_plain_worker(daemon: Daemon, queue: str) -> None:
    port = port_of(daemon)
    together: list[asyncio.Event] = []

    async def handler(_job: Any, context: aio.JobContext) -> int:
        await context.update_progress(1)
        together.append(asyncio.Event())
        if len(together) == 20:
            for event in together:
                event.set()
        await asyncio.wait_for(together[-1].wait(), WAIT_S)
        return len(together)

    worker = Worker(queue, handler, "127.0.0.1", port, concurrency=20)
    thread = started(worker)
    with Queue(queue, "127.0.0.1", port) as one:
        assert {one.wait_job(id_, WAIT_S) for id_ in one.push_many(range(20))} == {20}
    stopped(worker, thread)


def test_heartbeats_keep_a_lease_that_is_shorter_than_the_handler(daemon: Daemon, queue: str) -> None:
    port = port_of(daemon)
    with Queue(queue, "127.0.0.1", port) as one:
        beats = threading.Event()

        def handler(job: Any, _: Any) -> int:
            # Longer than the lease, and a third of that is time enough for a heartbeat on a busy machine.
            beats.wait(4.0)
            return int(job.deliveries)

        worker = Worker(queue, handler, "127.0.0.1", port, lease_ms=3000)
        thread = started(worker)
        with one.events("stalled") as events:
            assert one.push_and_wait(1, wait_s=WAIT_S) == 1
            assert events.next(0) is None
        stopped(worker, thread)


def test_a_job_that_is_cancelled_is_lost_to_its_handler(daemon: Daemon, queue: str) -> None:
    port = port_of(daemon)
    with Queue(queue, "127.0.0.1", port) as one:
        begun, ended = threading.Event(), threading.Event()

        def handler(_job: Any, context: Any) -> None:
            begun.set()
            while not ended.wait(0.01):
                try:
                    context.raise_if_lost()
                except JobLostError:
                    ended.set()

        worker = Worker(queue, handler, "127.0.0.1", port, lease_ms=300, on_lost=lambda *_: None)
        thread = started(worker)
        id_ = one.push(1)
        assert begun.wait(WAIT_S)
        one.cancel(id_)
        assert ended.wait(WAIT_S)
        stopped(worker, thread)


def test_a_queue_with_a_shared_client_makes_workers_for_the_same_daemon(daemon: Daemon, queue: str) -> None:
    seen: list[str] = []

    class Noting(Middleware):
        def process(self, job: Any, context: Any) -> contextlib.AbstractContextManager[object]:
            seen.append(job.data["task"])
            return contextlib.nullcontext()

    with MagicQueueClient("127.0.0.1", port_of(daemon)) as client:
        one = Queue(queue, client=client, middleware=[Noting()])
        double = one.task(name="double")(lambda number: 2 * number)
        worker = one.worker()
        thread = started(worker)
        assert double.delay(4).wait(WAIT_S) == 8
        stopped(worker, thread)
        assert seen == ["double"]
        one.close()
        assert client.is_connected()


def test_a_leased_job_is_given_back_when_start_is_interrupted(daemon: Daemon, queue: str) -> None:
    port = port_of(daemon)
    with Queue(queue, "127.0.0.1", port) as one:
        interrupts = [KeyboardInterrupt()]

        def interrupt(*_: object) -> None:
            if interrupts:
                raise interrupts.pop()

        one.push("bad", max_attempts=1)
        one.push_many(range(3))
        worker = Worker(queue, lambda *_: 1 / 0, "127.0.0.1", port, lease_ms=600_000, on_failed=interrupt)
        with pytest.raises(KeyboardInterrupt):
            worker.start()
        counts = one.counts()
        assert counts is not None
        assert counts.processing == 0


def test_sigterm_stops_a_worker_of_the_main_thread_and_its_jobs_are_given_back(daemon: Daemon, queue: str) -> None:
    port = port_of(daemon)
    program = f"""
import threading
from magicqueue import Worker
def handler(job, context):
    print("begun", flush=True)
    threading.Event().wait()
Worker({queue!r}, handler, "127.0.0.1", {port}, batch_size=3, drain_s=0.2).start()
print("stopped", flush=True)
"""
    with Queue(queue, "127.0.0.1", port) as one:
        one.push_many(range(5))
        process = run_python("-c", program)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "stopped\n"
        assert process.wait(WAIT_S) == 0
        process.stdout.close()
        jobs = list(one.get_jobs("waiting"))
        assert [job.data for job in jobs] == list(range(5))
        assert {job.attempts for job in jobs} == {0}


def test_the_jobs_of_a_killed_process_are_done_by_another_within_a_second(daemon: Daemon, queue: str) -> None:
    port = port_of(daemon)
    program = f"""
import threading
from magicqueue import Worker
def handler(job, context):
    print("begun", flush=True)
    threading.Event().wait()
Worker({queue!r}, handler, "127.0.0.1", {port}).start()
"""
    with Queue(queue, "127.0.0.1", port) as one:
        process = run_python("-c", program)
        ids = one.push_many(range(10))
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        worker = Worker(queue, lambda job, _: job.deliveries, "127.0.0.1", port)
        thread = started(worker)
        with one.events("stalled", "completed") as events:
            os.kill(process.pid, signal.SIGKILL)
            process.wait(WAIT_S)
            process.stdout.close()
            done: set[int] = set()
            while not set(ids) <= done:
                event = events.next(WAIT_S)
                assert event is not None and event.job is not None
                if event.event == "completed":
                    done.add(event.job)
        assert one.get_result(ids[0]) == 2
        stopped(worker, thread)


def test_a_forked_child_has_a_connection_of_its_own(daemon: Daemon, queue: str) -> None:
    program = f"""
import os
from magicqueue import Queue
queue = Queue({queue!r}, "127.0.0.1", {port_of(daemon)})
queue.push("parent")
child = os.fork()
if child == 0:
    for _ in range(50):
        queue.push("child")
    os._exit(0)
for _ in range(50):
    queue.push("parent")
assert os.waitpid(child, 0)[1] == 0
print(queue.counts().pending)
queue.close()
"""
    process = run_python("-c", program)
    assert process.communicate(timeout=WAIT_S)[0] == "101\n"


def test_an_option_of_the_connection_bounds_the_wait_for_a_lost_daemon(start_daemon: StartDaemon, queue: str) -> None:
    daemon = start_daemon()
    one = Queue(queue, "127.0.0.1", port_of(daemon), connection=ConnectionOptions(offline_timeout_s=0.3))
    one.push(1)
    daemon.stop()
    with pytest.raises(ConnectionLostError) as raised:
        one.push(2)
    assert raised.value.maybe_done is False
    one.close()
