// What may be sent a second time after a connection was lost before the answer came. The rule: a job is never pushed
// twice, and nothing is destroyed twice, without the caller's knowing. What may not be sent again is rejected with a
// ConnectionLostError whose `maybeDone` is true.

import type { CommandName } from "./commands.js";

type Fields = Readonly<Record<string, unknown>>;

const always = (): boolean => true;
const never = (): boolean => false;

// A key makes the second push a refused duplicate of the first.
const withKey = (fields: Fields): boolean =>
  typeof fields["uniqueKey"] === "string" || typeof fields["unique_key"] === "string";

// A token stands for one delivery, which the first sending has ended: the second is refused.
const withToken = (fields: Fields): boolean => typeof fields["token"] === "string";

const withTokens = (fields: Fields): boolean => {
  const { ids, tokens } = fields;
  return Array.isArray(ids) && Array.isArray(tokens) && ids.every((_, i) => typeof tokens[i] === "string");
};

/**
 * Whether a request of each command may be sent again. A pull may: what was on its way to the lost connection goes back
 * to the queue (with a lease: when that ends).
 */
const RESENDING: Readonly<Record<CommandName, (fields: Fields) => boolean>> = {
  PUSH: withKey,
  PUSHB: never,
  PULL: always,
  PULLB: always,
  ACK: withToken,
  ACKB: withTokens,
  FAIL: withToken,
  RELEASE: (fields) => withToken(fields) || withTokens(fields),
  HEARTBEAT: always,
  PROGRESS: always,
  GETPROGRESS: always,
  GETJOB: always,
  GETJOBS: always,
  WAITJOB: always,
  GETRESULT: always,
  CANCEL: never,
  DLQ: always,
  GETDLQCOUNTS: always,
  CLIENTS: always,
  RETRYDLQ: never,
  PURGEDLQ: never,
  DRAIN: never,
  OBLITERATE: never,
  RATELIMIT: always,
  RATELIMITCLEAR: always,
  SETCONCURRENCY: always,
  CLEARCONCURRENCY: always,
  SETQUEUE: always,
  PAUSE: always,
  RESUME: always,
  ISPAUSED: always,
  LISTQUEUES: always,
  STATS: always,
  CRON: always,
  CRONDELETE: never,
  CRONRUN: never,
  CRONPAUSE: always,
  CRONRESUME: always,
  CRONLIST: always,
  METRICS: always,
  // Subscriptions are made again by the connection itself.
  SUBSCRIBE: never,
  UNSUBSCRIBE: never,
  TOPOLOGY: always,
  AUTH: never,
  PING: always,
  HELLO: always,
};

const PARKING: ReadonlySet<string> = new Set<CommandName>(["PULL", "PULLB", "WAITJOB"]);

/** How a connection has to treat a request. */
export interface Treatment {
  /** Its answer may have to wait: it gets a `reqId`, so that it holds back no other. */
  parks: boolean;
  /** It may be sent again after a lost connection. */
  resend: boolean;
}

/** How a request is to be treated, by its command and fields. */
export function treatmentOf(request: object): Treatment {
  const fields = request as Fields;
  const command = typeof fields["cmd"] === "string" ? fields["cmd"].toUpperCase() : "";
  const mayResend = Object.hasOwn(RESENDING, command) ? RESENDING[command as CommandName] : never;
  return { parks: PARKING.has(command), resend: mayResend(fields) };
}
