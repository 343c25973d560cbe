// The dead-letter queues: which queue, for which reason, and what to do with the jobs.
import { useRef } from "preact/hooks";
import { retryAll } from "../actions";
import { count, exactly, plural, visible } from "../format";
import { confirm } from "../parts/dialog";
import { JobList } from "../parts/job_list";
import { Empty, NotServed, Skeleton } from "../parts/states";
import { Name } from "../parts/text";
import { go, link, param, refine, route } from "../route";
import { canAct, isNarrow, isReadOnly, knows, latest } from "../store";
import { askPurge } from "./queue";

interface FailedMessage {
  queues: Record<string, number>;
  total: number;
  reasons: Record<string, Record<string, number>> | null;
}

export const REASONS = ["failed", "timeout", "worker_lost", "expired_lease", "dependency_failed"];
const QUEUES_SHOWN = 200;

function failedLink(queue: string): string {
  return link(`failed/${encodeURIComponent(queue)}`);
}

export function FailedView() {
  const kept = useRef<FailedMessage | null>(null);
  const now = latest.value;
  if (now?.query === "view=failed" && now.message.view["queues"]) kept.current = now.message.view as unknown as FailedMessage;
  const shown = kept.current;
  const queues = shown ? Object.entries(shown.queues).sort((a, b) => b[1] - a[1]) : [];
  const queue = route.value.subject || queues[0]?.[0] || "";
  const sum = queues.reduce((total, [, n]) => total + n, 0);
  return (
    <>
      <div class="view-head">
        <h1 tabIndex={-1}>Failed</h1>
        {shown && sum ? (
          <span class="muted num">
            {plural(sum, "job")} in {plural(shown.total, "queue")}
          </span>
        ) : null}
      </div>
      {!shown ? (
        <Skeleton rows={8} />
      ) : !queues.length && !route.value.subject ? (
        <Empty title="Nothing has failed">
          A job comes here when its max_attempts are used up, or its worker says unrecoverable. Here it can be looked at, retried or discarded. To see it happen, push one and fail it:
          <pre class="teach" tabIndex={0} role="region" aria-label="Example">{`{"cmd":"PUSH","queue":"emails","data":{},"max_attempts":1}\n{"cmd":"PULL","queue":"emails"}\n{"cmd":"FAIL","id":…,"error":"no such mailbox"}`}</pre>
        </Empty>
      ) : (
        <div class="failed-grid">
          <QueueChoice queues={queues} queue={queue} />
          <div class="failed-main">
            <Head key={queue} queue={queue} n={shown.queues[queue] ?? 0} reasons={shown.reasons ? (shown.reasons[queue] ?? {}) : null} />
            <JobList key={`${queue} ${param("reason")}`} queue={queue} state="failed" live={param("reason") ? (shown.reasons?.[queue]?.[param("reason")] ?? null) : (shown.queues[queue] ?? 0)} reason={param("reason")} />
          </div>
        </div>
      )}
    </>
  );
}

function QueueChoice({ queues, queue }: { queues: [string, number][]; queue: string }) {
  const most = queues[0]?.[1] ?? 1;
  const listed = queues.some(([name]) => name === queue);
  if (isNarrow.value) {
    return (
      <select class="input" aria-label="Queue" value={queue} onChange={(event) => go(failedLink(event.currentTarget.value))}>
        {listed ? null : <option value={queue}>{visible(queue)} 0</option>}
        {queues.slice(0, QUEUES_SHOWN).map(([name, n]) => (
          <option key={name} value={name}>
            {visible(name)} · {exactly(n)}
          </option>
        ))}
      </select>
    );
  }
  return (
    <nav class="failed-queues" aria-label="Queues with failed jobs">
      {queues.slice(0, QUEUES_SHOWN).map(([name, n]) => (
        <a key={name} href={failedLink(name)} aria-current={name === queue ? "page" : undefined}>
          <Name text={name} />
          <span class="num">{count(n)}</span>
          <span class="bar" aria-hidden="true">
            <i style={{ width: `${Math.max(1, (100 * n) / most)}%` }} />
          </span>
        </a>
      ))}
      {queues.length > QUEUES_SHOWN ? <span class="muted">and {exactly(queues.length - QUEUES_SHOWN)} more</span> : null}
    </nav>
  );
}

function Head({ queue, n, reasons }: { queue: string; n: number; reasons: Record<string, number> | null }) {
  const reason = param("reason");
  const some = reason ? (reasons?.[reason] ?? null) : n;
  const askRetry = () =>
    confirm({
      title: reason ? `Retry all with reason ${reason}` : "Retry all",
      body: (
        <p>
          {some === null ? "All jobs with this reason" : plural(some, "job")} of <Name text={queue} /> go back to it at once; their attempts start from 0.
        </p>
      ),
      action: "Retry",
      act: () => retryAll(queue, reason),
    });
  return (
    <>
      <div class="failed-head">
        <h2>
          <a href={link(`queues/${encodeURIComponent(queue)}`)}>
            <Name text={queue} />
          </a>
        </h2>
        <span class="top-space" />
        {isReadOnly.value ? null : (
          <div class="actions">
            {reason && !knows("RETRYDLQ.reason") ? null : (
              <button type="button" class="button" aria-disabled={!canAct.value || !n} onClick={() => n && askRetry()}>
                {reason ? `Retry all ${reason}` : "Retry all"}
                {some === null ? "" : ` (${count(some)})`}…
              </button>
            )}
            <button type="button" class="button is-danger-quiet" aria-disabled={!canAct.value || !n} onClick={() => n && askPurge(queue, n)}>
              Purge…
            </button>
          </div>
        )}
      </div>
      <div class="chips" role="group" aria-label="Reason">
        <Chip label="All" n={n} on={!reason} set={undefined} />
        {REASONS.filter((each) => !reasons || reasons[each] || each === reason).map((each) => (
          <Chip key={each} label={each} n={reasons ? (reasons[each] ?? 0) : null} on={reason === each} set={each} />
        ))}
      </div>
      {reasons ? null : <NotServed what="Counts by reason are" />}
    </>
  );
}

function Chip({ label, n, on, set }: { label: string; n: number | null; on: boolean; set: string | undefined }) {
  return (
    <button type="button" class="chip" aria-pressed={on} onClick={() => refine({ reason: set, cursor: undefined, page: undefined })}>
      {label} {n === null ? null : <span class="num muted">{count(n)}</span>}
    </button>
  );
}
