"""Pushes made while one is on its way share a line, and each ends as if it had been alone."""

from __future__ import annotations

import json
import unittest
from typing import Any

from magicqueue import ConnectionLostError, DuplicateError
from magicqueue._batching import MAX_JOBS, MAX_LENGTH, Push, PushBatcher, cut
from tests.sdk.py.unit.lines import open_core, put, sent


class Batching(unittest.TestCase):
    def setUp(self) -> None:
        self.core = open_core()
        self.batcher = PushBatcher(self.core, "q", lambda entry: self.core.submit(entry, 0.0))

    def push(self, data: Any, key: str | None = None) -> Push:
        item = {"data": data} if key is None else {"data": data, "unique_key": key}
        push = Push('"q"', json.dumps(item), key is not None)
        self.batcher.push(push)
        return push

    def test_the_first_goes_alone_the_next_together(self) -> None:
        pushes = [self.push(number) for number in range(4)]
        self.assertEqual(sent(self.core), [{"cmd": "PUSH", "queue": "q", "data": 0}])
        put(self.core, ok=True, id=10)
        (line,) = sent(self.core)
        self.assertEqual((line["cmd"], [job["data"] for job in line["jobs"]]), ("PUSHB", [1, 2, 3]))
        put(self.core, ok=True, ids=[11, 12, 13])
        self.assertEqual([push.result()["id"] for push in pushes], [10, 11, 12, 13])
        self.push(5)
        self.assertEqual(sent(self.core)[0]["cmd"], "PUSH")

    def test_a_full_batch_does_not_wait(self) -> None:
        for number in range(MAX_JOBS + 1):
            self.push(number)
        self.assertEqual([line["cmd"] for line in sent(self.core)], ["PUSH", "PUSHB"])

    def test_each_of_a_batch_is_refused_by_itself(self) -> None:
        first, good, bad, busy = self.push(0), self.push(1), self.push(2, "k"), self.push(3)
        put(self.core, ok=True, id=1)
        sent(self.core)
        errors = [
            {"index": 1, "error": "Duplicate job with key: k", "code": "duplicate"},
            {"index": 2, "error": "Storage full", "code": "storage_full"},
        ]
        put(self.core, ok=True, ids=[2, 0, 0], errors=errors)
        self.assertEqual((first.result()["id"], good.result()["id"]), (1, 2))
        self.assertIsInstance(bad.error, DuplicateError)
        self.assertEqual(sent(self.core), [{"cmd": "PUSH", "queue": "q", "data": 3}])
        put(self.core, ok=True, id=4)
        self.assertEqual(busy.result()["id"], 4)

    def test_a_lost_batch_is_sent_again_only_for_jobs_with_a_key(self) -> None:
        self.push(0)
        plain, keyed = self.push(1), self.push(2, "k")
        put(self.core, ok=True, id=1)
        sent(self.core)
        self.core.lost("gone", 1.0)
        assert isinstance(plain.error, ConnectionLostError)
        self.assertTrue(plain.error.maybe_done)
        self.core.opened(2.0)
        self.assertEqual([line["data"] for line in sent(self.core)], [2])
        put(self.core, ok=False, error="Duplicate", code="duplicate", retryable=False)
        assert isinstance(keyed.error, DuplicateError)
        self.assertTrue(keyed.error.maybe_done)

    def test_lines_have_a_bearable_size(self) -> None:
        sizes = [MAX_LENGTH // 2, MAX_LENGTH // 2, 1, MAX_LENGTH * 2, 1]
        self.assertEqual(list(cut(sizes, lambda size: size)), [sizes[:2], [1], sizes[3:4], [1]])
        self.assertEqual([len(batch) for batch in cut(range(2500), lambda _: 1)], [1000, 1000, 500])


if __name__ == "__main__":
    unittest.main()
