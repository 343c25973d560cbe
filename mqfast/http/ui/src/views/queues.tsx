// All queues: searched, filtered and sorted by the server, a page at a time.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { QueueTable, queuesWord } from "../parts/queue_table";
import { Empty, ErrorPanel, pushSnippet, Skeleton } from "../parts/states";
import { Pager } from "../parts/table";
import { param, refine, route, wanted, withQuery } from "../route";
import { isNarrow, latest, linkError, type QueueRow } from "../store";
import { exactly, visible } from "../format";

const FILTERS: [string, string][] = [
  ["all", "All"],
  ["problems", "With problems"],
  ["paused", "Paused"],
  ["failed", "With failed"],
  ["busy", "Active"],
];
const SORTS: [string, string][] = [
  ["name", "Name"],
  ["pending", "Waiting"],
  ["processing", "Active"],
  ["delayed", "Delayed"],
  ["dlq", "Failed"],
  ["in", "In/s"],
  ["out", "Out/s"],
  ["head_age", "Next waits"],
];

interface Shown {
  query: string;
  rows: QueueRow[];
  total: number;
  cursor: string | null;
}

function sortBy(by: string): void {
  const same = (param("sort") || "name") === by;
  const dir = same ? (param("dir") === "desc" ? "asc" : "desc") : by === "name" ? "asc" : "desc";
  refine({ sort: by === "name" ? undefined : by, dir: dir === "asc" ? undefined : dir, cursor: undefined });
}

export function QueuesView() {
  const kept = useRef<Shown | null>(null);
  const now = latest.value;
  if (now?.query.startsWith("view=queues") && Array.isArray(now.message.view["rows"])) {
    kept.current = { query: now.query, ...(now.message.view as unknown as Omit<Shown, "query">) };
  }
  const shown = kept.current;
  const isOld = shown !== null && shown.query !== wanted.value;
  const filter = param("filter") || "all";
  const search = param("search");
  const reset = { search: undefined, filter: undefined, cursor: undefined };
  return (
    <>
      <div class="view-head">
        <h1 tabIndex={-1}>Queues</h1>
        {shown ? <span class="muted num">{queuesWord(shown.total)}</span> : null}
      </div>
      <FilterBar search={search} filter={filter} />
      {linkError.value && !shown ? <ErrorPanel error={linkError.value} again={() => refine({ cursor: undefined })} /> : null}
      {!shown ? (
        linkError.value ? null : <Skeleton rows={12} />
      ) : shown.rows.length ? (
        <div class={isOld ? "is-renewing" : ""}>
          <QueueTable name="Queues" rows={shown.rows} total={shown.total} sort={{ by: param("sort") || "name", dir: param("dir") || "asc", set: sortBy }} />
          <Pager
            shown={shown.cursor || param("cursor") ? `${exactly(shown.rows.length)} of ${exactly(shown.total)}` : ""}
            newer={param("cursor") ? withQuery({ cursor: undefined }) : undefined}
            older={shown.cursor ? withQuery({ cursor: shown.cursor }) : undefined}
            words={["First page", "Next"]}
          />
        </div>
      ) : search || filter !== "all" ? (
        <Empty title="No queue matches">
          {search ? <>“{visible(search)}”{filter !== "all" ? ", " : " "}</> : null}
          {filter !== "all" ? `${FILTERS.find(([key]) => key === filter)?.[1].toLowerCase()} ` : ""}
          <button type="button" class="button is-small" onClick={() => refine(reset)}>
            Clear
          </button>
        </Empty>
      ) : (
        <Empty title="No queues yet" snippet={pushSnippet()}>
          A queue is there with its first job. Push one:
        </Empty>
      )}
    </>
  );
}

function FilterBar({ search, filter }: { search: string; filter: string }) {
  const typed = useSignal(search);
  useEffect(() => {
    const now = route.peek().query.get("search") ?? ""; // not `search`: more may have been typed since it was drawn
    if (now !== typed.peek().trim()) typed.value = now;
  }, [search]);
  return (
    <div class="filters">
      <input
        class="input filter-search"
        type="search"
        data-search
        aria-label="Search queues by name: a part of it, or a pattern with *"
        placeholder="Part of a name, or glob*"
        spellcheck={false}
        value={typed.value}
        onInput={(event) => {
          typed.value = event.currentTarget.value;
          refine({ search: typed.value.trim(), cursor: undefined });
        }}
      />
      <div class="chips" role="group" aria-label="Filter">
        {FILTERS.map(([key, word]) => (
          <button key={key} type="button" class="chip" aria-pressed={key === filter} onClick={() => refine({ filter: key === "all" ? undefined : key, cursor: undefined })}>
            {word}
          </button>
        ))}
      </div>
      {isNarrow.value ? (
        <select class="input" aria-label="Sort" value={param("sort") || "name"} onChange={(event) => refine({ sort: event.currentTarget.value, dir: event.currentTarget.value === "name" ? undefined : "desc", cursor: undefined })}>
          {SORTS.map(([key, word]) => (
            <option key={key} value={key}>
              Sort: {word}
            </option>
          ))}
        </select>
      ) : null}
    </div>
  );
}
