// What a view shows when it has nothing to show yet, nothing at all, or could not get it.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { copy } from "../actions";
import { ApiError } from "../api";
import { visible } from "../format";

/** Grey shapes of the content's size, only if it takes long enough to be noticed. */
export function Skeleton({ rows = 6, height = 40 }: { rows?: number; height?: number }) {
  const late = useSignal(false);
  useEffect(() => {
    const timer = setTimeout(() => (late.value = true), 150);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div class="skeleton" aria-busy="true" style={{ minHeight: `${rows * height}px` }}>
      {late.value ? Array.from({ length: rows }, (_, i) => <div key={i} class="bone" style={{ height: `${height - 12}px` }} />) : null}
    </div>
  );
}

export function Snippet({ text, label = "Copy" }: { text: string; label?: string }) {
  return (
    <div class="snippet">
      <pre tabIndex={0} role="region" aria-label="Command">
        {text}
      </pre>
      <button type="button" class="button is-small" onClick={() => void copy(text, "Command")}>
        {label}
      </button>
    </div>
  );
}

/** A line of shell that pushes a job to this server. */
export function pushSnippet(queue = "emails", data = '{"to":"ada@example.org"}'): string {
  const base = location.href.split("#")[0]!.replace(/[^/]*$/, "");
  const quoted = `{"data":${data}}`.replaceAll("'", "'\\''");
  return `curl -H 'Content-Type: application/json' -d '${quoted}' '${base}queues/${encodeURIComponent(queue).replaceAll("'", "%27")}/jobs'`;
}

export function Empty({ title, children, snippet }: { title: string; children?: ComponentChildren; snippet?: string }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children ? <div class="empty-text">{children}</div> : null}
      {snippet ? <Snippet text={snippet} /> : null}
    </div>
  );
}

export function ErrorPanel({ error, again }: { error: unknown; again?: () => void }) {
  const known = error instanceof ApiError ? error : null;
  return (
    <div class="error-panel" role="alert">
      <p>
        <b class="mono">{known ? known.code : "error"}</b> {visible(known ? known.message : String(error))}
      </p>
      {again ? (
        <button type="button" class="button is-small" onClick={again}>
          Try again
        </button>
      ) : null}
    </div>
  );
}

/** Where the server has no such data (yet): said, not hidden. */
export function NotServed({ what }: { what: string }) {
  return <p class="note">{what} not served by this version of the daemon.</p>;
}
