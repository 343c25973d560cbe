"""Traces that go through a queue: the producer's trace context travels in the payload, the worker's span is its child.

It needs opentelemetry-api; what becomes of the spans is up to the SDK that the program has set up.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind

from magicqueue import Job, Middleware, PushCall, Queue, Worker

KEY = "trace_context"
"""Where the trace context lies in a payload, which must be an object."""

tracer = trace.get_tracer("magicqueue")


class Tracing(Middleware):
    """Give it to queues and workers, of threads and of asyncio."""

    @contextlib.contextmanager
    def push(self, call: PushCall) -> Iterator[None]:
        attributes = {"messaging.system": "magicqueue", "messaging.destination.name": call.queue}
        with tracer.start_as_current_span(
            f"{call.queue} publish", kind=SpanKind.PRODUCER, attributes=attributes
        ) as span:
            carrier: dict[str, str] = {}
            propagate.inject(carrier)
            call.jobs = [{**job, "data": {**job["data"], KEY: carrier}} for job in call.jobs]
            yield
            span.set_attribute("messaging.batch.message_count", len(call.ids))

    @contextlib.contextmanager
    def process(self, job: Job, context: Any) -> Iterator[None]:
        attributes = {"messaging.message.id": str(job.id), "messaging.destination.name": job.queue}
        with tracer.start_as_current_span(
            f"{job.queue} process",
            context=propagate.extract(job.data.get(KEY, {})),
            kind=SpanKind.CONSUMER,
            attributes=attributes,
        ):
            yield


def main() -> None:
    """One job, pushed and worked on under the same trace."""
    worker = Worker("traced", lambda job, _: job.data["n"] + 1, middleware=[Tracing()])
    working = threading.Thread(target=worker.start)
    working.start()
    with Queue("traced", middleware=[Tracing()]) as queue:
        print(queue.push_and_wait({"n": 1}))
    worker.stop()
    working.join()


if __name__ == "__main__":
    main()
