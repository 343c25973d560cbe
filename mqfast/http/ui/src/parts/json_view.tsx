// A payload as it is stored: indented and folded, or raw. Works on its text; of a long one the first 64 KiB, more on
// demand. Only the lines in sight are in the document.
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { copy } from "../actions";
import { bytes, plural, visible } from "../format";
import { lines, type Line } from "../json_text";

const FIRST = 64 * 1024;
const LINE = 20;
const HEIGHT = 420;
const LONG_STRING = 2048;
const MORE = 256 * 1024;

export function JsonView({ text, name }: { text: string; name: string }) {
  const budget = useSignal(FIRST);
  const raw = useSignal(false);
  const wrap = useSignal(true);
  const search = useSignal("");
  const hit = useSignal(0);
  const size = useMemo(() => new TextEncoder().encode(text).length, [text]);
  const parsed = useMemo(() => lines(text, budget.value), [text, budget.value]);
  const hits = useMemo(() => find(text, parsed.lines, search.value), [text, parsed, search.value]);
  const rest = text.length - (raw.value ? Math.min(text.length, budget.value) : parsed.read);
  return (
    <div class="json">
      <div class="json-tools">
        <div class="segments" role="group" aria-label="Form">
          <button type="button" aria-pressed={!raw.value} onClick={() => (raw.value = false)}>
            Tree
          </button>
          <button type="button" aria-pressed={raw.value} onClick={() => (raw.value = true)}>
            Raw
          </button>
        </div>
        {raw.value ? (
          <button type="button" class="button is-small" aria-pressed={wrap.value} onClick={() => (wrap.value = !wrap.value)}>
            Wrap
          </button>
        ) : (
          <span class="json-find">
            <input
              class="input is-small"
              type="search"
              aria-label={`Find in ${name}`}
              placeholder="Find"
              value={search.value}
              onInput={(event) => ((search.value = event.currentTarget.value), (hit.value = 0))}
              onKeyDown={(event) => {
                if (event.key === "Enter" && hits.length) hit.value = (hit.value + (event.shiftKey ? hits.length - 1 : 1)) % hits.length;
              }}
            />
            {search.value ? <span class="muted num">{hits.length ? `${hit.value + 1}/${hits.length}` : "none"}</span> : null}
          </span>
        )}
        <span class="json-size muted">{bytes(size)}</span>
        <button type="button" class="button is-small" onClick={() => void copy(text, name)}>
          Copy
        </button>
        <button type="button" class="button is-small" onClick={() => download(text, name)}>
          Download
        </button>
      </div>
      {raw.value ? (
        <pre class={wrap.value ? "json-raw is-wrapped" : "json-raw"} tabIndex={0} role="region" aria-label={`${name}, raw`}>
          {visible(text.slice(0, budget.value))}
        </pre>
      ) : (
        <Tree text={text} name={name} all={parsed.lines} line={hits[hit.value] ?? -1} />
      )}
      {rest > 0 ? (
        <button type="button" class="button is-small" onClick={() => (budget.value += MORE)}>
          {bytes(rest)} more · show
        </button>
      ) : null}
    </div>
  );
}

function find(text: string, all: Line[], search: string): number[] {
  const wanted = search.toLowerCase();
  if (!wanted) return [];
  const found: number[] = [];
  all.forEach((line, i) => {
    const from = line.parts[0]!.start;
    const to = line.parts.at(-1)!.end;
    if (text.slice(from, to).toLowerCase().includes(wanted)) found.push(i);
  });
  return found;
}

function Tree({ text, name, all, line }: { text: string; name: string; all: Line[]; line: number }) {
  const folded = useSignal<ReadonlySet<number>>(new Set());
  const whole = useSignal<ReadonlySet<number>>(new Set()); // long strings that are shown in full
  const top = useSignal(0);
  const box = useRef<HTMLDivElement>(null);
  const shown = useMemo(() => {
    const out: number[] = [];
    for (let i = 0; i < all.length; i++) {
      out.push(i);
      if (folded.value.has(i)) i = all[i]!.fold;
    }
    return out;
  }, [all, folded.value]);
  useEffect(() => {
    const at = shown.indexOf(line);
    if (at >= 0 && box.current) box.current.scrollTop = Math.max(0, at * LINE - HEIGHT / 3);
  }, [line, shown]);
  const from = useComputed(() => Math.max(0, Math.floor(top.value / LINE) - 5)).value;
  const rows = shown.slice(from, from + Math.ceil(HEIGHT / LINE) + 10);
  const flip = (set: typeof folded, i: number) => {
    const next = new Set(set.value);
    if (!next.delete(i)) next.add(i);
    set.value = next;
  };
  return (
    <div class="json-tree" ref={box} style={{ height: `${Math.min(HEIGHT, shown.length * LINE + 16)}px` }} tabIndex={0} role="region" aria-label={name} onScroll={(event) => (top.value = event.currentTarget.scrollTop)}>
      <div class="json-lines" style={{ height: `${shown.length * LINE}px` }}>
        <div style={{ transform: `translateY(${from * LINE}px)` }}>
          {rows.map((i) => (
            <div key={i} class={i === line ? "json-line is-hit" : "json-line"} style={{ paddingLeft: `${Math.min(all[i]!.depth, 40) * 16 + 20}px` }}>
              {all[i]!.fold > i ? (
                <button type="button" class="fold" style={{ left: `${Math.min(all[i]!.depth, 40) * 16}px` }} aria-expanded={!folded.value.has(i)} aria-label="Fold" onClick={() => flip(folded, i)}>
                  {folded.value.has(i) ? "▸" : "▾"}
                </button>
              ) : null}
              <Parts text={text} line={all[i]!} long={whole.value.has(i)} more={() => flip(whole, i)} />
              {folded.value.has(i) ? (
                <span class="muted">
                  {" "}
                  … {plural(all[i]!.fold - i - 1, "line")} {text[all[all[i]!.fold]!.parts[0]!.start]}
                </span>
              ) : null}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}

function Parts({ text, line, long, more }: { text: string; line: Line; long: boolean; more: () => void }) {
  return (
    <>
      {line.parts.map((part) => {
        const full = part.end - part.start > LONG_STRING && !long;
        const raw = text.slice(part.start, full ? part.start + 200 : part.end);
        if (part.kind === "colon") return ": ";
        if (part.kind === "comma" || part.kind === "open" || part.kind === "close") return raw;
        return (
          <span key={part.start} class={`json-${part.kind}`}>
            {visible(raw)}
            {full ? (
              <button type="button" class="link-button" onClick={more}>
                … {bytes(part.end - part.start)} · show
              </button>
            ) : null}
          </span>
        );
      })}
    </>
  );
}

function download(text: string, name: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = `${name.replace(/[^a-z0-9-]+/gi, "-").toLowerCase()}.json`;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
