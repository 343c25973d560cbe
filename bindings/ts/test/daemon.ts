// A real daemon for tests: on a free port, ended with the test that started it.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The repository's root: the nearest folder above with the daemon's package. */
export const ROOT = findRoot(dirname(fileURLToPath(import.meta.url)));
const PYTHON = process.env["MQFAST_PYTHON"] ?? join(ROOT, ".venv/bin/python");

/** Milliseconds that anything may take on a machine that is slow; nothing waits so long when all is well. */
export const PATIENCE = 60_000;

function findRoot(folder: string): string {
  return existsSync(join(folder, "mqfast/__main__.py")) ? folder : findRoot(dirname(folder));
}

let counter = 0;

/** A queue name that nothing else uses. */
export function uniqueName(prefix = "q"): string {
  counter += 1;
  return `${prefix}-${process.pid}-${counter}`;
}

/** A folder for one test, and how to remove it. */
export function temporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "magicqueue-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export class Daemon {
  private constructor(
    readonly process: ChildProcess,
    readonly port: number,
    /** With the flag --http. */
    readonly httpPort: number,
  ) {}

  /** Resolves when it listens. Rejects with what it printed if it ends instead. */
  static async start(...flags: string[]): Promise<Daemon> {
    const port = flags.includes("--port") ? [] : ["--port", "0"];
    const child = spawn(PYTHON, ["-m", "mqfast", ...port, ...flags], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
    });
    // A test that is given up must not leave it behind.
    process.once("exit", () => child.kill("SIGKILL"));
    let errors = "";
    child.stderr.on("data", (text: Buffer) => (errors += text.toString()));
    const ended = once(child, "exit");
    const lines = createInterface({ input: child.stdout });
    const line = await Promise.race([
      once(lines, "line").then(([first]) => first as string),
      ended.then(() => Promise.reject(new Error(`the daemon ended: ${errors}`))),
    ]);
    const port_ = /(?<!https?:\/\/)127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    const httpPort = /https?:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    if (port_ === undefined) {
      throw new Error(`the daemon said: ${line}`);
    }
    return new Daemon(child, Number(port_), Number(httpPort ?? 0));
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const ended = once(this.process, "exit");
      this.process.kill(signal);
      await ended;
    }
  }

  stop(): Promise<void> {
    return this.kill("SIGTERM");
  }
}

/** Resolves when the condition holds; looks again after a moment. Rejects after PATIENCE. */
export async function until(condition: () => boolean | Promise<boolean>, what = "a condition"): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!(await condition())) {
    if (Date.now() > end) {
      throw new Error(`waited in vain for ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A promise and its ends. */
export interface Deferred<T> {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: Error) => void;
}

export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
