// Generated from the daemon's command table by generate.py. Do not edit: change the table, then generate again.

import type * as answers from "./answers.js";
import { RefusedError } from "./errors.js";

/** How a job is to be run. Times are milliseconds; what is left out has the daemon's default. */
export interface PushOptions {
  /** Higher runs first (-2^31 to 2^31-1). */
  priority?: number | undefined;
  /** Milliseconds from now until the job may run. */
  delay?: number | undefined;
  /** Milliseconds from the push after which a job not yet pulled expires; 0 = never. */
  ttl?: number | undefined;
  /** Milliseconds a worker has from the pull, 0 = no limit. */
  timeout?: number | undefined;
  /** Failures after which the job goes to the dead-letter queue; 0 = no limit. */
  maxAttempts?: number | undefined;
  /** Milliseconds before the first retry, doubled for each further one. */
  backoff?: number | undefined;
  /** Milliseconds the wait before a retry never exceeds. */
  maxBackoff?: number | undefined;
  /** Refused as a duplicate while another job of the queue holds the same key (0 to 1024 bytes). */
  uniqueKey?: string | undefined;
  /** Ids of jobs that must be completed first (at most 1000 items). */
  dependsOn?: readonly number[] | undefined;
}

/** A job of a batch: its payload and its options. */
export interface PushItem<Data = unknown> extends PushOptions {
  /** The job's payload: any JSON value, kept byte for byte. */
  data: Data;
}

/** PUSH: add a job. */
export interface PushRequest extends PushOptions {
  cmd: "PUSH";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** The job's payload: any JSON value, kept byte for byte. */
  data: unknown;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** PUSHB: add many jobs; each is accepted or refused by itself. */
export interface PushbRequest {
  cmd: "PUSHB";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** The jobs of a batch: objects with the fields of PUSH but queue (at most 100000 items). */
  jobs: readonly PushItem[];
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** PULL: take the next job; waits up to timeout ms (for ever without one, not at all with 0). */
export interface PullRequest {
  cmd: "PULL";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** How long to wait, none = for ever. */
  timeout?: number | undefined;
  /** Milliseconds the job is held for, whatever becomes of the connection (at least 1). */
  lease?: number | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** PULLB: take up to count jobs; waits for the first only. */
export interface PullbRequest {
  cmd: "PULLB";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** How many jobs at most. */
  count: number;
  /** How long to wait, none = for ever. */
  timeout?: number | undefined;
  /** Milliseconds the job is held for, whatever becomes of the connection (at least 1). */
  lease?: number | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** ACK: a held job is done. */
export interface AckRequest {
  cmd: "ACK";
  /** The job's id. */
  id: number;
  /** What the handler returned: any JSON value. */
  result?: unknown | undefined;
  /** The delivery's token from the pull (AUTH: a secret) (0 to 1024 bytes). */
  token?: string | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** ACKB: held jobs are done; ids that are not held are skipped. */
export interface AckbRequest {
  cmd: "ACKB";
  /** Jobs' ids (at most 100000 items). */
  ids: readonly number[];
  /** A result for each id, null = none (at most 100000 items). */
  results?: readonly unknown[] | undefined;
  /** A token for each id, null = not checked (at most 100000 items). */
  tokens?: readonly (string | null)[] | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** FAIL: a held job failed: it is retried after its backoff or goes to the dead-letter queue. */
export interface FailRequest {
  cmd: "FAIL";
  /** The job's id. */
  id: number;
  /** The delivery's token from the pull (AUTH: a secret) (0 to 1024 bytes). */
  token?: string | undefined;
  /** Why the job failed (0 to 1048576 bytes). */
  error?: string | undefined;
  /** True: to the dead-letter queue at once. */
  unrecoverable?: boolean | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** RELEASE: give held jobs back unspent. */
export interface ReleaseRequest {
  cmd: "RELEASE";
  /** Milliseconds from now until the job may run. */
  delay?: number | undefined;
  /** The job's id. */
  id?: number | undefined;
  /** Jobs' ids (at most 100000 items). */
  ids?: readonly number[] | undefined;
  /** The delivery's token from the pull (AUTH: a secret) (0 to 1024 bytes). */
  token?: string | undefined;
  /** A token for each id, null = not checked (at most 100000 items). */
  tokens?: readonly (string | null)[] | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** HEARTBEAT: a held job is being worked on: its lease and its timeout start again. */
export interface HeartbeatRequest {
  cmd: "HEARTBEAT";
  /** The job's id. */
  id: number;
  /** Milliseconds the job is held for, whatever becomes of the connection (at least 1). */
  lease?: number | undefined;
  /** The delivery's token from the pull (AUTH: a secret) (0 to 1024 bytes). */
  token?: string | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** PROGRESS: note how far a held job is. */
export interface ProgressRequest {
  cmd: "PROGRESS";
  /** The job's id. */
  id: number;
  /** How far the handler is (clamped to 0..100). */
  progress: number;
  /** What the handler is doing (0 to 65536 bytes). */
  message?: string | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** GETPROGRESS: how far a held job is. */
export interface GetprogressRequest {
  cmd: "GETPROGRESS";
  /** The job's id. */
  id: number;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** GETJOB: look at a job, and what state it is in. */
export interface GetjobRequest {
  cmd: "GETJOB";
  /** The job's id. */
  id: number;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** GETJOBS: the jobs of a queue in one state, page by page. */
export interface GetjobsRequest {
  cmd: "GETJOBS";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** Waiting, delayed, waitingparent, active, completed or failed (1 to 32 bytes). */
  state: answers.ListedState;
  /** RATELIMIT: jobs a duration; SETCONCURRENCY: jobs held at most; of a page: how many at most (at least 1). */
  limit?: number | undefined;
  /** Where the page before ended, as its answer said; none = from the beginning (0 to 300 bytes). */
  cursor?: string | undefined;
  /** Asc: lowest first; desc: highest first (1 to 16 bytes). */
  dir?: "asc" | "desc" | undefined;
  /** Only jobs that failed for this reason: failed, timeout, worker_lost, expired_lease or dependency_failed (1 to 32 bytes). */
  reason?: answers.FailureReason | undefined;
  /** Bytes of each job's data to show, as a string; 0 = all of it, as JSON. */
  preview?: number | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** WAITJOB: wait for a job's end: its result, or why it failed. */
export interface WaitjobRequest {
  cmd: "WAITJOB";
  /** The job's id. */
  id: number;
  /** How long to wait, none = for ever. */
  timeout?: number | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** GETRESULT: what a completed job's handler returned. */
export interface GetresultRequest {
  cmd: "GETRESULT";
  /** The job's id. */
  id: number;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** CANCEL: remove a job that has not ended, held or not. */
export interface CancelRequest {
  cmd: "CANCEL";
  /** The job's id. */
  id: number;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** DLQ: look at the dead-letter queue, oldest first. */
export interface DlqRequest {
  cmd: "DLQ";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** How many jobs at most. */
  count?: number | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** RETRYDLQ: put jobs of the dead-letter queue back: one, some, those of one reason, or all. */
export interface RetrydlqRequest {
  cmd: "RETRYDLQ";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** The job's id. */
  id?: number | undefined;
  /** Jobs' ids (at most 100000 items). */
  ids?: readonly number[] | undefined;
  /** Only jobs that failed for this reason: failed, timeout, worker_lost, expired_lease or dependency_failed (1 to 32 bytes). */
  reason?: answers.FailureReason | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** PURGEDLQ: drop jobs of the dead-letter queue: some, those of one reason, or all. */
export interface PurgedlqRequest {
  cmd: "PURGEDLQ";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** Jobs' ids (at most 100000 items). */
  ids?: readonly number[] | undefined;
  /** Only jobs that failed for this reason: failed, timeout, worker_lost, expired_lease or dependency_failed (1 to 32 bytes). */
  reason?: answers.FailureReason | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** GETDLQCOUNTS: how many jobs each dead-letter queue holds, by reason. */
export interface GetdlqcountsRequest {
  cmd: "GETDLQCOUNTS";
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** DRAIN: drop all jobs that wait, delayed ones included. */
export interface DrainRequest {
  cmd: "DRAIN";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** OBLITERATE: drop all of a queue: its jobs in every state, its limits, its name. */
export interface ObliterateRequest {
  cmd: "OBLITERATE";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** RATELIMIT: give at most limit jobs a duration. */
export interface RatelimitRequest {
  cmd: "RATELIMIT";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** Jobs a duration (at least 1). */
  limit: number;
  /** Milliseconds of a rate limit (at least 1). */
  duration?: number | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** RATELIMITCLEAR: take the rate limit away. */
export interface RatelimitclearRequest {
  cmd: "RATELIMITCLEAR";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** SETCONCURRENCY: let at most limit jobs of the queue be held at once. */
export interface SetconcurrencyRequest {
  cmd: "SETCONCURRENCY";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** Jobs held at most; of a page: how many at most (at least 1). */
  limit: number;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** CLEARCONCURRENCY: take that bound away. */
export interface ClearconcurrencyRequest {
  cmd: "CLEARCONCURRENCY";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** SETQUEUE: change the settings that are given: pushes past max_length waiting jobs are refused (0: no limit). */
export interface SetqueueRequest {
  cmd: "SETQUEUE";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** Jobs that wait, for whatever, at most; 0 = no limit. */
  maxLength?: number | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** PAUSE: stop deliveries of a queue; pushes and acks go on. */
export interface PauseRequest {
  cmd: "PAUSE";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** RESUME: start deliveries again. */
export interface ResumeRequest {
  cmd: "RESUME";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** ISPAUSED: is the queue paused. */
export interface IspausedRequest {
  cmd: "ISPAUSED";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** LISTQUEUES: every known queue with its counts; with any field, a sorted page of them. */
export interface ListqueuesRequest {
  cmd: "LISTQUEUES";
  /** RATELIMIT: jobs a duration; SETCONCURRENCY: jobs held at most; of a page: how many at most (at least 1). */
  limit?: number | undefined;
  /** Where the page before ended, as its answer said; none = from the beginning (0 to 300 bytes). */
  cursor?: string | undefined;
  /** Asc: lowest first; desc: highest first (1 to 16 bytes). */
  dir?: "asc" | "desc" | undefined;
  /** Queues whose name has this text in it, of either case; with * the whole name must fit (0 to 255 bytes). */
  search?: string | undefined;
  /** All, paused, failed (has dead letters), busy, or idle (jobs wait and nobody pulls) (1 to 16 bytes). */
  filter?: string | undefined;
  /** Name, pending, processing, delayed, waiting, dlq, completed, in, out or head_age (1 to 16 bytes). */
  sort?: string | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** STATS: counts over all queues. */
export interface StatsRequest {
  cmd: "STATS";
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** CRON: push a job again and again, by a schedule. */
export interface CronRequest extends PushOptions {
  cmd: "CRON";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** The job's payload: any JSON value, kept byte for byte. */
  data: unknown;
  /** The cron job's name (1 to 255 bytes). */
  name: string;
  /** *\/N = every N seconds; 5 fields, or 6 with seconds first; @hourly and the like (1 to 256 bytes). */
  schedule: string;
  /** An IANA time zone (1 to 64 bytes). */
  timezone?: string | undefined;
  /** Allow; skip: not fired while the job of the last time has not ended (1 to 16 bytes). */
  overlap?: "allow" | "skip" | undefined;
  /** Once: what was missed is fired once, late; skip: not at all (1 to 16 bytes). */
  misfire?: "once" | "skip" | undefined;
  /** True: set, but not fired. */
  paused?: boolean | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** CRONDELETE: forget a cron. */
export interface CrondeleteRequest {
  cmd: "CRONDELETE";
  /** The cron job's name (1 to 255 bytes). */
  name: string;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** CRONRUN: push its job now, whatever its schedule. */
export interface CronrunRequest {
  cmd: "CRONRUN";
  /** The cron job's name (1 to 255 bytes). */
  name: string;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** CRONPAUSE: fire it no more for now. */
export interface CronpauseRequest {
  cmd: "CRONPAUSE";
  /** The cron job's name (1 to 255 bytes). */
  name: string;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** CRONRESUME: fire it again, from its next time on. */
export interface CronresumeRequest {
  cmd: "CRONRESUME";
  /** The cron job's name (1 to 255 bytes). */
  name: string;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** CRONLIST: every cron with its next and last run. */
export interface CronlistRequest {
  cmd: "CRONLIST";
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** METRICS: totals, rates, latencies, and counts of each queue (of limit queues at most). */
export interface MetricsRequest {
  cmd: "METRICS";
  /** RATELIMIT: jobs a duration; SETCONCURRENCY: jobs held at most; of a page: how many at most (at least 1). */
  limit?: number | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** SUBSCRIBE: be told what happens to the jobs of a queue (* = all), as lines on this connection. */
export interface SubscribeRequest {
  cmd: "SUBSCRIBE";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** Names of events; none listed = all (at most 64 items). */
  events: readonly answers.EventName[];
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** UNSUBSCRIBE: be told no more. */
export interface UnsubscribeRequest {
  cmd: "UNSUBSCRIBE";
  /** The queue's name (1 to 255 bytes). */
  queue: string;
  /** Names of events; none listed = all (at most 64 items). */
  events?: readonly answers.EventName[] | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** CLIENTS: who is connected, page by page: what each holds and what it waits for. */
export interface ClientsRequest {
  cmd: "CLIENTS";
  /** RATELIMIT: jobs a duration; SETCONCURRENCY: jobs held at most; of a page: how many at most (at least 1). */
  limit?: number | undefined;
  /** Where the page before ended, as its answer said; none = from the beginning (0 to 300 bytes). */
  cursor?: string | undefined;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** TOPOLOGY: how the state is divided, and who serves it. */
export interface TopologyRequest {
  cmd: "TOPOLOGY";
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** AUTH: give a token; needed once a connection when the server has tokens. */
export interface AuthRequest {
  cmd: "AUTH";
  /** The delivery's token from the pull (AUTH: a secret) (0 to 1024 bytes). */
  token: string;
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** PING: answers at once. */
export interface PingRequest {
  cmd: "PING";
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** HELLO: server, version, protocol and limits. */
export interface HelloRequest {
  cmd: "HELLO";
  /** Echoed in the answer; lets later answers overtake a waiting one (0 to 128 bytes). */
  reqId?: string | undefined;
}

/** The request of each command. */
export interface Requests {
  PUSH: PushRequest;
  PUSHB: PushbRequest;
  PULL: PullRequest;
  PULLB: PullbRequest;
  ACK: AckRequest;
  ACKB: AckbRequest;
  FAIL: FailRequest;
  RELEASE: ReleaseRequest;
  HEARTBEAT: HeartbeatRequest;
  PROGRESS: ProgressRequest;
  GETPROGRESS: GetprogressRequest;
  GETJOB: GetjobRequest;
  GETJOBS: GetjobsRequest;
  WAITJOB: WaitjobRequest;
  GETRESULT: GetresultRequest;
  CANCEL: CancelRequest;
  DLQ: DlqRequest;
  RETRYDLQ: RetrydlqRequest;
  PURGEDLQ: PurgedlqRequest;
  GETDLQCOUNTS: GetdlqcountsRequest;
  DRAIN: DrainRequest;
  OBLITERATE: ObliterateRequest;
  RATELIMIT: RatelimitRequest;
  RATELIMITCLEAR: RatelimitclearRequest;
  SETCONCURRENCY: SetconcurrencyRequest;
  CLEARCONCURRENCY: ClearconcurrencyRequest;
  SETQUEUE: SetqueueRequest;
  PAUSE: PauseRequest;
  RESUME: ResumeRequest;
  ISPAUSED: IspausedRequest;
  LISTQUEUES: ListqueuesRequest;
  STATS: StatsRequest;
  CRON: CronRequest;
  CRONDELETE: CrondeleteRequest;
  CRONRUN: CronrunRequest;
  CRONPAUSE: CronpauseRequest;
  CRONRESUME: CronresumeRequest;
  CRONLIST: CronlistRequest;
  METRICS: MetricsRequest;
  SUBSCRIBE: SubscribeRequest;
  UNSUBSCRIBE: UnsubscribeRequest;
  CLIENTS: ClientsRequest;
  TOPOLOGY: TopologyRequest;
  AUTH: AuthRequest;
  PING: PingRequest;
  HELLO: HelloRequest;
}

/** The answer of each command, when it is not refused. */
export interface Answers {
  PUSH: answers.IdAnswer;
  PUSHB: answers.IdsAnswer;
  PULL: answers.JobAnswer;
  PULLB: answers.JobsAnswer;
  ACK: answers.OkAnswer;
  ACKB: answers.CountAnswer;
  FAIL: answers.OkAnswer;
  RELEASE: answers.CountAnswer;
  HEARTBEAT: answers.OkAnswer;
  PROGRESS: answers.OkAnswer;
  GETPROGRESS: answers.ProgressAnswer;
  GETJOB: answers.JobStateAnswer;
  GETJOBS: answers.JobsPageAnswer;
  WAITJOB: answers.EndingAnswer;
  GETRESULT: answers.ResultAnswer;
  CANCEL: answers.OkAnswer;
  DLQ: answers.JobsAnswer;
  RETRYDLQ: answers.CountAnswer;
  PURGEDLQ: answers.CountAnswer;
  GETDLQCOUNTS: answers.CountsAnswer;
  DRAIN: answers.CountAnswer;
  OBLITERATE: answers.CountAnswer;
  RATELIMIT: answers.OkAnswer;
  RATELIMITCLEAR: answers.OkAnswer;
  SETCONCURRENCY: answers.OkAnswer;
  CLEARCONCURRENCY: answers.OkAnswer;
  SETQUEUE: answers.OkAnswer;
  PAUSE: answers.OkAnswer;
  RESUME: answers.OkAnswer;
  ISPAUSED: answers.PausedAnswer;
  LISTQUEUES: answers.QueuesAnswer;
  STATS: answers.StatsAnswer;
  CRON: answers.OkAnswer;
  CRONDELETE: answers.OkAnswer;
  CRONRUN: answers.OkAnswer;
  CRONPAUSE: answers.OkAnswer;
  CRONRESUME: answers.OkAnswer;
  CRONLIST: answers.CronsAnswer;
  METRICS: answers.MetricsAnswer;
  SUBSCRIBE: answers.OkAnswer;
  UNSUBSCRIBE: answers.OkAnswer;
  CLIENTS: answers.ClientsAnswer;
  TOPOLOGY: answers.TopologyAnswer;
  AUTH: answers.OkAnswer;
  PING: answers.PongAnswer;
  HELLO: answers.HelloAnswer;
}

/** The name of a command. */
export type CommandName = keyof Requests;

/** Any request. */
export type Request = Requests[CommandName];

/** Why a request was refused. */
export type ErrorCode =
  | "invalid"
  | "unknown_command"
  | "not_found"
  | "duplicate"
  | "bad_id"
  | "failed"
  | "timeout"
  | "auth_required"
  | "auth_failed"
  | "payload_too_large"
  | "line_too_long"
  | "queue_full"
  | "out_of_memory"
  | "storage_full"
  | "storage_failed"
  | "lease_lost"
  | "rate_limited"
  | "shutting_down"
  | "unavailable"
  | "not_supported"
  | "forbidden";

/** `invalid`: invalid; asking again will not help. */
export class InvalidError extends RefusedError {
  override readonly name = "InvalidError";
}

/** `unknown_command`: unknown command; asking again will not help. */
export class UnknownCommandError extends RefusedError {
  override readonly name = "UnknownCommandError";
}

/** `not_found`: not found; asking again will not help. */
export class NotFoundError extends RefusedError {
  override readonly name = "NotFoundError";
}

/** `duplicate`: duplicate job; asking again will not help. */
export class DuplicateError extends RefusedError {
  override readonly name = "DuplicateError";
}

/** `bad_id`: bad id; asking again will not help. */
export class BadIdError extends RefusedError {
  override readonly name = "BadIdError";
}

/** `failed`: job failed; asking again will not help. */
export class FailedError extends RefusedError {
  override readonly name = "FailedError";
}

/** `timeout`: timeout; the same request may succeed later. */
export class TimeoutError extends RefusedError {
  override readonly name = "TimeoutError";
}

/** `auth_required`: authentication required; asking again will not help. */
export class AuthRequiredError extends RefusedError {
  override readonly name = "AuthRequiredError";
}

/** `auth_failed`: invalid token; asking again will not help. */
export class AuthFailedError extends RefusedError {
  override readonly name = "AuthFailedError";
}

/** `payload_too_large`: payload too large; asking again will not help. */
export class PayloadTooLargeError extends RefusedError {
  override readonly name = "PayloadTooLargeError";
}

/** `line_too_long`: line too long; asking again will not help. */
export class LineTooLongError extends RefusedError {
  override readonly name = "LineTooLongError";
}

/** `queue_full`: queue full; the same request may succeed later. */
export class QueueFullError extends RefusedError {
  override readonly name = "QueueFullError";
}

/** `out_of_memory`: out of memory; the same request may succeed later. */
export class OutOfMemoryError extends RefusedError {
  override readonly name = "OutOfMemoryError";
}

/** `storage_full`: storage full; the same request may succeed later. */
export class StorageFullError extends RefusedError {
  override readonly name = "StorageFullError";
}

/** `storage_failed`: storage failed; asking again will not help. */
export class StorageFailedError extends RefusedError {
  override readonly name = "StorageFailedError";
}

/** `lease_lost`: lease lost: the job was given to another worker or is pending again; asking again will not help. */
export class LeaseLostError extends RefusedError {
  override readonly name = "LeaseLostError";
}

/** `rate_limited`: rate limited; the same request may succeed later. */
export class RateLimitedError extends RefusedError {
  override readonly name = "RateLimitedError";
}

/** `shutting_down`: shutting down; the same request may succeed later. */
export class ShuttingDownError extends RefusedError {
  override readonly name = "ShuttingDownError";
}

/** `unavailable`: unavailable; the same request may succeed later. */
export class UnavailableError extends RefusedError {
  override readonly name = "UnavailableError";
}

/** `not_supported`: not supported; asking again will not help. */
export class NotSupportedError extends RefusedError {
  override readonly name = "NotSupportedError";
}

/** `forbidden`: forbidden: the token is not for this; asking again will not help. */
export class ForbiddenError extends RefusedError {
  override readonly name = "ForbiddenError";
}

/** The class of each code. */
export const REFUSALS: Readonly<Record<ErrorCode, typeof RefusedError>> = {
  invalid: InvalidError,
  unknown_command: UnknownCommandError,
  not_found: NotFoundError,
  duplicate: DuplicateError,
  bad_id: BadIdError,
  failed: FailedError,
  timeout: TimeoutError,
  auth_required: AuthRequiredError,
  auth_failed: AuthFailedError,
  payload_too_large: PayloadTooLargeError,
  line_too_long: LineTooLongError,
  queue_full: QueueFullError,
  out_of_memory: OutOfMemoryError,
  storage_full: StorageFullError,
  storage_failed: StorageFailedError,
  lease_lost: LeaseLostError,
  rate_limited: RateLimitedError,
  shutting_down: ShuttingDownError,
  unavailable: UnavailableError,
  not_supported: NotSupportedError,
  forbidden: ForbiddenError,
};

/** The codes after which the same request may succeed later. */
export const RETRYABLE_CODES: ReadonlySet<string> = new Set<ErrorCode>([
  "timeout",
  "queue_full",
  "out_of_memory",
  "storage_full",
  "rate_limited",
  "shutting_down",
  "unavailable",
]);
