// Is something wrong now, how fast are things going, what waits, and where.
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { bytes, count, duration, exactly, plural } from "../format";
import { Chart, type Series } from "../parts/chart";
import { ProblemList } from "../parts/problems";
import { Empty, pushSnippet, Skeleton } from "../parts/states";
import { GlyphIcon, STATE } from "../parts/text";
import { link, param, refine } from "../route";
import { SampleStore, type Samples, type Window } from "../samples";
import { isNarrow, latest, message, serverNow, STATES, type Message, type QueueRow, type State } from "../store";
import { QueueTable } from "../parts/queue_table";

export const RATES: Series[] = [
  { key: "pushed", label: "Pushed", token: "waiting" },
  { key: "completed", label: "Completed", token: "completed", width: 2 },
  { key: "failed", label: "Failed", token: "failed", dash: [6, 4] },
  { key: "retried", label: "Retried", token: "delayed", dash: [2, 3] },
];
const percentiles = (kind: string, token: string): Series[] => [
  { key: `${kind}_p50`, label: "p50", token },
  { key: `${kind}_p95`, label: "p95", token, dash: [6, 4] },
  { key: `${kind}_p99`, label: "p99", token, dash: [2, 3] },
];
const WAIT = percentiles("wait", "waiting");
const RUN = percentiles("run", "active");
const BACKLOG: Series[] = [
  { key: "waiting", label: "Waiting", token: "waiting", width: 2 },
  { key: "active", label: "Active", token: "active" },
  { key: "delayed", label: "Delayed", token: "delayed" },
  { key: "dead", label: "Failed", token: "failed" },
];
const WINDOW_NAMES: Window[] = ["5m", "15m", "1h", "6h"];
const CHARTS = ["Rates", "Wait", "Run", "Backlog"] as const;

export function Overview() {
  const name = (WINDOW_NAMES as string[]).includes(param("window")) ? (param("window") as Window) : "15m";
  const store = useMemo(() => new SampleStore(name), [name]);
  const now = message.value;
  useEffect(() => {
    if (now) store.take(now);
  }, [now, store]);
  const rows = latest.value?.query === "view=overview" ? (now!.view["rows"] as QueueRow[]) : null;
  return (
    <>
      <h1 tabIndex={-1} class="sr-only">
        Overview
      </h1>
      {now ? <ProblemList problems={now.problems} /> : <Skeleton rows={1} />}
      {now ? <Tiles now={now} samples={store.samples.value} /> : <Skeleton rows={2} height={44} />}
      <div class="section-head">
        <h2>Activity</h2>
        <div class="segments" role="group" aria-label="Window">
          {WINDOW_NAMES.map((each) => (
            <button key={each} type="button" aria-pressed={each === name} onClick={() => refine({ window: each === "15m" ? undefined : each })}>
              {each.replace("m", " m").replace("h", " h")}
            </button>
          ))}
        </div>
      </div>
      <Charts store={store} />
      <div class="section-head">
        <h2>Busiest queues</h2>
        <a class="more-link" href="#/queues">
          All queues
        </a>
      </div>
      {rows === null ? (
        <Skeleton rows={5} />
      ) : rows.length ? (
        <QueueTable name="Busiest queues" rows={rows} brief />
      ) : (
        <Empty title="No queues yet" snippet={pushSnippet()}>
          A queue is there with its first job. Push one:
        </Empty>
      )}
      {now ? <ServerLine now={now} /> : null}
    </>
  );
}

function Charts({ store }: { store: SampleStore }) {
  const which = useSignal<(typeof CHARTS)[number]>("Rates");
  const charts = {
    Rates: <Chart key="Rates" title="Rates" store={store} series={RATES} unit="jobs/s" sync="overview" />,
    Wait: <Chart key="Wait" title="Wait" store={store} series={WAIT} unit="ms" sync="overview" />,
    Run: <Chart key="Run" title="Run" store={store} series={RUN} unit="ms" sync="overview" />,
    Backlog: <Chart key="Backlog" title="Backlog" store={store} series={BACKLOG} unit="jobs" sync="overview" logToggle />,
  };
  if (!isNarrow.value) return <div class="charts">{CHARTS.map((name) => charts[name])}</div>;
  return (
    <>
      <div class="segments is-wide" role="group" aria-label="Chart">
        {CHARTS.map((name) => (
          <button key={name} type="button" aria-pressed={name === which.value} onClick={() => (which.value = name)}>
            {name}
          </button>
        ))}
      </div>
      {charts[which.value]}
    </>
  );
}

const COLUMN: Partial<Record<State, string>> = { waiting: "waiting", active: "active", delayed: "delayed", waitingparent: "blocked", failed: "dead" };
const CHANGE_MS = 300_000;

/** How a count changed in the last five minutes; null: not known that far back. */
function change(samples: Samples, column: string | undefined, now: number): number | null {
  const values = column ? samples.columns[column] : undefined;
  if (!values?.length) return null;
  const at = samples.t.findIndex((time) => time >= now - CHANGE_MS);
  const then = values[at] ?? null;
  const last = values.at(-1) ?? null;
  return at < 0 || then === null || last === null || samples.t[at]! > now - CHANGE_MS + 15_000 ? null : last - then;
}

function Tiles({ now, samples }: { now: Message; samples: Samples }) {
  return (
    <ul class="tiles">
      {STATES.map((state) => {
        const { word, token, glyph } = STATE[state];
        const n = now.counts[state];
        const by = change(samples, COLUMN[state], now.t);
        const to = state === "failed" ? "#/failed" : link("queues", TILE_SORT[state] ? { sort: TILE_SORT[state], dir: "desc" } : {});
        const trend = state === "completed" ? `${count(now.kept)} kept` : by === null ? "" : by === 0 ? "same for 5 min" : `${by > 0 ? "+" : "−"}${count(Math.abs(by))} in 5 min`;
        return (
          <li key={state}>
            <a class="tile" href={to} data-state={state}>
              <span class={`tile-name of-${token}`}>
                <GlyphIcon name={glyph} />
                {word}
              </span>
              <span class="tile-figure" title={exactly(n)}>
                {count(n)}
              </span>
              <span class="tile-trend muted">{trend || "\u00a0"}</span>
            </a>
          </li>
        );
      })}
    </ul>
  );
}

const TILE_SORT: Partial<Record<State, string>> = { waiting: "pending", active: "processing", delayed: "delayed" };

function ServerLine({ now }: { now: Message }) {
  const { version, fsync, memory, connections } = now.server;
  const parts = [
    `mqfast ${version}`,
    `up ${duration(Math.max(1000, Math.floor((serverNow.value - now.started_at) / 1000) * 1000)).replace(".0", "")}`,
    fsync ? `disk ${fsync}` : "in memory only",
    `memory ${bytes(memory[0])}${memory[1] ? ` of ${bytes(memory[1])}` : ""}`,
    plural(connections, "connection"),
  ];
  return <p class="server-line muted num">{parts.join(" · ")}</p>;
}
