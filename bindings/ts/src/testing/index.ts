// magicqueue/testing: a daemon in memory, for unit tests of programs that use queues and workers.

export { FakeServer, type FakeServerOptions } from "./fake_server.js";
