"""Clients, workers and tasks against the daemon in memory, whose time the test moves."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import threading
import types
import unittest
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any
from unittest import mock

from magicqueue import (
    BatchRefusedError,
    DuplicateError,
    FailedError,
    InvalidError,
    Job,
    JobLostError,
    Middleware,
    NotFoundError,
    PushCall,
    Queue,
    UnrecoverableError,
    WaitTimeoutError,
    Worker,
    current_context,
)
from magicqueue._tasks import name_of
from magicqueue.testing import FakeQueue, FakeServer

WAIT_S = 30.0


class Running:
    """A worker in a thread of its own; stopped at the end."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.thread = threading.Thread(target=worker.start)

    def __enter__(self) -> Worker:
        self.thread.start()
        return self.worker

    def __exit__(self, *_: object) -> None:
        self.worker.stop(0)
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()


class Queues(unittest.TestCase):
    def setUp(self) -> None:
        self.queue = FakeQueue("q")

    def tearDown(self) -> None:
        self.queue.close()

    def test_jobs_run_in_the_order_of_priority_then_time_then_id(self) -> None:
        ids = [self.queue.push("a"), self.queue.push("b", 5), self.queue.push("c", delay=100), self.queue.push("d", 5)]
        seen: list[str] = []
        self.assertEqual(self.queue.run(lambda job, _: seen.append(job.data)), 3)
        self.queue.advance(100)
        self.assertEqual(self.queue.run(lambda job, _: seen.append(job.data)), 1)
        self.assertEqual(seen, ["b", "d", "a", "c"])
        job = self.queue.get_job(ids[2])
        assert job is not None
        self.assertEqual((job.state, job.deliveries, job.attempts), ("completed", 1, 0))

    def test_failures_wait_longer_each_time_then_lie_in_the_dead_letter_queue(self) -> None:
        self.queue.push(1, max_attempts=3, backoff=1000)
        for wait in (0, 1000, 2000):
            self.queue.advance(max(0, wait - 1))
            self.assertEqual(self.queue.run(lambda *_: 1 / 0) if wait else 0, 0)
            self.queue.advance(1 if wait else 0)
            self.assertEqual(self.queue.run(lambda *_: 1 / 0), 1)
        (dead,) = self.queue.get_dlq()
        self.assertEqual((dead.reason, dead.attempts), ("failed", 3))
        self.assertIn("ZeroDivisionError", dead.last_error or "")
        self.assertEqual(self.queue.retry_dlq(dead.id), 1)
        self.assertEqual(self.queue.run(lambda *_: "fine"), 1)
        self.assertEqual(self.queue.get_result(dead.id), "fine")

    def test_unrecoverable_goes_to_the_dead_letter_queue_at_once(self) -> None:
        def handler(*_: object) -> None:
            raise UnrecoverableError("never")

        self.queue.push(1, max_attempts=5)
        self.queue.run(handler)
        self.assertEqual(len(self.queue.get_dlq()), 1)
        self.assertEqual(self.queue.purge_dlq(), 1)

    def test_refusals_are_raised_as_their_classes(self) -> None:
        self.queue.push(1, unique_key="k")
        with self.assertRaises(DuplicateError) as raised:
            self.queue.push(1, unique_key="k")
        self.assertEqual((raised.exception.code, raised.exception.retryable), ("duplicate", False))
        with self.assertRaises(NotFoundError):
            self.queue.cancel(999)
        with self.assertRaises(InvalidError):
            self.queue.push(1, priority=2**40)
        with self.assertRaises(WaitTimeoutError):
            self.queue.wait_job(self.queue.push(2), 0)

    def test_a_batch_tells_what_was_refused(self) -> None:
        items: list[dict[str, Any]] = [{"data": 1}, {"data": 2, "priority": "x"}, {"data": 3}]
        with self.assertRaises(BatchRefusedError) as raised:
            self.queue.push_batch(items)
        self.assertEqual(raised.exception.ids[1], 0)
        self.assertIsInstance(raised.exception.errors[1], InvalidError)
        self.assertEqual(self.queue.stats().queued, 2)

    def test_large_batches_are_cut_and_stay_in_order(self) -> None:
        ids = self.queue.push_many(range(2500), priority=3)
        self.assertEqual(ids, sorted(ids))
        self.assertEqual(len(set(ids)), 2500)
        self.assertEqual([job.data for job in self.queue.get_jobs("waiting")], list(range(2500)))

    def test_push_soon_gives_futures(self) -> None:
        futures = [self.queue.push_soon(number, unique_key=str(number % 50)) for number in range(60)]
        outcomes = [future.exception(WAIT_S) for future in futures]
        self.assertEqual(sum(isinstance(error, DuplicateError) for error in outcomes), 10)
        self.assertEqual(self.queue.stats().queued, 50)

    def test_hooks_around_push_soon_find_the_id_in_its_future(self) -> None:
        told: SimpleQueue[tuple[object, object]] = SimpleQueue()

        class Noting(Middleware):
            @contextlib.contextmanager
            def push(self, call: PushCall) -> Iterator[None]:
                data = call.jobs[0]["data"]
                yield
                assert call.future is not None
                call.future.add_done_callback(lambda done: told.put((data, done.exception() or done.result())))

        queue = FakeQueue("q", middleware=[Noting()])
        id_ = queue.push_soon("a", unique_key="a").result(WAIT_S)
        self.assertEqual(told.get(timeout=WAIT_S), ("a", id_))
        with self.assertRaises(DuplicateError) as refused:
            queue.push_soon("a", unique_key="a").result(WAIT_S)
        self.assertEqual(told.get(timeout=WAIT_S), ("a", refused.exception))
        queue.close()

    def test_the_rest_of_the_queue(self) -> None:
        queue = self.queue
        queue.pause()
        self.assertTrue(queue.is_paused())
        queue.resume()
        queue.set_rate_limit(5)
        queue.set_concurrency(2)
        counts = queue.counts()
        assert counts is not None
        self.assertEqual((counts.rate_limit, counts.rate_duration, counts.concurrency_limit), (5, 1000, 2))
        queue.clear_rate_limit()
        queue.clear_concurrency()
        queue.add_cron("c", "*/5", {"x": 1}, 7, timezone="Europe/Berlin")
        (cron,) = queue.list_crons()
        self.assertEqual((cron.name, cron.data, cron.priority, cron.timezone), ("c", {"x": 1}, 7, "Europe/Berlin"))
        queue.run_cron("c")
        self.assertEqual(queue.drain(), 1)
        queue.delete_cron("c")
        parent = queue.push(1)
        child = queue.push(2, depends_on=[parent])
        job = queue.get_job(child)
        assert job is not None
        self.assertEqual(job.state, "waitingparent")
        self.assertEqual(queue.run(lambda *_: None), 2)
        self.assertEqual(queue.obliterate(), 0)
        self.assertIsNone(queue.counts())

    def test_events_are_told_in_order(self) -> None:
        with self.queue.events("pushed", "completed") as events:
            id_ = self.queue.push(1)
            self.queue.run(lambda *_: None)
            told = [next(events), next(events)]
            self.assertEqual(
                [(event.event, event.job, event.seq) for event in told], [("pushed", id_, 1), ("completed", id_, 2)]
            )
            self.assertIsNone(events.next(0.01))
        self.assertEqual(list(events), [])

    def test_threads_that_share_a_stream_get_each_event_once(self) -> None:
        read: list[Any] = []
        with self.queue.events("pushed") as events:
            for _ in range(3):
                self.assertIsNone(events.next(0.001))
            # Polling leaves nothing behind.
            self.assertEqual(len(events._buffer._arrivals), 0)
            threads = [threading.Thread(target=lambda: read.extend(events)) for _ in range(4)]
            for thread in threads:
                thread.start()
            ids = [self.queue.push(number) for number in range(50)]
            while len(read) < len(ids):
                threads[0].join(0.001)
        for thread in threads:
            thread.join(WAIT_S)
        self.assertEqual(sorted(event.job for event in read), ids)

    def test_events_end_with_the_client(self) -> None:
        server = FakeServer()
        client = server.client()
        client.connect()
        events = client.events("q")
        threading.Timer(0.05, client.close).start()
        self.assertEqual(list(events), [])

    def test_middleware_is_around_pushes_and_handlers(self) -> None:
        log: list[str] = []

        class Logging(Middleware):
            def __init__(self, name: str) -> None:
                self.name = name

            @contextlib.contextmanager
            def push(self, call: PushCall) -> Iterator[None]:
                call.jobs = [{**job, "data": f"{job['data']}{self.name}"} for job in call.jobs]
                yield
                log.append(f"{self.name} {len(call.ids)}")

            @contextlib.contextmanager
            def process(self, job: Job, context: Any) -> Iterator[None]:
                log.append(f"{self.name} {job.data}")
                yield

        queue = FakeQueue("q", middleware=[Logging("a"), Logging("b")])
        queue.push("x")
        queue.run(lambda *_: None)
        self.assertEqual(log, ["b 1", "a 1", "a xab", "b xab"])
        queue.close()


class Tasks(unittest.TestCase):
    def test_a_call_becomes_a_job_and_its_result_comes_back(self) -> None:
        queue = FakeQueue("q")

        @queue.task(max_attempts=1)
        def add(a: int, b: int = 1) -> int:
            assert current_context().job.queue == "q"
            return a + b

        with self.assertRaises(LookupError):
            current_context()
        handles = [add.delay(1, b=2), add.enqueue(5), add.with_options(delay=1000).delay(1)]
        self.assertEqual(queue.run(), 2)
        self.assertEqual([handle.wait() for handle in handles[:2]], [3, 6])
        job = handles[2].get()
        assert job is not None
        self.assertEqual((job.state, job.max_attempts), ("delayed", 1))
        handles[2].cancel()
        self.assertIsNone(handles[2].get())
        queue.close()

    def test_a_task_is_called_after_its_module_however_that_is_run(self) -> None:
        def task() -> None: ...

        for module in ("__main__", "__mp_main__"):
            task.__module__, task.__qualname__ = module, "task"
            main = types.ModuleType(module)
            with mock.patch.dict(sys.modules, {module: main}):
                main.__file__ = "/srv/jobs.py"
                self.assertEqual(name_of(task), "jobs.task")
                # As with python -m.
                main.__spec__ = importlib.util.spec_from_loader("shop.jobs", None)
                self.assertEqual(name_of(task), "shop.jobs.task")

    def test_an_unknown_task_fails(self) -> None:
        queue = FakeQueue("q")
        queue.push({"task": "other.thing"}, max_attempts=1)
        queue.run()
        self.assertIn("other.thing", queue.get_dlq()[0].last_error or "")
        queue.close()

    def test_coroutine_functions_and_taken_names_are_refused(self) -> None:
        queue = FakeQueue("q")

        async def wrong() -> None: ...

        with self.assertRaises(TypeError):
            queue.task(wrong)
        queue.task(name="n")(len)
        with self.assertRaises(ValueError):
            queue.task(name="n")(len)


class Workers(unittest.TestCase):
    def setUp(self) -> None:
        self.server = FakeServer()
        self.queue = Queue("q", client=self.server.client())

    def test_results_failures_and_progress(self) -> None:
        told: list[tuple[str, Any]] = []

        def handler(job: Job, context: Any) -> Any:
            context.update_progress(50, "half")
            if job.data == "bad":
                raise ValueError("bad")
            return {"done": job.data}

        worker = Worker(
            "q",
            handler,
            client=self.server.client(),
            on_completed=lambda job, result: told.append(("completed", result)),
            on_failed=lambda job, error: told.append(("failed", str(error))),
        )
        with Running(worker):
            self.assertEqual(self.queue.push_and_wait("x", wait_s=WAIT_S), {"done": "x"})
            with self.assertRaises(FailedError) as raised:
                self.queue.push_and_wait("bad", wait_s=WAIT_S, max_attempts=1)
            self.assertIn("ValueError: bad", str(raised.exception))
        self.assertEqual(told, [("completed", {"done": "x"}), ("failed", "bad")])
        self.assertEqual(self.queue.get_progress(1), {"progress": 50, "message": "half"})

    def test_so_many_handlers_run_at_once(self) -> None:
        barrier = threading.Barrier(4)
        worker = Worker("q", lambda *_: barrier.wait(WAIT_S) >= 0, client=self.server.client(), concurrency=4)
        with Running(worker):
            ids = self.queue.push_many(range(4))
            self.assertEqual([self.queue.wait_job(id_, WAIT_S) for id_ in ids], [True] * 4)

    def test_stop_gives_back_what_has_not_started_and_waits_for_what_runs(self) -> None:
        started, go_on = threading.Event(), threading.Event()

        def handler(*_: object) -> str:
            started.set()
            go_on.wait(WAIT_S)
            return "done"

        ids = self.queue.push_many(range(5))
        worker = Worker("q", handler, client=self.server.client(), batch_size=5)
        thread = threading.Thread(target=worker.start)
        thread.start()
        started.wait(WAIT_S)
        with self.queue.events("completed") as events:
            worker.stop()
            go_on.set()
            thread.join(WAIT_S)
            self.assertFalse(thread.is_alive())
            event = events.next(WAIT_S)
            assert event is not None
            self.assertEqual(event.job, ids[0])
        self.assertEqual((self.queue.stats().queued, self.queue.stats().processing), (4, 0))
        released = self.queue.get_job(ids[1])
        assert released is not None
        self.assertEqual(released.attempts, 0)

    def test_a_handler_that_does_not_end_loses_its_job_when_the_time_to_drain_is_over(self) -> None:
        started, go_on = threading.Event(), threading.Event()
        contexts: list[Any] = []

        def handler(_job: Job, context: Any) -> None:
            contexts.append(context)
            started.set()
            go_on.wait(WAIT_S)

        id_ = self.queue.push(1)
        worker = Worker("q", handler, client=self.server.client())
        thread = threading.Thread(target=worker.start)
        thread.start()
        started.wait(WAIT_S)
        worker.stop(0)
        thread.join(WAIT_S)
        self.assertFalse(thread.is_alive())
        self.assertFalse(contexts[0].is_held)
        go_on.set()
        job = self.queue.get_job(id_)
        assert job is not None
        self.assertEqual((job.state, job.attempts), ("waiting", 0))

    def test_progress_of_a_job_that_is_gone_says_so(self) -> None:
        raised: list[BaseException] = []

        def handler(job: Job, context: Any) -> None:
            self.queue.cancel(job.id)
            try:
                context.update_progress(50)
            except JobLostError as error:
                raised.append(error)
                raise

        lost = threading.Event()
        worker = Worker("q", handler, client=self.server.client(), on_lost=lambda *_: lost.set())
        with Running(worker):
            self.queue.push(1)
            self.assertTrue(lost.wait(WAIT_S))
        self.assertEqual(len(raised), 1)

    def test_a_worker_asked_to_stop_before_it_starts_does_not_start(self) -> None:
        worker = Worker("q", print, client=self.server.client())
        worker.stop()
        worker.start()

    def test_a_worker_beside_a_client_in_memory_needs_one_of_its_own(self) -> None:
        with self.assertRaises(ValueError):
            self.queue.worker()
        self.assertEqual(self.queue.worker(client=self.server.client(), concurrency=2).concurrency, 2)

    def test_nonsense_is_refused(self) -> None:
        nonsense: list[dict[str, Any]] = [
            {"concurrency": 0},
            {"batch_size": 1.5},
            {"lease_ms": -1},
            {"executor": "fibres"},
        ]
        for options in nonsense:
            with self.assertRaises(ValueError):
                Worker("q", print, **options)


if __name__ == "__main__":
    unittest.main()
