// A menu behind a button: arrow keys, Escape, closes when the focus leaves it.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./icon";

export interface Item {
  label: string;
  act: () => void;
  danger?: boolean;
  off?: boolean;
}

export function Menu({ label, items }: { label: string; items: Item[] }) {
  const open = useSignal(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (open.value) box.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
  }, [open.value]);
  const shut = () => {
    open.value = false;
    button.current?.focus();
  };
  const move = (step: number) => {
    const all = [...box.current!.querySelectorAll<HTMLElement>("[role=menuitem]")];
    const at = all.indexOf(document.activeElement as HTMLElement);
    all[(at + step + all.length) % all.length]?.focus();
  };
  return (
    <div
      class="menu"
      ref={box}
      onFocusOut={(event) => {
        if (!box.current?.contains(event.relatedTarget as Node)) open.value = false;
      }}
      onKeyDown={(event) => {
        if (!open.value) return;
        if (event.key === "Escape") shut();
        else if (event.key === "ArrowDown") move(1);
        else if (event.key === "ArrowUp") move(-1);
        else return;
        event.preventDefault();
        event.stopPropagation();
      }}
    >
      <button ref={button} type="button" class="icon-button" aria-label={label} aria-haspopup="menu" aria-expanded={open.value} onClick={() => (open.value = !open.value)}>
        <Icon name="more" />
      </button>
      {open.value ? (
        <div class="menu-list" role="menu" aria-label={label}>
          {items.map((item) => (
            <button
              key={item.label}
              type="button"
              role="menuitem"
              tabIndex={-1}
              class={item.danger ? "menu-item of-failed" : "menu-item"}
              aria-disabled={item.off}
              onClick={() => {
                if (item.off) return;
                shut();
                item.act();
              }}
            >
              {item.label}
            </button>
          ))}
        </div>
      ) : null}
    </div>
  );
}
