// What the daemon answers, by kind. Members are as on the wire. Times are milliseconds since the Unix epoch, durations
// milliseconds.

/** Where a job is. `delayed` includes jobs in backoff; `unknown`: no such job, or not kept any more. */
export type JobState = ListedState | "unknown";

/** The states that can be listed. */
export type ListedState = "waiting" | "delayed" | "waitingparent" | "active" | "completed" | "failed";

/** Why a job is in the dead-letter queue. */
export type FailureReason = "failed" | "timeout" | "worker_lost" | "expired_lease" | "dependency_failed";

/** What can happen to a job. `failed`: it entered the dead-letter queue; `stalled`: a held job was lost. */
export type EventName =
  | "pushed"
  | "active"
  | "completed"
  | "failed"
  | "retrying"
  | "timeout"
  | "expired"
  | "cancelled"
  | "progress"
  | "stalled";

/** A job, as it is pulled and listed. */
export interface Job<Data = any> {
  id: number;
  queue: string;
  data: Data;
  priority: number;
  created_at: number;
  run_at: number;
  /** When it was last pulled; 0 if never. */
  started_at: number;
  /** Failures and timeouts so far. */
  attempts: number;
  /** Failures after which it goes to the dead-letter queue; 0 = no limit. */
  max_attempts: number;
  backoff: number;
  max_backoff: number;
  ttl: number;
  timeout: number;
  unique_key: string | null;
  depends_on: number[];
  progress: number;
  progress_msg: string | null;
  /** How often it was delivered, this time included. */
  deliveries: number;
  /** Stands for this delivery; send it along with the acknowledgement. null while the job is not held. */
  token: string | null;
  last_error: string | null;
  /** In the dead-letter queue: why. */
  reason?: FailureReason;
  /** While it waits for other jobs: which, at most 100. */
  waits_for?: { id: number; state: JobState }[];
  /** In a listing with `preview`: the size of `data` in bytes. */
  data_size?: number;
  /** Where it is looked at: when it completed or failed; null = not yet. */
  ended_at?: number | null;
  /** Where it is looked at, but for previews: how its last five attempts failed, oldest first. */
  errors?: FailedAttempt[];
}

/** An attempt that failed. */
export interface FailedAttempt {
  /** Which delivery it was. */
  n: number;
  started_at: number;
  ended_at: number;
  reason: FailureReason;
  /** At most 512 bytes of what the worker said. */
  error: string | null;
}

/** Members of every answer. */
export interface OkAnswer {
  ok: true;
  reqId?: string;
}

export interface IdAnswer extends OkAnswer {
  id: number;
}

export interface IdsAnswer extends OkAnswer {
  /** In the order of the jobs, 0 where one was refused. */
  ids: number[];
  errors?: { index: number; error: string; code: string }[];
}

export interface JobAnswer extends OkAnswer {
  /** null when the wait has ended. */
  job: Job | null;
}

export interface JobsAnswer extends OkAnswer {
  jobs: Job[];
}

export interface CountAnswer extends OkAnswer {
  /** The count once more, in a list (ACKB and RETRYDLQ). */
  ids?: number[];
  count: number;
}

export interface Progress {
  /** 0 to 100. */
  progress: number;
  message: string | null;
}

export interface ProgressAnswer extends OkAnswer {
  progress: Progress & { id: number };
}

export interface JobStateAnswer extends OkAnswer {
  job: Job | null;
  state: JobState;
}

export interface JobsPageAnswer extends OkAnswer {
  jobs: Job[];
  /** Where the next page begins; null at the end. */
  cursor: string | null;
}

export interface EndingAnswer extends OkAnswer {
  result: unknown;
  state: "completed";
}

export interface ResultAnswer extends OkAnswer {
  id: number;
  result: unknown;
}

export interface PausedAnswer extends OkAnswer {
  paused: boolean;
}

/** The counts of a queue. */
export interface QueueCounts {
  name: string;
  /** What could be pulled now. */
  pending: number;
  processing: number;
  delayed: number;
  dlq: number;
  completed: number;
  paused: boolean;
  rate_limit: number | null;
  /** Milliseconds of the rate limit. */
  rate_duration: number | null;
  concurrency_limit: number | null;
}

/** What a page of queues tells more. */
export interface QueueRow extends QueueCounts {
  /** Jobs that wait for others. */
  waiting: number;
  /** Jobs that may wait in all; null: any number. */
  max_length: number | null;
  /** How long its next job has been ready, in milliseconds; null without one. */
  head_age: number | null;
  /** Jobs pushed a second, over the last five. */
  in: number;
  /** Jobs completed a second, over the last five. */
  out: number;
  /** A pull waits for a job. */
  parked: boolean;
}

export interface QueuesAnswer extends OkAnswer {
  queues: (QueueCounts | QueueRow)[];
  /** Of a page: how many queues match. */
  total?: number;
  /** Of a page: where the next begins; null at the end. */
  cursor?: string | null;
}

/** A connection to the daemon. */
export interface ClientRow {
  id: number;
  peer: string;
  since: number;
  kind: "pull" | "push" | "subscribe";
  commands: number;
  /** Jobs that it holds. */
  holds: number;
  /** Since when the oldest of them is held. */
  oldest_held: number | null;
  /** Commands that wait. */
  waits: number;
  /** The queue that the last of them waits for. */
  waits_for: string | null;
  /** Bytes of answers that it has not read. */
  unsent: number;
  /** Events that it was not told. */
  dropped: number;
}

export interface ClientsAnswer extends OkAnswer {
  connections: ClientRow[];
  cursor: string | null;
}

export interface CountsAnswer extends OkAnswer {
  /** By queue, then by reason. */
  counts: Record<string, Partial<Record<FailureReason, number>>>;
}

/** Counts over all queues. */
export interface StatsAnswer extends OkAnswer {
  queued: number;
  processing: number;
  delayed: number;
  dlq: number;
  completed: number;
  /** Jobs that wait for other jobs. */
  waiting: number;
}

/** A job that is pushed again and again. */
export interface CronJob<Data = any> {
  name: string;
  queue: string;
  data: Data;
  schedule: string;
  priority: number;
  /** null while paused. */
  next_run: number | null;
  timezone: string;
  paused: boolean;
  /** null before the first. */
  last_run: number | null;
}

export interface CronsAnswer extends OkAnswer {
  crons: CronJob[];
}

/** Milliseconds, over the last one to two minutes. */
export interface Percentiles {
  p50: number;
  p90: number;
  p95: number;
  p99: number;
  max: number;
}

/** How many a second, over the last second and the last minute. */
export interface Rate {
  "1s": number;
  "1m": number;
}

/** Totals since the daemon's start, rates, latencies. */
export interface Metrics {
  total_pushed: number;
  total_completed: number;
  total_failed: number;
  total_timed_out: number;
  total_expired: number;
  total_cancelled: number;
  total_retried: number;
  total_stalled: number;
  jobs_per_second: number;
  avg_latency_ms: number;
  latency_ms: Percentiles;
  wait_ms: Percentiles;
  run_ms: Percentiles;
  rates: { pushed: Rate; completed: Rate; failed: Rate };
  /** Bytes of all jobs, and how many there may be; null = no limit. */
  memory: { used: number; limit: number | null };
  /** The log since the daemon's start; null without one. */
  log: {
    fsync: "always" | "everysec" | "none";
    full: boolean;
    frames: number;
    bytes: number;
    syncs: number;
    sync_ms: number;
    snapshots: number;
  } | null;
  queues: (QueueCounts & { waiting: number })[];
}

export interface MetricsAnswer extends OkAnswer {
  metrics: Metrics;
}

export interface TopologyAnswer extends OkAnswer {
  slots: number;
  shards: number;
  nodes: { id: string; self: boolean }[];
}

export interface PongAnswer extends OkAnswer {
  pong: true;
}

export interface HelloAnswer extends OkAnswer {
  server: string;
  version: string;
  protocol: number;
  limits: Record<string, number>;
}

/** A line that is no answer: something has happened to a job. */
export interface JobEvent {
  event: EventName;
  queue: string;
  job: number;
  /** Counts from 1 on each connection. */
  seq: number;
}

/** Events were lost because they were not read fast enough. */
export interface DroppedEvent {
  event: "dropped";
  count: number;
  /** The number of the first that is missing. */
  seq: number;
}

/** The connection was lost and made again: what happened in between was not told, and `seq` counts from 1 again. */
export interface ReconnectedEvent {
  event: "reconnected";
}

export type QueueEvent = JobEvent | DroppedEvent | ReconnectedEvent;
