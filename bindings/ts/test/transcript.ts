// Plays the transcripts of tests/conformance; their README describes the format.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";

import { RefusedError, type MagicQueueClient } from "magicqueue";

import { ROOT } from "./daemon.js";

export interface Step {
  line: number;
  send: unknown;
  expect: unknown;
}

export interface Scenario {
  file: string;
  name: string;
  settings: Record<string, unknown>;
  steps: Step[];
  /** It sends a number that JavaScript cannot write as it stands, such as 5.0 or 18446744073709551615. */
  hasForeignNumbers: boolean;
}

type Members = Record<string, unknown>;

/** All scenarios of all files. */
export function loadAll(): Scenario[] {
  const folder = join(ROOT, "tests/conformance");
  const files = readdirSync(folder).filter((name) => name.endsWith(".jsonl"));
  return files.sort().flatMap((file) => load(file, readFileSync(join(folder, file), "utf8")));
}

function load(file: string, text: string): Scenario[] {
  const scenarios: Scenario[] = [];
  text.split("\n").forEach((row, index) => {
    if (row.trim() === "") {
      return;
    }
    const parsed = JSON.parse(row) as Members;
    if (typeof parsed["scenario"] === "string") {
      const settings = (parsed["settings"] ?? {}) as Members;
      scenarios.push({ file, name: parsed["scenario"], settings, steps: [], hasForeignNumbers: false });
    } else {
      const scenario = scenarios.at(-1)!;
      scenario.steps.push({ line: index + 1, send: parsed["send"], expect: parsed["expect"] });
      scenario.hasForeignNumbers ||= typeof parsed["send"] === "object" && hasForeignNumbers(row.split('"expect"')[0]!);
    }
  });
  return scenarios;
}

function hasForeignNumbers(json: string): boolean {
  const withoutStrings = json.replace(/"(?:[^"\\]|\\.)*"/g, '""');
  return (withoutStrings.match(/-?\d[\d.eE+-]*/g) ?? []).some((text) => String(Number(text)) !== text);
}

export class Mismatch extends Error {}

/** Plays one scenario. */
export class Player {
  readonly #queue: string;
  readonly #saved = new Map<string, unknown>();

  constructor(queue: string) {
    this.#queue = queue;
  }

  /** Sends each step, an object or a raw line, and matches what comes back. */
  async play(scenario: Scenario, exchange: (request: object | string) => Promise<unknown>): Promise<void> {
    for (const step of scenario.steps) {
      const request = this.fill(step.send) as object | string;
      const answer = await exchange(request);
      try {
        this.match(step.expect, answer, "answer");
      } catch (error) {
        const shown = `sent ${JSON.stringify(request).slice(0, 500)}, got ${JSON.stringify(answer).slice(0, 1000)}`;
        throw new Mismatch(`${scenario.file}:${step.line} (${scenario.name}): ${(error as Error).message}; ${shown}`);
      }
    }
  }

  /** The value with names filled in. */
  fill(value: unknown): unknown {
    if (typeof value === "string") {
      return this.#fillText(value);
    }
    if (Array.isArray(value)) {
      return value.map((item) => this.fill(item));
    }
    if (typeof value !== "object" || value === null) {
      return value;
    }
    const members = value as Members;
    const names = Object.keys(members);
    if (names.length === 1 && names[0] === "$ref") {
      return this.#saved.get(members["$ref"] as string);
    }
    if (names.length === 1 && names[0] === "$repeat") {
      const { text, times } = members["$repeat"] as { text: string; times: number };
      return this.#fillText(text).repeat(times);
    }
    return Object.fromEntries(names.map((name) => [this.#fillText(name), this.fill(members[name])]));
  }

  #fillText(text: string): string {
    const named = text.replaceAll("$queue", this.#queue);
    return named.replace(/\$\{(\w+)\}/g, (_, name: string) => String(this.#saved.get(name)));
  }

  /** Throws Mismatch unless the value is as expected. */
  match(expected: unknown, value: unknown, where: string): void {
    if (Array.isArray(expected)) {
      check(Array.isArray(value) && value.length === expected.length, where, expected);
      expected.forEach((item, index) => this.match(item, (value as unknown[])[index], `${where}[${index}]`));
    } else if (typeof expected === "object" && expected !== null) {
      const members = expected as Members;
      if ("$refused" in members) {
        this.#matchRefusal(members, value, where);
      } else if (Object.keys(members).some((name) => name.startsWith("$"))) {
        Object.entries(members).forEach(([name, argument]) => this.#matchOne(name, argument, value, where));
      } else {
        this.#matchObject(members, value, where);
      }
    } else {
      check(Object.is(this.fill(expected), value), where, this.fill(expected));
    }
  }

  #matchObject(expected: Members, value: unknown, where: string): void {
    check(typeof value === "object" && value !== null && !Array.isArray(value), where, "an object");
    const members = value as Members;
    const names = Object.keys(expected).filter((name) => name !== "...");
    for (const name of names) {
      const filled = this.#fillText(name);
      check(Object.hasOwn(members, filled), where, `a member ${filled}`);
      this.match(expected[name], members[filled], `${where}.${filled}`);
    }
    if (!("..." in expected)) {
      check(Object.keys(members).length === names.length, where, `only ${names.join(", ")}`);
    }
  }

  #matchRefusal(expected: Members, value: unknown, where: string): void {
    const { $refused: code, ...rest } = expected;
    const error = code === "invalid" ? { $match: "^Invalid: ." } : { $type: "str" };
    this.#matchObject({ ok: false, code, error, retryable: { $type: "bool" }, ...rest }, value, where);
  }

  #matchOne(name: string, argument: unknown, value: unknown, where: string): void {
    switch (name) {
      case "$any":
        return;
      case "$type":
        return check(isOfType(argument as string, value), where, argument);
      case "$save":
        this.#saved.set(argument as string, value);
        return;
      case "$ref":
        return check(isDeepStrictEqual(this.#saved.get(argument as string), value), where, argument);
      case "$match":
        return check(
          typeof value === "string" && new RegExp(this.fill(argument) as string).test(value),
          where,
          argument,
        );
      case "$in":
        return check(
          (argument as unknown[]).some((choice) => this.#fits(choice, value)),
          where,
          argument,
        );
      case "$not":
        return check(!this.#fits(argument, value), where, `not ${JSON.stringify(argument)}`);
      case "$range": {
        const [low, high] = this.fill(argument) as [number, number];
        return check(typeof value === "number" && low <= value && value <= high, where, argument);
      }
      case "$length":
        return check(lengthOf(value) === argument, where, `length ${String(argument)}`);
      case "$once":
        return check(
          Array.isArray(value) && value.filter((item) => this.#fits(argument, item)).length === 1,
          where,
          argument,
        );
      case "$never":
        return check(Array.isArray(value) && !value.some((item) => this.#fits(argument, item)), where, argument);
      default:
        throw new Error(`unknown matcher ${name}`);
    }
  }

  #fits(expected: unknown, value: unknown): boolean {
    try {
      this.match(expected, value, "");
      return true;
    } catch (error) {
      if (error instanceof Mismatch) {
        return false;
      }
      throw error;
    }
  }
}

function isOfType(type: string, value: unknown): boolean {
  switch (type) {
    case "int":
      return Number.isInteger(value);
    case "number":
      return typeof value === "number";
    case "str":
      return typeof value === "string";
    case "bool":
      return typeof value === "boolean";
    case "list":
      return Array.isArray(value);
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "null":
      return value === null;
    default:
      throw new Error(`unknown type ${type}`);
  }
}

function lengthOf(value: unknown): number | undefined {
  if (typeof value === "string") {
    return [...value].length;
  }
  return typeof value === "object" && value !== null ? Object.keys(value).length : undefined;
}

function check(holds: boolean, where: string, expected: unknown): void {
  if (!holds) {
    throw new Mismatch(`${where} is not ${JSON.stringify(expected)}`);
  }
}

/** A client's answer or refusal as it was on the wire. */
export async function exchange(client: MagicQueueClient, request: object | string): Promise<unknown> {
  try {
    // What is no object goes as it stands.
    return await (typeof request === "string" ? client.transport.send(request) : client.send(request));
  } catch (error) {
    if (!(error instanceof RefusedError)) {
      throw error;
    }
    const { message, code, retryable } = error;
    const { reqId, req_id: snake } = request as { reqId?: unknown; req_id?: unknown };
    const id = typeof request === "string" ? undefined : (reqId ?? snake);
    const hasId = typeof id === "string" && Buffer.byteLength(id) <= 128;
    return { ok: false, error: message, code, retryable, ...(hasId && { reqId: id }) };
  }
}
