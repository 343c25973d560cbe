// magicqueue: the public names.

export type { AddressOptions, TlsOptions } from "./address.js";
export type * from "./answers.js";
export type { BackoffOptions } from "./backoff.js";
export { MagicQueueClient, type ClientOptions, type ConnectionState } from "./client.js";
export * from "./commands.js";
export {
  BatchRefusedError,
  ConfigurationError,
  ConnectionLostError,
  JobLostError,
  JobTimeoutError,
  MagicQueueError,
  NotConnectedError,
  RefusedError,
  UnrecoverableError,
  WorkerStoppedError,
  messageOf,
} from "./errors.js";
export { EventStream } from "./events.js";
export type { Middleware, PushCall } from "./middleware.js";
export { Queue, type CronOptions, type JobInfo, type ListOptions, type QueueOptions } from "./queue.js";
export { Worker, type JobContext, type JobHandler, type WorkerEvents, type WorkerOptions } from "./worker.js";
export type { PushItem as JobInput } from "./commands.js";
