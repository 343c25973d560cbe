// Pushes of one tick, and those made while others are on their way, share a line: PUSHB instead of many PUSH.
//
// A batch is not all or nothing: each job is accepted or refused by itself, so that a caller sees no difference from a
// PUSH of its own, except speed.

import process from "node:process";

import { RETRYABLE_CODES, type Answers } from "./commands.js";
import { refusal } from "./entry.js";
import { ConnectionLostError, RefusedError } from "./errors.js";
import type { Transport } from "./transport.js";

/** Jobs and characters of a line at most: far below the daemon's limits, enough to make a line's own cost nothing. */
const MAX_JOBS = 1_000;
const MAX_LENGTH = 1 << 20;

interface Push {
  /** The job's data and options as a JSON object. */
  readonly text: string;
  /** It has a unique key: pushed a second time it is refused as a duplicate, not doubled. */
  readonly hasKey: boolean;
  readonly resolve: (id: number) => void;
  readonly reject: (error: Error) => void;
}

/** Pushes to one queue. */
export class PushBatcher {
  readonly #transport: Transport;
  readonly #queue: string;
  #waiting: Push[] = [];
  #inFlight = 0;
  #isFlushing = false;

  /** @param queue the queue's name */
  constructor(transport: Transport, queue: string) {
    this.#transport = transport;
    this.#queue = JSON.stringify(queue);
  }

  /** Resolves with the id of the job. `text`: its data and options as a JSON object. */
  push(text: string, hasKey: boolean): Promise<number> {
    return new Promise((resolve, reject) => {
      const push = { text, hasKey, resolve, reject };
      if (!this.#transport.isConnected()) {
        // Behind a batch that waits for the connection it would wait twice.
        void this.#sendOne(push, false);
        return;
      }
      this.#waiting.push(push);
      this.#flushSoon();
    });
  }

  #flushSoon(): void {
    if (this.#inFlight === 0 && !this.#isFlushing && this.#waiting.length > 0) {
      this.#isFlushing = true;
      process.nextTick(() => {
        this.#isFlushing = false;
        this.#flush();
      });
    }
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const batch of cut(waiting)) {
      this.#inFlight += 1;
      const sending = batch.length === 1 ? this.#sendOne(batch[0]!, false) : this.#sendMany(batch);
      void sending.then(() => {
        this.#inFlight -= 1;
        this.#flushSoon();
      });
    }
  }

  async #sendOne(push: Push, sentBefore: boolean): Promise<void> {
    const text = `{"cmd":"PUSH","queue":${this.#queue},${push.text.slice(1)}`;
    try {
      const answer = (await this.#transport.send(text, { resend: push.hasKey })) as unknown as Answers["PUSH"];
      push.resolve(answer.id);
    } catch (error) {
      if (error instanceof RefusedError && sentBefore) {
        error.maybeDone = true;
      }
      push.reject(error as Error);
    }
  }

  async #sendMany(batch: readonly Push[]): Promise<void> {
    const text = `{"cmd":"PUSHB","queue":${this.#queue},"jobs":[${batch.map((push) => push.text).join(",")}]}`;
    let answer: Answers["PUSHB"];
    try {
      answer = (await this.#transport.send(text)) as unknown as Answers["PUSHB"];
    } catch (error) {
      await this.#settleFailed(batch, error as Error);
      return;
    }
    const errors = new Map(answer.errors?.map((row) => [row.index, row]));
    const again: Promise<void>[] = [];
    batch.forEach((push, index) => {
      const row = errors.get(index);
      if (row === undefined) {
        push.resolve(answer.ids[index]!);
      } else if (RETRYABLE_CODES.has(row.code)) {
        // Alone it is tried again as often as any push.
        again.push(this.#sendOne(push, false));
      } else {
        push.reject(refusal({ ...row }));
      }
    });
    await Promise.all(again);
  }

  /** A batch failed as a whole: some of its jobs can go on alone. */
  async #settleFailed(batch: readonly Push[], error: Error): Promise<void> {
    const isTooLong = error instanceof RefusedError && error.code === "line_too_long";
    const wasLost = error instanceof ConnectionLostError && error.maybeDone;
    const goesOn = (push: Push): boolean => isTooLong || (wasLost && push.hasKey);
    batch.filter((push) => !goesOn(push)).forEach((push) => push.reject(error));
    await Promise.all(batch.filter(goesOn).map((push) => this.#sendOne(push, wasLost)));
  }
}

/** Cuts jobs into lines of bearable size. */
export function* cut<T extends { text: string }>(jobs: readonly T[]): Generator<T[]> {
  let batch: T[] = [];
  let length = 0;
  for (const job of jobs) {
    if (batch.length === MAX_JOBS || (batch.length > 0 && length + job.text.length > MAX_LENGTH)) {
      yield batch;
      batch = [];
      length = 0;
    }
    batch.push(job);
    length += job.text.length;
  }
  if (batch.length > 0) {
    yield batch;
  }
}
