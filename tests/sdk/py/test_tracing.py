"""The example of tracing makes the worker's span a child of the producer's, in one trace."""

from __future__ import annotations

import importlib.util

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from magicqueue.testing import FakeQueue
from tests.sdk.py.package import PACKAGE


def test_a_trace_goes_through_the_queue() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    spec = importlib.util.spec_from_file_location("tracing_example", PACKAGE / "examples" / "opentelemetry_tracing.py")
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    queue = FakeQueue("traced", middleware=[example.Tracing()])
    queue.push({"n": 1})
    queue.push_batch([{"data": {"n": 2}, "max_attempts": 1}])
    assert queue.run(lambda job, _: 1 // (job.data["n"] % 2)) == 2
    queue.close()
    spans = exporter.get_finished_spans()
    assert [(span.name, span.kind) for span in spans] == [
        ("traced publish", SpanKind.PRODUCER),
        ("traced publish", SpanKind.PRODUCER),
        ("traced process", SpanKind.CONSUMER),
        ("traced process", SpanKind.CONSUMER),
    ]
    for produced, consumed in zip(spans[:2], spans[2:], strict=True):
        assert consumed.parent is not None and consumed.context is not None and produced.context is not None
        assert consumed.parent.span_id == produced.context.span_id
        assert consumed.context.trace_id == produced.context.trace_id
    assert [span.status.status_code for span in spans[2:]] == [StatusCode.UNSET, StatusCode.ERROR]
