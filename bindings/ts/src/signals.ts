// SIGTERM and SIGINT stop all workers of the process that want it. The process then ends by itself, with what its own
// code still does; if something keeps it alive (an open connection, say), the signal has its usual effect after a
// while.

import process from "node:process";

const SIGNALS = ["SIGTERM", "SIGINT"] as const;
/** Milliseconds that a process whose workers have been stopped has for the rest of its end. */
const GRACE = 5_000;

type Signal = (typeof SIGNALS)[number];

/** Stops a worker. `isForced`: the signal came a second time. */
type Stop = (isForced: boolean) => void;

const running = new Set<Stop>();
let received: Signal | undefined;

/** From now on signals stop this worker. */
export function watchSignals(stop: Stop): void {
  if (running.size === 0) {
    SIGNALS.forEach((signal) => process.on(signal, onSignal));
  }
  running.add(stop);
}

/** The worker has stopped, for whatever reason. */
export function unwatchSignals(stop: Stop): void {
  if (!running.delete(stop) || running.size > 0) {
    return;
  }
  SIGNALS.forEach((signal) => process.off(signal, onSignal));
  const signal = received;
  received = undefined;
  if (signal !== undefined) {
    setTimeout(() => endBy(signal), GRACE).unref();
  }
}

function onSignal(signal: NodeJS.Signals): void {
  const isForced = received !== undefined;
  received = signal as Signal;
  running.forEach((stop) => stop(isForced));
}

function endBy(signal: Signal): void {
  // Somebody else who listens decides on the end of the process.
  if (process.listenerCount(signal) === 0) {
    process.kill(process.pid, signal);
  }
}
