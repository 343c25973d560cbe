// Acknowledgements of a worker: those that come while one is on its way share the next line.

import process from "node:process";

import type { Answers } from "./commands.js";
import { cut } from "./batching.js";
import { JobLostError, RefusedError, UnrecoverableError, messageOf } from "./errors.js";
import type { HeldJob } from "./held_job.js";
import type { SendOptions, Transport } from "./transport.js";

/** What the daemon has made of a job's end. */
export interface Outcomes<Data> {
  completed(held: HeldJob<Data>, result: unknown): void;
  failed(held: HeldJob<Data>, error: unknown): void;
  /** It was not this worker's any more, or the daemon could not be told. */
  lost(held: HeldJob<Data>, error: Error): void;
}

interface Done<Data> {
  readonly held: HeldJob<Data>;
  readonly result: unknown;
  /** The result as JSON. */
  readonly text: string;
}

/** Tells the daemon how jobs ended. */
export class Acknowledger<Data> {
  readonly #transport: Transport;
  readonly #outcomes: Outcomes<Data>;
  readonly #options: SendOptions;
  #waiting: Done<Data>[] = [];
  #inFlight = 0;
  #isFlushing = false;
  #idle: (() => void)[] = [];

  /** @param areLeased a job outlives its connection: its end is told on the next one */
  constructor(transport: Transport, outcomes: Outcomes<Data>, areLeased: boolean) {
    this.#transport = transport;
    this.#outcomes = outcomes;
    // A full disk keeps the daemon from taking note: the job is held meanwhile.
    this.#options = { resend: areLeased, patient: areLeased, retry: "forever" };
  }

  /** The handler has returned. A result that is no JSON makes the job fail. */
  complete(held: HeldJob<Data>, result: unknown): void {
    let text: string | undefined;
    try {
      text = JSON.stringify(result);
    } catch (error) {
      this.fail(held, new UnrecoverableError(`The result is no JSON: ${messageOf(error)}`, { cause: error }));
      return;
    }
    this.#waiting.push({ held, result, text: text ?? "null" });
    this.#flushSoon();
  }

  /** The handler has thrown. */
  fail(held: HeldJob<Data>, error: unknown): void {
    const { id, token } = held.job;
    const unrecoverable = error instanceof UnrecoverableError;
    const request = { cmd: "FAIL", id, token, error: messageOf(error).slice(0, 10_000), unrecoverable };
    void this.#settle(JSON.stringify(request), held, () => this.#outcomes.failed(held, error));
  }

  /** Resolves when the daemon has been told everything. */
  async settled(): Promise<void> {
    while (this.#inFlight > 0 || this.#waiting.length > 0) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
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
      if (batch.length === 1) {
        this.#ackOne(batch[0]!);
      } else {
        void this.#ackMany(batch);
      }
    }
  }

  #ackOne(done: Done<Data>): void {
    const { id, token } = done.held.job;
    const text = `{"cmd":"ACK","id":${id},"token":${JSON.stringify(token)},"result":${done.text}}`;
    void this.#settle(text, done.held, () => this.#outcomes.completed(done.held, done.result));
  }

  async #ackMany(batch: readonly Done<Data>[]): Promise<void> {
    const ids = batch.map((done) => done.held.job.id).join(",");
    const tokens = JSON.stringify(batch.map((done) => done.held.job.token));
    const results = batch.map((done) => done.text).join(",");
    this.#begin();
    try {
      const text = `{"cmd":"ACKB","ids":[${ids}],"tokens":${tokens},"results":[${results}]}`;
      const answer = (await this.#transport.send(text, this.#options)) as unknown as Answers["ACKB"];
      if (answer.count === batch.length) {
        batch.forEach((done) => this.#outcomes.completed(done.held, done.result));
      } else {
        await Promise.all(batch.map((done) => this.#ackAgain(done)));
      }
    } catch (error) {
      if (error instanceof RefusedError && error.code === "line_too_long") {
        batch.forEach((done) => this.#ackOne(done));
      } else {
        batch.forEach((done) => this.#lose(done.held, error as Error));
      }
    } finally {
      this.#end();
    }
  }

  /** ACKB has skipped some and does not say which: asked alone, each says what it is. Most are done by now. */
  async #ackAgain(done: Done<Data>): Promise<void> {
    const { id, token } = done.held.job;
    const text = `{"cmd":"ACK","id":${id},"token":${JSON.stringify(token)},"result":${done.text}}`;
    try {
      await this.#transport.send(text, this.#options);
      this.#outcomes.completed(done.held, done.result);
    } catch (error) {
      if (error instanceof RefusedError && error.code === "not_found") {
        this.#outcomes.completed(done.held, done.result);
      } else {
        this.#refuse(done.held, error as Error);
      }
    }
  }

  async #settle(text: string, held: HeldJob<Data>, onDone: () => void): Promise<void> {
    this.#begin();
    try {
      await this.#transport.send(text, this.#options);
      onDone();
    } catch (error) {
      this.#refuse(held, error as Error);
    } finally {
      this.#end();
    }
  }

  #refuse(held: HeldJob<Data>, error: Error): void {
    if (error instanceof RefusedError && error.code === "payload_too_large") {
      // Run again it would be as large: let somebody see it.
      this.fail(held, new UnrecoverableError(`The result is too large: ${error.message}`, { cause: error }));
    } else {
      this.#lose(held, error);
    }
  }

  #lose(held: HeldJob<Data>, cause: Error): void {
    this.#outcomes.lost(held, new JobLostError(`Job ${held.job.id} was lost: ${cause.message}`, { cause }));
  }

  #begin(): void {
    this.#inFlight += 1;
  }

  #end(): void {
    this.#inFlight -= 1;
    this.#flushSoon();
    if (this.#inFlight === 0 && this.#waiting.length === 0) {
      this.#idle.splice(0).forEach((resolve) => resolve());
    }
  }
}
