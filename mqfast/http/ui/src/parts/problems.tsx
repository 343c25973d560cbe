// What is wrong now, in sentences: each with since when and the one thing to do about it.
import { duration, exactly, plural, visible } from "../format";
import { link, queueLink } from "../route";
import { serverNow, type Problem } from "../store";
import { GlyphIcon } from "./text";

interface Told {
  text: string;
  action: string;
  to: string;
}

export function tell(problem: Problem): Told {
  const name = visible(problem.queue ?? problem.cron ?? "");
  const queue = problem.queue ?? "";
  const n = problem.n;
  const share = problem.share === undefined ? "" : ` (${Math.round(problem.share * 100)} %)`;
  switch (problem.kind) {
    case "storage_failed":
      return { text: "The disk failed: nothing is accepted until the daemon is restarted", action: "Overview", to: "#/" };
    case "storage_full":
      return { text: "The disk is full: pushes are refused", action: "Queues", to: "#/queues" };
    case "memory":
      return { text: `Memory is nearly used up${share}: past the limit pushes are refused`, action: "Largest queues", to: link("queues", { sort: "pending", dir: "desc" }) };
    case "no_worker":
      return { text: `${name}: ${exactly(n)} waiting, no worker takes them`, action: "Open", to: queueLink(queue) };
    case "failing":
      return { text: `${name}: ${plural(n, "job")} failed in 5 min${share}`, action: "Open failed", to: link(`failed/${encodeURIComponent(queue)}`) };
    case "growing":
      return { text: `${name}: ${exactly(n)} waiting and growing for 5 min`, action: "Open", to: queueLink(queue) };
    case "leases_lost":
      return { text: `${plural(n, "held job")} lost by workers in 5 min: connections ended or leases ran out`, action: "Workers", to: "#/workers" };
    case "paused":
      return { text: `${name}: paused with ${exactly(n)} waiting`, action: "Open", to: queueLink(queue) };
    case "at_limit":
      return { text: `${name}: at its limit with ${exactly(n)} waiting`, action: "Open", to: queueLink(queue) };
    case "cron_overdue":
      return { text: `Cron ${name} is overdue by ${duration(n)}`, action: "Crons", to: "#/crons" };
    case "slow_subscribers":
      return { text: `${plural(n, "subscriber")} too slow: events were dropped`, action: "Workers", to: "#/workers" };
    default:
      return { text: `${problem.kind} ${name}`, action: "Overview", to: "#/" };
  }
}

const GLYPH = { critical: "cross", warning: "rise", note: "dot" } as const;
const WORD = { critical: "Critical", warning: "Warning", note: "Note" };

const SHOWN = 6;

export function ProblemList({ problems }: { problems: Problem[] }) {
  const open = problems.filter((problem) => !problem.resolved_at);
  if (!problems.length) {
    return (
      <p class="all-well">
        <span class="of-completed">
          <GlyphIcon name="check" />
        </span>
        Nothing is wrong
      </p>
    );
  }
  return (
    <section class="problems" aria-labelledby="problems-title">
      <h2 id="problems-title" class="sr-only">
        {plural(open.length, "problem")}
      </h2>
      <ul>
        {problems.slice(0, SHOWN).map((problem) => (
          <Row key={problem.id} problem={problem} />
        ))}
      </ul>
      {problems.length > SHOWN ? (
        <a class="more-link" href={link("queues", { filter: "problems" })}>
          {plural(problems.length - SHOWN, "more problem")}
        </a>
      ) : null}
    </section>
  );
}

function Row({ problem }: { problem: Problem }) {
  const { text, action, to } = tell(problem);
  const over = problem.resolved_at;
  const level = over ? "resolved" : problem.level;
  return (
    <li class={`problem is-${level}`}>
      <span class="problem-icon">
        <GlyphIcon name={over ? "check" : GLYPH[problem.level]} />
      </span>
      <span class="problem-text">
        <span class="sr-only">{over ? "Resolved" : WORD[problem.level]}: </span>
        {text}
        <span class="muted problem-since">
          {over ? `resolved, lasted ${duration(over - problem.since)}` : `for ${duration(Math.max(1000, Math.floor((serverNow.value - problem.since) / 1000) * 1000)).replace(".0", "")}`}
        </span>
      </span>
      <a class="button is-small" href={to}>
        {action}
      </a>
    </li>
  );
}
