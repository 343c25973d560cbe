// Light, dark, or the system's. Charts draw on canvas and need the colours as values: they ask here, and again when
// `themed` changes.
import { signal } from "@preact/signals";

export type Theme = "light" | "dark" | "system";
const KEY = "mqfast-theme";

function stored(): Theme {
  const theme = document.documentElement.dataset["theme"];
  return theme === "light" || theme === "dark" ? theme : "system";
}

export const theme = signal<Theme>(stored());
export const themed = signal(0);

export function setTheme(next: Theme): void {
  theme.value = next;
  if (next === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = next;
  try {
    if (next === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    // storage is forbidden: it holds until the reload
  }
  colours.clear();
  themed.value++;
}

export function nextTheme(): void {
  setTheme(theme.value === "system" ? "light" : theme.value === "light" ? "dark" : "system");
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  colours.clear();
  themed.value++;
});

const colours = new Map<string, string>();

/** The present value of a token, as the browser computes it: `light-dark()` is resolved only in a property. */
export function colour(token: string): string {
  let value = colours.get(token);
  if (value === undefined) {
    const probe = document.createElement("i");
    probe.style.color = `var(--${token})`;
    document.body.append(probe);
    value = getComputedStyle(probe).color;
    probe.remove();
    colours.set(token, value);
  }
  return value;
}
