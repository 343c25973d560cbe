// A job's life: when it was pushed, pulled, failed, and what it waits for now.
import { duration, visible } from "../format";
import type { Job } from "../job";
import { Instant } from "./text";

interface Step {
  at: number | null;
  what: string;
  token: string;
  detail?: string;
}

export function steps(job: Job): Step[] {
  const out: Step[] = [{ at: job.created_at, what: "Pushed", token: "waiting" }];
  for (const attempt of job.errors ?? []) {
    out.push({ at: attempt.started_at, what: `Pulled, delivery ${attempt.n}`, token: "active" });
    out.push({ at: attempt.ended_at, what: attempt.reason === "timeout" ? "Timed out" : "Failed", token: "failed", detail: attempt.error ?? "" });
  }
  const seen = job.errors?.some((attempt) => attempt.started_at === job.started_at);
  if (job.started_at && !seen) out.push({ at: job.started_at, what: `Pulled, delivery ${job.deliveries}`, token: "active" });
  if (job.state === "completed") out.push({ at: job.ended_at ?? null, what: "Completed", token: "completed" });
  if (job.state === "failed") {
    const reason = job.reason ? `, ${job.reason}` : "";
    const told = job.errors?.length && job.errors.at(-1)!.ended_at === job.ended_at;
    out.push({ at: job.ended_at ?? null, what: `To the dead-letter queue${reason}`, token: "failed", ...(told ? {} : { detail: job.last_error ?? "" }) });
  }
  if (job.state === "delayed") out.push({ at: job.run_at, what: job.attempts ? `Retry ${job.attempts + 1}` : "Ready", token: "delayed" });
  if (job.state === "waiting") out.push({ at: null, what: "Waits for a worker", token: "waiting" });
  if (job.state === "waitingparent") out.push({ at: null, what: `Waits for ${job.waits_for?.length ?? "other"} jobs`, token: "blocked" });
  if (job.state === "active") out.push({ at: null, what: "Being worked on", token: "active" });
  return out;
}

export function Timeline({ job }: { job: Job }) {
  const all = steps(job);
  let before: number | null = null;
  const hidden = job.attempts > (job.errors?.length ?? 1);
  return (
    <>
      <ol class="timeline">
        {all.map((step, i) => {
          const gap: number | null = step.at && before && step.at > before ? step.at - before : null;
          before = step.at ?? before;
          return (
            <li key={i} class={`of-${step.token}`}>
              <span class="timeline-what">{step.what}</span>
              <span class="timeline-when muted num">
                {step.at ? <Instant ms={step.at} /> : null}
                {gap ? ` +${duration(gap)}` : null}
              </span>
              {step.detail ? <span class="timeline-detail mono">{visible(step.detail.split("\n")[0]!.slice(0, 200))}</span> : null}
            </li>
          );
        })}
      </ol>
      {hidden ? <p class="note">Only the newest attempts are remembered; {job.attempts} were spent.</p> : null}
    </>
  );
}
