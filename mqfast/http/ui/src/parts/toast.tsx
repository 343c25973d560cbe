import { dismiss, spoken, toasts } from "../actions";
import { Icon } from "./icon";

export function Toasts() {
  return (
    <>
      <div class="toasts" role="region" aria-label="Notifications">
        {toasts.value.map((toast) => (
          <div key={toast.id} class={toast.failed ? "toast of-failed" : "toast"} data-testid="toast">
            <span class="toast-text">{toast.text}</span>
            {toast.undo ? (
              <button
                type="button"
                class="button is-small"
                onClick={() => {
                  dismiss(toast.id);
                  toast.undo!();
                }}
              >
                Undo
              </button>
            ) : null}
            <button type="button" class="icon-button" aria-label="Dismiss" onClick={() => dismiss(toast.id)}>
              <Icon name="close" />
            </button>
          </div>
        ))}
      </div>
      <div class="sr-only" role="status" aria-live="polite">
        {spoken.value}
      </div>
    </>
  );
}
