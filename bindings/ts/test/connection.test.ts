import assert from "node:assert/strict";
import { Socket } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";

import {
  AuthFailedError,
  BatchRefusedError,
  ConnectionLostError,
  DuplicateError,
  MagicQueueClient,
  NotConnectedError,
  Queue,
  RefusedError,
  StorageFullError,
  type ClientOptions,
} from "magicqueue";

import { until } from "./daemon.js";
import { LineServer } from "./line_server.js";

const QUICK: ClientOptions = { reconnect: { base: 1, cap: 5 }, retry: { base: 1, cap: 5, attempts: 3 } };

describe("a client", () => {
  let server: LineServer;
  let client: MagicQueueClient;
  const more: { close(): Promise<void> }[] = [];

  beforeEach(async () => {
    server = await LineServer.start();
    client = new MagicQueueClient({ ...QUICK, host: "127.0.0.1", port: server.port, closeTimeout: 50 });
  });
  afterEach(async () => {
    await client.close();
    await Promise.all(more.splice(0).map((one) => one.close()));
    await server.stop();
  });

  function queueOf(options: ClientOptions = {}): Queue {
    const queue = new Queue("q", { ...QUICK, host: "127.0.0.1", port: server.port, closeTimeout: 50, ...options });
    more.push(queue);
    return queue;
  }

  it("sends nothing before connect, nor after close", async () => {
    await assert.rejects(client.send({ cmd: "PING" }), NotConnectedError);
    assert.equal(client.isConnected(), false);
    await client.connect();
    assert.equal(client.isConnected(), true);
    await client.close();
    assert.equal(client.isConnected(), false);
    await assert.rejects(client.send({ cmd: "PING" }), NotConnectedError);
  });

  it("can connect again after close", async () => {
    await client.connect();
    await client.close();
    await client.connect();
    const answer = client.send({ cmd: "PING" });
    await server.answer({ ok: true, pong: true });
    assert.deepEqual(await answer, { ok: true, pong: true });
  });

  it("says where it could not connect, and that nothing was done", async () => {
    const { port } = server;
    await server.stop();
    await assert.rejects(client.connect(), (error: unknown) => {
      return error instanceof ConnectionLostError && !error.maybeDone && error.message.includes(`127.0.0.1:${port}`);
    });
    server = await LineServer.start();
  });

  it("gives answers to requests in order, and those that may wait to whom their reqId belongs", async () => {
    await client.connect();
    const pull = client.send({ cmd: "PULL", queue: "q" });
    const ping = client.send({ cmd: "PING" });
    const wait = client.send({ cmd: "WAITJOB", id: 1, reqId: "mine" });
    const requests = [await server.next(), await server.next(), await server.next()];
    assert.equal(requests[1]!.reqId, undefined);
    const ids = [requests[0]!.reqId, requests[2]!.reqId];
    assert.equal(new Set([...ids, undefined]).size, 3);
    void client.send({ cmd: "STATS" }).catch(() => undefined);
    const answers = [
      { ok: true, result: 7, reqId: ids[1] },
      { ok: true, pong: true },
      { ok: true, job: null, reqId: ids[0] },
    ];
    await server.answer(answers.map((answer) => `${JSON.stringify(answer)}\n`).join(""));
    assert.deepEqual(await ping, { ok: true, pong: true });
    assert.deepEqual(await wait, { ok: true, result: 7, reqId: "mine" });
    assert.deepEqual(await pull, { ok: true, job: null });
  });

  it("writes the requests of one tick together", async () => {
    await client.connect();
    const write = Socket.prototype.write;
    let writes = 0;
    Socket.prototype.write = function (this: Socket, ...args: unknown[]) {
      writes += 1;
      return Reflect.apply(write, this, args) as boolean;
    } as typeof write;
    const pings = Promise.all(Array.from({ length: 20 }, () => client.send({ cmd: "PING" })));
    await server.next();
    Socket.prototype.write = write;
    assert.equal(writes, 1);
    await server.answer('{"ok":true,"pong":true}\n'.repeat(20));
    await pings;
  });

  it("throws a refusal as the class of its code; a code it does not know as RefusedError", async () => {
    await client.connect();
    const duplicate = client.send({ cmd: "PUSH", queue: "q", data: 1 });
    await server.answer({ ok: false, error: "Duplicate job with key: k", code: "duplicate", retryable: false });
    await assert.rejects(duplicate, (error: unknown) => {
      return error instanceof DuplicateError && error.message === "Duplicate job with key: k" && !error.maybeDone;
    });
    const strange = client.send({ cmd: "PING" });
    await server.answer({ ok: false, error: "No", code: "from_the_future", retryable: false });
    await assert.rejects(
      strange,
      (error: unknown) => error instanceof RefusedError && error.code === "from_the_future",
    );
  });

  it("sends again what is refused as retryable, then gives up", async () => {
    await client.connect();
    const full = { ok: false, error: "Storage full", code: "storage_full", retryable: true };
    const first = client.send({ cmd: "PUSH", queue: "q", data: 1 });
    await server.answer(full);
    await server.answer(full);
    await server.answer({ ok: true, id: 5 });
    assert.deepEqual(await first, { ok: true, id: 5 });
    const second = client.send({ cmd: "PUSH", queue: "q", data: 2 });
    const refused = assert.rejects(second, StorageFullError);
    for (let i = 0; i < 4; i += 1) {
      assert.equal((await server.answer(full))["data"], 2);
    }
    await refused;
    assert.equal(server.unread, 0);
  });

  it("does not ask again when a wait is over", async () => {
    await client.connect();
    const waiting = client.send({ cmd: "WAITJOB", id: 1, timeout: 5 });
    await server.answer({ ok: false, error: "Timeout waiting for job 1", code: "timeout", retryable: true });
    await assert.rejects(waiting, { code: "timeout" });
    assert.equal(server.unread, 0);
  });

  it("parks a pull again on the next connection", async () => {
    await client.connect();
    const pull = client.send({ cmd: "PULL", queue: "q" });
    await server.cut();
    const again = await server.answer({ ok: true, job: null });
    assert.equal(again.cmd, "PULL");
    assert.deepEqual(await pull, { ok: true, job: null });
    assert.equal(server.connections, 2);
  });

  it("never pushes twice what has no key: it may have been done", async () => {
    await client.connect();
    const push = client.send({ cmd: "PUSH", queue: "q", data: 1 });
    const failed = assert.rejects(push, (error: unknown) => error instanceof ConnectionLostError && error.maybeDone);
    await server.cut();
    await failed;
    const ping = client.send({ cmd: "PING" });
    assert.equal((await server.answer({ ok: true, pong: true })).cmd, "PING");
    await ping;
  });

  it("pushes again what has a key, and says of a duplicate that it may be its own", async () => {
    await client.connect();
    const push = client.send({ cmd: "PUSH", queue: "q", data: 1, uniqueKey: "k" });
    await server.cut();
    const failed = assert.rejects(push, (error: unknown) => error instanceof DuplicateError && error.maybeDone);
    const again = await server.answer({
      ok: false,
      error: "Duplicate job with key: k",
      code: "duplicate",
      retryable: false,
    });
    assert.equal(again["uniqueKey"], "k");
    await failed;
  });

  it("keeps requests made without a connection until there is one", async () => {
    let push: Promise<{ id: number }> | undefined;
    const onConnection = (state: string): void => {
      if (state === "lost") {
        assert.equal(reconnecting.isConnected(), false);
        push = reconnecting.send({ cmd: "PUSH", queue: "q", data: 1 });
      }
    };
    const reconnecting = new MagicQueueClient({
      ...QUICK,
      host: "127.0.0.1",
      port: server.port,
      onConnection,
      closeTimeout: 50,
    });
    more.push(reconnecting);
    await reconnecting.connect();
    const pull = reconnecting.send({ cmd: "PULL", queue: "q" });
    await server.cut();
    const seen = [
      await server.answer({ ok: true, job: null, id: 9 }),
      await server.answer({ ok: true, job: null, id: 9 }),
    ];
    assert.deepEqual(seen.map((request) => request.cmd).sort(), ["PULL", "PUSH"]);
    assert.equal((await push!).id, 9);
    await pull;
  });

  it("gives up waiting for a connection after offlineTimeout", async () => {
    const { port } = server;
    const impatient = new MagicQueueClient({ ...QUICK, host: "127.0.0.1", port, offlineTimeout: 20 });
    more.push(impatient);
    await impatient.connect();
    await server.stop();
    await until(() => !impatient.isConnected(), "the loss");
    await assert.rejects(impatient.send({ cmd: "PING" }), (error: unknown) => {
      return error instanceof ConnectionLostError && !error.maybeDone;
    });
    server = await LineServer.start(port);
  });

  it("stops connecting again after so many attempts", async () => {
    const { port } = server;
    const states: string[] = [];
    const onConnection = (state: string): void => void states.push(state);
    const few = new MagicQueueClient({
      host: "127.0.0.1",
      port,
      reconnect: { base: 1, cap: 1, attempts: 3 },
      onConnection,
    });
    more.push(few);
    await few.connect();
    const pull = assert.rejects(few.send({ cmd: "PULL", queue: "q" }), ConnectionLostError);
    await server.stop();
    await pull;
    assert.deepEqual(states, ["open", "lost", "retrying", "retrying"]);
    await assert.rejects(few.send({ cmd: "PING" }), NotConnectedError);
    server = await LineServer.start(port);
  });

  it("gives its token first on every connection", async () => {
    const withToken = new MagicQueueClient({ ...QUICK, url: `mq://s3cret@127.0.0.1:${server.port}`, closeTimeout: 50 });
    more.push(withToken);
    const connecting = withToken.connect();
    assert.deepEqual(await server.answer({ ok: true }), { cmd: "AUTH", token: "s3cret" });
    await connecting;
    const ping = withToken.send({ cmd: "PING" });
    await server.cut();
    assert.equal((await server.answer({ ok: true })).cmd, "AUTH");
    assert.equal((await server.answer({ ok: true, pong: true })).cmd, "PING");
    await ping;
  });

  it("does not wait for ever for what the daemon says to its token", async () => {
    const queue = queueOf({ token: "s3cret", connectTimeout: 20 });
    await assert.rejects(queue.push(1), (error: unknown) => {
      return error instanceof ConnectionLostError && !error.maybeDone && error.message.includes("no answer for 20 ms");
    });
  });

  it("is refused with a wrong token and does not try again", async () => {
    const withToken = new MagicQueueClient({ ...QUICK, url: `mq://wrong@127.0.0.1:${server.port}`, closeTimeout: 50 });
    more.push(withToken);
    const connecting = assert.rejects(withToken.connect(), AuthFailedError);
    await server.answer({ ok: false, error: "Invalid token", code: "auth_failed", retryable: false });
    await connecting;
    assert.equal(server.connections, 1);
  });

  it("leaves a daemon that has fallen silent", async () => {
    const watchful = new MagicQueueClient({
      ...QUICK,
      host: "127.0.0.1",
      port: server.port,
      pingInterval: 10,
      closeTimeout: 50,
    });
    more.push(watchful);
    await watchful.connect();
    const stats = watchful.send({ cmd: "STATS" });
    assert.equal((await server.next()).cmd, "STATS");
    assert.equal((await server.next()).cmd, "PING");
    assert.equal((await server.answer({ ok: true, queued: 1 })).cmd, "STATS");
    await stats;
    assert.equal(server.connections, 2);
  });

  it("does not trust a server that answers nonsense", async () => {
    await client.connect();
    const push = assert.rejects(client.send({ cmd: "PUSH", queue: "q", data: 1 }), ConnectionLostError);
    await server.answer("<html>\n");
    await push;
  });

  it("subscribes again on the next connection and says that it was away", async () => {
    await client.connect();
    const opening = client.events("q", ["completed"]);
    assert.deepEqual(await server.answer({ ok: true }), { cmd: "SUBSCRIBE", queue: "q", events: ["completed"] });
    const events = await opening;
    void client.send({ cmd: "PUSH", queue: "q", data: 1 }).catch(() => undefined);
    await server.cut();
    const again = await server.answer('{"ok":true}\n{"event":"completed","queue":"q","job":3,"seq":1}\n');
    assert.equal(again.cmd, "SUBSCRIBE");
    const got = [(await events.next()).value, (await events.next()).value];
    assert.deepEqual(got.map((event) => (event as { event: string }).event).sort(), ["completed", "reconnected"]);
    assert.equal(server.connections, 2);
  });

  describe("pushing by a queue", () => {
    it("puts the pushes of one tick into one line, each with its own outcome", async () => {
      const queue = queueOf();
      await queue.connect();
      const ids = Promise.allSettled([queue.push(1), queue.push(2, { priority: 5 }), queue.push(3)]);
      const errors = [{ index: 1, error: "Duplicate job with key: k", code: "duplicate" }];
      const request = await server.answer({ ok: true, ids: [11, 0, 13], errors });
      assert.deepEqual(request, {
        cmd: "PUSHB",
        queue: "q",
        jobs: [{ data: 1 }, { priority: 5, data: 2 }, { data: 3 }],
      });
      const [first, second, third] = await ids;
      assert.deepEqual(
        [first, third],
        [
          { status: "fulfilled", value: 11 },
          { status: "fulfilled", value: 13 },
        ],
      );
      assert.ok(second!.status === "rejected" && second.reason instanceof DuplicateError);
    });

    it("gathers pushes while one is on its way", async () => {
      const queue = queueOf();
      await queue.connect();
      const first = queue.push(1);
      assert.equal((await server.next()).cmd, "PUSH");
      const rest = [queue.push(2)];
      await new Promise((resolve) => setImmediate(resolve));
      rest.push(queue.push(3));
      await new Promise((resolve) => setImmediate(resolve));
      // The answer to the first is written with the one of an unrelated request.
      const ping = queue.client.send({ cmd: "PING" });
      await server.answer('{"ok":true,"id":1}\n{"ok":true,"pong":true}\n');
      await ping;
      assert.equal(await first, 1);
      const request = await server.answer({ ok: true, ids: [2, 3] });
      assert.deepEqual(request, { cmd: "PUSHB", queue: "q", jobs: [{ data: 2 }, { data: 3 }] });
      assert.deepEqual(await Promise.all(rest), [2, 3]);
    });

    it("takes the data as it is at the call", async () => {
      const queue = queueOf();
      await queue.connect();
      const data = { n: 1 };
      const pushed = queue.push(data);
      data.n = 2;
      assert.deepEqual((await server.answer({ ok: true, id: 1 }))["data"], { n: 1 });
      await pushed;
    });

    it("pushes the keyed jobs of a lost batch again, alone; the others may have been done", async () => {
      const queue = queueOf();
      await queue.connect();
      const outcomes = Promise.allSettled([queue.push(1), queue.push(2, { uniqueKey: "k" })]);
      assert.equal((await server.cut()).cmd, "PUSHB");
      const again = await server.answer({ ok: true, id: 8 });
      assert.deepEqual(again, { cmd: "PUSH", queue: "q", uniqueKey: "k", data: 2 });
      const [plain, keyed] = await outcomes;
      assert.ok(plain!.status === "rejected" && plain.reason instanceof ConnectionLostError && plain.reason.maybeDone);
      assert.deepEqual(keyed, { status: "fulfilled", value: 8 });
    });

    it("pushes one by one what is too long a line together", async () => {
      const queue = queueOf();
      await queue.connect();
      const ids = Promise.all([queue.push(1), queue.push(2)]);
      await server.answer({ ok: false, error: "Line too long", code: "line_too_long", retryable: false });
      assert.equal((await server.answer({ ok: true, id: 1 })).cmd, "PUSH");
      assert.equal((await server.answer({ ok: true, id: 2 })).cmd, "PUSH");
      assert.deepEqual(await ids, [1, 2]);
    });

    it("tries again alone a job that a batch refuses as retryable", async () => {
      const queue = queueOf();
      await queue.connect();
      const ids = Promise.all([queue.push(1), queue.push(2)]);
      await server.answer({ ok: true, ids: [1, 0], errors: [{ index: 1, error: "Queue full", code: "queue_full" }] });
      assert.equal((await server.answer({ ok: true, id: 2 }))["data"], 2);
      assert.deepEqual(await ids, [1, 2]);
    });

    it("does not batch when it is told not to", async () => {
      const queue = new Queue("q", {
        ...QUICK,
        host: "127.0.0.1",
        port: server.port,
        closeTimeout: 50,
        batching: false,
      });
      more.push(queue);
      await queue.connect();
      const ids = Promise.all([queue.push(1), queue.push(2)]);
      assert.equal((await server.answer({ ok: true, id: 1 })).cmd, "PUSH");
      assert.equal((await server.answer({ ok: true, id: 2 })).cmd, "PUSH");
      assert.deepEqual(await ids, [1, 2]);
    });

    it("throws the refusals of a batch together, with the ids of the rest", async () => {
      const queue = queueOf();
      await queue.connect();
      const pushing = assert.rejects(queue.pushBatch([{ data: 1 }, { data: 2 }]), (error: unknown) => {
        assert.ok(error instanceof BatchRefusedError);
        assert.deepEqual(error.ids, [4, 0]);
        assert.ok(error.errors.get(1) instanceof DuplicateError);
        return true;
      });
      await server.answer({ ok: true, ids: [4, 0], errors: [{ index: 1, error: "Duplicate", code: "duplicate" }] });
      await pushing;
    });

    it("refuses data that JSON has no form for", async () => {
      const queue = queueOf();
      await assert.rejects(queue.push(undefined), /JSON value/);
      await assert.rejects(queue.push(10n), TypeError);
    });
  });
});
