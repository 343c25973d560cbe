// A table of which only the rows in sight are in the document. Below 640 px the same rows are cards.
import { useSignal, type Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { isHuge, isNarrow, isWide } from "../store";

export interface Column<T> {
  key: string;
  label: string;
  cell: (row: T) => ComponentChildren;
  numeric?: boolean;
  /** Smallest width, in px: figures that change must not move the columns. */
  width?: number;
  sortable?: boolean;
  /** Only on windows at least this wide. */
  from?: "wide" | "huge";
  /** Takes the room that is left. */
  grow?: boolean;
}

export interface Selection {
  ids: Signal<ReadonlySet<number>>;
  label: (id: number) => string;
}

interface Props<T> {
  name: string;
  rows: T[];
  keyOf: (row: T) => string | number;
  columns: Column<T>[];
  card: (row: T) => ComponentChildren;
  cardHeight?: number;
  /** Cards in place of rows below this width; 640 px unless told. */
  cardsBelow?: "wide";
  sort?: { by: string; dir: string; set: (by: string) => void };
  selection?: Selection;
  rowClass?: (row: T) => string;
  /** How many rows there are on all pages, and where this page begins. */
  total?: number;
  first?: number;
}

const ROW = 40;
const CARD = 72;
const SPARE = 8;

/** Which of `count` rows of `height` px are in sight of the window, with some to spare. */
function useSight(count: number, height: number) {
  const box = useRef<HTMLElement>(null);
  const from = useSignal(0);
  const to = useSignal(Math.min(count, Math.ceil(innerHeight / height) + SPARE));
  const look = () => {
    if (!box.current) return;
    const top = box.current.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(-top / height) - SPARE);
    from.value = Math.min(first - (first % 2), Math.max(0, count - 1)); // even, so that stripes and focus keep their place
    to.value = Math.min(count, Math.ceil((innerHeight - top) / height) + SPARE);
  };
  useEffect(() => {
    look();
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look, { passive: true });
    return () => {
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [count, height]);
  return { box, from: Math.min(from.value, count), to: Math.min(Math.max(to.value, 0), count) };
}

export function DataTable<T>(props: Props<T>) {
  return isNarrow.value || (props.cardsBelow && !isWide.value) ? <Cards {...props} /> : <Rows {...props} />;
}

function Rows<T>({ name, rows, keyOf, columns, sort, selection, rowClass, total, first = 0 }: Props<T>) {
  const { box, from, to } = useSight(rows.length, ROW);
  const shown = columns.filter(({ from: least }) => !least || (least === "wide" ? isWide.value : isHuge.value));
  const above = from * ROW;
  const below = (rows.length - to) * ROW;
  const width = shown.length + (selection ? 1 : 0);
  return (
    <table class="table" aria-label={name} aria-rowcount={(total ?? rows.length) + 1}>
      <thead>
        <tr aria-rowindex={1}>
          {selection ? (
            <th scope="col" class="check">
              <SelectAll selection={selection} ids={rows.map(keyOf) as number[]} />
            </th>
          ) : null}
          {shown.map((column) => (
            <Head key={column.key} column={column} sort={sort} />
          ))}
        </tr>
      </thead>
      <tbody ref={box as never}>
        {above ? <Spacer height={above} width={width} /> : null}
        {rows.slice(from, to).map((row, i) => {
          const key = keyOf(row);
          return (
            <tr key={key} data-row aria-rowindex={first + from + i + 2} class={rowClass?.(row)}>
              {selection ? (
                <td class="check">
                  <Check selection={selection} id={key as number} ids={rows.map(keyOf) as number[]} />
                </td>
              ) : null}
              {shown.map(({ key: column, cell, numeric, grow }) => (
                <td key={column} class={numeric ? "num" : grow ? "grow" : undefined}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          );
        })}
        {below ? <Spacer height={below} width={width} /> : null}
      </tbody>
    </table>
  );
}

function Spacer({ height, width }: { height: number; width: number }) {
  return (
    <tr aria-hidden="true" class="spacer">
      <td colSpan={width} style={{ height: `${height}px` }} />
    </tr>
  );
}

function Head<T>({ column, sort }: { column: Column<T>; sort: Props<T>["sort"] }) {
  const { key, label, numeric, width, sortable, grow } = column;
  const sorted = sort?.by === key ? sort.dir : undefined;
  const style = width ? { minWidth: `${width}px`, width: grow ? undefined : `${width}px` } : undefined;
  return (
    <th scope="col" class={numeric ? "num" : grow ? "grow" : undefined} style={style} aria-sort={sorted ? (sorted === "desc" ? "descending" : "ascending") : undefined}>
      {sort && sortable ? (
        <button type="button" class="sort" onClick={() => sort.set(key)}>
          {label}
          <span aria-hidden="true" class="arrow">
            {sorted ? (sorted === "desc" ? "▼" : "▲") : ""}
          </span>
        </button>
      ) : label === "" ? (
        <span class="sr-only">Actions</span>
      ) : (
        label
      )}
    </th>
  );
}

function Cards<T>({ name, rows, keyOf, card, cardHeight = CARD, selection, rowClass, total, first = 0 }: Props<T>) {
  const { box, from, to } = useSight(rows.length, cardHeight);
  return (
    <ul class="cards" aria-label={name} ref={box as never} style={{ paddingTop: `${from * cardHeight}px`, paddingBottom: `${(rows.length - to) * cardHeight}px` }}>
      {rows.slice(from, to).map((row, i) => {
        const key = keyOf(row);
        return (
          <li key={key} data-row class={`card ${rowClass?.(row) ?? ""}`} style={{ height: `${cardHeight}px` }} aria-setsize={total ?? rows.length} aria-posinset={first + from + i + 1}>
            {selection ? <Check selection={selection} id={key as number} ids={rows.map(keyOf) as number[]} /> : null}
            <div class="card-body">{card(row)}</div>
          </li>
        );
      })}
    </ul>
  );
}

let anchor: number | null = null; // where a range with Shift begins

function Check({ selection, id, ids }: { selection: Selection; id: number; ids: number[] }) {
  const { ids: chosen, label } = selection;
  return (
    <label class="check-box">
      <input
        type="checkbox"
        aria-label={label(id)}
        checked={chosen.value.has(id)}
        onClick={(event) => {
          const next = new Set(chosen.value);
          const on = !next.has(id);
          const from = event.shiftKey && anchor !== null ? ids.indexOf(anchor) : -1;
          const at = ids.indexOf(id);
          const range = from < 0 ? [id] : ids.slice(Math.min(from, at), Math.max(from, at) + 1);
          for (const each of range) on ? next.add(each) : next.delete(each);
          anchor = id;
          chosen.value = next;
        }}
      />
    </label>
  );
}

function SelectAll({ selection, ids }: { selection: Selection; ids: number[] }) {
  const chosen = selection.ids.value;
  const all = ids.length > 0 && ids.every((id) => chosen.has(id));
  return (
    <label class="check-box">
      <input type="checkbox" aria-label="Select all of this page" checked={all} onClick={() => (selection.ids.value = all ? new Set() : new Set(ids))} />
    </label>
  );
}

interface Pages {
  shown: string;
  newer?: string | undefined;
  older?: string | undefined;
  words?: [string, string];
}

/** Links to the pages before and after this one. */
export function Pager({ shown, newer, older, words = ["Previous", "Next"] }: Pages) {
  if (!newer && !older) return <p class="pager muted">{shown}</p>;
  return (
    <nav class="pager" aria-label="Pages">
      {newer ? (
        <a class="button is-small" data-key="[" href={newer}>
          ◂ {words[0]}
        </a>
      ) : null}
      <span class="muted">{shown}</span>
      {older ? (
        <a class="button is-small" data-key="]" href={older}>
          {words[1]} ▸
        </a>
      ) : null}
    </nav>
  );
}
