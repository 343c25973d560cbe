"""What a worker decides, without threads: pulling ahead, acknowledging, heartbeats, timeouts, losses, stopping."""

from __future__ import annotations

import unittest
from typing import Any

from magicqueue import JobLostError, JobTimeoutError, UnrecoverableError, WorkerStoppedError
from magicqueue._acknowledging import done
from magicqueue._flow import Flow
from magicqueue._held import HeldJob
from tests.sdk.py.unit.lines import open_core, put, sent


class Crew:
    def __init__(self) -> None:
        self.launched: list[HeldJob] = []
        self.given_up: list[HeldJob] = []
        self.told: list[tuple[Any, ...]] = []
        self.time = 0.0

    def launch(self, held: HeldJob) -> None:
        self.launched.append(held)

    def give_up(self, held: HeldJob) -> None:
        self.given_up.append(held)

    def tell(self, kind: str, *arguments: Any) -> None:
        self.told.append((kind, *arguments))

    def wake(self) -> None:
        pass

    def now(self) -> float:
        return self.time


class FlowTest(unittest.TestCase):
    def begin(self, concurrency: int = 1, batch_size: int = 1, lease_ms: int | None = None) -> None:
        self.core = open_core()
        self.crew = Crew()
        self.flow = Flow(
            self.crew, self.core, lambda entry: self.core.submit(entry, 0.0), "q", concurrency, batch_size, lease_ms
        )
        self.flow.begin(0.0)

    def give(self, *ids: int, **more: Any) -> None:
        """Answer the pull that waits."""
        (pull,) = [line for line in sent(self.core) if line["cmd"] == "PULLB"]
        self.assertLessEqual(len(ids), pull["count"])
        jobs = [{"id": id_, "queue": "q", "data": id_, "token": f"t{id_}", **more} for id_ in ids]
        put(self.core, ok=True, jobs=jobs, reqId=pull["reqId"])

    def finish(self, index: int, result: Any = None) -> None:
        self.flow.returned(done(self.crew.launched[index], result))

    def kinds(self) -> list[str]:
        return [notice[0] for notice in self.crew.told]

    def test_jobs_are_fetched_ahead_and_run_as_there_is_room(self) -> None:
        self.begin(concurrency=2, batch_size=3)
        self.give(1, 2, 3, 4)
        self.assertEqual([held.job.id for held in self.crew.launched], [1, 2])
        self.assertEqual(sent(self.core), [])
        self.finish(0)
        self.assertEqual([held.job.id for held in self.crew.launched], [1, 2, 3])
        pulls = [line for line in sent(self.core) if line["cmd"] == "PULLB"]
        self.assertEqual([pull["count"] for pull in pulls], [1])

    def test_acknowledgements_made_while_one_is_on_its_way_go_together(self) -> None:
        self.begin(concurrency=3, batch_size=1)
        self.give(1, 2, 3)
        for index in range(3):
            self.finish(index, index)
        acks = [line for line in sent(self.core) if line["cmd"].startswith("ACK")]
        self.assertEqual(acks, [{"cmd": "ACK", "id": 1, "token": "t1", "result": 0}])
        put(self.core, ok=True)
        acks = [line for line in sent(self.core) if line["cmd"].startswith("ACK")]
        self.assertEqual(acks, [{"cmd": "ACKB", "ids": [2, 3], "tokens": ["t2", "t3"], "results": [1, 2]}])
        put(self.core, ok=True, ids=[2], count=2)
        self.assertEqual(self.kinds(), ["completed"] * 3)
        self.assertTrue(self.flow.is_settled)

    def test_an_exception_is_told_as_its_traceback(self) -> None:
        self.begin()
        self.give(1)
        try:
            raise ValueError("no such thing")
        except ValueError as error:
            self.flow.raised(self.crew.launched[0], error)
        (fail,) = [line for line in sent(self.core) if line["cmd"] == "FAIL"]
        self.assertIn("test_flow.py", fail["error"])
        self.assertTrue(fail["error"].endswith("ValueError: no such thing"))
        self.assertEqual((fail["token"], fail["unrecoverable"]), ("t1", False))

    def test_unrecoverable_is_told(self) -> None:
        self.begin()
        self.give(1)
        self.flow.raised(self.crew.launched[0], UnrecoverableError("never"))
        (fail,) = [line for line in sent(self.core) if line["cmd"] == "FAIL"]
        self.assertTrue(fail["unrecoverable"])

    def test_a_result_that_is_no_json_is_unrecoverable(self) -> None:
        for result in (object(), float("nan"), {1, 2}):
            with self.assertRaises(UnrecoverableError):
                done(HeldJob(None), result)  # type: ignore[arg-type]

    def test_without_a_lease_a_lost_connection_loses_all(self) -> None:
        self.begin(concurrency=1, batch_size=2)
        self.give(1, 2)
        self.core.lost("gone", 1.0)
        self.assertEqual([held.job.id for held in self.crew.given_up], [1, 2])
        self.assertIsInstance(self.crew.launched[0].reason, JobLostError)
        self.finish(0)
        self.core.opened(2.0)
        self.assertEqual([line["cmd"] for line in sent(self.core)], ["PULLB"])

    def test_with_a_lease_a_job_outlives_the_connection(self) -> None:
        self.begin(lease_ms=3000)
        self.give(1)
        self.core.lost("gone", 1.0)
        self.finish(0, "r")
        self.core.opened(2.0)
        acks = [line for line in sent(self.core) if line["cmd"] == "ACK"]
        self.assertEqual(acks, [{"cmd": "ACK", "id": 1, "token": "t1", "result": "r"}])

    def test_a_lease_is_renewed_and_a_lost_one_noticed(self) -> None:
        self.begin(lease_ms=3000)
        self.give(1)
        self.assertEqual(self.flow.next_due(), 1.0)
        self.flow.tick(1.0)
        self.assertEqual(sent(self.core), [{"cmd": "HEARTBEAT", "id": 1, "token": "t1"}])
        self.assertEqual(self.flow.next_due(), 2.0)
        put(self.core, ok=False, error="Lease lost", code="lease_lost", retryable=False)
        self.assertIsInstance(self.crew.launched[0].reason, JobLostError)
        self.assertEqual(self.crew.given_up, self.crew.launched)

    def test_a_timeout_counts_from_the_start_of_the_handler(self) -> None:
        self.begin(lease_ms=60_000)
        self.give(1, timeout=500)
        self.assertEqual(self.crew.launched, [])
        self.crew.time = 10.0
        self.assertEqual(sent(self.core)[0]["cmd"], "HEARTBEAT")
        put(self.core, ok=True)
        self.assertEqual(self.flow.next_due(), 10.5)
        self.flow.tick(10.5)
        self.assertIsInstance(self.crew.launched[0].reason, JobTimeoutError)
        self.assertEqual([line["cmd"] for line in sent(self.core)], ["FAIL"])

    def test_stopping_gives_back_what_has_not_started_then_what_still_runs(self) -> None:
        self.begin(concurrency=1, batch_size=3)
        self.give(1, 2, 3)
        self.flow.stop()
        self.assertEqual(sent(self.core), [{"cmd": "RELEASE", "ids": [2, 3], "tokens": ["t2", "t3"]}])
        self.flow.give_back_rest()
        self.assertEqual(sent(self.core), [{"cmd": "RELEASE", "ids": [1], "tokens": ["t1"]}])
        self.assertIsInstance(self.crew.launched[0].reason, WorkerStoppedError)
        self.finish(0)
        self.assertEqual(sent(self.core), [])

    def test_jobs_of_the_last_pull_are_given_back(self) -> None:
        self.begin(concurrency=1, batch_size=1)
        (pull,) = sent(self.core)
        self.flow.stop()
        put(self.core, ok=True, jobs=[{"id": 1, "queue": "q", "data": 0, "token": "t1"}], reqId=pull["reqId"])
        self.assertEqual(sent(self.core), [{"cmd": "RELEASE", "ids": [1], "tokens": ["t1"]}])
        self.assertEqual([job.id for job in self.flow.late], [1])

    def test_a_skipped_acknowledgement_is_found(self) -> None:
        self.begin(concurrency=3, batch_size=1)
        self.give(1, 2, 3)
        for index in range(3):
            self.finish(index)
        sent(self.core)
        put(self.core, ok=True)
        sent(self.core)
        put(self.core, ok=True, ids=[1], count=1)
        self.assertEqual([line["id"] for line in sent(self.core)], [2, 3])
        put(self.core, ok=False, error="Job 2 not found", code="not_found", retryable=False)
        put(self.core, ok=False, error="Lease lost", code="lease_lost", retryable=False)
        self.assertEqual(self.kinds(), ["completed", "completed", "lost"])

    def test_a_refusal_for_good_ends_the_worker(self) -> None:
        self.begin()
        (pull,) = sent(self.core)
        put(self.core, ok=False, error="Invalid: queue", code="invalid", retryable=False, reqId=pull["reqId"])
        self.assertIsNotNone(self.flow.failure)


if __name__ == "__main__":
    unittest.main()
