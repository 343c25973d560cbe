// A daemon in memory whose time stands still until the test moves it. It follows the daemon's contract for jobs: order,
// delays, retries with backoff, timeouts, time to live, leases, unique keys, dependencies, the dead-letter queue,
// pause, concurrency, events. Rate limits and crons are kept and listed, not enforced or fired (CRONRUN fires one). It
// checks that requests name their queue and job, not every limit of the daemon's.

import type { EventName, FailureReason, JobEvent } from "../answers.js";
import { MagicQueueClient } from "../client.js";
import type { PushItem } from "../commands.js";
import { FakeJob, type Hold } from "./fake_job.js";
import { FakeRefusal } from "./fake_refusal.js";
import { FakeTransport } from "./fake_transport.js";

const MAX_LOSSES = 10;
const DEFAULT_LEASE = 1_800_000;
const NEW_QUEUE = { isPaused: false, rate: undefined, concurrency: undefined, maxLength: 0 };

export interface FakeServerOptions {
  /** The time at the start, in milliseconds since the Unix epoch; default 2026-01-01. */
  now?: number | undefined;
}

/** Something waits: for a job, for a job's end, for time to pass. */
export interface Waiter {
  /** Looks whether the wait is over and answers if so. `isOver`: it has to be, with nothing. */
  poll(isOver: boolean): boolean;
  readonly endsAt: number;
  readonly connection: object;
}

/** A queue's own settings. */
export interface FakeQueueSettings {
  isPaused: boolean;
  rate: { limit: number; duration: number } | undefined;
  concurrency: number | undefined;
  /** 0 is no bound. */
  maxLength: number;
}

/** A daemon in memory. Give its clients to queues and workers: `new Queue("emails", { client: server.client() })`. */
export class FakeServer {
  readonly jobs = new Map<number, FakeJob>();
  readonly queues = new Map<string, FakeQueueSettings>();
  readonly crons = new Map<string, Record<string, unknown>>();
  readonly #connections = new Set<FakeTransport>();
  #waiters: Waiter[] = [];
  #now: number;
  #nextId = 1;
  #nextToken = 1;

  constructor(options: FakeServerOptions = {}) {
    this.#now = options.now ?? Date.UTC(2026, 0, 1);
  }

  /** Milliseconds since the Unix epoch, by the server's own clock. */
  get now(): number {
    return this.#now;
  }

  /** A client of its own connection. */
  client(): MagicQueueClient {
    const transport = new FakeTransport(this);
    this.#connections.add(transport);
    return new MagicQueueClient({ transport });
  }

  /**
   * Moves the clock. What becomes due on the way happens at its time, in order; between two such times handlers and
   * answers get their turn.
   */
  async advance(ms: number): Promise<void> {
    const target = this.#now + ms;
    for (;;) {
      await turn();
      const next = Math.min(...this.#dueTimes());
      if (next > target) {
        break;
      }
      this.#now = Math.max(this.#now, next);
      this.settle();
    }
    this.#now = target;
    this.settle();
    await turn();
  }

  // For the commands

  settingsOf(queue: string): FakeQueueSettings {
    let settings = this.queues.get(queue);
    if (settings === undefined) {
      settings = { ...NEW_QUEUE };
      this.queues.set(queue, settings);
    }
    return settings;
  }

  /** The jobs of a queue in one of these states, in the order in which they are to run. */
  jobsOf(queue: string, ...states: string[]): FakeJob[] {
    const jobs = [...this.jobs.values()].filter((job) => job.row.queue === queue && states.includes(job.state));
    return jobs.sort(FakeJob.compare);
  }

  /** A job as it is looked at, with what it waits for and how it failed before. */
  toWire(job: FakeJob): object {
    const past = { ended_at: job.endedAt, errors: job.errors };
    const waitsFor = [...job.waitsFor].map((id) => ({ id, state: this.jobs.get(id)?.state ?? "unknown" }));
    const shown = { ...job.toWire(), ...past };
    return job.state === "waitingparent" ? { ...shown, waits_for: waitsFor } : shown;
  }

  /** Adds a job. Throws FakeRefusal for a key in use, an unknown dependency, or a full queue. */
  push(queue: string, item: PushItem): number {
    const job = new FakeJob(this.#nextId, queue, item, this.#now);
    const key = job.row.unique_key;
    const isTaken = (other: FakeJob): boolean =>
      other.row.queue === queue && other.row.unique_key === key && !other.hasEnded;
    if (key !== null && [...this.jobs.values()].some(isTaken)) {
      throw new FakeRefusal("duplicate", `Duplicate job with key: ${key}`);
    }
    for (const id of job.waitsFor) {
      if (id >= this.#nextId) {
        throw new FakeRefusal("not_found", `Job ${id} not found`);
      }
      if (this.jobs.get(id)?.state === "completed") {
        job.waitsFor.delete(id);
      }
    }
    const maxLength = this.queues.get(queue)?.maxLength ?? 0;
    if (maxLength > 0 && this.jobsOf(queue, "waiting", "delayed", "waitingparent").length >= maxLength) {
      throw new FakeRefusal("queue_full", "Queue full: as many jobs wait as its max_length allows");
    }
    this.#nextId += 1;
    this.settingsOf(queue);
    this.jobs.set(job.row.id, job);
    this.#tell(job, "pushed");
    const gone = [...job.waitsFor].find((id) => !this.jobs.has(id));
    if (gone === undefined) {
      this.#makeReady(job);
    } else {
      job.waitsFor.delete(gone);
      this.#buryDependent(job, gone);
    }
    return job.row.id;
  }

  /** Gives the next job to a connection, or for a lease; undefined if there is none that may be given. */
  pull(queue: string, connection: object, lease: number | undefined): FakeJob | undefined {
    const { isPaused, concurrency } = this.queues.get(queue) ?? NEW_QUEUE;
    const isFull = concurrency !== undefined && this.jobsOf(queue, "active").length >= concurrency;
    const job = isPaused || isFull ? undefined : this.jobsOf(queue, "waiting")[0];
    if (job === undefined) {
      return undefined;
    }
    job.state = "active";
    job.row.deliveries += 1;
    job.row.started_at = this.#now;
    const token = `fake-${this.#nextToken++}`;
    job.hold = { connection: lease === undefined ? connection : undefined, token, lease, leaseEnds: 0, timeoutAt: 0 };
    this.touch(job, lease);
    this.#tell(job, "active");
    return job;
  }

  /** Starts a held job's lease and timeout again. */
  touch(job: FakeJob, lease: number | undefined): void {
    const hold = job.hold!;
    const ms = lease ?? hold.lease ?? DEFAULT_LEASE;
    hold.leaseEnds = hold.connection === undefined ? this.#now + ms : Infinity;
    hold.timeoutAt = job.row.timeout > 0 ? this.#now + job.row.timeout : Infinity;
  }

  complete(job: FakeJob, result: unknown): void {
    job.state = "completed";
    job.endedAt = this.#now;
    job.hold = undefined;
    job.result = result ?? null;
    this.#tell(job, "completed");
    for (const other of this.jobs.values()) {
      if (other.waitsFor.delete(job.row.id) && other.state === "waitingparent") {
        this.#makeReady(other);
      }
    }
  }

  fail(job: FakeJob, error: string | null, reason: FailureReason, isUnrecoverable = false): void {
    const { row } = job;
    job.hold = undefined;
    row.attempts += 1;
    row.last_error = error ?? row.last_error;
    job.noteFailure(reason, error, this.#now);
    if (isUnrecoverable || (row.max_attempts > 0 && row.attempts >= row.max_attempts)) {
      this.#bury(job, reason);
      return;
    }
    row.run_at = this.#now + Math.min(row.max_backoff, row.backoff * 2 ** (row.attempts - 1));
    this.#tell(job, "retrying");
    this.#makeReady(job);
  }

  /** Puts a job back to be pulled: released, retried from the dead-letter queue, or no longer delayed. */
  putBack(job: FakeJob, delay = 0): void {
    job.hold = undefined;
    job.reason = undefined;
    job.endedAt = null;
    if (delay > 0) {
      job.row.run_at = this.#now + delay;
    }
    this.#makeReady(job);
  }

  /** Forgets a job that has not completed; those that wait for it fail. */
  drop(job: FakeJob, event: EventName | undefined): void {
    this.jobs.delete(job.row.id);
    if (event !== undefined) {
      this.#tell(job, event);
    }
    for (const other of this.jobs.values()) {
      if (!other.hasEnded && other.waitsFor.delete(job.row.id)) {
        this.#buryDependent(other, job.row.id);
      }
    }
  }

  progress(job: FakeJob): void {
    this.#tell(job, "progress");
  }

  park(waiter: Waiter): void {
    if (!waiter.poll(waiter.endsAt <= this.#now)) {
      this.#waiters.push(waiter);
    }
  }

  /** A connection ends: what waits on it is answered, what it holds is back in the queue. */
  disconnect(connection: object): void {
    const own = this.#waiters.filter((waiter) => waiter.connection === connection);
    this.#waiters = this.#waiters.filter((waiter) => waiter.connection !== connection);
    own.forEach((waiter) => waiter.poll(true));
    for (const job of this.jobs.values()) {
      if (job.hold?.connection === connection) {
        this.#lose(job, "worker_lost");
      }
    }
    this.settle();
  }

  /** Lets happen what is due now. */
  settle(): void {
    for (const job of this.jobs.values()) {
      this.#settleJob(job);
    }
    this.#waiters = this.#waiters.filter((waiter) => !waiter.poll(false));
    this.#waiters = this.#waiters.filter((waiter) => waiter.endsAt > this.#now || !waiter.poll(true));
  }

  // Inside

  #settleJob(job: FakeJob): void {
    const { row, hold } = job;
    if (hold !== undefined && hold.timeoutAt <= this.#now) {
      this.#tell(job, "timeout");
      this.fail(job, "Timed out", "timeout");
    } else if (hold !== undefined && hold.leaseEnds <= this.#now) {
      this.#lose(job, "expired_lease");
    } else if (expiry(job) <= this.#now) {
      this.drop(job, "expired");
    } else if (job.state === "delayed" && row.run_at <= this.#now) {
      job.state = "waiting";
    }
  }

  #dueTimes(): number[] {
    const times = this.#waiters.map((waiter) => waiter.endsAt);
    for (const job of this.jobs.values()) {
      const { leaseEnds, timeoutAt }: Pick<Hold, "leaseEnds" | "timeoutAt"> = job.hold ?? {
        leaseEnds: Infinity,
        timeoutAt: Infinity,
      };
      times.push(leaseEnds, timeoutAt, expiry(job), job.state === "delayed" ? job.row.run_at : Infinity);
    }
    return times;
  }

  #makeReady(job: FakeJob): void {
    const isDelayed = job.row.run_at > this.#now;
    job.state = job.waitsFor.size > 0 ? "waitingparent" : isDelayed ? "delayed" : "waiting";
  }

  #lose(job: FakeJob, reason: FailureReason): void {
    job.losses += 1;
    this.#tell(job, "stalled");
    if (job.losses >= MAX_LOSSES) {
      job.noteFailure(reason, null, this.#now);
      job.hold = undefined;
      this.#bury(job, reason);
    } else {
      this.putBack(job);
    }
  }

  #buryDependent(job: FakeJob, dependency: number): void {
    job.row.last_error = `Dependency ${dependency} was cancelled or dropped`;
    this.#bury(job, "dependency_failed");
  }

  #bury(job: FakeJob, reason: FailureReason): void {
    job.state = "failed";
    job.endedAt = this.#now;
    job.reason = reason;
    this.#tell(job, "failed");
  }

  #tell(job: FakeJob, event: EventName): void {
    const line: Omit<JobEvent, "seq"> = { event, queue: job.row.queue, job: job.row.id };
    this.#connections.forEach((connection) => connection.tell(line));
  }
}

function expiry(job: FakeJob): number {
  const { ttl, created_at, deliveries } = job.row;
  return ttl > 0 && deliveries === 0 && !job.hasEnded ? created_at + ttl : Infinity;
}

/** Lets everything run that can without time passing. */
async function turn(): Promise<void> {
  for (let i = 0; i < 3; i += 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
