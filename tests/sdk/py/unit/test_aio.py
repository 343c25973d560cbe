"""The asyncio flavour against the daemon in memory."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import unittest

from magicqueue import (
    ConnectionOptions,
    FailedError,
    Job,
    Queue,
    aio,
    current_context,
)
from magicqueue._address import Address
from magicqueue.aio._connection import AsyncConnection, Receiver
from magicqueue.testing import FakeServer
from magicqueue.testing._links import FakeAsyncLink, asyncio_client
from magicqueue.testing._memory import MemoryDaemon
from magicqueue.testing._server import START_MS

WAIT_S = 30.0


class Asyncio(unittest.TestCase):
    def test_queue_worker_task_and_events(self) -> None:
        async def program() -> None:
            server = FakeServer()
            queue = aio.Queue("q", client=server.aio_client())

            @queue.task
            async def double(x: int) -> int:
                await current_context().update_progress(10)
                return 2 * x

            @queue.task
            def triple(x: int) -> int:
                return 3 * x

            worker = aio.Worker("q", queue.run_task, client=server.aio_client(), concurrency=4)
            running = asyncio.ensure_future(worker.start())
            async with await queue.events("completed") as events:
                handles = [await double.delay(4), await triple.delay(5)]
                self.assertEqual([await handle.wait(WAIT_S) for handle in handles], [8, 15])
                self.assertIsNotNone(await events.next(WAIT_S))
            with self.assertRaises(FailedError):
                await queue.push_and_wait({"task": "none"}, max_attempts=1, wait_s=WAIT_S)
            ids = await asyncio.gather(*(queue.push(number, delay=1000) for number in range(100)))
            self.assertEqual(len(set(ids)), 100)
            self.assertEqual(len([job async for job in queue.get_jobs("delayed")]), 100)
            worker.stop()
            await asyncio.wait_for(running, WAIT_S)
            await queue.client.close()

        asyncio.run(program())

    def test_a_handler_is_cancelled_when_the_time_to_drain_is_over(self) -> None:
        async def program() -> None:
            server = FakeServer()
            queue = aio.Queue("q", client=server.aio_client())
            started, cancelled = asyncio.Event(), asyncio.Event()

            async def handler(*_: object) -> None:
                started.set()
                try:
                    await asyncio.sleep(WAIT_S)
                except asyncio.CancelledError:
                    cancelled.set()
                    raise

            id_ = await queue.push(1)
            worker = aio.Worker("q", handler, client=server.aio_client())
            running = asyncio.ensure_future(worker.start())
            await asyncio.wait_for(started.wait(), WAIT_S)
            worker.stop(0)
            await asyncio.wait_for(running, WAIT_S)
            self.assertTrue(cancelled.is_set())
            job = await queue.get_job(id_)
            assert job is not None
            self.assertEqual(job.state, "waiting")
            await queue.client.close()

        asyncio.run(program())

    def test_plain_functions_have_as_many_threads_as_there_are_handlers(self) -> None:
        async def program() -> None:
            server = FakeServer()
            queue = aio.Queue("q", client=server.aio_client())
            barrier = threading.Barrier(50)

            def handler(*_: object) -> bool:
                assert current_context().is_held
                return barrier.wait(WAIT_S) >= 0

            worker = aio.Worker("q", handler, client=server.aio_client(), concurrency=50)
            running = asyncio.ensure_future(worker.start())
            waits = [queue.push_and_wait(number, wait_s=WAIT_S) for number in range(50)]
            self.assertEqual(await asyncio.gather(*waits), [True] * 50)
            worker.stop()
            await asyncio.wait_for(running, WAIT_S)
            await queue.client.close()

        asyncio.run(program())

    def test_a_job_that_is_lost_before_its_handler_begins_makes_room_for_another(self) -> None:
        async def program() -> None:
            daemon = MemoryDaemon(START_MS)
            cuts: list[str] = []

            class CuttingLink(FakeAsyncLink):
                """Brings the first jobs, and ends in the same turn of the loop."""

                def _received(self, data: bytes) -> None:
                    receiver = self._receiver
                    super()._received(data)
                    if receiver is not None and b'"jobs":[{' in data and not cuts:
                        cuts.append("cut")
                        receiver.ended("cut")

            async def dial(receiver: Receiver) -> FakeAsyncLink:
                return CuttingLink(daemon, receiver)

            async def handler(job: Job, _: object) -> int:
                return job.deliveries

            connection = AsyncConnection(Address("memory"), ConnectionOptions(), dial)
            worker = aio.Worker("q", handler, client=aio.MagicQueueClient(_link=connection), on_lost=lambda *_: None)
            queue = aio.Queue("q", client=asyncio_client(daemon))
            running = asyncio.ensure_future(worker.start())
            self.assertEqual(await queue.push_and_wait(1, wait_s=WAIT_S), 2)
            worker.stop()
            await asyncio.wait_for(running, WAIT_S)
            await queue.client.close()

        with self.assertLogs("magicqueue"):
            asyncio.run(asyncio.wait_for(program(), WAIT_S))

    def test_the_end_of_the_loop_gives_a_running_job_back(self) -> None:
        server = FakeServer()

        async def program() -> None:
            started = asyncio.Event()

            async def handler(*_: object) -> None:
                started.set()
                await asyncio.sleep(WAIT_S)

            worker = aio.Worker("q", handler, client=server.aio_client())
            self.running = asyncio.ensure_future(worker.start())
            await asyncio.wait_for(started.wait(), WAIT_S)

        with contextlib.closing(Queue("q", client=server.client())) as queue:
            id_ = queue.push(1)
            asyncio.run(program())
            job = queue.get_job(id_)
            assert job is not None
            self.assertEqual((job.state, job.attempts), ("waiting", 0))

    def test_a_handler_that_is_cancelled_from_outside_spends_no_attempt(self) -> None:
        async def program() -> None:
            server = FakeServer()
            attempts: list[int] = []

            async def handler(job: Job, _: object) -> None:
                attempts.append(job.attempts)
                task = asyncio.current_task()
                assert task is not None
                if len(attempts) == 1:
                    asyncio.get_running_loop().call_soon(task.cancel)
                    await asyncio.sleep(WAIT_S)

            async with aio.Queue("q", client=server.aio_client()) as queue:
                worker = aio.Worker("q", handler, client=server.aio_client(), signals=False)
                working = asyncio.ensure_future(worker.start())
                await queue.push_and_wait(1, wait_s=WAIT_S)
                worker.stop()
                await working
            self.assertEqual(attempts, [0, 0])

        asyncio.run(asyncio.wait_for(program(), WAIT_S))

    def test_a_handler_fails_with_a_cancelled_future_that_it_waited_for(self) -> None:
        async def program() -> None:
            server = FakeServer()
            failed: list[BaseException] = []

            async def handler(*_: object) -> None:
                future = asyncio.get_running_loop().create_future()
                future.cancel()
                await future

            async with aio.Queue("q", client=server.aio_client()) as queue:
                worker = aio.Worker(
                    "q",
                    handler,
                    client=server.aio_client(),
                    signals=False,
                    on_failed=lambda _job, error: failed.append(error),
                )
                working = asyncio.ensure_future(worker.start())
                with self.assertRaises(FailedError):
                    await queue.push_and_wait(1, wait_s=WAIT_S, max_attempts=1)
                worker.stop()
                await working
            self.assertIsInstance(failed[0], asyncio.CancelledError)

        asyncio.run(asyncio.wait_for(program(), WAIT_S))

    def test_both_flavours_have_the_same_names(self) -> None:
        for name in ("Queue", "MagicQueueClient", "EventStream", "JobContext", "JobHandle", "Task"):
            import magicqueue

            mine = {one for one in dir(getattr(magicqueue, name)) if not one.startswith("_")}
            other = {one for one in dir(getattr(aio, name)) if not one.startswith("_")}
            # A push that is not waited for is a task of the event loop there; a thread is nothing special here.
            self.assertEqual(mine - {"push_soon"}, other - {"to_thread"}, name)


if __name__ == "__main__":
    unittest.main()
