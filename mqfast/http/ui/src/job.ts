// A job as the server tells it, with its payload left as text.
import { getText, queuePath } from "./api";
import { members } from "./json_text";
import type { State } from "./store";

export interface Attempt {
  n: number;
  started_at: number;
  ended_at: number;
  reason: string;
  error: string | null;
}

export interface Job {
  id: number;
  queue: string;
  /** The payload's JSON text; of a list's row its first bytes. */
  data: string;
  data_size?: number;
  state: State;
  priority: number;
  created_at: number;
  run_at: number;
  started_at: number;
  ended_at?: number | null;
  attempts: number;
  max_attempts: number;
  backoff: number;
  max_backoff: number;
  ttl: number;
  timeout: number;
  unique_key: string | null;
  depends_on: number[];
  progress: number;
  progress_msg: string | null;
  deliveries: number;
  last_error: string | null;
  reason?: string;
  waits_for?: { id: number; state: string }[];
  errors?: Attempt[];
}

/** The job of an answer's text; null: there is none. */
export function jobOf(answer: string): Job | null {
  const text = members(answer).get("data");
  if (!text || text === "null") return null;
  const job: Record<string, unknown> = {};
  for (const [key, raw] of members(text)) job[key] = key === "data" ? raw : JSON.parse(raw);
  return job as unknown as Job;
}

export async function load(id: string | number, signal?: AbortSignal): Promise<Job | null> {
  return jobOf(await getText(`jobs/${id}`, signal));
}

/** The result's JSON text; "null" when there is none. */
export async function result(id: string | number, signal?: AbortSignal): Promise<string> {
  const data = members(await getText(`jobs/${id}/result`, signal)).get("data") ?? "null";
  const inner = data.startsWith("{") ? members(data) : undefined;
  return inner?.size === 2 && inner.has("id") && inner.has("result") ? inner.get("result")! : data;
}

export interface JobPage {
  jobs: Job[];
  cursor: string | null;
}

export const PREVIEW = 120;

export async function list(queue: string, ask: Record<string, string>, signal?: AbortSignal): Promise<JobPage> {
  const query = new URLSearchParams({ preview: String(PREVIEW), ...ask });
  const answer = members(await getText(queuePath(queue, `/jobs/list?${query}`), signal));
  const page = JSON.parse(answer.get("data") ?? "{}") as JobPage | Job[]; // with a preview, data is a string
  if (Array.isArray(page)) return { jobs: page, cursor: JSON.parse(answer.get("cursor") ?? "null") as string | null };
  return { jobs: page.jobs ?? [], cursor: page.cursor ?? null };
}

/** The PUSH line that makes the same job again. */
export function asPush(job: Job): string {
  const fields = [`"cmd":"PUSH"`, `"queue":${JSON.stringify(job.queue)}`, `"data":${job.data}`];
  for (const key of ["priority", "ttl", "timeout", "max_attempts", "backoff"] as const) if (job[key]) fields.push(`"${key}":${job[key]}`);
  if (job.max_backoff !== 3_600_000) fields.push(`"max_backoff":${job.max_backoff}`);
  if (job.unique_key !== null) fields.push(`"unique_key":${JSON.stringify(job.unique_key)}`);
  if (job.depends_on.length) fields.push(`"depends_on":${JSON.stringify(job.depends_on)}`);
  return `{${fields.join(",")}}`;
}
