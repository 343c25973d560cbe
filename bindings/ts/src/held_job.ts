// A delivery in a worker's hands: the job, its signal, and whether it is still this worker's.

import type { Job } from "./answers.js";
import { JobTimeoutError } from "./errors.js";

/** The longest time a timer of the platform can wait. */
const MAX_TIMER = 2 ** 31 - 1;

/** One delivery of a job. */
export class HeldJob<Data> {
  readonly job: Job<Data>;
  readonly #aborter = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(job: Job<Data>) {
    this.job = job;
  }

  /** Aborted when the job is no longer this worker's. */
  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  /** False once its result does not count any more. */
  get isHeld(): boolean {
    return !this.#aborter.signal.aborted;
  }

  /** Starts the job's own timeout, if it has one. */
  startTimeout(onTimeout: (error: JobTimeoutError) => void): void {
    const { timeout } = this.job;
    if (timeout > 0 && timeout <= MAX_TIMER) {
      this.#timer = setTimeout(() => {
        const error = new JobTimeoutError(`Timed out after ${timeout} ms`);
        this.giveUp(error);
        onTimeout(error);
      }, timeout);
    }
  }

  /** The job is no longer this worker's. */
  giveUp(reason: Error): void {
    this.end();
    this.#aborter.abort(reason);
  }

  /** The handler has returned. */
  end(): void {
    clearTimeout(this.#timer);
  }
}
