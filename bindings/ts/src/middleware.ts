// Hooks around what a queue pushes and what a worker runs: for tracing, metrics, error reports.

import type { Job } from "./answers.js";
import type { PushItem } from "./commands.js";
import type { JobContext } from "./worker.js";

/** Jobs on their way to a queue. A hook may change them before it calls `next`. */
export interface PushCall {
  readonly queue: string;
  jobs: PushItem[];
}

/** Hooks; the first of a list is the outermost. Each must call `next` once, or throw. */
export interface Middleware {
  /** Around a push: `next` resolves with the ids, 0 for what was refused of a batch. */
  push?(call: PushCall, next: () => Promise<readonly number[]>): Promise<readonly number[]>;
  /** Around a handler: `next` resolves with what it returned, or rejects with what it threw. */
  process?(job: Job, context: JobContext, next: () => Promise<unknown>): Promise<unknown>;
}

/** Runs `last` inside the push hooks. */
export function aroundPush(
  hooks: readonly Middleware[],
  call: PushCall,
  last: () => Promise<readonly number[]>,
): Promise<readonly number[]> {
  return hooks.reduceRight<() => Promise<readonly number[]>>(
    (next, hook) => (hook.push === undefined ? next : async () => hook.push!(call, next)),
    last,
  )();
}

/** Runs `last` inside the process hooks. */
export function aroundProcess(
  hooks: readonly Middleware[],
  job: Job,
  context: JobContext,
  last: () => Promise<unknown>,
): Promise<unknown> {
  return hooks.reduceRight<() => Promise<unknown>>(
    (next, hook) => (hook.process === undefined ? next : async () => hook.process!(job, context, next)),
    last,
  )();
}
