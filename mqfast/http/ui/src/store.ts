// What the page knows: the newest message of the server, the state of the link to it, and the clock.
import { computed, signal } from "@preact/signals";

export interface QueueRow {
  name: string;
  waiting: number;
  active: number;
  delayed: number;
  blocked: number | null;
  completed: number;
  failed: number;
  in: number | null;
  out: number | null;
  head_age: number | null;
  paused: boolean;
  rate_limit: number | null;
  rate_duration: number | null;
  concurrency_limit: number | null;
  spark: string;
}

export interface Problem {
  id: string;
  level: "critical" | "warning" | "note";
  kind: string;
  queue?: string;
  cron?: string;
  since: number;
  n: number;
  share?: number;
  resolved_at?: number;
}

export interface CronRow {
  name: string;
  queue: string;
  schedule: string;
  priority: number;
  next_run: number | null;
  last_run: number | null;
  timezone: string;
  paused: boolean;
}

export interface ClientRow {
  id: number;
  peer: string;
  since: number;
  kind: string;
  commands: number;
  holds: number;
  /** Since when, as an instant. */
  oldest_held: number | null;
  /** How many commands wait, and the queue of the last of them. */
  waits: number;
  waits_for: string | null;
  unsent: number;
  dropped: number;
}

export type State = "waiting" | "active" | "delayed" | "waitingparent" | "completed" | "failed";
export const STATES: State[] = ["waiting", "active", "delayed", "waitingparent", "completed", "failed"];

export interface Message {
  v: 1;
  t: number;
  started_at: number;
  mode: "read" | "full";
  server: {
    version: string;
    fsync: string | null;
    memory: [number, number];
    connections: number;
    keep: [number, number];
    /** Selections that this daemon knows: "RETRYDLQ.ids". To one that does not, the field must not be sent. */
    can: string[];
    streams: [number, number];
  };
  counts: Record<State, number>;
  kept: number;
  rates: Record<"pushed" | "completed" | "failed" | "retried", number | null>;
  wait: (number | null)[];
  run: (number | null)[];
  problems: Problem[];
  view: Record<string, unknown>;
}

/** The newest message, and the query it answers: a view shows only what was sent for it. */
export const latest = signal<{ message: Message; query: string } | null>(null);
export const message = computed(() => latest.value?.message ?? null);

export type Link = "connecting" | "live" | "polling" | "reconnecting" | "offline";
export const link = signal<Link>("connecting");
/** When the newest message came, by this machine's clock; 0 = none has. */
export const heardAt = signal(0);
export const linkError = signal("");

/** Local time, once a second while the page is seen. */
export const now = signal(Date.now());
let offset = 0; // of the server's clock to this one's

export function heard(next: Message, query: string): void {
  heardAt.value = Date.now();
  offset = next.t - Date.now();
  latest.value = { message: next, query };
  linkError.value = "";
}

/** The server's time now. */
export const serverNow = computed(() => now.value + offset);
/** How old what is shown is, in ms. */
export const age = computed(() => (heardAt.value ? Math.max(0, now.value - heardAt.value) : 0));
export const isStale = computed(() => heardAt.value > 0 && age.value > 5000);
export const isLost = computed(() => heardAt.value > 0 && age.value > 15_000);
export const isReadOnly = computed(() => message.value?.mode === "read");
export const knows = (selection: "RETRYDLQ.ids" | "RETRYDLQ.reason" | "PURGEDLQ.ids"): boolean => message.value?.server.can.includes(selection) ?? false;
export const canAct = computed(() => !isReadOnly.value && !isLost.value);

setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1000);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) now.value = Date.now();
});

export function media(query: string) {
  const list = matchMedia(query);
  const matches = signal(list.matches);
  list.addEventListener("change", () => (matches.value = list.matches));
  return matches;
}
export const isNarrow = media("(max-width: 639.98px)");
export const isWide = media("(min-width: 1024px)");
export const isHuge = media("(min-width: 1920px)");
export const isStill = media("(prefers-reduced-motion: reduce)");
