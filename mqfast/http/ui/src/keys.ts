// The keyboard. Single keys act on what is marked with data-key, in the focused row first; they are off in fields, and
// can be switched off altogether.
import { signal } from "@preact/signals";
import { close, isOpen } from "./parts/dialog";
import { go } from "./route";
import { nextTheme } from "./theme";

const KEY = "mqfast-keys";
export const singleKeys = signal(read());

function read(): boolean {
  try {
    return localStorage.getItem(KEY) !== "off";
  } catch {
    return true;
  }
}

export function setSingleKeys(on: boolean): void {
  singleKeys.value = on;
  try {
    if (on) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, "off");
  } catch {
    // until the reload
  }
}

export const SHORTCUTS: [string, string][] = [
  ["/", "Search"],
  ["Ctrl K or ⌘ K", "Palette: queues, a job's id, actions"],
  ["g then o q f c w", "Overview, Queues, Failed, Crons, Workers"],
  ["j k", "Next and previous row"],
  ["Enter", "Open the row"],
  ["x, Shift x", "Select the row, select up to it"],
  ["[ ]", "Previous and next page"],
  ["p", "Pause or resume"],
  ["r", "Retry"],
  ["t", "Theme: system, light, dark"],
  ["?", "This sheet"],
  ["Esc", "Close"],
];

const PLACES: Record<string, string> = { o: "#/", q: "#/queues", f: "#/failed", c: "#/crons", w: "#/workers" };

interface Openers {
  palette: () => void;
  sheet: () => void;
}

export function listen({ palette, sheet }: Openers): void {
  let leader = 0;
  addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      palette();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target as HTMLElement;
    if (event.key === "Escape") {
      if (isOpen()) close();
      else if (target.matches("input, textarea")) target.blur();
      else press("Escape");
      return;
    }
    if (isOpen() || !singleKeys.value || target.matches("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
    if (Date.now() - leader < 1500 && PLACES[event.key]) {
      leader = 0;
      event.preventDefault();
      go(PLACES[event.key]!);
      return;
    }
    leader = event.key === "g" ? Date.now() : 0;
    if (act(event, palette, sheet)) event.preventDefault();
  });
}

function act(event: KeyboardEvent, palette: () => void, sheet: () => void): boolean {
  switch (event.key) {
    case "/": {
      const search = document.querySelector<HTMLElement>("main [data-search]");
      if (search) search.focus();
      else palette();
      return true;
    }
    case "?":
      sheet();
      return true;
    case "t":
      nextTheme();
      return true;
    case "j":
      return moveRow(1);
    case "k":
      return moveRow(-1);
    case "x":
    case "X": {
      const box = currentRow()?.querySelector<HTMLInputElement>("input[type=checkbox]");
      box?.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, shiftKey: event.shiftKey }));
      return Boolean(box);
    }
    case "p":
    case "r":
    case "[":
    case "]":
      return press(event.key);
    default:
      return false;
  }
}

function currentRow(): Element | null {
  return document.activeElement?.closest("[data-row]") ?? null;
}

function press(key: string): boolean {
  const selector = `[data-key="${key}"]`;
  const found = currentRow()?.querySelector<HTMLElement>(selector) ?? document.querySelector<HTMLElement>(`main ${selector}`);
  found?.click();
  return Boolean(found);
}

function moveRow(by: number): boolean {
  const rows = [...document.querySelectorAll<HTMLElement>("main [data-row]")];
  const current = currentRow();
  const next = rows[current ? rows.indexOf(current as HTMLElement) + by : by > 0 ? 0 : rows.length - 1];
  const link = next?.querySelector<HTMLElement>("a[href]");
  link?.focus();
  link?.scrollIntoView({ block: "nearest" });
  return Boolean(link);
}
