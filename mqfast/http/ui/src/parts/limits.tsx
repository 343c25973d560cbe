// The form of a queue's limits: what is set now, what will be, and nothing that the server would refuse.
import { useSignal, type Signal } from "@preact/signals";
import { setLimits, type Limit } from "../actions";
import { exactly } from "../format";
import type { QueueRow } from "../store";
import { close, DialogHead, open } from "./dialog";
import { Name } from "./text";

export function openLimits(row: QueueRow): void {
  open(() => <LimitsForm row={row} />);
}

/** Empty means no limit; undefined: not a whole number from 1. */
function parse(text: string): number | null | undefined {
  if (!text.trim()) return null;
  const n = Number(text);
  return Number.isSafeInteger(n) && n >= 1 ? n : undefined;
}

function LimitsForm({ row }: { row: QueueRow }) {
  const limit = useSignal(row.rate_limit === null ? "" : String(row.rate_limit));
  const seconds = useSignal(String((row.rate_duration ?? 1000) / 1000));
  const held = useSignal(row.concurrency_limit === null ? "" : String(row.concurrency_limit));
  const busy = useSignal(false);
  const rate = parse(limit.value);
  const most = parse(held.value);
  const duration = Math.round(Number(seconds.value) * 1000);
  const badDuration = !(duration >= 1 && duration <= 31_622_400_000);
  const ok = rate !== undefined && most !== undefined && !(rate && badDuration);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (!ok || busy.value) return;
    const next: { rate?: Limit; concurrency?: Limit } = {};
    if (rate !== row.rate_limit || (rate && duration !== row.rate_duration)) next.rate = rate ? { limit: rate, duration } : null;
    if (most !== row.concurrency_limit) next.concurrency = most ? { limit: most } : null;
    busy.value = true;
    const done = !Object.keys(next).length || (await setLimits(row, next));
    busy.value = false;
    if (done) close();
  };
  return (
    <form onSubmit={submit} noValidate>
      <DialogHead
        title={
          <>
            Limits of <Name text={row.name} />
          </>
        }
      />
      <div class="dialog-text">
        <div class="field-row">
          <Field label="Jobs" value={limit} bad={rate === undefined} name="limit" />
          <Field label="per seconds" value={seconds} bad={Boolean(rate) && badDuration} name="seconds" />
        </div>
        <p class="muted num">Now: {row.rate_limit === null ? "no rate limit" : `${exactly(row.rate_limit)} per ${(row.rate_duration ?? 1000) / 1000} s`}. Empty: none.</p>
        <Field label="At once" value={held} bad={most === undefined} name="concurrency" />
        <p class="muted num">
          Now: {row.concurrency_limit === null ? "no limit" : exactly(row.concurrency_limit)}, {exactly(row.active)} held. Jobs held already go on.
        </p>
        {ok ? null : (
          <p class="of-failed" role="alert">
            A limit is a whole number from 1, or empty for none.
          </p>
        )}
      </div>
      <footer class="dialog-foot">
        <button type="button" class="button" onClick={close}>
          Keep
        </button>
        <button type="submit" class="button is-primary" aria-disabled={!ok || busy.value}>
          Set limits
        </button>
      </footer>
    </form>
  );
}

function Field({ label, value, bad, name }: { label: string; value: Signal<string>; bad: boolean; name: string }) {
  return (
    <label class="field">
      <span>{label}</span>
      <input class="input num" inputMode="decimal" autocomplete="off" name={name} aria-invalid={bad} value={value.value} onInput={(event) => (value.value = event.currentTarget.value)} />
    </label>
  );
}
