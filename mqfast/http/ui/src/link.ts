// The link to the server: a stream of snapshots while it lasts, the same snapshots by polling while it does not.
// One loop for each view asked for; a new view ends the loop of the old one.
import { effect, untracked } from "@preact/signals";
import { ApiError, send, unauthorized } from "./api";
import { wanted } from "./route";
import { heard, heardAt, link, linkError, type Message } from "./store";

const DEBOUNCE = 250;
const SILENCE = 5000; // a stream says something each second
const STREAM_AGAIN = 60_000;
const HIDDEN_FOR = 10_000;

let current: AbortController | null = null;

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}

/** The events of a stream, as (event, data). Ends with the stream. */
async function* events(response: Response, touched: () => void): AsyncGenerator<[string, string]> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    touched();
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop()!;
    for (const block of blocks) {
      let event = "message";
      let data = "";
      for (const line of block.split("\n")) {
        if (line.startsWith("event: ")) event = line.slice(7);
        else if (line.startsWith("data: ")) data += line.slice(6);
      }
      yield [event, data];
    }
  }
}

/** Reads a stream until it ends. True: it ended as agreed, another may be opened at once. */
async function stream(query: string, signal: AbortSignal): Promise<boolean> {
  const own = new AbortController();
  const end = () => own.abort();
  signal.addEventListener("abort", end, { once: true });
  let watchdog = setTimeout(end, SILENCE);
  const touched = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(end, SILENCE);
  };
  try {
    const response = await send("GET", `dashboard/stream?${query}`, undefined, own.signal);
    for await (const [event, data] of events(response, touched)) {
      if (signal.aborted) return false;
      if (event === "bye") return true;
      if (event === "snapshot") {
        heard(JSON.parse(data) as Message, query);
        link.value = "live";
      }
    }
    return false;
  } finally {
    clearTimeout(watchdog);
    signal.removeEventListener("abort", end);
    own.abort();
  }
}

async function poll(query: string, signal: AbortSignal): Promise<void> {
  const response = await send("GET", `dashboard/snapshot?${query}`, undefined, AbortSignal.any([signal, AbortSignal.timeout(10_000)]));
  heard((await response.json()) as Message, query);
}

/** Polls until it is time to try the stream again. */
async function pollFor(query: string, every: number, signal: AbortSignal): Promise<void> {
  const until = Date.now() + STREAM_AGAIN;
  while (!signal.aborted && Date.now() < until) {
    await poll(query, signal);
    link.value = "polling";
    await pause(every, signal);
  }
}

async function run(query: string, signal: AbortSignal): Promise<void> {
  let failures = 0;
  let polls = 0;
  while (!signal.aborted) {
    try {
      const before = heardAt.value;
      const agreed = await stream(query, signal);
      if (heardAt.value > before) failures = 0;
      if (agreed) continue;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError) {
        if (error.status === 401) return; // the form comes up; a token starts the link anew
        linkError.value = error.message;
        if (error.status === 400) {
          link.value = "offline";
          return;
        }
        if (error.status === 503) {
          try {
            await pollFor(query, polls++ ? 5000 : 2000, signal);
            failures = 0;
            continue;
          } catch (lost) {
            if (signal.aborted || (lost instanceof ApiError && lost.status === 401)) return;
          }
        }
      }
    }
    if (signal.aborted) return;
    link.value = "reconnecting";
    const wait = Math.min(1000 * 2 ** failures++, 30_000);
    await pause(wait * (0.75 + Math.random() / 2), signal);
  }
}

export function reconnect(): void {
  current?.abort();
  current = new AbortController();
  if (!heardAt.value) link.value = "connecting";
  void run(wanted.value, current.signal);
}

function stop(): void {
  current?.abort();
  current = null;
}

/** Keep the link up for whatever view is wanted, from now on. */
export function begin(): void {
  let timer = 0;
  let first = true;
  effect(() => {
    wanted.value;
    clearTimeout(timer);
    if (unauthorized.value) return stop();
    if (first) untracked(reconnect);
    else if (!document.hidden || current) timer = window.setTimeout(reconnect, DEBOUNCE);
    first = false;
  });
  let hiding = 0;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiding);
    if (document.hidden) hiding = window.setTimeout(stop, HIDDEN_FOR);
    else if (!current && !unauthorized.value) reconnect();
  });
  addEventListener("online", () => {
    if (link.value !== "live" && !unauthorized.value) reconnect();
  });
}
