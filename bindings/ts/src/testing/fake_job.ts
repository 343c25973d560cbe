// A job of the daemon in memory.

import { Buffer } from "node:buffer";

import type { FailedAttempt, FailureReason, Job, JobState } from "../answers.js";
import type { PushItem } from "../commands.js";

/** Who has pulled a job: its connection, unless a lease holds it. */
export interface Hold {
  readonly connection: object | undefined;
  readonly token: string;
  readonly lease: number | undefined;
  leaseEnds: number;
  timeoutAt: number;
}

const HOUR = 3_600_000;

export class FakeJob {
  readonly row: Omit<Job, "token">;
  state: Exclude<JobState, "unknown"> = "waiting";
  hold: Hold | undefined;
  result: unknown = null;
  reason: FailureReason | undefined;
  losses = 0;
  endedAt: number | null = null;
  errors: FailedAttempt[] = [];
  /** Jobs that have to be completed first. */
  readonly waitsFor: Set<number>;

  constructor(id: number, queue: string, item: PushItem, now: number) {
    this.row = {
      id,
      queue,
      data: item.data,
      priority: item.priority ?? 0,
      created_at: now,
      run_at: now + (item.delay ?? 0),
      started_at: 0,
      attempts: 0,
      max_attempts: item.maxAttempts ?? 0,
      backoff: item.backoff ?? 0,
      max_backoff: item.maxBackoff ?? HOUR,
      ttl: item.ttl ?? 0,
      timeout: item.timeout ?? 0,
      unique_key: item.uniqueKey ?? null,
      depends_on: [...(item.dependsOn ?? [])],
      progress: 0,
      progress_msg: null,
      deliveries: 0,
      last_error: null,
    };
    this.waitsFor = new Set(this.row.depends_on);
  }

  get hasEnded(): boolean {
    return this.state === "completed" || this.state === "failed";
  }

  /** The job as it is sent. */
  toWire(): Job {
    const job: Job = { ...this.row, token: this.hold?.token ?? null };
    return this.reason === undefined ? job : { ...job, reason: this.reason };
  }

  /** An attempt has failed; the last five are kept. */
  noteFailure(reason: FailureReason, error: string | null, now: number): void {
    const { deliveries: n, started_at } = this.row;
    this.errors = [...this.errors, { n, started_at, ended_at: now, reason, error: shortened(error) }].slice(-5);
  }

  /** Higher priority first, then earlier run_at, then lower id. */
  static compare(one: FakeJob, other: FakeJob): number {
    const [a, b] = [one.row, other.row];
    return b.priority - a.priority || a.run_at - b.run_at || a.id - b.id;
  }
}

/** As the daemon keeps it: 512 bytes of JSON at most, cut between characters. */
function shortened(error: string | null): string | null {
  const size = (text: string): number => Buffer.byteLength(JSON.stringify(text));
  if (error === null || size(error) <= 512) {
    return error;
  }
  const characters = [...error].slice(0, 510);
  while (size(characters.join("")) > 512) {
    characters.pop();
  }
  return characters.join("");
}
