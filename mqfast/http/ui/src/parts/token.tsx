// The token, asked for in place: the route stays what it was.
import { useSignal } from "@preact/signals";
import { GlyphIcon } from "./text";
import { setToken, unauthorized } from "../api";

export function TokenForm() {
  const value = useSignal("");
  const keep = useSignal(false);
  return (
    <form
      class="token panel"
      onSubmit={(event) => {
        event.preventDefault();
        if (value.value.trim()) setToken(value.value.trim(), keep.value);
      }}
    >
      <h1 tabIndex={-1}>Token</h1>
      <p class="muted">This server wants one of its AUTH_TOKENS. It is sent in a header, kept in this tab only, and forgotten with it.</p>
      {unauthorized.value === "wrong" ? (
        <p class="of-failed" role="alert">
          <GlyphIcon name="cross" /> The server does not accept this token.
        </p>
      ) : null}
      <label class="field">
        <span>Token</span>
        <input class="input mono" type="password" name="token" autocomplete="off" autofocus value={value.value} onInput={(event) => (value.value = event.currentTarget.value)} />
      </label>
      <label class="check-line">
        <input type="checkbox" checked={keep.value} onClick={() => (keep.value = !keep.value)} />
        Keep it across reloads of this tab
      </label>
      <button type="submit" class="button is-primary">
        Continue
      </button>
    </form>
  );
}
