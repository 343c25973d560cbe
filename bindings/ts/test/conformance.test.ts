import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { MagicQueueClient } from "magicqueue";

import { Daemon, uniqueName } from "./daemon.js";
import { Mismatch, Player, exchange, loadAll, type Scenario } from "./transcript.js";

function flagsOf(scenario: Scenario): string[] {
  return Object.entries(scenario.settings).flatMap(([name, value]) => [
    `--${name.replaceAll("_", "-")}`,
    String(value),
  ]);
}

describe("every transcript holds through MagicQueueClient.send", () => {
  const daemons = new Map<string, Daemon>();

  before(async () => {
    daemons.set("", await Daemon.start());
  });
  after(() => Promise.all([...daemons.values()].map((daemon) => daemon.stop())));

  async function daemonFor(scenario: Scenario): Promise<Daemon> {
    const flags = flagsOf(scenario);
    const key = flags.join(" ");
    if (!daemons.has(key)) {
      daemons.set(key, await Daemon.start(...flags));
    }
    return daemons.get(key)!;
  }

  // Some say numbers that JavaScript cannot write, such as 5.0: they are no matter of a client here.
  for (const scenario of loadAll().filter((one) => !one.hasForeignNumbers)) {
    it(`${scenario.file}: ${scenario.name}`, async () => {
      const daemon = await daemonFor(scenario);
      const client = new MagicQueueClient({ host: "127.0.0.1", port: daemon.port, retry: { attempts: 0 } });
      await client.connect();
      try {
        await new Player(uniqueName("c")).play(scenario, (request) => exchange(client, request));
      } finally {
        await client.close();
      }
    });
  }
});

describe("the matchers", () => {
  const cases: [boolean, unknown, unknown][] = [
    [true, { a: 1 }, { a: 1 }],
    [true, { a: 1, "...": true }, { a: 1, b: 2 }],
    [true, { $type: "int", $range: [1, 2] }, 2],
    [true, { $refused: "invalid" }, { ok: false, code: "invalid", error: "Invalid: x", retryable: false }],
    [true, [{ $in: [1, 2] }, { $not: 3 }], [2, 4]],
    [false, { a: 1 }, { a: 1, b: 2 }],
    [false, { a: 1, "...": true }, { b: 2 }],
    [false, 1, true],
    [false, [1], [1, 1]],
    [false, { $once: 1 }, [1, 1]],
    [false, { $never: 1 }, [1]],
    [false, { $refused: "invalid" }, { ok: false, code: "invalid", error: "Bad", retryable: false }],
    [false, { $refused: "failed" }, { ok: false, code: "failed", error: "x" }],
  ];
  for (const [holds, expected, value] of cases) {
    it(`${JSON.stringify(expected)} ${holds ? "matches" : "refuses"} ${JSON.stringify(value)}`, () => {
      const match = (): void => new Player("q").match(expected, value, "value");
      if (holds) {
        match();
      } else {
        assert.throws(match, Mismatch);
      }
    });
  }
});
