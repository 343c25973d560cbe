import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { MagicQueueError } from "magicqueue";

import { describe as inWords, parseUrl, resolveAddress } from "#dist/address.js";
import { waitBefore } from "#dist/backoff.js";
import { Fifo } from "#dist/fifo.js";
import { LineSplitter } from "#dist/lines.js";
import { treatmentOf } from "#dist/resending.js";

describe("LineSplitter", () => {
  it("gives the same lines however the bytes are cut", () => {
    const lines = ["one", "", "zwölf 🐇", "x".repeat(1000)];
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
    for (const size of [1, 2, 3, 7, 100, bytes.length]) {
      const splitter = new LineSplitter();
      const got: string[] = [];
      for (let at = 0; at < bytes.length; at += size) {
        got.push(...splitter.push(bytes.subarray(at, at + size)));
      }
      assert.deepEqual(got, lines, `pieces of ${size}`);
    }
  });

  it("keeps an unfinished line until it is forgotten", () => {
    const splitter = new LineSplitter();
    assert.deepEqual(splitter.push(Buffer.from("half")), []);
    splitter.clear();
    assert.deepEqual(splitter.push(Buffer.from("whole\n")), ["whole"]);
  });

  it("joins a long line once, not with every piece", () => {
    const splitter = new LineSplitter();
    const concat = Buffer.concat;
    let joined = 0;
    Buffer.concat = ((list: readonly Uint8Array[], length?: number) => {
      joined += 1;
      return concat(list, length);
    }) as typeof Buffer.concat;
    try {
      for (let i = 0; i < 1000; i += 1) {
        splitter.push(Buffer.from("x".repeat(100)));
      }
      assert.equal(splitter.push(Buffer.from("\n"))[0]!.length, 100_000);
    } finally {
      Buffer.concat = concat;
    }
    assert.equal(joined, 1);
  });
});

describe("Fifo", () => {
  it("agrees with an array under random operations", () => {
    const fifo = new Fifo<number>();
    const model: number[] = [];
    let state = 42;
    const random = (): number => (state = (state * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
    for (let i = 0; i < 20_000; i += 1) {
      const choice = random();
      if (choice < 0.5) {
        fifo.push(i);
        model.push(i);
      } else if (choice < 0.999) {
        assert.equal(fifo.shift(), model.shift());
      } else {
        assert.deepEqual(fifo.drain(), model.splice(0));
      }
      assert.equal(fifo.length, model.length);
    }
  });
});

describe("waitBefore", () => {
  it("doubles up to its cap and takes any part of that", () => {
    const options = { base: 50, cap: 300 };
    assert.deepEqual(
      [0, 1, 2, 3, 50].map((n) => waitBefore(n, options, () => 1)),
      [50, 100, 200, 300, 300],
    );
    assert.equal(
      waitBefore(2, options, () => 0),
      0,
    );
    assert.equal(
      waitBefore(2, options, () => 0.5),
      100,
    );
  });
});

describe("addresses", () => {
  it("takes every part of a URL", () => {
    assert.deepEqual(parseUrl("mq://s%40cret@queue.example:7000/e%2Fmails"), {
      token: "s@cret",
      host: "queue.example",
      port: 7000,
      queue: "e/mails",
    });
    assert.deepEqual(parseUrl("mq://[::1]"), { host: "::1" });
    assert.deepEqual(parseUrl("mqs://queue.example"), { host: "queue.example", tls: {} });
    assert.deepEqual(parseUrl("mq+unix:///run/mq.sock?queue=emails&token=tok"), {
      token: "tok",
      unixSocket: "/run/mq.sock",
      queue: "emails",
    });
  });

  it("refuses what is no URL of a daemon, without showing its token", () => {
    assert.throws(() => parseUrl("http://localhost/q"), MagicQueueError);
    assert.throws(() => parseUrl("mq+unix://"), MagicQueueError);
    assert.throws(
      () => parseUrl("mq://s3cret@host:99999/q"),
      (error: Error) => {
        return error instanceof MagicQueueError && !error.message.includes("s3cret");
      },
    );
    assert.throws(() => parseUrl("mq://host/%zz"), MagicQueueError);
  });

  it("prefers options to the URL, the URL to MQ_URL, MQ_URL to the default", () => {
    const environment = { MQ_URL: "mq://e@env:1/q" };
    const of = (options: object): string => inWords(resolveAddress(options, environment));
    assert.equal(of({}), "env:1");
    assert.equal(of({ url: "mq://u@url:2" }), "url:2");
    assert.equal(of({ url: "mq://u@url:2", port: 3 }), "url:3");
    assert.equal(of({ host: "h" }), "h:6789");
    assert.equal(of({ unixSocket: "/s" }), "/s");
    assert.equal(of({ url: "mq+unix:///s", host: "h" }), "h:6789");
    assert.equal(inWords(resolveAddress({}, {})), "localhost:6789");
    assert.equal(inWords(resolveAddress({ host: "::1" }, {})), "[::1]:6789");
    assert.equal(resolveAddress({ url: "mq://u@url:2" }, environment).token, "u");
    assert.equal(resolveAddress({ url: "mq://u@url:2", token: "t" }, environment).token, "t");
  });

  it("refuses ports that are none", () => {
    for (const port of [0, -1, 65536, 1.5, NaN]) {
      assert.throws(() => resolveAddress({ port }, {}), MagicQueueError);
    }
  });
});

describe("treatmentOf", () => {
  const resend = (request: object): boolean => treatmentOf(request).resend;

  it("sends a push twice only if its key makes the second a duplicate", () => {
    assert.equal(resend({ cmd: "PUSH", queue: "q", data: 1 }), false);
    assert.equal(resend({ cmd: "push", queue: "q", data: 1, uniqueKey: "k" }), true);
    assert.equal(resend({ cmd: "PUSH", queue: "q", data: 1, unique_key: "k" }), true);
    assert.equal(resend({ cmd: "PUSHB", queue: "q", jobs: [{ data: 1, uniqueKey: "k" }] }), false);
  });

  it("sends the end of a delivery twice only with its token", () => {
    assert.equal(resend({ cmd: "ACK", id: 1 }), false);
    assert.equal(resend({ cmd: "ACK", id: 1, token: "t" }), true);
    assert.equal(resend({ cmd: "ACKB", ids: [1, 2], tokens: ["t", null] }), false);
    assert.equal(resend({ cmd: "ACKB", ids: [1, 2], tokens: ["t", "u"] }), true);
    assert.equal(resend({ cmd: "RELEASE", ids: [1], tokens: ["t"] }), true);
  });

  it("never repeats what destroys, nor what it does not know", () => {
    for (const cmd of ["CANCEL", "DRAIN", "OBLITERATE", "PURGEDLQ", "RETRYDLQ", "CRONRUN", "NONSENSE", "constructor"]) {
      assert.equal(resend({ cmd }), false, cmd);
    }
    assert.equal(resend({}), false);
  });

  it("knows which answers may have to wait", () => {
    assert.deepEqual(
      ["PULL", "pullb", "WAITJOB", "PUSH", "STATS"].map((cmd) => treatmentOf({ cmd }).parks),
      [true, true, true, false, false],
    );
  });
});
