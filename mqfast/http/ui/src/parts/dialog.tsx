// Dialogs: the native element, one at a time, focus given back when it closes. Those that destroy ask for a typed name.
import { signal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { exactly, isPrintable, visible } from "../format";
import { Icon } from "./icon";

const shown = signal<(() => ComponentChildren) | null>(null);
let opener: Element | null = null;

export function open(content: () => ComponentChildren): void {
  if (!shown.value) opener = document.activeElement;
  shown.value = content;
}

export function close(): void {
  shown.value = null;
}

export function isOpen(): boolean {
  return shown.value !== null;
}

export function DialogHost() {
  const content = shown.value;
  const ref = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const dialog = ref.current!; // before the next key comes: it belongs to the dialog
    if (content && !dialog.open) dialog.showModal();
    if (!content && dialog.open) {
      dialog.close();
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
      else document.querySelector<HTMLElement>("h1")?.focus();
    }
  }, [content]);
  return (
    <dialog
      ref={ref}
      aria-labelledby="dialog-title"
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onClick={(event) => {
        if (event.target === ref.current) close();
      }}
    >
      {content ? <div class="dialog-body">{content()}</div> : null}
    </dialog>
  );
}

export function DialogHead({ title }: { title: ComponentChildren }) {
  return (
    <header class="dialog-head">
      <h2 id="dialog-title">{title}</h2>
      <button type="button" class="icon-button" aria-label="Close" onClick={close}>
        <Icon name="close" />
      </button>
    </header>
  );
}

interface Confirm {
  title: string;
  /** What happens, in sentences or lists. */
  body: ComponentChildren;
  action: string;
  danger?: boolean;
  act: () => Promise<unknown>;
}

export function confirm(ask: Confirm): void {
  open(() => <ConfirmForm {...ask} />);
}

function ConfirmForm({ title, body, action, danger, act, ready = true, children }: Confirm & { ready?: boolean; children?: ComponentChildren }) {
  const busy = useSignal(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (!ready || busy.value) return;
    busy.value = true;
    try {
      if ((await act()) !== false) close();
    } finally {
      busy.value = false;
    }
  };
  return (
    <form onSubmit={submit} noValidate>
      <DialogHead title={title} />
      <div class="dialog-text">{body}</div>
      {children}
      <footer class="dialog-foot">
        <button type="button" class="button" onClick={close}>
          Keep
        </button>
        <button type="submit" class={danger ? "button is-danger" : "button is-primary"} aria-disabled={!ready || busy.value}>
          {action}
        </button>
      </footer>
    </form>
  );
}

interface Typed extends Confirm {
  name: string;
  /** Asked for instead of a name that is long or cannot be typed. */
  jobs: number;
}

export function confirmTyped(ask: Typed): void {
  open(() => <TypedConfirm {...ask} />);
}

function TypedConfirm(ask: Typed) {
  const typed = useSignal("");
  const byCount = ask.name.length > 40 || !isPrintable(ask.name);
  const expected = byCount ? String(ask.jobs) : ask.name;
  const ready = typed.value.trim().replaceAll(",", byCount ? "" : ",") === expected.trim();
  return (
    <ConfirmForm {...ask} danger ready={ready}>
      <label class="field">
        <span>
          {byCount ? "Type the number of jobs" : "Type the queue's name"}: <b class="mono">{byCount ? exactly(ask.jobs) : visible(ask.name)}</b>
        </span>
        <input class="input mono" name="confirm" autofocus autocomplete="off" autocapitalize="off" spellcheck={false} value={typed.value} onInput={(event) => (typed.value = event.currentTarget.value)} />
      </label>
    </ConfirmForm>
  );
}
