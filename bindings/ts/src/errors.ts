// What can go wrong. A refusal of the daemon has a class for each code (commands.ts); the rest is here.

/** The parent of every error this package makes. */
export class MagicQueueError extends Error {
  override readonly name: string = "MagicQueueError";
}

/**
 * The daemon has refused a request. Each code has a class of its own (`NotFoundError`, `DuplicateError`, …); a code
 * that this version does not know is a plain `RefusedError`.
 */
export class RefusedError extends MagicQueueError {
  override readonly name: string = "RefusedError";
  /**
   * True if the request had been sent once before, on a connection that was lost: what the daemon refuses now may be
   * what it has done then. A `DuplicateError` with `maybeDone` is most likely the push's own first sending.
   */
  maybeDone = false;

  /**
   * @param message the daemon's text
   * @param code the daemon's code, such as `not_found`
   * @param retryable the daemon's word on whether the same request may succeed later
   */
  constructor(
    message: string,
    readonly code: string,
    readonly retryable: boolean,
  ) {
    super(message);
  }
}

/** A connection could not be made, or was lost before the answer came. */
export class ConnectionLostError extends MagicQueueError {
  override readonly name: string = "ConnectionLostError";
  readonly code: string = "connection_lost";

  /**
   * @param message what happened
   * @param maybeDone true: the request was sent, and nobody knows whether the daemon has carried it out;
   *   false: it was never sent
   */
  constructor(
    message: string,
    readonly maybeDone: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * Client and daemon are set up differently, which trying again does not mend: the message says what to change. One of
 * them speaks TLS and the other does not, the port is that of HTTP, or the daemon's certificate is not trusted or for
 * another name.
 */
export class ConfigurationError extends ConnectionLostError {
  override readonly name: string = "ConfigurationError";
  override readonly code = "configuration";
}

/** A request on a client that is closed, or was never connected. */
export class NotConnectedError extends MagicQueueError {
  override readonly name: string = "NotConnectedError";
  readonly code = "not_connected";
}

/** Some jobs of a batch were refused; the others were accepted. */
export class BatchRefusedError extends MagicQueueError {
  override readonly name: string = "BatchRefusedError";
  readonly code = "batch_refused";

  /**
   * @param ids an id for each job in the order of the batch, 0 where it was refused
   * @param errors why, by index in the batch
   */
  constructor(
    readonly ids: readonly number[],
    readonly errors: ReadonlyMap<number, RefusedError>,
  ) {
    const [first] = errors;
    const example = first === undefined ? "" : `; job ${first[0]}: ${first[1].message}`;
    super(`${errors.size} of ${ids.length} jobs were refused${example}`);
  }
}

/** Thrown by a handler: the job is not to be tried again, it goes to the dead-letter queue at once. */
export class UnrecoverableError extends MagicQueueError {
  override readonly name: string = "UnrecoverableError";
}

/** The reason of a job's `ctx.signal` when the job is no longer this worker's: its result will not count. */
export class JobLostError extends MagicQueueError {
  override readonly name: string = "JobLostError";
  readonly code = "job_lost";
}

/** The reason of a job's `ctx.signal` when its `timeout` has passed. */
export class JobTimeoutError extends MagicQueueError {
  override readonly name: string = "JobTimeoutError";
  readonly code = "job_timeout";
}

/** The reason of a job's `ctx.signal` when its worker is stopping and the time to drain has passed. */
export class WorkerStoppedError extends MagicQueueError {
  override readonly name: string = "WorkerStoppedError";
  readonly code = "worker_stopped";
}

/** The text of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
