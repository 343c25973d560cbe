// Jobs of a queue in one state, a page at a time. A still picture: rows never move under the pointer; what came since
// is offered, not pushed in.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { acted, gone, purge, retry } from "../actions";
import { bytes, duration, exactly, plural, visible } from "../format";
import { list, type Job, type JobPage } from "../job";
import { useLoad } from "../load";
import { jobLink, param, withQuery } from "../route";
import { canAct, isReadOnly, isWide, knows, serverNow, type State } from "../store";
import { confirm } from "./dialog";
import { Empty, ErrorPanel, pushSnippet, Skeleton } from "./states";
import { DataTable, Pager, type Column } from "./table";
import { Instant } from "./text";

const LIMIT = 100;
const ASK_ABOVE = 100; // jobs retried at once without asking

const NONE: Record<State, [string, string]> = {
  waiting: ["Nothing waits", "Jobs are here from their push until a worker takes them. Push one:"],
  active: ["No job is held", "Jobs are here while a worker has them."],
  delayed: ["Nothing is delayed", "Jobs pushed with a delay, and those that wait for their next try, are here."],
  waitingparent: ["Nothing is blocked", "Jobs pushed with depends_on are here until what they wait for is completed."],
  completed: ["No completed jobs are kept", "They are kept for RESULT_TTL, and RESULT_MAX of them at most."],
  failed: ["Nothing has failed", "Jobs whose attempts are used up end here, to be looked at, retried or discarded."],
};

interface Props {
  queue: string;
  state: State;
  /** How many there are now. */
  live: number | null;
  reason?: string;
}

export function JobList({ queue, state, live, reason = "" }: Props) {
  const cursor = param("cursor");
  const ask: Record<string, string> = { state, limit: String(LIMIT) };
  if (cursor) ask["cursor"] = cursor;
  if (reason) ask["reason"] = reason;
  if (state === "completed" || state === "failed") ask["dir"] = "desc";
  const shown = useRef<{ page: JobPage; live: number | null } | null>(null);
  const { data, error, again } = useLoad(`${queue}?${new URLSearchParams(ask)}`, (signal) => list(queue, ask, signal), acted.value);
  const chosen = useSignal<ReadonlySet<number>>(new Set());
  const page = data.value;
  if (page && shown.current?.page !== page) shown.current = { page, live };
  useEffect(() => {
    chosen.value = new Set();
    gone.value = new Map();
  }, [page]);
  const fresh = live !== null && shown.current && shown.current.live !== null ? live - shown.current.live : 0;
  const step = Number(param("page")) || 1;
  const selectable = state === "failed" && !isReadOnly.value;
  return (
    <section aria-label={`${state} jobs`}>
      {error.value ? <ErrorPanel error={error.value} again={again} /> : null}
      {fresh && !cursor ? (
        <button type="button" class="fresh" onClick={again}>
          {fresh > 0 ? `${exactly(fresh)} new · show` : `${exactly(-fresh)} fewer · show`}
        </button>
      ) : null}
      {!page ? (
        error.value ? null : <Skeleton rows={8} />
      ) : page.jobs.length ? (
        <div class={error.value ? "is-renewing" : ""}>
          <DataTable
            name={`${state} jobs of ${visible(queue)}`}
            rows={page.jobs}
            keyOf={(job) => job.id}
            columns={columnsOf(state)}
            card={(job) => <JobCard job={job} state={state} />}
            rowClass={(job) => (gone.value.has(job.id) ? "is-gone" : param("job") === String(job.id) ? "is-open" : "")}
            {...(selectable ? { selection: { ids: chosen, label: (id: number) => `Select job ${id}` } } : {})}
          />
        </div>
      ) : (
        <Empty title={reason ? `None with reason ${reason}` : cursor ? "Nothing more on this page" : NONE[state][0]} {...(state === "waiting" && !cursor ? { snippet: pushSnippet(queue) } : {})}>
          {cursor || reason ? null : NONE[state][1]}
        </Empty>
      )}
      {page ? (
        <Pager
          shown={page.cursor || cursor ? `Page ${step}` : ""}
          newer={cursor ? withQuery({ cursor: undefined, page: undefined }) : undefined}
          older={page.cursor ? withQuery({ cursor: page.cursor, page: String(step + 1) }) : undefined}
          words={["First page", state === "completed" || state === "failed" ? "Older" : "Next"]}
        />
      ) : null}
      {selectable && chosen.value.size ? <SelectionBar queue={queue} ids={[...chosen.value]} clear={() => (chosen.value = new Set())} /> : null}
    </section>
  );
}

function SelectionBar({ queue, ids, clear }: { queue: string; ids: number[]; clear: () => void }) {
  const again = async () => {
    await retry(queue, ids);
    clear();
  };
  const askRetry = () => {
    if (ids.length <= ASK_ABOVE) return void again();
    confirm({ title: "Retry", body: <p>{plural(ids.length, "job")} go back to their queue; their attempts start from 0.</p>, action: "Retry", act: again });
  };
  const askPurge = () =>
    confirm({
      title: "Discard selected jobs",
      body: <p>{plural(ids.length, "failed job")} go, and cannot be brought back.</p>,
      action: "Discard",
      danger: true,
      act: async () => {
        if (!(await purge(queue, ids))) return false;
        clear();
        return true;
      },
    });
  return (
    <div class="selection" role="region" aria-label="Selection">
      <span class="num">
        <span aria-hidden="true">☑ </span>
        {exactly(ids.length)} selected
      </span>
      <button type="button" class="button is-primary" data-key="r" aria-disabled={!canAct.value} onClick={askRetry}>
        Retry {exactly(ids.length)}
      </button>
      {knows("PURGEDLQ.ids") ? (
        <button type="button" class="button" aria-disabled={!canAct.value} onClick={askPurge}>
          Discard…
        </button>
      ) : null}
      <button type="button" class="button" onClick={clear}>
        Clear
      </button>
    </div>
  );
}

function href(job: Job): string {
  return isWide.value && /^#\/queues\//.test(location.hash) ? withQuery({ job: String(job.id) }) : jobLink(job.id);
}

function Preview({ job }: { job: Job }) {
  const size = job.data_size ?? 0;
  return (
    <span class="preview mono" title={size ? bytes(size) : undefined}>
      <bdi>{visible(job.data)}</bdi>
      {size > job.data.length ? <span class="muted">…</span> : null}
    </span>
  );
}

const attempts = (job: Job): string => (job.max_attempts ? `${job.attempts}/${job.max_attempts}` : String(job.attempts));
const firstLine = (text: string | null | undefined): string => visible((text ?? "").split("\n")[0]!.slice(0, 300));

const ID: Column<Job> = {
  key: "id",
  label: "Id",
  width: 96,
  cell: (job) => (
    <a class="row-link mono" href={href(job)}>
      {job.id}
    </a>
  ),
};
const PAYLOAD: Column<Job> = { key: "data", label: "Payload", grow: true, width: 160, cell: (job) => <Preview job={job} /> };
const ATTEMPTS: Column<Job> = { key: "attempts", label: "Attempts", numeric: true, width: 84, cell: attempts };
const PRIORITY: Column<Job> = { key: "priority", label: "Priority", numeric: true, width: 76, from: "wide", cell: (job) => job.priority };
const ago = (ms: number): string => duration(Math.max(0, Math.floor((serverNow.value - ms) / 1000) * 1000)).replace(".0", "").replace(/^0 ms$/, "now");
const AGE: Column<Job> = { key: "age", label: "Age", numeric: true, width: 104, cell: (job) => ago(job.created_at) };
const ERROR: Column<Job> = {
  key: "error",
  label: "Error",
  grow: true,
  width: 160,
  cell: (job) => (
    <span class="preview mono">
      <bdi>{firstLine(job.last_error)}</bdi>
    </span>
  ),
};
const REASON: Column<Job> = { key: "reason", label: "Reason", width: 148, cell: (job) => <span class="of-failed">{job.reason}</span> };
const ENDED: Column<Job> = { key: "ended", label: "Ended", width: 136, cell: (job) => <Instant ms={job.ended_at ?? job.started_at} /> };

function columnsOf(state: State): Column<Job>[] {
  switch (state) {
    case "active":
      return [ID, { key: "held", label: "Held for", numeric: true, width: 104, cell: (job) => ago(job.started_at) }, { key: "progress", label: "Progress", numeric: true, width: 84, cell: (job) => `${job.progress} %` }, ATTEMPTS, PAYLOAD];
    case "delayed":
      return [
        ID,
        { key: "due", label: "Due in", numeric: true, width: 104, cell: (job) => duration(Math.max(0, Math.ceil((job.run_at - serverNow.value) / 1000) * 1000)).replace(".0", "") },
        { key: "why", label: "Why", width: 112, cell: (job) => (job.attempts ? `retry ${attempts(job)}` : "delay") },
        PRIORITY,
        PAYLOAD,
      ];
    case "waitingparent":
      return [ID, { key: "for", label: "Waits for", numeric: true, width: 96, cell: (job) => plural(job.depends_on.length, "job") }, AGE, PAYLOAD];
    case "completed":
      return [ID, ENDED, { key: "took", label: "Attempts", numeric: true, width: 84, cell: (job) => job.attempts + 1 }, PAYLOAD];
    case "failed":
      return [ID, { ...ENDED, from: "wide" }, REASON, { ...ATTEMPTS, from: "wide" }, ERROR];
    default:
      return [ID, PRIORITY, AGE, ATTEMPTS, PAYLOAD];
  }
}

function JobCard({ job, state }: { job: Job; state: State }) {
  const note = { waiting: ago(job.created_at), active: `held ${ago(job.started_at)}`, delayed: job.attempts ? `retry ${attempts(job)}` : "delayed", waitingparent: "blocked", completed: "completed", failed: job.reason ?? "failed" }[state];
  return (
    <>
      <div class="card-line">
        <a class="row-link card-link mono" href={href(job)}>
          #{job.id}
        </a>
        <span class={state === "failed" ? "of-failed num" : "muted num"}>
          {note}
          {state === "waiting" && job.priority ? ` · priority ${job.priority}` : ""}
        </span>
      </div>
      <div class="card-line muted">
        {state === "failed" ? (
          <span class="preview mono">
            <bdi>{firstLine(job.last_error) || visible(job.data)}</bdi>
          </span>
        ) : (
          <Preview job={job} />
        )}
      </div>
    </>
  );
}
