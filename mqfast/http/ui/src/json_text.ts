// Reading JSON as text. A payload is shown as it is stored: every digit, every duplicate key, in its order; so it is cut
// out of the reply and indented by its tokens, and never parsed into values. Nesting is counted, not recursed into.
// The server only keeps valid JSON, so the scanner follows structure and does not check grammar.

export type Kind = "open" | "close" | "key" | "string" | "number" | "word" | "comma" | "colon";

export interface Token {
  kind: Kind;
  start: number;
  end: number;
}

const SPACE = /[ \t\r\n]*/y;
const SCALAR = /[^\s,\]}:"[{]+/y;

function skipSpace(text: string, at: number): number {
  SPACE.lastIndex = at;
  SPACE.test(text);
  return SPACE.lastIndex;
}

function stringEnd(text: string, at: number): number {
  for (let from = at + 1; ; ) {
    const quote = text.indexOf('"', from);
    if (quote < 0) return text.length;
    let slashes = 0;
    while (text[quote - 1 - slashes] === "\\") slashes++;
    if (slashes % 2 === 0) return quote + 1;
    from = quote + 1;
  }
}

/** The tokens of text from start to end, in order. A string directly before a colon is a key. */
export function* tokens(text: string, start = 0, end = text.length): Generator<Token> {
  for (let at = skipSpace(text, start); at < end; at = skipSpace(text, at)) {
    const c = text[at]!;
    if (c === '"') {
      const stop = stringEnd(text, at);
      yield { kind: text[skipSpace(text, stop)] === ":" ? "key" : "string", start: at, end: stop };
      at = stop;
    } else if (c === "{" || c === "[") yield { kind: "open", start: at, end: ++at };
    else if (c === "}" || c === "]") yield { kind: "close", start: at, end: ++at };
    else if (c === ",") yield { kind: "comma", start: at, end: ++at };
    else if (c === ":") yield { kind: "colon", start: at, end: ++at };
    else {
      SCALAR.lastIndex = at;
      SCALAR.test(text);
      const stop = SCALAR.lastIndex || at + 1;
      yield { kind: /[-0-9]/.test(c) ? "number" : "word", start: at, end: stop };
      at = stop;
    }
  }
}

/** Where the value that begins at `at` (or after spaces) ends. */
export function valueEnd(text: string, at: number): number {
  let depth = 0;
  for (const token of tokens(text, at)) {
    if (token.kind === "open") depth++;
    else if (token.kind === "close") depth--;
    if (depth <= 0) return token.end;
  }
  return text.length;
}

/** The members of the object that begins at `at`, as raw text; of a repeated key the last. */
export function members(text: string, at = 0): Map<string, string> {
  const found = new Map<string, string>();
  let i = skipSpace(text, at);
  if (text[i] !== "{") return found;
  i = skipSpace(text, i + 1);
  while (i < text.length && text[i] === '"') {
    const keyEnd = stringEnd(text, i);
    const key = JSON.parse(text.slice(i, keyEnd)) as string;
    const from = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const to = valueEnd(text, from);
    found.set(key, text.slice(from, to));
    i = skipSpace(text, to);
    if (text[i] !== ",") break;
    i = skipSpace(text, i + 1);
  }
  return found;
}

/** A line of an indented text. `fold`: the index of the line that closes what this one opens. */
export interface Line {
  depth: number;
  parts: Token[];
  fold: number;
}

/** text as indented lines, until about `budget` characters; `read` is how far it came. */
export function lines(text: string, budget: number): { lines: Line[]; read: number } {
  const out: Line[] = [];
  const opened: number[] = [];
  let depth = 0;
  let line: Line = { depth: 0, parts: [], fold: -1 };
  let read = text.length;
  let before: Token | undefined;
  const flush = () => {
    if (line.parts.length) out.push(line);
    line = { depth, parts: [], fold: -1 };
  };
  for (const token of tokens(text)) {
    if (token.start >= budget) {
      read = token.start;
      break;
    }
    if (token.kind === "close") {
      depth--;
      const empty = before?.kind === "open";
      if (!empty) flush();
      line.depth = empty ? line.depth : depth;
      const start = opened.pop();
      if (start !== undefined && !empty) out[start]!.fold = out.length;
      line.parts.push(token);
    } else {
      if (before?.kind === "open" || before?.kind === "comma") flush();
      line.parts.push(token);
      if (token.kind === "open") {
        opened.push(out.length);
        depth++;
      }
    }
    before = token;
  }
  flush();
  return { lines: out, read };
}
