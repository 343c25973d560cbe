// What the page can do to the daemon. Nothing is shown as done before the answer; a second click while one is under way
// sends nothing; what can be undone says so for ten seconds.
import { signal } from "@preact/signals";
import { ApiError, queuePath, send } from "./api";
import { exactly, plural, visible } from "./format";
import { canAct, knows, type QueueRow } from "./store";

export interface Toast {
  id: number;
  text: string;
  failed: boolean;
  undo?: () => void;
}

export const toasts = signal<Toast[]>([]);
/** What a screen reader hears: results and problems, never ticking figures. */
export const spoken = signal("");
/** Grows with every action that was carried out: lists that show its effect load again. */
export const acted = signal(0);
/** Jobs on which an action was refused, with the reason: their rows are struck out. */
export const gone = signal<ReadonlyMap<number, string>>(new Map());

const underWay = new Set<string>();
let ids = 0;

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

export function say(text: string, failed = false, undo?: () => void): void {
  const toast: Toast = { id: ++ids, text, failed, ...(undo ? { undo } : {}) };
  toasts.value = [...toasts.value.slice(-3), toast];
  spoken.value = text;
  setTimeout(() => dismiss(toast.id), 10_000);
}

interface Request {
  method: "POST" | "DELETE";
  path: string;
  body?: unknown;
}

/** Carry out a request once; its `data`, or undefined if it was refused (the toast says why). */
async function carryOut<T>(request: Request, refused?: (why: string) => void): Promise<T | undefined> {
  if (!canAct.value) {
    say("Not connected: nothing was sent", true);
    return undefined;
  }
  const key = JSON.stringify(request);
  if (underWay.has(key)) return undefined;
  underWay.add(key);
  try {
    const answer = (await (await send(request.method, request.path, request.body)).json()) as { data?: T };
    acted.value++;
    return answer.data ?? (null as T);
  } catch (error) {
    const text = error instanceof ApiError ? error.message : String(error);
    say(visible(text), true);
    refused?.(text);
    return undefined;
  } finally {
    underWay.delete(key);
  }
}

/** A number in an answer: Drain, delete, purge and retry answer one, some servers in an object. */
function numberIn(data: unknown, otherwise: number): number {
  if (typeof data === "number") return data;
  if (Array.isArray(data) && typeof data[0] === "number") return data[0];
  if (data && typeof data === "object" && "count" in data) return Number(data.count);
  return otherwise;
}

async function toggle(request: Request, done: string, back: () => void): Promise<void> {
  if ((await carryOut(request)) !== undefined) say(done, false, back);
}

export function pause(name: string): Promise<void> {
  return toggle({ method: "POST", path: queuePath(name, "/pause") }, `Paused ${visible(name)}`, () => void resume(name));
}

export function resume(name: string): Promise<void> {
  return toggle({ method: "POST", path: queuePath(name, "/resume") }, `Resumed ${visible(name)}`, () => void pause(name));
}

export type Limit = { limit: number; duration?: number } | null;

async function setLimit(name: string, which: "rate-limit" | "concurrency", limit: Limit): Promise<boolean> {
  const path = queuePath(name, `/${which}`);
  const request: Request = limit ? { method: "POST", path, body: limit } : { method: "DELETE", path };
  return (await carryOut(request)) !== undefined;
}

/** Set both limits of a queue to what is given, null for none; undefined leaves one as it is. */
export async function setLimits(row: QueueRow, next: { rate?: Limit; concurrency?: Limit }): Promise<boolean> {
  const before = {
    rate: row.rate_limit === null ? null : { limit: row.rate_limit, duration: row.rate_duration ?? 1000 },
    concurrency: row.concurrency_limit === null ? null : { limit: row.concurrency_limit },
  };
  if (next.rate !== undefined && !(await setLimit(row.name, "rate-limit", next.rate))) return false;
  if (next.concurrency !== undefined && !(await setLimit(row.name, "concurrency", next.concurrency))) return false;
  const former = {
    ...(next.rate !== undefined ? { rate: before.rate } : {}),
    ...(next.concurrency !== undefined ? { concurrency: before.concurrency } : {}),
  };
  const changed: QueueRow = {
    ...row,
    ...(next.rate !== undefined ? { rate_limit: next.rate?.limit ?? null, rate_duration: next.rate?.duration ?? null } : {}),
    ...(next.concurrency !== undefined ? { concurrency_limit: next.concurrency?.limit ?? null } : {}),
  };
  say(`Limits of ${visible(row.name)} set`, false, () => void setLimits(changed, former));
  return true;
}

export async function retry(queue: string, ids: number[]): Promise<number> {
  const path = queuePath(queue, "/dlq/retry");
  const one = ids.length === 1;
  let sum = 0;
  for (const body of knows("RETRYDLQ.ids") && !one ? [{ ids }] : ids.map((id) => ({ id }))) {
    const data = await carryOut({ method: "POST", path, body }, (why) => "id" in body && markGone(body.id, why));
    if (data === undefined) return sum;
    sum += numberIn(data, 0);
  }
  say(sum ? `${plural(sum, "job")} back in ${visible(queue)}` : "Nothing to retry: not in the dead-letter queue any more", !sum);
  if (!sum && one) markGone(ids[0]!, "not failed any more");
  return sum;
}

export async function retryAll(queue: string, reason: string): Promise<void> {
  const data = await carryOut({ method: "POST", path: queuePath(queue, "/dlq/retry"), body: reason ? { reason } : {} });
  if (data !== undefined) say(`${plural(numberIn(data, 0), "job")} back in ${visible(queue)}`);
}

export async function purge(queue: string, ids?: number[]): Promise<boolean> {
  const request: Request = knows("PURGEDLQ.ids") ? { method: "DELETE", path: queuePath(queue, "/dlq"), body: ids ? { ids } : {} } : { method: "POST", path: queuePath(queue, "/dlq/purge") };
  const data = await carryOut(request);
  if (data === undefined) return false;
  say(`${plural(numberIn(data, 0), "failed job")} of ${visible(queue)} discarded`);
  return true;
}

export async function cancel(id: number): Promise<boolean> {
  const data = await carryOut({ method: "POST", path: `jobs/${id}/cancel` }, (why) => markGone(id, why));
  if (data === undefined) return false;
  say(`Job ${id} cancelled`);
  return true;
}

function markGone(id: number, why: string): void {
  gone.value = new Map(gone.value).set(id, why);
}

export async function drain(queue: string): Promise<boolean> {
  const data = await carryOut({ method: "POST", path: queuePath(queue, "/drain") });
  if (data === undefined) return false;
  say(`${plural(numberIn(data, 0), "job")} of ${visible(queue)} dropped`);
  return true;
}

export async function deleteQueue(queue: string): Promise<boolean> {
  const data = await carryOut({ method: "DELETE", path: queuePath(queue) });
  if (data === undefined) return false;
  say(`Queue ${visible(queue)} deleted with ${plural(numberIn(data, 0), "job")}`);
  return true;
}

const cronPath = (name: string, rest = ""): string => `crons/${encodeURIComponent(name)}${rest}`;

export function pauseCron(name: string): Promise<void> {
  return toggle({ method: "POST", path: cronPath(name, "/pause") }, `Paused cron ${visible(name)}`, () => void resumeCron(name));
}

export function resumeCron(name: string): Promise<void> {
  return toggle({ method: "POST", path: cronPath(name, "/resume") }, `Resumed cron ${visible(name)}`, () => void pauseCron(name));
}

export async function runCron(name: string): Promise<void> {
  if ((await carryOut({ method: "POST", path: cronPath(name, "/run") })) !== undefined) say(`Cron ${visible(name)} pushed its job`);
}

export async function deleteCron(name: string): Promise<boolean> {
  const data = await carryOut({ method: "DELETE", path: cronPath(name) });
  if (data === undefined) return false;
  say(data === false ? `There is no cron ${visible(name)}` : `Cron ${visible(name)} deleted`, data === false);
  return true;
}

/** body: the definition as JSON text, so that the payload goes out as it was typed. */
export async function addCron(name: string, body: string): Promise<boolean> {
  if ((await carryOut({ method: "POST", path: cronPath(name), body })) === undefined) return false;
  say(`Cron ${visible(name)} set`);
  return true;
}

export async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied (${exactly(text.length)} characters)`);
  } catch {
    say("The browser does not allow copying here: select the text instead", true);
  }
}
