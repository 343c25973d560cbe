// A line chart on canvas: uPlot, with gaps and restarts drawn as what they are, a legend that shows the crosshair's
// values, arrow keys, and the same figures as a table.
import { signal, useSignal, useSignalEffect, type ReadonlySignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import { clockTime, duration, rate, count } from "../format";
import { WINDOWS, type Column, type SampleStore, type Samples } from "../samples";
import { message, serverNow } from "../store";
import { colour, themed } from "../theme";

export interface Series {
  key: string;
  label: string;
  token: string;
  dash?: number[];
  width?: number;
}

interface Props {
  title: string;
  store: SampleStore;
  series: Series[];
  unit: "jobs/s" | "ms" | "jobs";
  /** Charts with one key share the crosshair. */
  sync?: string;
  logToggle?: boolean;
  height?: number;
  note?: string;
}

const GAP = 3; // steps without a sample that are drawn as a gap

export function figure(unit: Props["unit"], value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (unit === "jobs/s") return rate(value);
  return unit === "ms" ? duration(value) : count(Math.round(value));
}

/** The samples as uPlot takes them: seconds, and a row of nulls in each gap, so that the line breaks. */
function aligned(samples: Samples, series: Series[]): { data: uPlot.AlignedData; gaps: [number, number][] } {
  const { t, step, columns } = samples;
  const times: number[] = [];
  const values: Column[] = series.map(() => []);
  const gaps: [number, number][] = [];
  t.forEach((time, i) => {
    const before = t[i - 1];
    if (before !== undefined && time - before > GAP * step) {
      gaps.push([before, time]);
      times.push((before + step) / 1000);
      for (const column of values) column.push(null);
    }
    times.push(time / 1000);
    series.forEach(({ key }, s) => values[s]!.push(columns[key]?.[i] ?? null));
  });
  return { data: [times, ...values] as uPlot.AlignedData, gaps };
}

function extent(columns: Column[]): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const column of columns) {
    for (const value of column) {
      if (value === null) continue;
      if (value > high) high = value;
      if (value > 0 && value < low) low = value;
    }
  }
  return [low, high];
}

function drawGaps(u: uPlot, gaps: [number, number][], startedAt: number): void {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  const place = (ms: number) => Math.max(bbox.left, Math.min(bbox.left + bbox.width, u.valToPos(ms / 1000, "x", true)));
  ctx.save();
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.lineWidth = ratio;
  for (const [from, to] of gaps) {
    const left = place(from);
    const right = place(to);
    if (right - left < 2) continue;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, bbox.top, right - left, bbox.height);
    ctx.clip();
    ctx.strokeStyle = colour("line");
    ctx.beginPath();
    for (let x = left - bbox.height; x < right; x += 8 * ratio) {
      ctx.moveTo(x, bbox.top + bbox.height);
      ctx.lineTo(x + bbox.height, bbox.top);
    }
    ctx.stroke();
    const text = `no data ${duration(to - from)}`;
    if (ctx.measureText(text).width < right - left - 8 * ratio) {
      ctx.fillStyle = colour("muted");
      ctx.fillText(text, left + 4 * ratio, bbox.top + 14 * ratio);
    }
    ctx.restore();
  }
  const x = u.valToPos(startedAt / 1000, "x", true);
  if (startedAt && x > bbox.left + 2 && x < bbox.left + bbox.width) {
    ctx.strokeStyle = ctx.fillStyle = colour("muted");
    ctx.setLineDash([4 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const text = `started ${clockTime(startedAt)}`;
    const width = ctx.measureText(text).width;
    ctx.fillText(text, x + width + 8 * ratio > bbox.left + bbox.width ? x - width - 4 * ratio : x + 4 * ratio, bbox.top + 12 * ratio);
  }
  ctx.restore();
}

interface Setup {
  props: Props;
  log: boolean;
  hover: { value: number | null };
  gaps: () => [number, number][];
}

const AXIS_FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

function options({ props, log, hover, gaps }: Setup, width: number): uPlot.Options {
  const axis = { stroke: colour("muted"), font: AXIS_FONT, grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
  return {
    width,
    height: props.height ?? 176,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 6 }, ...(props.sync ? { sync: { key: props.sync } } : {}) },
    scales: {
      x: { time: true, range: () => range(props.store) },
      y: log
        ? { distr: 4, asinh: 1, range: (_u, _low, high) => [0, Math.max(10, (high ?? 1) * 1.5)] }
        : { range: (_u, _low, high) => [0, Math.max(1, (high ?? 1) * 1.1)] },
    },
    axes: [
      { ...axis, size: 28, space: 70, values: (_u, splits) => splits.map((s) => clockTime(s * 1000).slice(0, props.store.samples.peek().step > 1000 ? 5 : 8)) },
      { ...axis, size: 56, space: 32, ...(log ? { splits: logSplits } : {}), values: (_u, splits) => splits.map((s) => short(props.unit, s)) },
    ],
    series: [
      {},
      ...props.series.map(({ label, token, dash, width }) => ({
        label,
        stroke: colour(token),
        width: width ?? 1.5,
        ...(dash ? { dash } : {}),
        spanGaps: false,
        points: { show: false },
      })),
    ],
    hooks: {
      drawClear: [(u) => drawGaps(u, gaps(), message.peek()?.started_at ?? 0)],
      setCursor: [(u) => (hover.value = u.cursor.idx ?? null)],
    },
  };
}

function logSplits(u: uPlot): number[] {
  const high = u.scales["y"]!.max ?? 10;
  const out = [0];
  for (let n = 1; n <= high; n *= 10) out.push(n);
  return out;
}

function short(unit: Props["unit"], value: number | null): string {
  if (value === null) return ""; // a line that uPlot leaves without a figure
  if (unit === "ms") return value >= 1000 ? `${+(value / 1000).toFixed(1)} s` : `${+value.toFixed(1)} ms`;
  if (value >= 1e6) return `${+(value / 1e6).toFixed(2)} M`;
  return value >= 10_000 ? `${+(value / 1000).toFixed(1)} k` : String(+value.toFixed(2));
}

function range(store: SampleStore): [number, number] {
  const end = Math.max(store.samples.peek().t.at(-1) ?? 0, serverNow.peek() - 2000) / 1000;
  return [end - WINDOWS[store.window] / 1000, end];
}

export function Chart(props: Props) {
  const { title, store, series, unit } = props;
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const state = useMemo(() => ({ gaps: [] as [number, number][], seen: true, pending: 0, width: 0, log: false }), []);
  const hover = useMemo(() => signal<number | null>(null), []);
  const forced = useSignal(false);
  const asTable = useSignal(false);
  const drawn = useSignal<uPlot.AlignedData>([[]]);
  const isLog = useSignal(false);

  const make = () => {
    plot.current?.destroy();
    plot.current = null;
    if (!holder.current || !state.width) return;
    state.log = isLog.peek();
    plot.current = new uPlot(options({ props, log: state.log, hover, gaps: () => state.gaps }, state.width), drawn.peek(), holder.current);
  };
  const redraw = () => {
    state.pending = 0;
    if (document.hidden || !state.seen || !holder.current) return;
    const { data, gaps } = aligned(store.samples.peek(), series);
    const [low, high] = extent(data.slice(1) as Column[]);
    state.gaps = gaps;
    drawn.value = data;
    isLog.value = forced.peek() || (unit === "ms" && high / low > 100);
    if (!plot.current || state.log !== isLog.peek()) make();
    else plot.current.setData(data);
  };
  const schedule = () => {
    if (!state.pending) state.pending = requestAnimationFrame(redraw);
  };

  useEffect(() => {
    const box = holder.current!;
    const sizes = new ResizeObserver(([entry]) => {
      const width = Math.floor(entry!.contentRect.width);
      if (!width || width === state.width) return;
      state.width = width;
      if (plot.current) plot.current.setSize({ width, height: props.height ?? 176 });
      else schedule();
    });
    const views = new IntersectionObserver(([entry]) => {
      state.seen = entry!.isIntersecting;
      if (state.seen) schedule();
    });
    sizes.observe(box);
    views.observe(box);
    document.addEventListener("visibilitychange", schedule);
    return () => {
      sizes.disconnect();
      views.disconnect();
      document.removeEventListener("visibilitychange", schedule);
      cancelAnimationFrame(state.pending);
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);
  useEffect(() => {
    plot.current?.destroy();
    plot.current = null;
    schedule();
  }, [store, series]);
  useSignalEffect(() => {
    store.samples.value;
    forced.value;
    schedule();
  });
  useSignalEffect(() => {
    themed.value;
    if (plot.current) make();
  });

  const step = (by: number) => {
    const u = plot.current;
    const times = drawn.value[0];
    if (!u || !times.length) return;
    const at = Math.max(0, Math.min(times.length - 1, (hover.value ?? times.length) + by));
    u.setCursor({ left: u.valToPos(times[at]!, "x"), top: u.bbox.height / devicePixelRatio / 2 });
  };
  const samples = store.samples.value;
  const empty = samples.loaded && !series.some(({ key }) => samples.columns[key]?.some((value) => value !== null));
  return (
    <figure class="panel chart">
      <figcaption class="chart-head">
        <h2 class="panel-title">
          {title} <span class="muted">{unit}{isLog.value ? ", log scale" : ""}</span>
        </h2>
        <span class="chart-tools">
          {props.logToggle ? (
            <button type="button" class="link-button" aria-pressed={forced.value} onClick={() => (forced.value = !forced.value)}>
              log
            </button>
          ) : null}
          <button type="button" class="link-button" aria-pressed={asTable.value} aria-label={`${title} as table`} onClick={() => (asTable.value = !asTable.value)}>
            table
          </button>
        </span>
      </figcaption>
      <Legend series={series} unit={unit} data={drawn} hover={hover} />
      <div
        ref={holder}
        class="chart-plot"
        style={{ height: `${props.height ?? 176}px` }}
        tabIndex={0}
        role="img"
        aria-label={summary(title, unit, series, drawn.value)}
        onKeyDown={(event) => {
          const by = { ArrowLeft: -1, ArrowRight: 1, Home: -1e9, End: 1e9 }[event.key];
          if (by === undefined) return;
          event.preventDefault();
          step(by);
        }}
      >
        {empty ? <p class="chart-empty">No jobs in the last {duration(WINDOWS[store.window])}</p> : null}
        {!samples.loaded && samples.error ? <p class="chart-empty">{samples.error}</p> : null}
      </div>
      {props.note ? <p class="note">{props.note}</p> : null}
      {asTable.value ? <Figures title={title} unit={unit} series={series} data={drawn.value} /> : null}
    </figure>
  );
}

function Legend({ series, unit, data, hover }: { series: Series[]; unit: Props["unit"]; data: ReadonlySignal<uPlot.AlignedData>; hover: ReadonlySignal<number | null> }) {
  const at = hover.value ?? data.value[0].length - 1;
  const time = hover.value === null ? null : data.value[0][at];
  return (
    <div class="legend">
      {series.map(({ key, label, token, dash, width }, i) => (
        <span key={key} class="legend-item">
          <svg width="18" height="8" aria-hidden="true" class={`of-${token}`}>
            <line x1="1" y1="4" x2="17" y2="4" stroke="currentColor" stroke-width={width ?? 1.5} stroke-dasharray={dash?.join(" ")} />
          </svg>
          {label} <b class="num">{figure(unit, data.value[i + 1]?.[at] as number | null)}</b>
        </span>
      ))}
      <span class="legend-time num muted">{time ? clockTime(time * 1000) : ""}</span>
    </div>
  );
}

function summary(title: string, unit: Props["unit"], series: Series[], data: uPlot.AlignedData): string {
  const values = (data[1] as Column | undefined)?.filter((value) => value !== null) ?? [];
  if (!values.length) return `${title}: no data`;
  const name = series[0]!.label.toLowerCase();
  return `${title}: ${name} ${figure(unit, values.at(-1))} now, between ${figure(unit, Math.min(...values))} and ${figure(unit, Math.max(...values))}. Arrow keys move the crosshair.`;
}

const TABLE_ROWS = 20;

function Figures({ title, unit, series, data }: { title: string; unit: Props["unit"]; series: Series[]; data: uPlot.AlignedData }) {
  const each = Math.max(1, Math.ceil(data[0].length / TABLE_ROWS));
  const rows = Array.from(data[0], (_, i) => i).filter((i) => (data[0].length - 1 - i) % each === 0);
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label={`${title}, table`}>
      <table class="table is-compact">
        <thead>
          <tr>
            <th scope="col">Time</th>
            {series.map(({ key, label }) => (
              <th key={key} scope="col" class="num">
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.reverse().map((i) => (
            <tr key={data[0][i]}>
              <td>{clockTime(data[0][i]! * 1000)}</td>
              {series.map(({ key }, s) => (
                <td key={key} class="num">
                  {figure(unit, data[s + 1]?.[i] as number | null)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
