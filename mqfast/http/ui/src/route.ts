// Where the page is: the hash. Every view, filter, sort, page and open inspector is in it, so each is a link.
import { computed, signal } from "@preact/signals";

export interface Route {
  view: "overview" | "queues" | "queue" | "job" | "failed" | "crons" | "workers" | "unknown";
  /** A queue's name or a job's id. */
  subject: string;
  query: URLSearchParams;
}

export function parse(hash: string): Route {
  const [path = "", search = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const query = new URLSearchParams(search);
  const [first = "", ...rest] = path.split("/");
  let subject = "";
  try {
    subject = decodeURIComponent(rest.join("/"));
  } catch {
    return { view: "unknown", subject: "", query };
  }
  if (first === "") return { view: "overview", subject: "", query };
  if (first === "queues") return { view: subject ? "queue" : "queues", subject, query };
  if (first === "jobs" && /^\d{1,16}$/.test(subject)) return { view: "job", subject, query };
  if (first === "failed") return { view: "failed", subject, query };
  if ((first === "crons" || first === "workers") && !subject) return { view: first, subject, query };
  return { view: "unknown", subject, query };
}

export const route = signal<Route>(parse(location.hash));
addEventListener("hashchange", () => (route.value = parse(location.hash)));

export function link(path: string, query: Record<string, string | number | undefined> = {}): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined && value !== "") search.set(key, String(value));
  const text = search.toString();
  return `#/${path}${text ? `?${text}` : ""}`;
}

export function queueLink(name: string, query: Record<string, string | number | undefined> = {}): string {
  return link(`queues/${encodeURIComponent(name)}`, query);
}

export function jobLink(id: number | string): string {
  return link(`jobs/${id}`);
}

export function go(hash: string): void {
  location.hash = hash;
}

/** The same place with other parameters; undefined removes one. Does not add to the history. */
export function refine(changes: Record<string, string | undefined>): void {
  const query = new URLSearchParams(route.value.query);
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined || value === "") query.delete(key);
    else query.set(key, value);
  }
  const text = query.toString();
  const path = location.hash.split("?")[0] || "#/";
  history.replaceState(null, "", `${path}${text ? `?${text}` : ""}`);
  route.value = parse(location.hash);
}

/** The place as a link with other parameters, for pages of a list. */
export function withQuery(changes: Record<string, string | undefined>): string {
  const query = new URLSearchParams(route.value.query);
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined || value === "") query.delete(key);
    else query.set(key, value);
  }
  const text = query.toString();
  return `${location.hash.split("?")[0] || "#/"}${text ? `?${text}` : ""}`;
}

export const param = (key: string): string => route.value.query.get(key) ?? "";

/** What the server is asked for: the query of /dashboard/stream. */
export const wanted = computed(() => {
  const { view, subject, query } = route.value;
  const ask = new URLSearchParams({ view: view === "unknown" ? "overview" : view });
  if (view === "queue") ask.set("name", subject);
  if (view === "job") ask.set("id", subject);
  if (view === "queues" || view === "workers") {
    for (const key of ["search", "filter", "sort", "dir", "cursor"]) {
      const value = query.get(key);
      if (value) ask.set(key, value);
    }
  }
  return ask.toString();
});
