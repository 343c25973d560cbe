// The samples behind the charts: the server's ring once, then each new message, or what came meanwhile after a gap.
import { signal, type Signal } from "@preact/signals";
import { getText } from "./api";
import type { Message } from "./store";

export type Column = (number | null)[];

export interface Samples {
  step: number;
  t: number[];
  columns: Record<string, Column>;
  loaded: boolean;
  error: string;
}

export const WINDOWS = { "5m": 300_000, "15m": 900_000, "30m": 1_800_000, "1h": 3_600_000, "6h": 21_600_000 };
export type Window = keyof typeof WINDOWS;

interface Answer extends Record<string, unknown> {
  step: number;
  now: number;
  t: number[];
}

/** The samples of a window, of the whole daemon or of one queue, kept up to date by `take`. */
export class SampleStore {
  readonly samples: Signal<Samples>;
  private loading = false;
  private again = 0;

  constructor(
    readonly window: Window,
    readonly queue = "",
  ) {
    this.samples = signal({ step: queue || WINDOWS[window] > 900_000 ? 10_000 : 1000, t: [], columns: {}, loaded: false, error: "" });
    void this.load(0);
  }

  /** Take in a message: as a sample if it follows the last one, else by asking what was missed. */
  take(message: Message): void {
    const { t, step, loaded, columns } = this.samples.value;
    const last = t.at(-1) ?? 0;
    if (!loaded || message.t <= last) {
      if (!loaded && !this.loading && Date.now() > this.again) void this.load(0);
      return;
    }
    if (step === 1000 && message.t - last < 1700) {
      const row: Record<string, number | null> = {
        pushed: message.rates.pushed,
        completed: message.rates.completed,
        failed: message.rates.failed,
        retried: message.rates.retried,
        wait_p50: message.wait[0] ?? null,
        wait_p95: message.wait[1] ?? null,
        wait_p99: message.wait[2] ?? null,
        run_p50: message.run[0] ?? null,
        run_p95: message.run[1] ?? null,
        run_p99: message.run[2] ?? null,
        waiting: message.counts.waiting,
        active: message.counts.active,
        delayed: message.counts.delayed,
        blocked: message.counts.waitingparent,
        dead: message.counts.failed,
      };
      this.put([message.t], Object.fromEntries(Object.keys(columns).map((key) => [key, [row[key] ?? null]])));
    } else if (message.t - last >= step && Date.now() > this.again) void this.load(last);
  }

  private async load(since: number): Promise<void> {
    if (this.loading) return;
    this.loading = true;
    this.again = Date.now() + 2000;
    const ask = new URLSearchParams({ window: this.window, since: String(since) });
    if (this.queue) ask.set("queue", this.queue);
    try {
      const { step, t, now: _now, v: _v, ...columns } = JSON.parse(await getText(`dashboard/history?${ask}`)) as Answer;
      this.samples.value = { ...this.samples.value, step, loaded: true, error: "" };
      this.put(t, columns as Record<string, Column>);
    } catch (error) {
      this.samples.value = { ...this.samples.value, error: String((error as Error).message) };
    } finally {
      this.loading = false;
    }
  }

  private put(t: number[], columns: Record<string, Column>): void {
    const old = this.samples.value;
    const last = old.t.at(-1) ?? 0;
    const skip = t.findIndex((time) => time > last);
    const fresh = skip < 0 ? [] : t.slice(skip);
    const oldest = (fresh.at(-1) ?? last) - WINDOWS[this.window];
    const drop = old.t.findIndex((time) => time >= oldest);
    const from = drop < 0 ? old.t.length : drop;
    const merged: Record<string, Column> = {};
    for (const [key, values] of Object.entries(columns)) {
      merged[key] = [...(old.columns[key] ?? []).slice(from), ...(skip < 0 ? [] : values.slice(skip))];
    }
    this.samples.value = { ...old, t: [...old.t.slice(from), ...fresh], columns: merged };
  }
}

