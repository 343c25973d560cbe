// A request on its way: what it is, and how it ends.

import { REFUSALS, type ErrorCode } from "./commands.js";
import { ConfigurationError, ConnectionLostError, RefusedError } from "./errors.js";
import type { Answer, SendOptions } from "./transport.js";

/** A request on its way. */
export interface Entry {
  readonly text: string;
  readonly options: SendOptions;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  /** On a connection that was lost. */
  sentBefore: boolean;
  refusals: number;
  isSettled: boolean;
  offlineTimer: NodeJS.Timeout | undefined;
}

export function newEntry(
  text: string,
  options: SendOptions,
  resolve: (answer: Answer) => void,
  reject: (error: Error) => void,
): Entry {
  return { text, options, resolve, reject, sentBefore: false, refusals: 0, isSettled: false, offlineTimer: undefined };
}

/** The error that a refusal stands for: of its code's class. */
export function refusal(answer: Answer, maybeDone = false): RefusedError {
  const code = typeof answer["code"] === "string" ? answer["code"] : "";
  const Class = Object.hasOwn(REFUSALS, code) ? REFUSALS[code as ErrorCode] : RefusedError;
  const text = typeof answer["error"] === "string" ? answer["error"] : "Refused";
  const error = new Class(text, code, answer["retryable"] === true);
  error.maybeDone = maybeDone;
  return error;
}

/** What an entry that waits ends with: the error of a connection does not know whether this one was ever sent. */
export function endOf(entry: Entry, error: Error): Error {
  if (!(error instanceof ConnectionLostError) || error.maybeDone === entry.sentBefore) {
    return error;
  }
  const Class = error instanceof ConfigurationError ? ConfigurationError : ConnectionLostError;
  return new Class(error.message, entry.sentBefore, { cause: error.cause });
}

/** Ends a request, once. */
export function settle(entry: Entry, outcome: Answer | Error): void {
  if (entry.isSettled) {
    return;
  }
  entry.isSettled = true;
  clearTimeout(entry.offlineTimer);
  if (outcome instanceof Error) {
    entry.reject(outcome);
  } else {
    entry.resolve(outcome);
  }
}
