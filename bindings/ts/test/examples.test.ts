import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { context, propagation, trace } from "@opentelemetry/api";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { Queue, Worker } from "magicqueue";
import { FakeServer } from "magicqueue/testing";

import { Daemon } from "./daemon.js";
import { AsyncContext, TraceParent } from "./otel_parts.js";

const EXAMPLES = join(dirname(fileURLToPath(import.meta.url)), "../examples");

/** What each program prints. */
const OUTPUT: Record<string, string[]> = {
  "basics.js": ["result: {'sentTo':'ada@example.org'}", "sent to grace@example.org"],
  "older_program.js": [
    "crons: 1",
    "Duplicate job with key: one",
    "ok: true worked on 4",
    "total completed at least: true",
    "progress: 100",
    "dead: 0 retried: 0",
    "pong: true true",
  ],
  "workflow.js": [
    "event: completed",
    "pixels: 1100",
    "failed: virus.exe is no picture",
    "dead: virus.exe failed after 1",
  ],
  "unit_test.js": ["reminded 3 times"],
};

describe("the examples", () => {
  let daemon: Daemon;

  before(async () => {
    daemon = await Daemon.start("--unix-socket", "0");
  });
  after(() => daemon.stop());

  for (const [file, lines] of Object.entries(OUTPUT)) {
    it(`${file} prints what it should`, async () => {
      const environment = { ...process.env, MQ_URL: `mq://127.0.0.1:${daemon.port}`, MQ_PORT: String(daemon.port) };
      const path = join(EXAMPLES, file);
      const command = process.versions["deno"] === undefined ? [path] : ["run", "-A", path];
      const { stdout, stderr } = await promisify(execFile)(process.execPath, command, { env: environment });
      assert.equal(stderr, "");
      const printed = stdout
        .trimEnd()
        .split("\n")
        .map((line) => line.replaceAll('"', "'"));
      assert.deepEqual(printed, lines);
    });
  }

  it("are all here", () => {
    const files = readdirSync(EXAMPLES).filter((name) => name.endsWith(".js"));
    assert.deepEqual(files.sort(), [...Object.keys(OUTPUT), "opentelemetry.js"].sort());
  });

  it("opentelemetry.js makes a worker's span the child of its producer's", async () => {
    const exporter = new InMemorySpanExporter();
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
    context.setGlobalContextManager(new AsyncContext());
    propagation.setGlobalPropagator(new TraceParent());
    const { tracing } = (await import("../examples/opentelemetry.js")) as typeof import("../examples/opentelemetry.js");
    const server = new FakeServer();
    const queue = new Queue("q", { client: server.client(), middleware: [tracing] });
    const worker = new Worker(
      "q",
      (job) => {
        if (job.data.n === 2) {
          throw new Error("two");
        }
        return trace.getActiveSpan()?.spanContext().traceId;
      },
      { client: server.client(), signals: false, middleware: [tracing] },
    );
    const over = worker.start();
    const traceId = await queue.pushAndWait({ n: 1 });
    await assert.rejects(queue.pushAndWait({ n: 2 }, { maxAttempts: 1 }), /two/);
    await worker.stop();
    await over;
    const spans = exporter.getFinishedSpans();
    const [published, processed] = ["q publish", "q process"].map((name) => spans.filter((span) => span.name === name));
    assert.equal(published!.length, 2);
    assert.deepEqual(
      processed!.map((span) => span.parentSpanContext?.spanId),
      published!.map((span) => span.spanContext().spanId),
    );
    assert.equal(processed![0]!.spanContext().traceId, traceId);
    assert.equal(processed![1]!.status.message, "two");
  });
});
