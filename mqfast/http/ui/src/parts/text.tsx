// Small pieces of text: names, figures, durations, instants, states.
import { count, duration, exactly, instant, isPrintable, rate, utc, visible } from "../format";
import { now, serverNow, type State } from "../store";

/** A name from outside: controls and bidi marks shown, its direction kept to itself. */
export function Name({ text, mono }: { text: string; mono?: boolean }) {
  return (
    <bdi class={mono ? "name mono" : "name"} title={text.length > 24 && isPrintable(text) ? text : undefined}>
      {visible(text)}
    </bdi>
  );
}

export function Count({ n }: { n: number | null | undefined }) {
  if (n === null || n === undefined) return <span class="muted">–</span>;
  if (n < 1_000_000) return <>{count(n)}</>;
  return (
    <span title={exactly(n)}>
      <span aria-hidden="true">{count(n)}</span>
      <span class="sr-only">{exactly(n)}</span>
    </span>
  );
}

export function Rate({ n }: { n: number | null | undefined }) {
  return n === null || n === undefined ? <span class="muted">–</span> : <>{rate(n)}</>;
}

export function Duration({ ms }: { ms: number | null | undefined }) {
  return ms === null || ms === undefined ? <span class="muted">–</span> : <>{duration(ms)}</>;
}

export function Instant({ ms }: { ms: number | null | undefined }) {
  if (!ms) return <span class="muted">–</span>;
  return (
    <time dateTime={utc(ms)} title={utc(ms)}>
      {instant(ms, now.value)}
    </time>
  );
}

/** "3 min ago", "in 12 s": moves with the clock of the page. */
export function Relative({ ms, past = "ago" }: { ms: number | null | undefined; past?: string }) {
  if (!ms) return <span class="muted">–</span>;
  const away = ms - serverNow.value;
  const text = away > 0 ? `in ${duration(Math.ceil(away / 1000) * 1000)}` : -away < 1000 ? "now" : `${duration(Math.floor(-away / 1000) * 1000)} ${past}`.trim();
  return (
    <time dateTime={utc(ms)} title={`${instant(ms)} · ${utc(ms)}`}>
      {text.replace(/\.0 s/, " s")}
    </time>
  );
}

export type Glyph = "dot" | "ring" | "play" | "clock" | "chain" | "check" | "cross" | "bars" | "rise" | "question";

// Drawn, not characters: fonts show some of these as coloured pictures, and of different widths.
const GLYPHS: Record<Glyph, string> = {
  dot: "M6 6h.01",
  ring: "M6 9.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z",
  play: "M4 2.5 9.5 6 4 9.5z",
  clock: "M6 10.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM6 3.5V6l1.8 1",
  chain: "M5 7 7 5M5.2 3.6l1-1a2.3 2.3 0 0 1 3.2 3.2l-1 1M6.8 8.4l-1 1a2.3 2.3 0 0 1-3.2-3.2l1-1",
  check: "M2 6.5 4.8 9.3 10 3",
  cross: "M2.8 2.8l6.4 6.4M9.2 2.8 2.8 9.2",
  bars: "M4 2.8v6.4M8 2.8v6.4",
  rise: "M6 2.2 10.5 10h-9z",
  question: "M4 4a2 2 0 1 1 2.9 1.8C6.3 6.1 6 6.5 6 7.2M6 9.5h.01",
};

export function GlyphIcon({ name }: { name: Glyph }) {
  const solid = name === "play" || name === "rise";
  return (
    <svg class="glyph" viewBox="0 0 12 12" width="12" height="12" fill={solid ? "currentColor" : "none"} stroke="currentColor" stroke-width={name === "dot" ? 7 : solid ? 1 : 1.8} stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">
      <path d={GLYPHS[name]} />
    </svg>
  );
}

export function Badge({ glyph, word, token, more }: { glyph: Glyph; word: string; token: string; more?: string | undefined }) {
  return (
    <span class={`badge of-${token}`}>
      <GlyphIcon name={glyph} />
      {word}
      {more ? <span class="muted"> {more}</span> : null}
    </span>
  );
}

export const STATE: Record<State | "unknown", { glyph: Glyph; word: string; token: string }> = {
  waiting: { glyph: "dot", word: "Waiting", token: "waiting" },
  active: { glyph: "play", word: "Active", token: "active" },
  delayed: { glyph: "clock", word: "Delayed", token: "delayed" },
  waitingparent: { glyph: "chain", word: "Blocked", token: "blocked" },
  completed: { glyph: "check", word: "Completed", token: "completed" },
  failed: { glyph: "cross", word: "Failed", token: "failed" },
  unknown: { glyph: "question", word: "Unknown", token: "blocked" },
};

export function StateBadge({ state, more }: { state: keyof typeof STATE; more?: string | undefined }) {
  return <Badge {...(STATE[state] ?? STATE.unknown)} more={more} />;
}
