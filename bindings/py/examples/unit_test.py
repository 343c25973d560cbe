"""A unit test of a program that uses a queue, with a daemon in memory whose time the test moves."""

from magicqueue import DuplicateError, Job, JobContext, Queue
from magicqueue.testing import FakeQueue

DAY = 86_400_000


def remind(queue: Queue, customer: str) -> int:
    """The code under test: reminds a customer, three times at most, a day apart at first."""
    return queue.push({"customer": customer}, delay=DAY, backoff=DAY, max_attempts=3, unique_key=customer)


queue = FakeQueue("reminders")
sent: list[str] = []


def handler(job: Job, context: JobContext) -> None:
    sent.append(job.data["customer"])
    raise RuntimeError("no answer yet")


remind(queue, "ada")
try:
    remind(queue, "ada")
    raise AssertionError("reminded twice")
except DuplicateError:
    pass
queue.advance(DAY - 1)
assert queue.run(handler) == 0
for wait in (1, DAY, 2 * DAY):
    queue.advance(wait)
    assert queue.run(handler) == 1
assert sent == ["ada", "ada", "ada"]
assert len(queue.get_dlq()) == 1
print("reminded", len(sent), "times")
queue.close()
