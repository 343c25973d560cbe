import { SHORTCUTS, setSingleKeys, singleKeys } from "../keys";
import { DialogHead, open } from "./dialog";

export function openSheet(): void {
  open(() => <Sheet />);
}

function Sheet() {
  return (
    <>
      <DialogHead title="Keyboard" />
      <dl class="sheet">
        {SHORTCUTS.map(([keys, what]) => (
          <div key={keys}>
            <dt>
              {keys.split(" ").map((key, i) => (/^(or|then)$/.test(key) ? ` ${key} ` : <kbd key={i}>{key}</kbd>))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <label class="check-line">
        <input type="checkbox" checked={singleKeys.value} onClick={() => setSingleKeys(!singleKeys.value)} />
        Single keys act (the palette and Escape always do)
      </label>
    </>
  );
}
