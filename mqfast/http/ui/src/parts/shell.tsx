// What is around every view: rail or tab bar, the top bar with search, link and theme, and the place of the view.
import type { ComponentChildren } from "preact";
import { duration, plural } from "../format";
import { route } from "../route";
import { age, heardAt, isLost, isReadOnly, link, message } from "../store";
import { nextTheme, theme } from "../theme";
import { Icon, type IconName } from "./icon";
import { openPalette } from "./palette";
import { openSheet } from "./sheet";

const NAV: { to: string; name: string; icon: IconName; views: string[] }[] = [
  { to: "#/", name: "Overview", icon: "overview", views: ["overview"] },
  { to: "#/queues", name: "Queues", icon: "queues", views: ["queues", "queue", "job"] },
  { to: "#/failed", name: "Failed", icon: "failed", views: ["failed"] },
  { to: "#/crons", name: "Crons", icon: "crons", views: ["crons"] },
  { to: "#/workers", name: "Workers", icon: "workers", views: ["workers"] },
];

function Nav() {
  const { view } = route.value;
  const open = message.value?.problems.filter((problem) => !problem.resolved_at && problem.level !== "note").length ?? 0;
  return (
    <nav class="nav" aria-label="Views">
      {NAV.map(({ to, name, icon, views }) => (
        <a key={to} href={to} class="nav-item" aria-current={views.includes(view) ? "page" : undefined} title={name}>
          <Icon name={icon} />
          <span class="nav-name">{name}</span>
          {name === "Overview" && open ? (
            <span class="nav-count">
              <span aria-hidden="true">{Math.min(open, 99)}</span>
              <span class="sr-only">{plural(open, "problem")}</span>
            </span>
          ) : null}
        </a>
      ))}
    </nav>
  );
}

function pill(): { word: string; token: string; title: string } {
  const old = duration(Math.floor(age.value / 1000) * 1000).replace(".0", "");
  if (isLost.value) return { word: "Not connected", token: "failed", title: `What is shown is ${old} old` };
  if (link.value === "offline") return { word: "Not connected", token: "failed", title: "The server refused" };
  if (!heardAt.value) return { word: "Connecting", token: "delayed", title: "" };
  if (age.value > 5000) return { word: `${old} old`, token: "delayed", title: "Reconnecting" };
  if (link.value === "reconnecting") return { word: "Reconnecting", token: "delayed", title: "" };
  if (link.value === "polling") return { word: "Polling", token: "waiting", title: "All streams are taken: asking each 2 to 5 seconds" };
  if (age.value < 3000) return { word: "Live", token: "completed", title: "One message each second" };
  return { word: `${old} old`, token: "delayed", title: "" };
}

function LinkPill() {
  const { word, token, title } = pill();
  return (
    <span class={`pill of-${token}`} title={title} data-testid="link">
      <span class="pill-dot" aria-hidden="true" />
      {word}
    </span>
  );
}

function TopBar() {
  const next = { system: "light", light: "dark", dark: "system" }[theme.value];
  return (
    <header class="top">
      <a class="brand" href="#/" aria-label="mqfast, overview">
        <span class="brand-mark" aria-hidden="true">
          <i />
          <i />
          <i />
        </span>
        mqfast
      </a>
      {isReadOnly.value ? <span class="read-only muted">Read-only: actions are hidden</span> : null}
      <span class="top-space" />
      <button type="button" class="top-search" onClick={openPalette}>
        <Icon name="search" />
        <span class="top-search-text">Queue or job id</span>
        <kbd>Ctrl K</kbd>
      </button>
      <LinkPill />
      <button type="button" class="icon-button only-wide" aria-label="Keyboard shortcuts" title="Keyboard shortcuts" onClick={openSheet}>
        <Icon name="keyboard" />
      </button>
      <button type="button" class="icon-button" aria-label={`Theme: ${theme.value}. Change to ${next}`} title={`Theme: ${theme.value}`} onClick={nextTheme}>
        <Icon name={theme.value} />
      </button>
    </header>
  );
}

export function Shell({ children }: { children: ComponentChildren }) {
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.querySelector<HTMLElement>("#main h1")?.focus();
        }}
      >
        Skip to content
      </a>
      <TopBar />
      <Nav />
      <main id="main" class="main">
        {children}
      </main>
    </>
  );
}
