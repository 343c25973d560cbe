// Traces that go through a queue: the producer's trace context travels in the payload, and the worker's span is its
// child. It needs @opentelemetry/api; what becomes of the spans is up to the SDK that the program has set up.

import { SpanKind, SpanStatusCode, context, propagation, trace } from "@opentelemetry/api";
import { messageOf, type Middleware } from "magicqueue";

const tracer = trace.getTracer("magicqueue");

/** Where the trace context lies in a payload, which must be an object. */
const KEY = "traceContext";

/** Hooks for both `new Queue(…, { middleware: [tracing] })` and `new Worker(…, { middleware: [tracing] })`. */
export const tracing: Middleware = {
  push(call, next) {
    const attributes = { "messaging.system": "magicqueue", "messaging.destination.name": call.queue };
    return tracer.startActiveSpan(`${call.queue} publish`, { kind: SpanKind.PRODUCER, attributes }, async (span) => {
      const carrier: Record<string, string> = {};
      propagation.inject(context.active(), carrier);
      call.jobs = call.jobs.map((job) => ({ ...job, data: { ...(job.data as object), [KEY]: carrier } }));
      try {
        const ids = await next();
        span.setAttribute("messaging.batch.message_count", ids.length);
        return ids;
      } catch (error) {
        span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) });
        throw error;
      } finally {
        span.end();
      }
    });
  },

  process(job, _context, next) {
    const parent = propagation.extract(context.active(), (job.data as Record<string, unknown>)[KEY] ?? {});
    const attributes = { "messaging.message.id": String(job.id), "messaging.destination.name": job.queue };
    const options = { kind: SpanKind.CONSUMER, attributes };
    return tracer.startActiveSpan(`${job.queue} process`, options, parent, async (span) => {
      try {
        return await next();
      } catch (error) {
        span.recordException(error as Error);
        span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) });
        throw error;
      } finally {
        span.end();
      }
    });
  },
};
