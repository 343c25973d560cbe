// Connections: who is there, what each holds and what it waits for.
import { useRef } from "preact/hooks";
import { bytes, count, exactly, plural, visible } from "../format";
import { Empty, NotServed, Skeleton } from "../parts/states";
import { DataTable, Pager, type Column } from "../parts/table";
import { Count, Duration, Name, Relative } from "../parts/text";
import { param, queueLink, refine, withQuery } from "../route";
import { latest, message, serverNow, type ClientRow } from "../store";

interface Shown {
  rows: ClientRow[] | null;
  cursor: string | null;
}

const SLOW_BYTES = 65_536;

export function WorkersView() {
  const kept = useRef<Shown | null>(null);
  const before = useRef<{ t: number; commands: Map<number, number>; rates: Map<number, number> }>({ t: 0, commands: new Map(), rates: new Map() });
  const now = latest.value;
  if (now?.query.startsWith("view=workers") && "rows" in now.message.view) {
    kept.current = now.message.view as unknown as Shown;
    measure(before.current, now.message.t, kept.current.rows ?? []);
  }
  const shown = kept.current;
  const filter = param("find").toLowerCase();
  const rows = shown?.rows?.filter((row) => !filter || `${row.peer} ${row.kind} ${row.waits_for ?? ""} ${row.id}`.toLowerCase().includes(filter)) ?? [];
  return (
    <>
      <div class="view-head">
        <h1 tabIndex={-1}>Workers</h1>
        {message.value ? <span class="muted num">{plural(message.value.server.connections, "connection")}</span> : null}
      </div>
      {!shown ? (
        <Skeleton rows={8} />
      ) : shown.rows === null ? (
        <>
          <NotServed what="Which connections there are, what each holds and waits for, is" />
          <Empty title={message.value ? plural(message.value.server.connections, "connection") : "Connections"}>
            {exactly(message.value?.counts.active ?? 0)} jobs are held now.
          </Empty>
        </>
      ) : (
        <>
          <Sums rows={shown.rows} />
          <div class="filters">
            <input class="input filter-search" type="search" data-search aria-label="Filter this page by peer, kind or queue" placeholder="Peer, kind or queue" spellcheck={false} value={param("find")} onInput={(event) => refine({ find: event.currentTarget.value })} />
          </div>
          {rows.length ? (
            <DataTable name="Connections" rows={rows} keyOf={(row) => row.id} columns={columns(before.current.rates)} card={card} />
          ) : (
            <Empty title={filter ? "No connection matches" : "Nobody is connected"}>
              {filter ? (
                <button type="button" class="button is-small" onClick={() => refine({ find: undefined })}>
                  Clear
                </button>
              ) : (
                "A worker is a connection that pulls: it is here as soon as it connects."
              )}
            </Empty>
          )}
          <Pager shown="" newer={param("cursor") ? withQuery({ cursor: undefined }) : undefined} older={shown.cursor ? withQuery({ cursor: shown.cursor }) : undefined} words={["First page", "Next"]} />
        </>
      )}
    </>
  );
}

/** Commands a second of each connection, from one message to the next. */
function measure(before: { t: number; commands: Map<number, number>; rates: Map<number, number> }, t: number, rows: ClientRow[]): void {
  if (t <= before.t) return;
  const seconds = (t - before.t) / 1000;
  before.rates = new Map();
  for (const row of rows) {
    const last = before.commands.get(row.id);
    if (before.t && last !== undefined) before.rates.set(row.id, Math.max(0, row.commands - last) / seconds);
  }
  before.commands = new Map(rows.map((row) => [row.id, row.commands]));
  before.t = t;
}

function Sums({ rows }: { rows: ClientRow[] }) {
  const idle = rows.filter((row) => row.waits_for !== null).length;
  const held = rows.reduce((sum, row) => sum + row.holds, 0);
  const slow = rows.filter((row) => row.unsent > SLOW_BYTES || row.dropped > 0).length;
  return (
    <p class="sums num">
      <span>{plural(rows.length, "connection")} on this page</span>
      <span>{plural(idle, "idle pull")}</span>
      <span>{plural(held, "job")} held</span>
      <span class={slow ? "of-delayed" : ""}>{count(slow)} slow</span>
    </p>
  );
}

function Held({ since }: { since: number | null }) {
  return <Duration ms={since === null ? null : Math.max(0, Math.floor((serverNow.value - since) / 1000) * 1000)} />;
}

function WaitsFor({ queue }: { queue: string | null }) {
  if (queue === null) return <span class="muted">–</span>;
  return (
    <a href={queueLink(queue)}>
      <Name text={queue} />
    </a>
  );
}

function columns(rates: Map<number, number>): Column<ClientRow>[] {
  return [
    { key: "id", label: "Id", width: 84, cell: (row) => <span class="mono">{row.id}</span> },
    { key: "peer", label: "Peer", width: 190, grow: true, cell: (row) => <Name text={row.peer} mono /> },
    { key: "kind", label: "Kind", width: 92, cell: (row) => visible(row.kind) },
    { key: "since", label: "Since", width: 124, numeric: true, from: "wide", cell: (row) => <Relative ms={row.since} past="" /> },
    { key: "rate", label: "Commands/s", width: 108, numeric: true, cell: (row) => (rates.has(row.id) ? rates.get(row.id)!.toFixed(1) : <span class="muted">–</span>) },
    { key: "holds", label: "Holds", width: 76, numeric: true, cell: (row) => <Count n={row.holds} /> },
    { key: "oldest", label: "Oldest held", width: 112, numeric: true, cell: (row) => <Held since={row.oldest_held} /> },
    { key: "waits", label: "Waits for", width: 150, cell: (row) => <WaitsFor queue={row.waits_for} /> },
    { key: "unsent", label: "Unsent", width: 92, numeric: true, from: "wide", cell: (row) => (row.unsent ? <span class={row.unsent > SLOW_BYTES ? "of-delayed" : ""}>{bytes(row.unsent)}</span> : <span class="muted">0</span>) },
    { key: "dropped", label: "Dropped", width: 88, numeric: true, from: "huge", cell: (row) => <Count n={row.dropped} /> },
  ];
}

function card(row: ClientRow) {
  return (
    <>
      <div class="card-line">
        <b class="mono">
          <Name text={row.peer} />
        </b>
        <span class="muted">{visible(row.kind)}</span>
      </div>
      <div class="card-line muted num">
        <span>
          holds <Count n={row.holds} />
          {row.oldest_held === null ? null : (
            <>
              {" "}
              · oldest <Held since={row.oldest_held} />
            </>
          )}
        </span>
        {row.waits_for === null ? null : (
          <span class="preview">
            waits for <Name text={row.waits_for} />
          </span>
        )}
      </div>
    </>
  );
}
