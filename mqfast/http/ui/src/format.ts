// Figures, durations and instants as text, always in the same form and of a stable width.
const exact = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export function count(n: number): string {
  if (n < 1_000_000) return exact.format(n);
  if (n < 1e9) return `${(n / 1e6).toFixed(2)} M`;
  return `${(n / 1e9).toFixed(2)} G`;
}

export function exactly(n: number): string {
  return exact.format(n);
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

export function rate(n: number | null | undefined): string {
  if (n === null || n === undefined) return "–";
  return n >= 1000 ? count(Math.round(n)) : n.toFixed(1);
}

/** Two units at most: 850 ms, 12.3 s, 3 min 12 s, 2 h 5 min, 3 d 4 h. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const s = Math.floor(ms / 1000);
  if (s < 10) return `${(ms / 1000).toFixed(1)} s`;
  if (s < 60) return `${s} s`;
  const steps: [number, string, number, string][] = [
    [3600, "min", 60, "s"],
    [86_400, "h", 3600, "min"],
    [Infinity, "d", 86_400, "h"],
  ];
  for (const [below, unit, size, smaller] of steps) {
    if (s >= below) continue;
    const whole = unit === "min" ? Math.floor(s / 60) : Math.floor(s / size);
    const base = unit === "min" ? 60 : size;
    const rest = Math.floor((s % base) / (unit === "min" ? 1 : unit === "h" ? 60 : 3600));
    return rest ? `${whole} ${unit} ${rest} ${smaller}` : `${whole} ${unit}`;
  }
  return "";
}

/** The same with one unit, for columns that tick. */
export function briefly(ms: number): string {
  return ms < 1000 ? "now" : duration(ms).split(" ").slice(0, 2).join(" ").replace(/\.\d/, "");
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", year: "numeric" });

/** Local time with milliseconds, and the date unless it is today's. */
export function instant(ms: number, now = Date.now()): string {
  const at = new Date(ms);
  const time = `${clock.format(at)}.${String(at.getMilliseconds()).padStart(3, "0")}`;
  return new Date(now).toDateString() === at.toDateString() ? time : `${day.format(at)} ${time}`;
}

export function clockTime(ms: number): string {
  return clock.format(ms);
}

export function utc(ms: number): string {
  return new Date(ms).toISOString();
}

export function bytes(n: number): string {
  if (n < 1024) return `${n} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let i = -1;
  while (n >= 1024 && i < units.length - 1) {
    n /= 1024;
    i++;
  }
  return `${n < 10 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

// What must not act on the text around it, or cannot be seen: shown as an escape. Controls, bidi marks and overrides,
// zero-width characters, line separators, tags, lone surrogates.
const HIDDEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|\p{Surrogate}/gu;

export function visible(text: string): string {
  return text.replace(HIDDEN, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`);
}

export function isPrintable(text: string): boolean {
  return text.search(HIDDEN) < 0;
}
