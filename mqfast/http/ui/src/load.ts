// Something fetched for a view: loaded when what it depends on changes, the last good value kept while it is renewed.
import { useSignal, type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

export interface Loaded<T> {
  data: Signal<T | undefined>;
  error: Signal<unknown>;
  again: () => void;
}

/** `key` names what is loaded; another key throws the old value away, the same key with `again` keeps it. */
export function useLoad<T>(key: string, load: (signal: AbortSignal) => Promise<T>, version: unknown = 0): Loaded<T> {
  const data = useSignal<T | undefined>(undefined);
  const error = useSignal<unknown>(null);
  const tries = useSignal(0);
  const last = useRef("");
  useEffect(() => {
    const stop = new AbortController();
    if (last.current !== key) data.value = undefined;
    last.current = key;
    load(stop.signal).then(
      (value) => {
        if (stop.signal.aborted) return;
        data.value = value;
        error.value = null;
      },
      (failure: unknown) => {
        if (!stop.signal.aborted) error.value = failure;
      },
    );
    return () => stop.abort();
  }, [key, version, tries.value]);
  return { data, error, again: () => tries.value++ };
}
