// Schedules: when each runs next and ran last; add, pause, run now, delete.
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { addCron, deleteCron, pauseCron, resumeCron, runCron } from "../actions";
import { getText } from "../api";
import { inWords } from "../cron_words";
import { visible } from "../format";
import { lines, members, tokens } from "../json_text";
import { close, confirm, DialogHead, open } from "../parts/dialog";
import { Menu, type Item } from "../parts/menu";
import { Empty, Skeleton, Snippet } from "../parts/states";
import { DataTable, type Column } from "../parts/table";
import { Badge, Name, Relative } from "../parts/text";
import { queueLink } from "../route";
import { canAct, isNarrow, isReadOnly, latest, serverNow, type CronRow } from "../store";

export function CronsView() {
  const kept = useRef<CronRow[] | null>(null);
  const now = latest.value;
  if (now?.query === "view=crons" && now.message.view["rows"]) kept.current = now.message.view["rows"] as CronRow[];
  const rows = kept.current;
  return (
    <>
      <div class="view-head">
        <h1 tabIndex={-1}>Crons</h1>
        {rows ? <span class="muted num">{rows.length === 1 ? "1 cron" : `${rows.length} crons`}</span> : null}
        <span class="top-space" />
        {isReadOnly.value ? null : (
          <button type="button" class="button is-primary" aria-disabled={!canAct.value} onClick={() => open(() => <CronForm />)}>
            Add cron…
          </button>
        )}
      </div>
      {!rows ? (
        <Skeleton rows={6} />
      ) : rows.length ? (
        <DataTable name="Crons" rows={rows} keyOf={(cron) => cron.name} columns={COLUMNS} card={card} cardHeight={isNarrow.value ? 136 : 112} cardsBelow="wide" />
      ) : (
        <Empty title="No crons yet" snippet={`{"cmd":"CRON","name":"digest","queue":"emails","schedule":"0 7 * * MON-FRI","timezone":"Europe/Paris","data":{"tpl":"digest"}}`}>
          A cron pushes a job again and again, by a schedule. Add one here, or send a line to the socket:
        </Empty>
      )}
    </>
  );
}

function CronState({ cron }: { cron: CronRow }) {
  if (cron.paused) return <Badge glyph="bars" word="Paused" token="paused" />;
  const late = cron.next_run !== null && serverNow.value - cron.next_run > 10_000;
  return late ? <Badge glyph="cross" word="Overdue" token="failed" /> : <Badge glyph="dot" word="Scheduled" token="completed" />;
}

function Schedule({ cron }: { cron: CronRow }) {
  const zone = cron.timezone === "UTC" ? "" : visible(cron.timezone);
  const words = inWords(cron.schedule);
  return (
    <span class="schedule">
      <span class="mono">{visible(cron.schedule)}</span>
      {words || zone ? <span class="muted">{[words, zone].filter(Boolean).join(", ")}</span> : null}
    </span>
  );
}

function CronActions({ cron }: { cron: CronRow }) {
  const items: Item[] = [{ label: "Delete…", danger: true, act: () => void askDelete(cron.name), off: !canAct.value }];
  if (isReadOnly.value) return null;
  return (
    <span class="actions">
      <button type="button" class="button is-small" aria-label={`Run now: ${visible(cron.name)}`} aria-disabled={!canAct.value} onClick={() => void runCron(cron.name)}>
        Run now
      </button>
      <button type="button" class="button is-small is-toggle" data-key="p" aria-label={`${cron.paused ? "Resume" : "Pause"}: ${visible(cron.name)}`} aria-disabled={!canAct.value} onClick={() => void (cron.paused ? resumeCron : pauseCron)(cron.name)}>
        {cron.paused ? "Resume" : "Pause"}
      </button>
      <Menu label={`More actions for ${visible(cron.name)}`} items={items} />
    </span>
  );
}

const COLUMNS: Column<CronRow>[] = [
  { key: "name", label: "Name", width: 150, grow: true, cell: (cron) => <Name text={cron.name} /> },
  {
    key: "queue",
    label: "Queue",
    width: 140,
    cell: (cron) => (
      <a href={queueLink(cron.queue)}>
        <Name text={cron.queue} />
      </a>
    ),
  },
  { key: "schedule", label: "Schedule", width: 270, cell: (cron) => <Schedule cron={cron} /> },
  { key: "zone", label: "Zone", width: 150, from: "huge", cell: (cron) => visible(cron.timezone) },
  { key: "next", label: "Next", width: 132, numeric: true, cell: (cron) => <Relative ms={cron.next_run} /> },
  { key: "last", label: "Last", width: 128, numeric: true, from: "wide", cell: (cron) => <Relative ms={cron.last_run} /> },
  { key: "state", label: "State", width: 132, from: "wide", cell: (cron) => <CronState cron={cron} /> },
  { key: "actions", label: "", width: 236, cell: (cron) => <CronActions cron={cron} /> },
];

function card(cron: CronRow) {
  return (
    <>
      <div class="card-line">
        <b>
          <Name text={cron.name} />
        </b>
        <CronState cron={cron} />
      </div>
      <div class="card-line muted">
        <span class="preview">
          <span class="mono">{visible(cron.schedule)}</span> → <Name text={cron.queue} />
        </span>
      </div>
      <div class="card-line">
        <span class="muted num">{cron.next_run === null ? "no next run" : <Relative ms={cron.next_run} />}</span>
        <CronActions cron={cron} />
      </div>
    </>
  );
}

/** A cron's definition as the line that sets it again; its data is taken as text. */
async function definition(name: string): Promise<string> {
  const answer = members(await getText("crons")).get("data") ?? "[]";
  const list = answer.startsWith("{") ? (members(answer).get("crons") ?? "[]") : answer;
  let depth = 0;
  let start = 0;
  for (const token of tokens(list)) {
    if (token.kind === "open" && ++depth === 2) start = token.start;
    if (token.kind === "close" && --depth === 1) {
      const fields = members(list.slice(start, token.end));
      if (JSON.parse(fields.get("name") ?? '""') !== name) continue;
      const kept = [...fields].filter(([key]) => key !== "next_run" && key !== "last_run");
      return `{"cmd":"CRON",${kept.map(([key, raw]) => `"${key}":${raw}`).join(",")}}`;
    }
  }
  return "";
}

async function askDelete(name: string): Promise<void> {
  const line = await definition(name).catch(() => "");
  confirm({
    title: `Delete cron ${visible(name)}`,
    danger: true,
    action: "Delete cron",
    act: () => deleteCron(name),
    body: (
      <>
        <p>It pushes no more jobs; those it pushed stay. To have it back, send its definition again:</p>
        {line ? <Snippet text={visible(line)} label="Copy definition" /> : null}
      </>
    ),
  });
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text); // only whether it is JSON: what is sent is the text
    return lines(text, 1).lines.length > 0;
  } catch {
    return false;
  }
};

function CronForm() {
  const form = { name: useSignal(""), queue: useSignal(""), schedule: useSignal(""), timezone: useSignal("UTC"), data: useSignal("{}") };
  const busy = useSignal(false);
  const missing = (["name", "queue", "schedule"] as const).filter((key) => !form[key].value.trim());
  const badData = !isJson(form.data.value);
  const ok = !missing.length && !badData;
  const words = inWords(form.schedule.value.trim());
  const submit = async (event: Event) => {
    event.preventDefault();
    if (!ok || busy.value) return;
    busy.value = true;
    const text = (key: "queue" | "schedule" | "timezone") => JSON.stringify(form[key].value.trim());
    const body = `{"queue":${text("queue")},"schedule":${text("schedule")},"timezone":${text("timezone")},"data":${form.data.value.trim()}}`;
    const done = await addCron(form.name.value.trim(), body);
    busy.value = false;
    if (done) close();
  };
  const field = (key: keyof typeof form, label: string, placeholder: string) => (
    <label class="field">
      <span>{label}</span>
      <input class="input" name={key} autocomplete="off" spellcheck={false} placeholder={placeholder} value={form[key].value} onInput={(event) => (form[key].value = event.currentTarget.value)} />
    </label>
  );
  return (
    <form onSubmit={submit} noValidate>
      <DialogHead title="Add a cron" />
      <div class="dialog-text">
        <div class="field-row">
          {field("name", "Name", "digest")}
          {field("queue", "Queue", "emails")}
        </div>
        <div class="field-row">
          {field("schedule", "Schedule", "0 7 * * MON-FRI")}
          {field("timezone", "Time zone", "UTC")}
        </div>
        <p class="muted">{words || "5 fields, or 6 with seconds first; */30 alone is every 30 seconds; @hourly, @daily"}</p>
        <label class="field">
          <span>Data, as JSON</span>
          <textarea class="input mono" name="data" rows={4} spellcheck={false} aria-invalid={badData} value={form.data.value} onInput={(event) => (form.data.value = event.currentTarget.value)} />
        </label>
        {badData ? <p class="of-failed">This is not JSON.</p> : null}
      </div>
      <footer class="dialog-foot">
        <button type="button" class="button" onClick={close}>
          Close
        </button>
        <button type="submit" class="button is-primary" aria-disabled={!ok || busy.value}>
          Add
        </button>
      </footer>
    </form>
  );
}
