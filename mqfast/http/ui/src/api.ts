// Requests to the REST side. The token is in a header only: never in a URL, never in a cookie.
import { signal } from "@preact/signals";

const KEY = "mqfast-token";

function kept(): string {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

let token = kept();

/** What the token form is for: "" = not needed, "needed", or "wrong" when the one given is not accepted. */
export const unauthorized = signal<"" | "needed" | "wrong">("");

export function setToken(next: string, keep: boolean): void {
  token = next;
  try {
    if (keep && next) sessionStorage.setItem(KEY, next);
    else sessionStorage.removeItem(KEY);
  } catch {
    // storage is forbidden: in memory only
  }
  unauthorized.value = "";
}

/** A refusal, or no answer at all (status 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    text: string,
    readonly retryAfter = 0,
  ) {
    super(text);
  }
}

export async function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (token) headers["Authorization"] = `Bearer ${token}`;
  const init: RequestInit = { method, headers, credentials: "omit", cache: "no-store" };
  if (signal) init.signal = signal;
  if (method !== "GET") {
    headers["Content-Type"] = "application/json";
    init.body = typeof body === "string" ? body : JSON.stringify(body ?? {});
  }
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "unreachable", "The server does not answer");
  }
  if (response.ok) return response;
  throw await refusal(response);
}

async function refusal(response: Response): Promise<ApiError> {
  let code = String(response.status);
  let text = response.statusText || `Status ${response.status}`;
  try {
    const answer = (await response.json()) as { code?: string; error?: string; description?: string; title?: string };
    code = answer.code ?? code;
    text = answer.error ?? answer.description ?? answer.title ?? text;
  } catch {
    // not in the usual shape: the status says it
  }
  if (response.status === 401) unauthorized.value = token ? "wrong" : "needed";
  return new ApiError(response.status, code, text, Number(response.headers.get("Retry-After")) || 0);
}

/** The `data` of an answer that holds no payload. */
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const answer = (await (await send("GET", path, undefined, signal)).json()) as { data: T };
  return answer.data;
}

/** An answer as text, for what holds payloads. */
export async function getText(path: string, signal?: AbortSignal): Promise<string> {
  return (await send("GET", path, undefined, signal)).text();
}

export const queuePath = (name: string, rest = ""): string => `queues/${encodeURIComponent(name)}${rest}`;
