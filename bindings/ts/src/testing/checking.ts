// Checks requests as the daemon does, by its own table of commands and fields.

import { FakeRefusal } from "./fake_refusal.js";
import { COMMAND_FIELDS, FIELDS, type Field } from "./fields.js";

type Members = Record<string, unknown>;

/**
 * The fields of a command, by their names in camelCase; null counts as absent. Throws FakeRefusal for what is wrong.
 */
export function checkRequest(command: string, request: Members): Members {
  const { required, optional } = COMMAND_FIELDS[command]!;
  return checkFields(request, required, [...optional, "reqId"]);
}

/** A job of a batch. */
export function checkItem(item: unknown): Members {
  if (typeof item !== "object" || item === null || Array.isArray(item)) {
    throw invalid("a job must be an object");
  }
  return checkFields(item as Members, ["data"], COMMAND_FIELDS["PUSH"]!.optional);
}

function checkFields(request: Members, required: readonly string[], optional: readonly string[]): Members {
  const checked: Members = {};
  for (const name of [...required, ...optional]) {
    const field = FIELDS[name]!;
    const value = request[name] === undefined ? request[field.snake] : request[name];
    const isRaw = field.type === "raw";
    if (value === undefined || (value === null && !isRaw)) {
      if (required.includes(name)) {
        throw invalid(`${field.snake} is required`);
      }
    } else {
      checkValue(field, value);
      checked[name] = value;
    }
  }
  return checked;
}

function checkValue(field: Field, value: unknown): void {
  const { type, snake } = field;
  switch (type) {
    case "raw":
      return;
    case "u64":
    case "i32":
    case "percent":
      return checkNumber(field, value);
    case "id":
      return checkId(snake, value);
    case "text":
    case "quote":
      return checkText(field, value);
    case "flag":
      return check(typeof value === "boolean", `${snake} must be true or false`);
    default:
      return checkList(field, value);
  }
}

function checkNumber({ type, snake, min, max }: Field, value: unknown): void {
  check(Number.isInteger(value), `${snake} must be an integer`);
  const [low, high] = { u64: [min, max], i32: [-(2 ** 31), 2 ** 31 - 1] }[type as "u64" | "i32"] ?? [
    -Infinity,
    Infinity,
  ];
  check((value as number) >= low! && (value as number) <= high!, `${snake} must be from ${low} to ${high}`);
}

function checkId(name: string, value: unknown): void {
  check(Number.isInteger(value), `${name} must be an integer`);
  if (!Number.isSafeInteger(value) || (value as number) < 1) {
    throw new FakeRefusal("bad_id", `Bad id: ${String(value)}`);
  }
}

function checkText({ snake, min, max }: Field, value: unknown): void {
  if (typeof value !== "string") {
    throw invalid(`${snake} must be a string`);
  }
  const size = Buffer.byteLength(value);
  check(size >= min, `${snake} must not be empty`);
  if (size > max) {
    throw new FakeRefusal("payload_too_large", `${snake} has ${size} bytes, more than ${max}`);
  }
  // Half of a pair has no form in UTF-8.
  check(!/\p{Surrogate}/u.test(value), `${snake} must be UTF-8`);
}

function checkList({ type, snake, max }: Field, value: unknown): void {
  if (!Array.isArray(value)) {
    throw invalid(`${snake} must be a list`);
  }
  if (value.length > max) {
    throw new FakeRefusal("payload_too_large", `${snake} has ${value.length} items, more than ${max}`);
  }
  for (const item of value as unknown[]) {
    if (type === "ids") {
      checkId(snake, item);
    } else if (type === "texts") {
      check(item === null || typeof item === "string", `${snake} must hold strings`);
    }
  }
}

function check(holds: boolean, text: string): void {
  if (!holds) {
    throw invalid(text);
  }
}

function invalid(text: string): FakeRefusal {
  return new FakeRefusal("invalid", `Invalid: ${text}`);
}
