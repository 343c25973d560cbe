// One job, whole: as a page of its own, or beside the list it was opened from.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { acted, cancel, copy, retry } from "../actions";
import { duration, visible } from "../format";
import { asPush, load, result, type Job } from "../job";
import { useLoad } from "../load";
import { jobLink, queueLink } from "../route";
import { canAct, isReadOnly, latest, message, serverNow } from "../store";
import { confirm } from "./dialog";
import { Icon } from "./icon";
import { JsonView } from "./json_view";
import { Empty, ErrorPanel, Skeleton, Snippet } from "./states";
import { Instant, Name, Relative, StateBadge } from "./text";
import { Timeline } from "./timeline";

export function JobInspector({ id, onClose }: { id: string; onClose: () => void }) {
  return (
    <aside class="inspector" aria-label={`Job ${id}`}>
      <div class="inspector-head">
        <h2>
          <a href={jobLink(id)} class="mono">
            #{id}
          </a>
        </h2>
        <span class="top-space" />
        <button type="button" class="icon-button" data-key="Escape" aria-label="Close the inspector" onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      <JobPanel key={id} id={id} />
    </aside>
  );
}

interface LiveJob {
  state: string;
  progress: number | null;
  message: string | null;
}

/** The job's state and progress from the stream, on the page of the job. */
export function liveJob(id: string): LiveJob | null {
  const now = latest.value;
  return now?.query === new URLSearchParams({ view: "job", id }).toString() ? (now.message.view as unknown as LiveJob) : null;
}

export function JobPanel({ id }: { id: string }) {
  const live = liveJob(id);
  const { data, error, again } = useLoad(`job ${id}`, (signal) => load(id, signal), `${live?.state ?? ""} ${acted.value}`);
  const job = data.value;
  const kept = useRef<Job | null>(null);
  if (job) kept.current = job;
  const missing = job === null || (error.value as { status?: number } | null)?.status === 404;
  if (missing) return <GoneJob id={id} last={kept.current} />;
  if (!job) return error.value ? <ErrorPanel error={error.value} again={again} /> : <Skeleton rows={8} />;
  return (
    <>
      {error.value ? <ErrorPanel error={error.value} again={again} /> : null}
      <JobBody job={job} live={live} />
    </>
  );
}

function GoneJob({ id, last }: { id: string; last: Job | null }) {
  const keep = message.value?.server.keep;
  return (
    <>
      <Empty title={`Job ${id} is not known`}>
        It ended and was trimmed, was cancelled or dropped, or never was. {keep ? `Completed jobs are kept for ${duration(keep[0])}, at most ${keep[1].toLocaleString("en-US")} of them.` : ""}
      </Empty>
      {last ? <Snippet text={asPush(last)} label="Copy as PUSH" /> : null}
    </>
  );
}

function JobBody({ job, live }: { job: Job; live: LiveJob | null }) {
  const progress = live?.progress ?? job.progress;
  const note = live ? live.message : job.progress_msg;
  return (
    <>
      <div class="job-line">
        <StateBadge state={job.state} more={job.reason && job.reason !== "failed" ? `(${job.reason})` : job.state === "delayed" && job.attempts ? `retry ${job.attempts}${job.max_attempts ? `/${job.max_attempts}` : ""}` : undefined} />
        <a href={queueLink(job.queue)}>
          <Name text={job.queue} />
        </a>
      </div>
      <JobActions job={job} />
      {job.state === "active" || progress ? <Progress value={progress} note={note} /> : null}
      <section class="job-section" aria-label="Timeline">
        <Timeline job={job} />
      </section>
      <div class="job-columns">
        <div>
          <details open class="job-section">
            <summary>
              <h2>Payload</h2>
            </summary>
            <JsonView text={job.data} name="Payload" />
          </details>
          {job.state === "completed" ? <Result id={job.id} /> : null}
          {job.last_error || job.errors?.length ? <Errors job={job} /> : null}
        </div>
        <details open class="job-section">
          <summary>
            <h2>Fields</h2>
          </summary>
          <Fields job={job} />
        </details>
      </div>
    </>
  );
}

function JobActions({ job }: { job: Job }) {
  const ended = job.state === "completed" || job.state === "failed";
  return (
    <div class="actions job-actions">
      {!isReadOnly.value && job.state === "failed" ? (
        <button type="button" class="button is-primary" data-key="r" aria-disabled={!canAct.value} onClick={() => void retry(job.queue, [job.id])}>
          Retry
        </button>
      ) : null}
      <button type="button" class="button" onClick={() => void copy(asPush(job), "PUSH line")}>
        Copy as PUSH
      </button>
      {!isReadOnly.value && !ended ? (
        <button type="button" class="button" aria-disabled={!canAct.value} onClick={() => askCancel(job)}>
          Cancel…
        </button>
      ) : null}
    </div>
  );
}

function askCancel(job: Job): void {
  const line = asPush(job);
  confirm({
    title: `Cancel job ${job.id}`,
    danger: true,
    action: "Cancel job",
    act: () => cancel(job.id),
    body: (
      <>
        <p>{job.state === "active" ? "Its worker's ack will be refused. " : ""}Jobs that depend on it fail. To have it back, push it again:</p>
        <Snippet text={line.length > 4096 ? `${line.slice(0, 400)}…` : visible(line)} label="Copy as PUSH" />
      </>
    ),
  });
}

function Progress({ value, note }: { value: number; note: string | null }) {
  return (
    <div class="progress-line">
      <progress max={100} value={value} aria-label="Progress" />
      <span class="num">{value} %</span>
      {note ? <span class="muted">{visible(note)}</span> : null}
    </div>
  );
}

function Result({ id }: { id: number }) {
  const { data, error, again } = useLoad(`result ${id}`, (signal) => result(id, signal));
  return (
    <details open class="job-section">
      <summary>
        <h2>Result</h2>
      </summary>
      {error.value ? <ErrorPanel error={error.value} again={again} /> : data.value === undefined ? <Skeleton rows={2} /> : data.value === "null" ? <p class="muted">none</p> : <JsonView text={data.value} name="Result" />}
    </details>
  );
}

/** Text whose line breaks and tabs are its own. */
const lines = (text: string) => visible(text).replaceAll("\\u{a}", "\n").replaceAll("\\u{9}", "\t");

function Errors({ job }: { job: Job }) {
  const box = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    if (box.current && job.state === "failed") box.current.open = true;
  }, []);
  const newest = [...(job.errors ?? [])].reverse();
  return (
    <details open class="job-section" ref={box}>
      <summary>
        <h2>
          Errors <span class="muted num">attempts {job.max_attempts ? `${job.attempts}/${job.max_attempts}` : job.attempts} · deliveries {job.deliveries}</span>
        </h2>
      </summary>
      {newest.length ? (
        <ol class="errors">
          {newest.map((attempt) => (
            <li key={`${attempt.n} ${attempt.ended_at}`}>
              <p class="muted num">
                Delivery {attempt.n} · {attempt.reason} · <Relative ms={attempt.ended_at} /> · ran {duration(attempt.ended_at - attempt.started_at)}
              </p>
              <pre class="error-text" tabIndex={0} role="region" aria-label={`Error of delivery ${attempt.n}`}>
                {attempt.error === null ? "no message" : lines(attempt.error)}
              </pre>
            </li>
          ))}
        </ol>
      ) : (
        <pre class="error-text" tabIndex={0} role="region" aria-label="Last error">
          {lines(job.last_error ?? "")}
        </pre>
      )}
    </details>
  );
}

function Fields({ job }: { job: Job }) {
  const ms = (value: number, none = "none") => (value ? duration(value) : none);
  const rows: [string, ComponentChildren][] = [
    ["Priority", job.priority],
    ["Created", <Instant ms={job.created_at} />],
    ["Runs from", <Instant ms={job.run_at} />],
    ["Pulled", <Instant ms={job.started_at} />],
    ["Attempts", job.max_attempts ? `${job.attempts} of ${job.max_attempts}` : `${job.attempts}, no limit`],
    ["Deliveries", job.deliveries],
    ["Backoff", job.backoff ? `${duration(job.backoff)}, at most ${duration(job.max_backoff)}` : "none"],
    ["Time-out", ms(job.timeout)],
    ["Time to live", job.ttl ? `${duration(job.ttl)}${job.state === "waiting" ? `, ${duration(Math.max(0, job.created_at + job.ttl - serverNow.value))} left` : ""}` : "none"],
    ["Unique key", job.unique_key === null ? "none" : <Name text={job.unique_key} mono />],
    ["Depends on", job.depends_on.length ? <Parents job={job} /> : "nothing"],
  ];
  return (
    <dl class="facts is-list num">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const PARENTS = 20;

function Parents({ job }: { job: Job }) {
  const states = new Map((job.waits_for ?? []).map(({ id, state }) => [id, state]));
  return (
    <span class="parents">
      {job.depends_on.slice(0, PARENTS).map((id) => (
        <a key={id} class="mono" href={jobLink(id)}>
          #{id}
          {states.has(id) ? ` ${states.get(id)}` : ""}
        </a>
      ))}
      {job.depends_on.length > PARENTS ? <span class="muted">and {job.depends_on.length - PARENTS} more</span> : null}
    </span>
  );
}
