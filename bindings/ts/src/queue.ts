// The producer's side: one queue by name.

import { parseUrl } from "./address.js";
import type {
  CronJob,
  EventName,
  FailureReason,
  Job,
  JobState,
  ListedState,
  MetricsAnswer,
  Progress,
  QueueCounts,
  StatsAnswer,
} from "./answers.js";
import { PushBatcher, cut } from "./batching.js";
import { MagicQueueClient, type ClientOptions } from "./client.js";
import type { Answers, CronRequest, PushItem, PushOptions, Request } from "./commands.js";
import { refusal } from "./entry.js";
import { BatchRefusedError, MagicQueueError, RefusedError } from "./errors.js";
import type { EventStream } from "./events.js";
import { aroundPush, type Middleware } from "./middleware.js";

/** Options of a queue. */
export interface QueueOptions extends ClientOptions {
  /** A client to share; `close` leaves it open. */
  client?: MagicQueueClient | undefined;
  /** Hooks around pushes. */
  middleware?: readonly Middleware[] | undefined;
  /** Pushes that are made together share a line; default true. */
  batching?: boolean | undefined;
}

/** What a listing is limited to. */
export interface ListOptions {
  /** Highest ids first; default false. */
  newestFirst?: boolean | undefined;
  /** Only jobs that failed for this reason. */
  reason?: FailureReason | undefined;
  /** Jobs of a page, which is one request; default 100. */
  pageSize?: number | undefined;
  /** `data` is the text of its first so many bytes; default all of it, as it is. */
  preview?: number | undefined;
}

/** A job and where it is. */
export type JobInfo<Data = any> = Job<Data> & { state: JobState };

/** Options of a cron: when it fires, and those of the jobs it pushes. */
export type CronOptions = Omit<CronRequest, "cmd" | "reqId" | "queue" | "name" | "schedule" | "data">;

/**
 * A queue: pushes jobs and looks after them. Connects by itself with the first call. What the daemon refuses is thrown,
 * as the class of its code.
 *
 * @typeParam Data what the jobs carry
 * @typeParam Result what their handlers return
 */
export class Queue<Data = any, Result = any> {
  readonly name: string;
  readonly client: MagicQueueClient;
  readonly #ownsClient: boolean;
  readonly #middleware: readonly Middleware[];
  readonly #batcher: PushBatcher | undefined;
  #unsettled = 0;
  #onSettled: (() => void) | undefined;

  /** Does not connect yet. */
  constructor(name: string, options: QueueOptions = {}) {
    this.name = name;
    this.client = options.client ?? new MagicQueueClient(options);
    this.#ownsClient = options.client === undefined;
    this.#middleware = options.middleware ?? [];
    this.#batcher = options.batching === false ? undefined : new PushBatcher(this.client.transport, name);
  }

  /** The queue that `mq://token@host:port/queue` names. Throws MagicQueueError if it names none. */
  static fromUrl<Data = any, Result = any>(url: string, options: QueueOptions = {}): Queue<Data, Result> {
    return new Queue<Data, Result>(queueNameOf(url), { ...options, url });
  }

  /** Connects now instead of with the first call. */
  connect(): Promise<void> {
    return this.client.connect();
  }

  /** Waits for the answers to pushes that were begun, then ends the connection. The next call makes a new one. */
  async close(): Promise<void> {
    if (this.#unsettled > 0 && this.client.isConnected()) {
      await new Promise<void>((resolve) => (this.#onSettled = resolve));
    }
    if (this.#ownsClient) {
      await this.client.close();
    }
  }

  // Pushing

  /**
   * Adds a job and resolves with its id. `data` is taken as it is now. Rejects with DuplicateError if the unique key is
   * in use, with ConnectionLostError (`maybeDone` true) if the connection was lost before the answer: without a unique
   * key the job is not pushed a second time.
   */
  async push(data: Data, options: PushOptions = {}): Promise<number> {
    if (this.#middleware.length === 0) {
      return this.#track(this.#pushOne({ ...options, data }));
    }
    const call = { queue: this.name, jobs: [{ ...options, data }] as PushItem[] };
    const pushing = aroundPush(this.#middleware, call, async () => [await this.#pushOne(call.jobs[0]!)]);
    const [id] = await this.#track(pushing);
    return id!;
  }

  /**
   * Adds many jobs and resolves with their ids, in order. Rejects with BatchRefusedError if some of them were refused;
   * it has the ids of the others.
   */
  async pushBatch(jobs: readonly PushItem<Data>[]): Promise<number[]> {
    const call = { queue: this.name, jobs: [...jobs] as PushItem[] };
    return [...(await this.#track(aroundPush(this.#middleware, call, () => this.#pushMany(call.jobs))))];
  }

  /** Adds a job for each payload, all with the same options. */
  pushMany(items: readonly Data[], options: Omit<PushOptions, "uniqueKey"> = {}): Promise<number[]> {
    return this.pushBatch(items.map((data) => ({ ...options, uniqueKey: undefined, data })));
  }

  /**
   * Adds a job, waits for its end, and resolves with its handler's result.
   *
   * @param timeout milliseconds to wait for the end; default 30,000. Rejects as `waitJob`.
   */
  async pushAndWait(data: Data, options: PushOptions & { waitTimeout?: number | undefined } = {}): Promise<Result> {
    const { waitTimeout, ...rest } = options;
    return this.waitJob(await this.push(data, rest), waitTimeout);
  }

  /** Counts a push until its end: close() waits for all. */
  async #track<T>(pushing: Promise<T>): Promise<T> {
    this.#unsettled += 1;
    try {
      return await pushing;
    } finally {
      this.#unsettled -= 1;
      if (this.#unsettled === 0) {
        this.#onSettled?.();
        this.#onSettled = undefined;
      }
    }
  }

  async #pushOne(job: PushItem): Promise<number> {
    const text = textOf(job);
    await this.#ensure();
    if (this.#batcher !== undefined) {
      return this.#batcher.push(text, typeof job.uniqueKey === "string");
    }
    return (await this.client.send({ ...job, cmd: "PUSH", queue: this.name })).id;
  }

  async #pushMany(jobs: readonly PushItem[]): Promise<number[]> {
    const batches = [...cut(jobs.map((job) => ({ text: textOf(job) })))];
    await this.#ensure();
    const answers = await Promise.all(batches.map((batch) => this.#pushLine(batch, batches.length > 1)));
    const ids = answers.flatMap((answer) => answer.ids);
    let start = 0;
    const errors = new Map<number, RefusedError>();
    for (const answer of answers) {
      answer.errors?.forEach((row) => errors.set(start + row.index, refusal({ ...row })));
      start += answer.ids.length;
    }
    if (errors.size > 0) {
      throw new BatchRefusedError(ids, errors);
    }
    return ids;
  }

  /** One PUSHB. Where there are several, the refusal of one as a whole is told for each of its jobs. */
  async #pushLine(batch: readonly { text: string }[], isOneOfMany: boolean): Promise<Answers["PUSHB"]> {
    const jobs = batch.map((job) => job.text).join(",");
    try {
      const text = `{"cmd":"PUSHB","queue":${JSON.stringify(this.name)},"jobs":[${jobs}]}`;
      return (await this.client.transport.send(text)) as unknown as Answers["PUSHB"];
    } catch (error) {
      if (isOneOfMany && error instanceof RefusedError) {
        const { message, code } = error;
        return {
          ok: true,
          ids: batch.map(() => 0),
          errors: batch.map((_, index) => ({ index, error: message, code })),
        };
      }
      throw error;
    }
  }

  // Single jobs

  /**
   * Waits for a job's end and resolves with its result.
   *
   * Rejects with FailedError if it is in the dead-letter queue (the message is its last error), with NotFoundError if
   * it is gone, with TimeoutError if it has not ended in time. A failure that is retried does not end the wait.
   *
   * @param timeout milliseconds; default 30,000
   */
  async waitJob(id: number, timeout?: number): Promise<Result> {
    return (await this.#send({ cmd: "WAITJOB", id, timeout })).result as Result;
  }

  /** A job with its `state`; null if it is unknown, or not kept any more. */
  async getJob(id: number): Promise<JobInfo<Data> | null> {
    const { job, state } = await this.#send({ cmd: "GETJOB", id });
    return job === null ? null : { ...job, state };
  }

  /** The queue's jobs in one state, as they are listed page by page. */
  async *getJobs(state: ListedState, options: ListOptions = {}): AsyncGenerator<Job<Data>, void, undefined> {
    const { newestFirst, pageSize, reason, preview } = options;
    const dir = newestFirst === true ? "desc" : "asc";
    let cursor: string | null | undefined;
    while (cursor !== null) {
      const limit = pageSize ?? 100;
      const request = { cmd: "GETJOBS", queue: this.name, state, limit, cursor, dir, reason, preview } as const;
      const page: Answers["GETJOBS"] = await this.#send(request);
      yield* page.jobs;
      cursor = page.cursor;
    }
  }

  /** What a completed job's handler returned; null if nothing, or not kept any more. */
  async getResult(id: number): Promise<Result | null> {
    return (await this.#send({ cmd: "GETRESULT", id })).result as Result | null;
  }

  /** How far a held job is. */
  async getProgress(id: number): Promise<Progress> {
    const { progress, message } = (await this.#send({ cmd: "GETPROGRESS", id })).progress;
    return { progress, message };
  }

  /** Removes a job that has not ended, held or not. */
  async cancel(id: number): Promise<void> {
    await this.#send({ cmd: "CANCEL", id });
  }

  // The dead-letter queue

  /** Jobs of the dead-letter queue, oldest first; default 100 at most. */
  async getDlq(count?: number): Promise<Job<Data>[]> {
    return (await this.#send({ cmd: "DLQ", queue: this.name, count })).jobs;
  }

  /** Puts one job, or all, of the dead-letter queue back; resolves with how many. */
  async retryDlq(id?: number): Promise<number> {
    return (await this.#send({ cmd: "RETRYDLQ", queue: this.name, id })).count;
  }

  /** Empties the dead-letter queue; resolves with how many jobs it had. */
  async purgeDlq(): Promise<number> {
    return (await this.#send({ cmd: "PURGEDLQ", queue: this.name })).count;
  }

  // The queue as a whole

  /** Stops deliveries; pushes and acknowledgements go on. */
  async pause(): Promise<void> {
    await this.#send({ cmd: "PAUSE", queue: this.name });
  }

  /** Starts deliveries again. */
  async resume(): Promise<void> {
    await this.#send({ cmd: "RESUME", queue: this.name });
  }

  async isPaused(): Promise<boolean> {
    return (await this.#send({ cmd: "ISPAUSED", queue: this.name })).paused;
  }

  /** At most `limit` jobs are given each `duration` (1000) milliseconds. */
  async setRateLimit(limit: number, duration?: number): Promise<void> {
    await this.#send({ cmd: "RATELIMIT", queue: this.name, limit, duration });
  }

  async clearRateLimit(): Promise<void> {
    await this.#send({ cmd: "RATELIMITCLEAR", queue: this.name });
  }

  /** At most `limit` jobs are held at once, by all workers together. */
  async setConcurrency(limit: number): Promise<void> {
    await this.#send({ cmd: "SETCONCURRENCY", queue: this.name, limit });
  }

  async clearConcurrency(): Promise<void> {
    await this.#send({ cmd: "CLEARCONCURRENCY", queue: this.name });
  }

  /** Pushes are refused (QueueFullError, retryable) while `length` jobs wait, for whatever; 0 takes the bound away. */
  async setMaxLength(length: number): Promise<void> {
    await this.#send({ cmd: "SETQUEUE", queue: this.name, maxLength: length });
  }

  /** Drops all jobs that wait, delayed ones included; resolves with how many. */
  async drain(): Promise<number> {
    return (await this.#send({ cmd: "DRAIN", queue: this.name })).count;
  }

  /** Drops everything: jobs in every state, limits, the name; resolves with how many jobs. */
  async obliterate(): Promise<number> {
    return (await this.#send({ cmd: "OBLITERATE", queue: this.name })).count;
  }

  /** The queue's own counts; null if the daemon does not know the queue. */
  async counts(): Promise<QueueCounts | null> {
    return (await this.#send({ cmd: "LISTQUEUES" })).queues.find((queue) => queue.name === this.name) ?? null;
  }

  /** Counts over all queues. */
  stats(): Promise<StatsAnswer> {
    return this.#send({ cmd: "STATS" });
  }

  /** Totals, rates, latencies, and counts of each queue, under `metrics`. */
  metrics(): Promise<MetricsAnswer> {
    return this.#send({ cmd: "METRICS" });
  }

  /** What happens to the queue's jobs, as it happens. No names: everything. */
  async events(...names: EventName[]): Promise<EventStream> {
    return this.client.events(this.name, names);
  }

  // Crons

  /**
   * Pushes a job again and again. Setting an equal cron again changes nothing.
   *
   * @param schedule 5 fields, or 6 with seconds first, or `@hourly` and the like; star, slash and N alone: every N
   * seconds
   * @param options a priority, or any option of a cron
   */
  async addCron(name: string, schedule: string, data: Data, options: number | CronOptions = {}): Promise<void> {
    const rest = typeof options === "number" ? { priority: options } : options;
    await this.#send({ ...rest, cmd: "CRON", name, queue: this.name, schedule, data });
  }

  /** Rejects with NotFoundError if there is no such cron, as the next three do. */
  async deleteCron(name: string): Promise<void> {
    await this.#send({ cmd: "CRONDELETE", name });
  }

  /** Pushes a cron's job now, whatever its schedule. */
  async runCron(name: string): Promise<void> {
    await this.#send({ cmd: "CRONRUN", name });
  }

  /** Fires a cron no more for now. */
  async pauseCron(name: string): Promise<void> {
    await this.#send({ cmd: "CRONPAUSE", name });
  }

  /** Fires a cron again, from its next time on. */
  async resumeCron(name: string): Promise<void> {
    await this.#send({ cmd: "CRONRESUME", name });
  }

  /** The crons of all queues. */
  async listCrons(): Promise<CronJob[]> {
    return (await this.#send({ cmd: "CRONLIST" })).crons;
  }

  async #send<R extends Request>(request: R): Promise<Answers[R["cmd"]]> {
    await this.#ensure();
    return this.client.send(request);
  }

  async #ensure(): Promise<void> {
    if (!this.client.isConnected()) {
      await this.client.transport.ensure();
    }
  }
}

/** The queue a URL names. Throws MagicQueueError if it names none. */
export function queueNameOf(url: string): string {
  const { queue } = parseUrl(url);
  if (queue === undefined) {
    throw new MagicQueueError("the URL names no queue: mq://token@host:port/queue");
  }
  return queue;
}

function textOf(job: PushItem): string {
  if (job.data === undefined || typeof job.data === "function" || typeof job.data === "symbol") {
    throw new MagicQueueError(`a job's data must be a JSON value, not ${typeof job.data}`);
  }
  return JSON.stringify(job);
}
