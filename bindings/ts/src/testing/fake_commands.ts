// What the daemon in memory does for each command.

import type { EventName, FailureReason, ListedState } from "../answers.js";
import type { PushItem } from "../commands.js";
import { checkItem, checkRequest } from "./checking.js";
import type { FakeJob } from "./fake_job.js";
import { FakeRefusal } from "./fake_refusal.js";
import type { FakeTransport } from "./fake_transport.js";

const EVENTS: ReadonlySet<unknown> = new Set<EventName>([
  "pushed",
  "active",
  "completed",
  "failed",
  "retrying",
  "timeout",
  "expired",
  "cancelled",
  "progress",
  "stalled",
]);
const STATES: ReadonlySet<unknown> = new Set<ListedState>([
  "waiting",
  "delayed",
  "waitingparent",
  "active",
  "completed",
  "failed",
]);

const REASONS: ReadonlySet<unknown> = new Set<FailureReason>([
  "failed",
  "timeout",
  "worker_lost",
  "expired_lease",
  "dependency_failed",
]);
const PAGE_FIELDS = ["limit", "cursor", "sort", "dir", "search", "filter"];

type Members = Record<string, unknown>;

interface Call {
  readonly connection: FakeTransport;
  readonly fields: Members;
  readonly answer: (members: Members) => void;
  readonly refuse: (error: FakeRefusal) => void;
}

/** Carries out one request. Throws FakeRefusal, or calls one of the two functions, now or later. */
export function execute(
  connection: FakeTransport,
  fields: Members,
  answer: (members: Members) => void,
  refuse: (error: FakeRefusal) => void,
): void {
  const name = typeof fields["cmd"] === "string" ? fields["cmd"].toUpperCase() : undefined;
  if (name === undefined) {
    throw new FakeRefusal("invalid", "Invalid: cmd is required");
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    throw new FakeRefusal("unknown_command", `Unknown command ${name}`);
  }
  const members = command({ connection, fields: checkRequest(name, fields), answer, refuse });
  if (members !== undefined) {
    answer(members);
  }
}

const COMMANDS: Record<string, (call: Call) => Members | undefined> = {
  PUSH: (call) => ({ id: serverOf(call).push(queueOf(call), call.fields as unknown as PushItem) }),
  PUSHB: pushBatch,
  PULL: (call) => pull(call, 1, (jobs) => ({ job: jobs[0] ?? null })),
  PULLB: (call) => pull(call, numberOf(call, "count"), (jobs) => ({ jobs })),
  ACK(call) {
    serverOf(call).complete(heldJob(call), call.fields["result"]);
    return {};
  },
  ACKB(call) {
    const results = listOf(call, "results");
    const count = eachHeld(call, (job, index) => serverOf(call).complete(job, results[index]));
    return { ids: [count], count };
  },
  FAIL(call) {
    const error = (call.fields["error"] as string | undefined) ?? null;
    serverOf(call).fail(heldJob(call), error, "failed", call.fields["unrecoverable"] === true);
    return {};
  },
  RELEASE(call) {
    const delay = (call.fields["delay"] as number | undefined) ?? 0;
    if (call.fields["id"] === undefined && call.fields["ids"] === undefined) {
      throw new FakeRefusal("invalid", "Invalid: either id or ids is required");
    }
    if (call.fields["id"] !== undefined) {
      serverOf(call).putBack(heldJob(call), delay);
      return { count: 1 };
    }
    return { count: eachHeld(call, (job) => serverOf(call).putBack(job, delay)) };
  },
  HEARTBEAT(call) {
    serverOf(call).touch(heldJob(call), call.fields["lease"] as number | undefined);
    return {};
  },
  PROGRESS(call) {
    const job = heldJob(call);
    job.row.progress = Math.min(100, Math.max(0, numberOf(call, "progress")));
    job.row.progress_msg = (call.fields["message"] as string | undefined) ?? null;
    serverOf(call).progress(job);
    return {};
  },
  GETPROGRESS(call) {
    const job = knownJob(call);
    if (job.hold === undefined && job.state !== "completed") {
      throw new FakeRefusal("not_found", `Job ${job.row.id} not found in processing`);
    }
    const { id, progress, progress_msg: message } = job.row;
    return { progress: { id, progress, message } };
  },
  GETRESULT: (call) => ({ id: numberOf(call, "id"), result: jobOf(call)?.result ?? null }),
  GETJOB(call) {
    const job = jobOf(call);
    return { job: job === undefined ? null : serverOf(call).toWire(job), state: job?.state ?? "unknown" };
  },
  GETJOBS: listJobs,
  WAITJOB: waitForJob,
  CANCEL(call) {
    const job = knownJob(call);
    if (job.hasEnded) {
      throw new FakeRefusal("not_found", `Job ${job.row.id} not found`);
    }
    serverOf(call).drop(job, "cancelled");
    return {};
  },
  DLQ: (call) => ({
    jobs: dead(call)
      .slice(0, (call.fields["count"] as number | undefined) ?? 100)
      .map(toWire),
  }),
  RETRYDLQ(call) {
    const { id } = call.fields;
    const jobs = chosen(call).filter((job) => (id ?? job.row.id) === job.row.id);
    if (id !== undefined && jobs.length === 0) {
      throw new FakeRefusal("not_found", `Job ${String(id)} not found`);
    }
    for (const job of jobs) {
      Object.assign(job.row, { attempts: 0, deliveries: 0, run_at: Math.max(job.row.run_at, serverOf(call).now) });
      job.losses = 0;
      serverOf(call).putBack(job);
    }
    return { ids: [jobs.length], count: jobs.length };
  },
  PURGEDLQ: (call) => ({ count: dropAll(call, chosen(call)) }),
  GETDLQCOUNTS(call) {
    const counts: Record<string, Record<string, number>> = {};
    for (const job of serverOf(call).jobs.values()) {
      if (job.state === "failed" && job.reason !== undefined) {
        const ofQueue = (counts[job.row.queue] ??= {});
        ofQueue[job.reason] = (ofQueue[job.reason] ?? 0) + 1;
      }
    }
    return { counts };
  },
  CLIENTS: unsupported,
  DRAIN: (call) => ({
    count: dropAll(call, serverOf(call).jobsOf(queueOf(call), "waiting", "delayed", "waitingparent")),
  }),
  OBLITERATE(call) {
    const queue = queueOf(call);
    const { server } = call.connection;
    const count = dropAll(call, server.jobsOf(queue, "waiting", "delayed", "waitingparent", "active", "failed"));
    server.jobsOf(queue, "completed").forEach((job) => server.jobs.delete(job.row.id));
    server.queues.delete(queue);
    return { count };
  },
  PAUSE: (call) => set(call, { isPaused: true }),
  RESUME: (call) => set(call, { isPaused: false }),
  ISPAUSED: (call) => ({ paused: serverOf(call).queues.get(queueOf(call))?.isPaused ?? false }),
  RATELIMIT(call) {
    const duration = (call.fields["duration"] as number | undefined) ?? 1_000;
    return set(call, { rate: { limit: numberOf(call, "limit"), duration } });
  },
  RATELIMITCLEAR: (call) => set(call, { rate: undefined }),
  SETCONCURRENCY: (call) => set(call, { concurrency: numberOf(call, "limit") }),
  SETQUEUE(call) {
    const maxLength = call.fields["maxLength"];
    return typeof maxLength === "number" ? set(call, { maxLength }) : {};
  },
  CLEARCONCURRENCY: (call) => set(call, { concurrency: undefined }),
  LISTQUEUES(call) {
    if (PAGE_FIELDS.some((name) => call.fields[name] !== undefined)) {
      unsupported();
    }
    return { queues: [...serverOf(call).queues.keys()].map((name) => countsOf(call, name)) };
  },
  STATS(call) {
    const jobs = [...serverOf(call).jobs.values()];
    const count = (state: string): number => jobs.filter((job) => job.state === state).length;
    return {
      queued: count("waiting"),
      processing: count("active"),
      delayed: count("delayed"),
      dlq: count("failed"),
      completed: count("completed"),
      waiting: count("waitingparent"),
    };
  },
  CRON(call) {
    serverOf(call).crons.set(textOf(call, "name"), call.fields);
    return {};
  },
  CRONDELETE(call) {
    cronOf(call);
    serverOf(call).crons.delete(textOf(call, "name"));
    return {};
  },
  CRONRUN(call) {
    const cron = cronOf(call);
    serverOf(call).push(cron["queue"] as string, cron as unknown as PushItem);
    cron["last_run"] = serverOf(call).now;
    return {};
  },
  CRONPAUSE: (call) => Object.assign(cronOf(call), { paused: true }) && {},
  CRONRESUME: (call) => Object.assign(cronOf(call), { paused: false }) && {},
  CRONLIST(call) {
    const defaults = { priority: 0, timezone: "UTC", paused: false, next_run: null, last_run: null };
    const names = ["name", "queue", "data", "schedule", ...Object.keys(defaults)];
    const rows = [...serverOf(call).crons.values()].map((cron): Members => ({ ...defaults, ...cron }));
    return { crons: rows.map((row) => Object.fromEntries(names.map((name) => [name, row[name]]))) };
  },
  SUBSCRIBE(call) {
    call.connection.subscriptions.set(queueOf(call), eventsOf(call));
    return {};
  },
  UNSUBSCRIBE(call) {
    const names = eventsOf(call);
    const queue = queueOf(call);
    const { subscriptions } = call.connection;
    const left = (subscriptions.get(queue) ?? []).filter((name) => !names.includes(name));
    subscriptions.delete(queue);
    if (names.length > 0 && left.length > 0) {
      subscriptions.set(queue, left);
    }
    return {};
  },
  METRICS: unsupported,
  TOPOLOGY: unsupported,
  AUTH: () => ({}),
  PING: () => ({ pong: true }),
  HELLO: () => ({ server: "fake", version: "0", protocol: 1, limits: {} }),
};

function pushBatch(call: Call): Members {
  const queue = queueOf(call);
  const errors: Members[] = [];
  const ids = listOf(call, "jobs").map((item, index) => {
    try {
      return serverOf(call).push(queue, checkItem(item) as unknown as PushItem);
    } catch (error) {
      if (!(error instanceof FakeRefusal)) {
        throw error;
      }
      errors.push({ index, error: error.message, code: error.code });
      return 0;
    }
  });
  return errors.length === 0 ? { ids } : { ids, errors };
}

function pull(call: Call, count: number, shape: (jobs: unknown[]) => Members): undefined {
  const { connection, fields } = call;
  const { server } = connection;
  const queue = queueOf(call);
  const timeout = fields["timeout"] as number | null | undefined;
  const lease = fields["lease"] as number | undefined;
  const poll = (isOver: boolean): boolean => {
    const jobs: FakeJob[] = [];
    for (let job = nextJob(); job !== undefined; job = nextJob()) {
      jobs.push(job);
    }
    if (jobs.length === 0 && !isOver && count > 0) {
      return false;
    }
    call.answer(shape(jobs.map(toWire)));
    return true;

    function nextJob(): FakeJob | undefined {
      return jobs.length < count && connection.isConnected() ? server.pull(queue, connection, lease) : undefined;
    }
  };
  server.park({ poll, endsAt: server.now + (timeout ?? Infinity), connection });
}

function waitForJob(call: Call): undefined {
  const { connection } = call;
  const { server } = connection;
  const id = numberOf(call, "id");
  const poll = (isOver: boolean): boolean => {
    const job = server.jobs.get(id);
    if (job === undefined) {
      call.refuse(new FakeRefusal("not_found", `Job ${id} not found`));
    } else if (job.state === "completed") {
      call.answer({ result: job.result, state: "completed" });
    } else if (job.state === "failed") {
      call.refuse(new FakeRefusal("failed", job.row.last_error ?? "Job failed"));
    } else if (isOver) {
      call.refuse(new FakeRefusal("timeout", `Timeout waiting for job ${id}`));
    } else {
      return false;
    }
    return true;
  };
  server.park({ poll, endsAt: server.now + ((call.fields["timeout"] as number | undefined) ?? 30_000), connection });
}

function listJobs(call: Call): Members {
  const { fields, connection } = call;
  if (!STATES.has(fields["state"])) {
    throw new FakeRefusal("invalid", `Invalid: there is no state ${textOf(call, "state")}`);
  }
  const jobs = connection.server.jobsOf(queueOf(call), textOf(call, "state")).sort((a, b) => a.row.id - b.row.id);
  const ordered = fields["dir"] === "desc" ? jobs.reverse() : jobs;
  const wanted = ordered.filter((job) => (fields["reason"] ?? job.reason) === job.reason);
  const start = Number((fields["cursor"] as string | null | undefined) ?? 0);
  const end = start + ((fields["limit"] as number | undefined) ?? 100);
  return {
    jobs: wanted.slice(start, end).map((job) => connection.server.toWire(job)),
    cursor: end < wanted.length ? String(end) : null,
  };
}

/** Refused, so that a test does not take it for granted. */
function unsupported(): never {
  throw new FakeRefusal("not_supported", "Not supported by the daemon in memory");
}

function countsOf(call: Call, name: string): Members {
  const { server } = call.connection;
  const count = (state: string): number => server.jobsOf(name, state).length;
  const { isPaused: paused, rate, concurrency } = server.settingsOf(name);
  return {
    name,
    pending: count("waiting"),
    processing: count("active"),
    delayed: count("delayed"),
    dlq: count("failed"),
    completed: count("completed"),
    paused,
    rate_limit: rate?.limit ?? null,
    rate_duration: rate?.duration ?? null,
    concurrency_limit: concurrency ?? null,
  };
}

// Fields

function serverOf(call: Call): FakeTransport["server"] {
  return call.connection.server;
}

function textOf(call: Call, name: string): string {
  return call.fields[name] as string;
}

function queueOf(call: Call): string {
  return textOf(call, "queue");
}

function numberOf(call: Call, name: string): number {
  return call.fields[name] as number;
}

function listOf(call: Call, name: string): readonly unknown[] {
  return (call.fields[name] ?? []) as unknown[];
}

function eventsOf(call: Call): string[] {
  const names = listOf(call, "events");
  const unknown = names.find((name) => !EVENTS.has(name));
  if (unknown !== undefined) {
    throw new FakeRefusal("invalid", `Invalid: there is no event ${String(unknown)}`);
  }
  return names as string[];
}

function jobOf(call: Call): FakeJob | undefined {
  return serverOf(call).jobs.get(numberOf(call, "id"));
}

function knownJob(call: Call): FakeJob {
  const job = jobOf(call);
  if (job === undefined) {
    throw new FakeRefusal("not_found", `Job ${String(call.fields["id"])} not found`);
  }
  return job;
}

function heldJob(call: Call): FakeJob {
  const job = knownJob(call);
  const { token } = call.fields;
  if (job.state === "completed") {
    throw new FakeRefusal("not_found", `Job ${job.row.id} not found`);
  }
  if (typeof token === "string" && job.hold?.token !== token) {
    throw new FakeRefusal("lease_lost", "Lease lost: the job was given to another worker or is pending again");
  }
  if (job.hold === undefined) {
    throw new FakeRefusal("not_found", `Job ${job.row.id} not found in processing`);
  }
  return job;
}

/** Does something with each held job of `ids`, skipping the others; how many there were. */
function eachHeld(call: Call, action: (job: FakeJob, index: number) => void): number {
  const tokens = listOf(call, "tokens");
  let count = 0;
  listOf(call, "ids").forEach((id, index) => {
    const job = serverOf(call).jobs.get(id as number);
    const token = tokens[index] ?? job?.hold?.token;
    if (job?.hold !== undefined && job.hold.token === token) {
      action(job, index);
      count += 1;
    }
  });
  return count;
}

function cronOf(call: Call): Members {
  const cron = serverOf(call).crons.get(textOf(call, "name"));
  if (cron === undefined) {
    throw new FakeRefusal("not_found", "Cron job not found");
  }
  return cron;
}

function dead(call: Call): FakeJob[] {
  return serverOf(call)
    .jobsOf(queueOf(call), "failed")
    .sort((a, b) => a.row.id - b.row.id);
}

/** The dead letters that `ids` or `reason` choose, or all. */
function chosen(call: Call): FakeJob[] {
  const { id, ids, reason } = call.fields as { id?: number; ids?: number[]; reason?: string };
  if ([id, ids, reason].filter((given) => given !== undefined).length > 1) {
    throw new FakeRefusal("invalid", "Invalid: only one of id, ids and reason may be given");
  }
  if (reason !== undefined && !REASONS.has(reason)) {
    throw new FakeRefusal("invalid", `Invalid: there is no reason ${reason}`);
  }
  return dead(call).filter((job) => (ids?.includes(job.row.id) ?? true) && (reason ?? job.reason) === job.reason);
}

function dropAll(call: Call, jobs: readonly FakeJob[]): number {
  jobs.forEach((job) => serverOf(call).drop(job, "cancelled"));
  return jobs.length;
}

function set(call: Call, settings: object): Members {
  Object.assign(serverOf(call).settingsOf(queueOf(call)), settings);
  return {};
}

function toWire(job: FakeJob): object {
  return job.toWire();
}
