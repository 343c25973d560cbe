// Queues as rows or cards: the same in the overview and in the list of all.
import { copy, pause, resume } from "../actions";
import { plural, rate, visible } from "../format";
import { go, link, queueLink } from "../route";
import { canAct, isReadOnly, message, type QueueRow } from "../store";
import { Menu, type Item } from "./menu";
import { Spark } from "./spark";
import { DataTable, type Column } from "./table";
import { Badge, Count, Duration, Name, Rate, type Glyph } from "./text";

interface Standing {
  glyph: Glyph;
  word: string;
  token: string;
}

/** What a queue is doing, in a word. */
export function standing(row: QueueRow): Standing {
  if (row.paused) return { glyph: "bars", word: "Paused", token: "paused" };
  const problem = message.value?.problems.find((each) => each.queue === row.name && !each.resolved_at);
  if (problem?.kind === "no_worker") return { glyph: "cross", word: "No worker", token: "failed" };
  if (problem?.kind === "failing") return { glyph: "cross", word: "Failing", token: "failed" };
  if (problem?.kind === "growing") return { glyph: "rise", word: "Growing", token: "delayed" };
  if (problem?.kind === "at_limit") return { glyph: "clock", word: "At limit", token: "delayed" };
  if (row.active || row.out) return { glyph: "dot", word: "Running", token: "completed" };
  if (row.waiting) return { glyph: "dot", word: "Waiting", token: "waiting" };
  return { glyph: "ring", word: "Idle", token: "blocked" };
}

export function StandingBadge({ row }: { row: QueueRow }) {
  return <Badge {...standing(row)} />;
}

export function pauseItem(row: QueueRow): Item {
  return row.paused ? { label: "Resume", act: () => void resume(row.name), off: !canAct.value } : { label: "Pause", act: () => void pause(row.name), off: !canAct.value };
}

function RowMenu({ row }: { row: QueueRow }) {
  const items: Item[] = [
    ...(isReadOnly.value ? [] : [pauseItem(row)]),
    { label: "Failed jobs", act: () => go(link(`failed/${encodeURIComponent(row.name)}`)) },
    { label: "Copy name", act: () => void copy(row.name, "Name") },
  ];
  return <Menu label={`Actions for ${visible(row.name)}`} items={items} />;
}

const FAILED: Column<QueueRow> = {
  key: "dlq",
  label: "Failed",
  numeric: true,
  width: 88,
  sortable: true,
  cell: (row) =>
    row.failed ? (
      <a class="of-failed" href={link(`failed/${encodeURIComponent(row.name)}`)}>
        <Count n={row.failed} />
      </a>
    ) : (
      <span class="muted">0</span>
    ),
};

const COLUMNS: Column<QueueRow>[] = [
  {
    key: "name",
    label: "Name",
    sortable: true,
    grow: true,
    width: 160,
    cell: (row) => (
      <a class="row-link" href={queueLink(row.name)}>
        <Name text={row.name} />
      </a>
    ),
  },
  { key: "state", label: "State", width: 124, cell: (row) => <StandingBadge row={row} /> },
  { key: "pending", label: "Waiting", numeric: true, width: 96, sortable: true, cell: (row) => <Count n={row.waiting} /> },
  { key: "processing", label: "Active", numeric: true, width: 80, sortable: true, cell: (row) => <Count n={row.active} /> },
  { key: "delayed", label: "Delayed", numeric: true, width: 92, sortable: true, from: "wide", cell: (row) => <Count n={row.delayed} /> },
  { key: "blocked", label: "Blocked", numeric: true, width: 88, from: "huge", cell: (row) => <Count n={row.blocked} /> },
  { key: "completed", label: "Kept", numeric: true, width: 100, from: "huge", cell: (row) => <Count n={row.completed} /> },
  FAILED,
  { key: "in", label: "In/s", numeric: true, width: 76, sortable: true, from: "wide", cell: (row) => <Rate n={row.in} /> },
  { key: "out", label: "Out/s", numeric: true, width: 76, sortable: true, cell: (row) => <Rate n={row.out} /> },
  { key: "head_age", label: "Next waits", numeric: true, width: 116, sortable: true, from: "wide", cell: (row) => <Duration ms={row.head_age} /> },
  {
    key: "limits",
    label: "Limits",
    numeric: true,
    width: 150,
    from: "huge",
    cell: (row) => {
      const parts = [row.rate_limit === null ? "" : `${row.rate_limit}/${(row.rate_duration ?? 1000) / 1000} s`, row.concurrency_limit === null ? "" : `${row.concurrency_limit} at once`].filter(Boolean);
      return parts.length ? parts.join(", ") : <span class="muted">–</span>;
    },
  },
  {
    key: "spark",
    label: "30 min",
    width: 98,
    from: "wide",
    cell: (row) => (
      <span class="of-waiting">
        <Spark text={row.spark} />
      </span>
    ),
  },
  { key: "menu", label: "", width: 48, cell: (row) => <RowMenu row={row} /> },
];
const BRIEF = COLUMNS.filter(({ key }) => !["menu", "limits", "completed"].includes(key));

function card(row: QueueRow) {
  return (
    <>
      <div class="card-line">
        <a class="row-link card-link" href={queueLink(row.name)}>
          <Name text={row.name} />
        </a>
        <StandingBadge row={row} />
      </div>
      <div class="card-line muted num">
        <span class="card-facts">
          <b>
            <Count n={row.waiting} />
          </b>{" "}
          waiting · <Count n={row.active} /> active
          {row.failed ? (
            <>
              {" · "}
              <span class="of-failed">
                <Count n={row.failed} /> failed
              </span>
            </>
          ) : row.out !== null ? (
            ` · ${rate(row.out)}/s`
          ) : null}
        </span>
        <span class="of-waiting">
          <Spark text={row.spark} />
        </span>
      </div>
    </>
  );
}

interface Props {
  name: string;
  rows: QueueRow[];
  brief?: boolean;
  sort?: { by: string; dir: string; set: (by: string) => void };
  total?: number;
}

export function QueueTable({ name, rows, brief, sort, total }: Props) {
  return <DataTable name={name} rows={rows} keyOf={(row) => row.name} columns={brief ? BRIEF : COLUMNS} card={card} {...(sort ? { sort } : {})} {...(total === undefined ? {} : { total })} />;
}

export function queuesWord(n: number): string {
  return plural(n, "queue");
}
