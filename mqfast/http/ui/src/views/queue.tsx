// One queue: what it does, its limits, its jobs by state, and what can be done to it.
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { deleteQueue, drain, purge } from "../actions";
import { exactly, plural, visible } from "../format";
import { JobInspector } from "../parts/inspector";
import { JobList } from "../parts/job_list";
import { Chart, type Series } from "../parts/chart";
import { confirmTyped } from "../parts/dialog";
import { openLimits } from "../parts/limits";
import { Menu, type Item } from "../parts/menu";
import { pauseItem, StandingBadge } from "../parts/queue_table";
import { Empty, pushSnippet, Skeleton } from "../parts/states";
import { Duration, GlyphIcon, Name, STATE } from "../parts/text";
import { go, jobLink, param, refine, withQuery } from "../route";
import { SampleStore } from "../samples";
import { canAct, isNarrow, isReadOnly, isWide, latest, message, STATES, type QueueRow, type State } from "../store";

const FLOW: Series[] = [
  { key: "in", label: "In", token: "waiting" },
  { key: "out", label: "Out", token: "completed", width: 2 },
];
const HEAD: Series[] = [{ key: "head_age", label: "Next job", token: "waiting" }];
const STOCK: Series[] = [
  { key: "waiting", label: "Waiting", token: "waiting", width: 2 },
  { key: "active", label: "Active", token: "active" },
  { key: "dead", label: "Failed", token: "failed" },
];

export function countOf(row: QueueRow, state: State): number | null {
  return state === "waitingparent" ? row.blocked : row[state];
}

export function QueueView({ name }: { name: string }) {
  const kept = useRef<QueueRow | null | undefined>(undefined);
  const now = latest.value;
  if (now && now.query === new URLSearchParams({ view: "queue", name }).toString()) kept.current = (now.message.view["row"] as QueueRow | null) ?? null;
  const row = kept.current;
  const job = param("job");
  const beside = job && isWide.value;
  useEffect(() => {
    if (job && !isWide.value) go(jobLink(job));
  }, [job, isWide.value]);
  return (
    <div class={beside ? "with-inspector" : ""}>
      <div class="queue-main">
        <div class="view-head">
          <h1 tabIndex={-1}>
            <Name text={name} />
          </h1>
          {row ? <StandingBadge row={row} /> : null}
          <span class="top-space" />
          {row && !isReadOnly.value ? <Actions row={row} /> : null}
        </div>
        {/^\.\.?$/.test(name) ? <p class="note">A URL cannot hold this name: its jobs are reached over the socket only.</p> : null}
        {row === undefined ? <Skeleton rows={8} /> : row === null ? <NoQueue name={name} /> : <Body row={row} />}
      </div>
      {beside ? <JobInspector id={job} onClose={() => refine({ job: undefined })} /> : null}
    </div>
  );
}

function NoQueue({ name }: { name: string }) {
  return (
    <Empty title="There is no such queue" snippet={pushSnippet(name)}>
      It was deleted, or never had a job. It is there with its first one:
    </Empty>
  );
}

function Body({ row }: { row: QueueRow }) {
  const asked = param("state") as State;
  const state = STATES.includes(asked) ? asked : row.waiting || !row.failed ? "waiting" : "failed";
  return (
    <>
      <Figures row={row} />
      <Tabs row={row} state={state} />
      <JobList key={state} queue={row.name} state={state} live={countOf(row, state)} />
    </>
  );
}

function Figures({ row }: { row: QueueRow }) {
  const store = useMemo(() => new SampleStore("30m", row.name), [row.name]);
  const which = useSignal<"Rates" | "Wait" | "Backlog">("Rates");
  const now = message.value;
  useEffect(() => {
    if (now) store.take(now);
  }, [now, store]);
  const charts = {
    Rates: <Chart key="Rates" title="Rates" store={store} series={FLOW} unit="jobs/s" sync="queue" height={132} />,
    Wait: <Chart key="Wait" title="Wait" store={store} series={HEAD} unit="ms" sync="queue" height={132} />,
    Backlog: <Chart key="Backlog" title="Backlog" store={store} series={STOCK} unit="jobs" sync="queue" height={132} />,
  };
  const names = ["Rates", "Wait", "Backlog"] as const;
  return (
    <div class="figures">
      {isNarrow.value ? (
        <>
          <div class="segments is-wide" role="group" aria-label="Chart">
            {names.map((name) => (
              <button key={name} type="button" aria-pressed={name === which.value} onClick={() => (which.value = name)}>
                {name}
              </button>
            ))}
          </div>
          {charts[which.value]}
        </>
      ) : (
        <div class="charts is-small">{names.map((name) => charts[name])}</div>
      )}
      <Limits row={row} />
    </div>
  );
}

function Limits({ row }: { row: QueueRow }) {
  return (
    <dl class="facts num">
      <div>
        <dt>Rate limit</dt>
        <dd>{row.rate_limit === null ? "none" : `${exactly(row.rate_limit)} per ${row.rate_duration === 1000 ? "second" : `${(row.rate_duration ?? 1000) / 1000} s`}`}</dd>
      </div>
      <div>
        <dt>At once</dt>
        <dd>{row.concurrency_limit === null ? "no limit" : `${exactly(row.active)} of ${exactly(row.concurrency_limit)} used`}</dd>
      </div>
      <div>
        <dt>Next job waits</dt>
        <dd>
          <Duration ms={row.head_age} />
        </dd>
      </div>
      <div>
        <dt>In, out</dt>
        <dd>{row.in === null ? "–" : `${row.in.toFixed(1)}, ${(row.out ?? 0).toFixed(1)} jobs/s`}</dd>
      </div>
    </dl>
  );
}

function Tabs({ row, state }: { row: QueueRow; state: State }) {
  const to = (next: State) => withQuery({ state: next, cursor: undefined, page: undefined, reason: undefined, job: undefined });
  if (isNarrow.value) {
    return (
      <select class="input tabs-select" aria-label="State" value={state} onChange={(event) => go(to(event.currentTarget.value as State))}>
        {STATES.map((each) => (
          <option key={each} value={each}>
            {STATE[each].word} {exactly(countOf(row, each) ?? 0)}
          </option>
        ))}
      </select>
    );
  }
  return (
    <nav class="tabs" aria-label="Jobs by state">
      {STATES.map((each) => (
        <a key={each} class={`tab of-${STATE[each].token}`} href={to(each)} aria-current={each === state ? "page" : undefined}>
          <GlyphIcon name={STATE[each].glyph} />
          <span class="tab-word">{STATE[each].word}</span>
          <span class="tab-count num">{countOf(row, each) === null ? "–" : exactly(countOf(row, each)!)}</span>
        </a>
      ))}
    </nav>
  );
}

function Actions({ row }: { row: QueueRow }) {
  const toggle = pauseItem(row);
  const items: Item[] = [
    ...(isNarrow.value ? [{ label: "Limits…", act: () => openLimits(row) }] : []),
    { label: "Drain…", act: () => askDrain(row), danger: true, off: !canAct.value },
    { label: "Purge failed…", act: () => askPurge(row.name, row.failed), danger: true, off: !canAct.value || !row.failed },
    { label: "Delete queue…", act: () => askDelete(row), danger: true, off: !canAct.value },
  ];
  return (
    <div class="actions">
      <button type="button" class="button is-toggle" data-key="p" aria-disabled={!canAct.value} onClick={toggle.act}>
        {toggle.label}
      </button>
      {isNarrow.value ? null : (
        <button type="button" class="button" aria-disabled={!canAct.value} onClick={() => openLimits(row)}>
          Limits…
        </button>
      )}
      <Menu label={`More actions for ${visible(row.name)}`} items={items} />
    </div>
  );
}

/** The counts now: the dialog stays open while they go on. */
function Live({ name, of }: { name: string; of: (row: QueueRow) => [string[], string[]] }) {
  const row = message.value?.view["row"] as QueueRow | undefined;
  if (!row || row.name !== name) return null;
  const [goes, stays] = of(row);
  return (
    <>
      <p>What goes, and cannot be brought back:</p>
      <ul class="bullets num">
        {goes.map((text) => (
          <li key={text}>{text}</li>
        ))}
      </ul>
      {stays.length ? <p class="muted num">What stays: {stays.join(", ")}.</p> : null}
    </>
  );
}

function askDrain(row: QueueRow): void {
  const sum = row.waiting + row.delayed + (row.blocked ?? 0);
  confirmTyped({
    title: "Drain the queue",
    name: row.name,
    jobs: sum,
    action: "Drain",
    act: () => drain(row.name),
    body: (
      <Live
        name={row.name}
        of={(now) => [
          [`${exactly(now.waiting)} waiting`, `${exactly(now.delayed)} delayed`, `${exactly(now.blocked ?? 0)} blocked`],
          [`${exactly(now.active)} active go on`, `${exactly(now.failed)} failed`, "limits"],
        ]}
      />
    ),
  });
}

export function askPurge(name: string, failed: number): void {
  confirmTyped({
    title: "Purge failed jobs",
    name,
    jobs: failed,
    action: "Purge",
    act: () => purge(name),
    body: (
      <>
        <p>
          What goes, and cannot be brought back: {plural(failed, "failed job")} of this queue. Jobs that wait for one of them fail too.
        </p>
        <p class="muted">What stays: all other jobs, and limits.</p>
      </>
    ),
  });
}

function askDelete(row: QueueRow): void {
  const sum = row.waiting + row.active + row.delayed + (row.blocked ?? 0) + row.failed;
  confirmTyped({
    title: "Delete the queue",
    name: row.name,
    jobs: sum,
    action: "Delete queue",
    act: async () => {
      if (!(await deleteQueue(row.name))) return false;
      go("#/queues");
      return true;
    },
    body: (
      <Live
        name={row.name}
        of={(now) => [
          [
            `${exactly(now.waiting + now.delayed + (now.blocked ?? 0))} waiting, delayed or blocked`,
            `${exactly(now.active)} active: their workers' acks will be refused`,
            `${exactly(now.failed)} failed, ${exactly(now.completed)} completed`,
            "limits, pause, and the name",
          ],
          [],
        ]}
      />
    ),
  });
}
