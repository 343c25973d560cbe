// A real daemon with HTTP, and the socket's side of it, by which the tests read what an action did.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
export const PYTHON = process.env.MQFAST_PYTHON ?? join(root, ".venv", "bin", "python");

/** Calls `look` until it gives something true; that. Fails after `limit` ms, which no honest machine needs. */
export async function until(look, what, limit = 20_000) {
  const end = Date.now() + limit;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

export class Daemon {
  static async start({ port = 0, httpPort = 0, env = {} } = {}) {
    const flags = ["-m", "mqfast", "--port", String(port), "--http", "1", "--http-port", String(httpPort), "--host", "127.0.0.1", "--http-host", "127.0.0.1"];
    const child = spawn(PYTHON, flags, { cwd: root, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    let told = "";
    child.stderr.on("data", (text) => (told += text));
    const lines = createInterface({ input: child.stdout });
    const ended = once(child, "exit").then(([code]) => Promise.reject(new Error(`the daemon ended with ${code}: ${told}`)));
    ended.catch(() => {});
    const [line] = await Promise.race([once(lines, "line"), ended]);
    const found = /listening on [\d.]+:(\d+), .*?http:\/\/([\d.]+):(\d+)/.exec(line);
    if (!found) throw new Error(`no ports in: ${line}`);
    return new Daemon(child, Number(found[1]), Number(found[3]), env);
  }

  constructor(child, tcp, http, env) {
    this.child = child;
    this.tcp = tcp;
    this.http = http;
    this.env = env;
    this.url = `http://127.0.0.1:${http}/`;
  }

  async stop(signal = "SIGTERM") {
    this.socket?.close();
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, "exit");
    this.child.kill(signal);
    await gone;
  }

  /** Ends this one and gives another on the same ports. */
  async restart(env = this.env) {
    await this.stop();
    return Daemon.start({ port: this.tcp, httpPort: this.http, env });
  }

  /** A command over the socket; its answer. Text is sent as it is. */
  async call(command, fields = {}) {
    this.socket ??= await Socket.open(this.tcp);
    const line = typeof command === "string" && command.startsWith("{") ? command : JSON.stringify({ cmd: command, ...fields });
    return JSON.parse(await this.socket.ask(line));
  }

  /** The same, refusals as errors. */
  async ok(command, fields) {
    const answer = await this.call(command, fields);
    if (!answer.ok) throw new Error(`${command}: ${answer.error}`);
    return answer;
  }

  async queue(name) {
    return (await this.ok("LISTQUEUES")).queues.find((row) => row.name === name);
  }

  /** Pushes a job, pulls it and fails it for good; its id. */
  async dead(queue, error = "no such mailbox", data = {}) {
    this.urgent = (this.urgent ?? 1_000_000) + 1; // before all that waits, retried ones included
    const { id } = await this.ok("PUSH", { queue, data, max_attempts: 1, priority: this.urgent });
    const { job } = await this.ok("PULL", { queue, timeout: 0, lease: 600_000 });
    if (job.id !== id) throw new Error(`pulled ${job.id} in place of ${id}`);
    await this.ok("FAIL", { id, error });
    return id;
  }
}

class Socket {
  static async open(port) {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new Socket(socket);
  }

  constructor(socket) {
    this.socket = socket;
    this.waiting = [];
    createInterface({ input: socket }).on("line", (line) => this.waiting.shift()?.(line));
  }

  ask(line) {
    return new Promise((resolve, reject) => {
      this.waiting.push(resolve);
      this.socket.once("error", reject);
      this.socket.write(`${line}\n`);
    });
  }

  close() {
    this.socket.destroy();
  }
}

/** Fills a daemon as seed.py does. */
export async function seed(daemon, queues = 0) {
  const child = spawn(PYTHON, [join(here, "seed.py"), String(daemon.tcp), "--queues", String(queues)], { stdio: "inherit" });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`seed.py ended with ${code}`);
}
