// Ctrl K: go to a queue, to a job by its id, to a view, or act on the queue that is open.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { pause, resume } from "../actions";
import { send } from "../api";
import { visible } from "../format";
import { go, jobLink, link, queueLink, route } from "../route";
import { canAct, type Message, type QueueRow } from "../store";
import { nextTheme } from "../theme";
import { close, open } from "./dialog";
import { openSheet } from "./sheet";

interface Choice {
  label: string;
  hint: string;
  act: () => void;
}

const PLACES: [string, string][] = [
  ["Overview", "#/"],
  ["Queues", "#/queues"],
  ["Queues with problems", link("queues", { filter: "problems" })],
  ["Failed", "#/failed"],
  ["Crons", "#/crons"],
  ["Workers", "#/workers"],
];

export function openPalette(): void {
  open(() => <Palette />);
}

function choices(text: string, queues: QueueRow[]): Choice[] {
  const wanted = text.trim().toLowerCase();
  const out: Choice[] = [];
  if (/^#?\d{1,16}$/.test(wanted)) {
    const id = wanted.replace("#", "");
    out.push({ label: `Job ${id}`, hint: "job", act: () => go(jobLink(id)) });
  }
  for (const row of queues) out.push({ label: visible(row.name), hint: "queue", act: () => go(queueLink(row.name)) });
  for (const [label, to] of PLACES) out.push({ label, hint: "go to", act: () => go(to) });
  const { view, subject } = route.value;
  if (view === "queue" && canAct.value) {
    out.push({ label: `Pause ${visible(subject)}`, hint: "action", act: () => void pause(subject) });
    out.push({ label: `Resume ${visible(subject)}`, hint: "action", act: () => void resume(subject) });
    out.push({ label: `Failed jobs of ${visible(subject)}`, hint: "go to", act: () => go(link(`failed/${encodeURIComponent(subject)}`)) });
  }
  out.push({ label: "Change theme", hint: "page", act: nextTheme });
  out.push({ label: "Keyboard shortcuts", hint: "page", act: () => setTimeout(openSheet) });
  return out.filter(({ label, hint }) => hint === "job" || hint === "queue" || label.toLowerCase().includes(wanted)).slice(0, 12);
}

function Palette() {
  const text = useSignal("");
  const at = useSignal(0);
  const found = useSignal<{ search: string | null; rows: QueueRow[] }>({ search: null, rows: [] });
  const isEntered = useSignal(false); // Enter came before what was found for the text
  const input = useRef<HTMLInputElement>(null);
  const search = text.value.trim();
  useEffect(() => {
    const stop = new AbortController();
    const ask = new URLSearchParams({ view: "queues", search, limit: "8", sort: "pending", dir: "desc" });
    const timer = setTimeout(() => {
      send("GET", `dashboard/snapshot?${ask}`, undefined, stop.signal)
        .then((response) => response.json() as Promise<Message>)
        .then((message) => (found.value = { search, rows: (message.view["rows"] ?? []) as QueueRow[] }))
        .catch(() => stop.signal.aborted || (found.value = { search, rows: [] }));
    }, 100);
    return () => (clearTimeout(timer), stop.abort());
  }, [search]);
  const all = choices(search, found.value.rows);
  const chosen = Math.min(at.value, all.length - 1);
  const take = (choice: Choice | undefined) => {
    isEntered.value = false;
    if (!choice) return;
    close();
    choice.act();
  };
  useEffect(() => {
    if (isEntered.value && found.value.search === search) take(all[chosen]);
  }, [isEntered.value, found.value]);
  return (
    <div class="palette">
      <h2 id="dialog-title" class="sr-only">
        Go to
      </h2>
      <input
        ref={input}
        class="palette-input"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={all.length ? `choice-${chosen}` : undefined}
        aria-label="A queue, a job's id, an action"
        placeholder="A queue, a job's id, an action"
        autofocus
        autocomplete="off"
        spellcheck={false}
        value={text.value}
        onInput={(event) => ((text.value = event.currentTarget.value), (at.value = 0), (isEntered.value = false))}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") at.value = (chosen + 1) % all.length;
          else if (event.key === "ArrowUp") at.value = (chosen - 1 + all.length) % all.length;
          else if (event.key === "Enter") isEntered.value = true;
          else return;
          event.preventDefault();
        }}
      />
      <ul id="palette-list" role="listbox" aria-label="Matches" class="palette-list">
        {all.map((choice, i) => (
          <li key={choice.hint + choice.label} id={`choice-${i}`} role="option" aria-selected={i === chosen} class="palette-choice" onMouseMove={() => (at.value = i)} onClick={() => take(choice)}>
            <bdi class="palette-label">{choice.label}</bdi>
            <span class="muted">{choice.hint}</span>
          </li>
        ))}
      </ul>
      {all.length ? null : <p class="palette-none muted">Nothing matches</p>}
    </div>
  );
}
