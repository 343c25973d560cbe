// The consumer's side: pulls jobs of a queue, runs a handler for each, and tells the daemon how it ended.
//
// Every delivery is in `#held` from the pull to its end: in `#buffer` until its handler starts. Jobs without a lease
// are held by the connection; when that is lost they are back in the queue at once, and what is left of them here is
// aborted.

import { EventEmitter } from "node:events";
import process from "node:process";

import { Acknowledger } from "./acknowledging.js";
import type { Job } from "./answers.js";
import { MagicQueueClient, type ClientOptions } from "./client.js";
import type { Answers } from "./commands.js";
import { ConfigurationError, JobLostError, NotConnectedError, RefusedError, WorkerStoppedError } from "./errors.js";
import { HeldJob } from "./held_job.js";
import { aroundProcess, type Middleware } from "./middleware.js";
import { queueNameOf } from "./queue.js";
import { unwatchSignals, watchSignals } from "./signals.js";

/** What a handler gets beside the job. */
export interface JobContext<Data = any> {
  readonly job: Job<Data>;
  /**
   * Aborted when the job is no longer this worker's: its connection or lease is lost, its timeout has passed, or the
   * worker stops and the time to drain is over. Whatever the handler returns then does not count.
   */
  readonly signal: AbortSignal;
  /** Notes how far the handler is (0 to 100), and what it is doing. */
  updateProgress(progress: number, message?: string): Promise<void>;
}

/** Works on a job. What it returns is the job's result; what it throws makes the job fail. */
export type JobHandler<Data = any, Result = any> = (
  job: Job<Data>,
  context: JobContext<Data>,
) => Promise<Result> | Result;

/** Options of a worker. Times are milliseconds. */
export interface WorkerOptions extends ClientOptions {
  /** Handlers that run at once; default 1. */
  concurrency?: number | undefined;
  /**
   * Jobs fetched ahead, the next one to run included; default 10. With 1 none waits here while another worker is idle.
   */
  batchSize?: number | undefined;
  /** Holds jobs for this long, whatever becomes of the connection, and renews that while they run; default: none. */
  lease?: number | undefined;
  /** How long `stop` waits for running handlers; default 30 s. */
  drainTimeout?: number | undefined;
  /** SIGTERM and SIGINT stop the worker; default true. */
  signals?: boolean | undefined;
  /** Hooks around the handler. */
  middleware?: readonly Middleware[] | undefined;
  /** A client for this worker alone; `stop` closes it. */
  client?: MagicQueueClient | undefined;
}

/** What a worker tells its listeners, with the arguments. */
export interface WorkerEvents<Data = any, Result = any> {
  /** The daemon has taken note of a job's completion. */
  completed: [job: Job<Data>, result: Result];
  /** The daemon has taken note of a job's failure; it is retried or in the dead-letter queue. */
  failed: [job: Job<Data>, error: unknown];
  /** A job was no longer this worker's when it ended, or before. Another delivery of it counts. */
  lost: [job: Job<Data>, error: Error];
  /** The connection is in trouble, or a pull was refused; the worker goes on. Without a listener: a process warning. */
  error: [error: Error];
}

/**
 * Works on the jobs of a queue.
 *
 * @typeParam Data what the jobs carry
 * @typeParam Result what the handler returns
 */
export class Worker<Data = any, Result = any> {
  readonly name: string;
  readonly client: MagicQueueClient;
  readonly #handler: JobHandler<Data, Result>;
  readonly #options: WorkerOptions;
  readonly #concurrency: number;
  readonly #batchSize: number;
  readonly #emitter = new EventEmitter();
  readonly #acks: Acknowledger<Data>;
  readonly #held = new Set<HeldJob<Data>>();
  readonly #late: Job<Data>[] = [];
  #buffer: HeldJob<Data>[] = [];
  #running = 0;
  #isPulling = false;
  #isStopping = false;
  #started: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #finish: ((error?: Error) => void) | undefined;
  #endDrain: (() => void) | undefined;
  #heart: NodeJS.Timeout | undefined;
  #unlisten: (() => void) | undefined;

  /** Does nothing yet. Throws RangeError for counts below 1. */
  constructor(name: string, handler: JobHandler<Data, Result>, options: WorkerOptions = {}) {
    this.name = name;
    this.client = options.client ?? new MagicQueueClient(options);
    this.#handler = handler;
    this.#options = options;
    this.#concurrency = countOf("concurrency", options.concurrency ?? 1);
    this.#batchSize = countOf("batchSize", options.batchSize ?? 10);
    if (options.lease !== undefined) {
      countOf("lease", options.lease);
    }
    const outcomes = {
      completed: (held: HeldJob<Data>, result: unknown) => this.#emitter.emit("completed", held.job, result),
      failed: (held: HeldJob<Data>, error: unknown) => this.#emitter.emit("failed", held.job, error),
      lost: (held: HeldJob<Data>, error: Error) => this.#emitter.emit("lost", held.job, error),
    };
    this.#acks = new Acknowledger<Data>(this.client.transport, outcomes, options.lease !== undefined);
  }

  /** A worker of the queue that `mq://token@host:port/queue` names. Throws MagicQueueError if it names none. */
  static fromUrl<Data = any, Result = any>(
    url: string,
    handler: JobHandler<Data, Result>,
    options: WorkerOptions = {},
  ): Worker<Data, Result> {
    return new Worker<Data, Result>(queueNameOf(url), handler, { ...options, url });
  }

  /** Calls `listener` whenever something happens. */
  on<E extends keyof WorkerEvents>(event: E, listener: (...args: WorkerEvents<Data, Result>[E]) => void): this {
    this.#emitter.on(event, listener as (...args: unknown[]) => void);
    return this;
  }

  /** Calls `listener` no more. */
  off<E extends keyof WorkerEvents>(event: E, listener: (...args: WorkerEvents<Data, Result>[E]) => void): this {
    this.#emitter.off(event, listener as (...args: unknown[]) => void);
    return this;
  }

  /**
   * Works until `stop`, and resolves when it has stopped. Waits for a daemon that is not there yet. Rejects if the
   * daemon refuses the worker for good (a wrong token, a bad queue name), or with ConfigurationError.
   */
  start(): Promise<void> {
    this.#started ??= this.#run().finally(() => {
      this.#started = undefined;
      this.#stopped = undefined;
      this.#isStopping = false;
    });
    return this.#started;
  }

  /**
   * Stops: pulls no more, gives back the jobs that have not started, waits for running handlers up to `drain`
   * milliseconds (default: the option `drainTimeout`), then aborts their signals and gives back their jobs, with no
   * attempt spent.
   */
  stop(options: { drain?: number } = {}): Promise<void> {
    if (this.#started === undefined) {
      return Promise.resolve();
    }
    this.#stopped ??= this.#stop(options.drain ?? this.#options.drainTimeout ?? 30_000);
    return this.#stopped;
  }

  async #run(): Promise<void> {
    if (this.#options.signals !== false) {
      watchSignals(this.#onSignal);
    }
    this.#unlisten = this.client.transport.listen({
      onTrouble: (error, isLoss) => {
        this.#complain(error);
        if (isLoss && this.#options.lease === undefined) {
          this.#loseAll(error);
        }
      },
    });
    try {
      const over = new Promise<void>((resolve, reject) => {
        this.#finish = (error) => (error === undefined ? resolve() : reject(error));
      });
      // Rejects when stop() ends it, too.
      this.client.transport.connect(true).then(
        () => this.#begin(),
        (error: Error) => this.#finish?.(error),
      );
      await over;
    } catch (error) {
      if (!this.#isStopping) {
        clearInterval(this.#heart);
        await this.client.close();
        throw error;
      }
      await this.#stopped;
    } finally {
      this.#unlisten();
      unwatchSignals(this.#onSignal);
    }
  }

  /** A signal stops the worker; a second one does so without waiting for handlers. */
  readonly #onSignal = (isForced: boolean): void => {
    if (isForced) {
      this.#endDrain?.();
    }
    this.stop().catch((error: Error) => this.#complain(error));
  };

  #begin(): void {
    const { lease } = this.#options;
    if (lease !== undefined) {
      this.#heart = setInterval(() => this.#beat(), Math.max(1, lease / 3));
    }
    this.#advance();
  }

  // Pulling and running

  /** Starts what can start, and pulls when there is room. */
  #advance(): void {
    while (!this.#isStopping && this.#running < this.#concurrency && this.#buffer.length > 0) {
      const held = this.#buffer.shift()!;
      this.#running += 1;
      void this.#work(held).finally(() => {
        this.#running -= 1;
        this.#held.delete(held);
        this.#advance();
      });
    }
    if (this.#isStopping && this.#running === 0) {
      this.#endDrain?.();
    }
    // Waiting until half of what may be fetched ahead is gone makes few large pulls of many small ones.
    const count = this.#concurrency - this.#running + this.#batchSize - 1 - this.#buffer.length;
    const isLow = this.#buffer.length * 2 <= this.#batchSize - 1;
    if (!this.#isStopping && !this.#isPulling && isLow && count > 0) {
      this.#isPulling = true;
      void this.#pull(count);
    }
  }

  async #pull(count: number): Promise<void> {
    const { lease } = this.#options;
    try {
      const text = JSON.stringify({ cmd: "PULLB", queue: this.name, count, lease });
      const options = { parks: true, resend: true, patient: true, retry: "forever" } as const;
      const { jobs } = (await this.client.transport.send(text, options)) as unknown as Answers["PULLB"];
      this.#take(jobs);
    } catch (error) {
      const isFinal =
        error instanceof NotConnectedError ||
        error instanceof ConfigurationError ||
        (error instanceof RefusedError && !error.retryable);
      if (isFinal && !this.#isStopping) {
        this.#finish?.(error as Error);
        return;
      }
      this.#complain(error as Error);
    } finally {
      this.#isPulling = false;
    }
    this.#advance();
  }

  #take(jobs: readonly Job[]): void {
    if (this.#isStopping) {
      // What stop() has given back may come once more, to the pull that still waited; it is the last one.
      this.#late.push(...jobs);
      this.#release(jobs);
      return;
    }
    for (const job of jobs) {
      const held = new HeldJob<Data>(job);
      this.#held.add(held);
      this.#buffer.push(held);
    }
  }

  async #work(held: HeldJob<Data>): Promise<void> {
    const { job } = held;
    if (job.timeout > 0 && !(await this.#restartTimeout(held))) {
      return;
    }
    held.startTimeout((error) => {
      // With a lease the heartbeats keep the daemon's own timeout from coming.
      if (this.#options.lease !== undefined) {
        this.#acks.fail(held, error);
      } else {
        this.#emitter.emit("lost", job, error);
      }
    });
    const context = this.#contextOf(held);
    try {
      const hooks = this.#options.middleware ?? [];
      const run = async (): Promise<unknown> => this.#handler(job, context);
      const result = await (hooks.length === 0 ? run() : aroundProcess(hooks, job, context, run));
      held.end();
      if (held.isHeld) {
        this.#acks.complete(held, result);
      }
    } catch (error) {
      held.end();
      if (held.isHeld) {
        this.#acks.fail(held, error);
      }
    }
  }

  /** A job's timeout counts from the pull; time spent in the buffer is not the handler's. False: it is lost already. */
  async #restartTimeout(held: HeldJob<Data>): Promise<boolean> {
    const { id, token } = held.job;
    try {
      await this.client.transport.send(JSON.stringify({ cmd: "HEARTBEAT", id, token }));
    } catch (error) {
      this.#lose(held, error as Error);
    }
    return held.isHeld;
  }

  #contextOf(held: HeldJob<Data>): JobContext<Data> {
    const { transport } = this.client;
    return {
      job: held.job,
      signal: held.signal,
      async updateProgress(progress, message) {
        held.signal.throwIfAborted();
        const request = { cmd: "PROGRESS", id: held.job.id, progress: Math.round(progress), message };
        await transport.send(JSON.stringify(request), { resend: true });
      },
    };
  }

  // Holding

  #beat(): void {
    for (const held of this.#held) {
      const { id, token } = held.job;
      if (held.isHeld && this.client.isConnected()) {
        this.client.transport.send(JSON.stringify({ cmd: "HEARTBEAT", id, token })).catch((error: Error) => {
          // Anything else, a lost connection say, decides nothing: the next beat comes before the lease ends.
          if (error instanceof RefusedError && (error.code === "lease_lost" || error.code === "not_found")) {
            this.#lose(held, error);
          }
        });
      }
    }
  }

  #lose(held: HeldJob<Data>, cause: Error): void {
    if (held.isHeld && this.#held.has(held)) {
      const error = new JobLostError(`Job ${held.job.id} was lost: ${cause.message}`, { cause });
      held.giveUp(error);
      this.#buffer = this.#buffer.filter((other) => other !== held);
      this.#emitter.emit("lost", held.job, error);
    }
  }

  #loseAll(cause: Error): void {
    const waiting = this.#buffer;
    this.#buffer = [];
    this.#held.forEach((held) => this.#lose(held, cause));
    waiting.forEach((held) => this.#held.delete(held));
  }

  // Stopping

  async #stop(drain: number): Promise<void> {
    this.#isStopping = true;
    const waiting = this.#buffer;
    this.#buffer = [];
    waiting.forEach((held) => this.#held.delete(held));
    this.#release(waiting.map((held) => held.job));
    await this.#drained(drain);
    const rest = [...this.#held].filter((held) => held.isHeld);
    rest.forEach((held) => held.giveUp(new WorkerStoppedError("The worker was stopped")));
    this.#release(rest.map((held) => held.job));
    clearInterval(this.#heart);
    if (this.client.isConnected()) {
      await within(2_000, this.#acks.settled());
    }
    const lateBefore = this.#late.length;
    await this.client.close();
    await this.#releaseLate(this.#late.slice(lateBefore));
    this.#finish?.();
  }

  /** Resolves when no handler runs, or the time is over. */
  async #drained(drain: number): Promise<void> {
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(drain, 2 ** 31 - 1));
        this.#endDrain = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#endDrain = undefined;
    }
  }

  /** Gives jobs back with no attempt spent. Without a lease the end of the connection would do so too. */
  #release(jobs: readonly Job[]): void {
    if (jobs.length > 0 && this.client.isConnected()) {
      const request = { cmd: "RELEASE", ids: jobs.map((job) => job.id), tokens: jobs.map((job) => job.token) };
      this.client.transport.send(JSON.stringify(request)).catch((error: Error) => this.#complain(error));
    }
  }

  /** Leased jobs that came while the connection was closing, which cannot be given back on it. */
  async #releaseLate(jobs: readonly Job[]): Promise<void> {
    if (jobs.length > 0 && this.#options.lease !== undefined && this.#options.client === undefined) {
      const client = new MagicQueueClient(this.#options);
      await client.connect();
      await client.send({ cmd: "RELEASE", ids: jobs.map((job) => job.id), tokens: jobs.map((job) => job.token) });
      await client.close();
    }
  }

  #complain(error: Error): void {
    if (this.#emitter.listenerCount("error") > 0) {
      this.#emitter.emit("error", error);
    } else {
      process.emitWarning(`Worker of ${this.name}: ${error.message}`, "MagicQueueWarning");
    }
  }
}

function countOf(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RangeError(`${name} is a whole number of at least 1, not ${value}`);
  }
  return value;
}

async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([promise, new Promise((resolve) => (timer = setTimeout(resolve, ms)))]);
  clearTimeout(timer);
}
