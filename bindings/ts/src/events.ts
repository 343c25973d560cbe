// Events as async iterators: one subscription on the wire for each queue, however many iterators look at it.

import type { DroppedEvent, EventName, JobEvent, QueueEvent } from "./answers.js";
import { Fifo } from "./fifo.js";
import type { Transport } from "./transport.js";

/** Events that an iterator keeps for a reader that is slower than they come; what is over is dropped and counted. */
const MAX_KEPT = 10_000;

/**
 * What happens to jobs, as it happens. Ends with `return()` (leaving a `for await` loop does that) or with the client.
 */
export class EventStream implements AsyncIterableIterator<QueueEvent> {
  readonly queue: string;
  /** undefined: all. */
  readonly names: ReadonlySet<EventName> | undefined;
  readonly #onEnd: (stream: EventStream) => Promise<void>;
  readonly #kept = new Fifo<QueueEvent>();
  #dropped: DroppedEvent | undefined;
  #readers: { resolve: (step: IteratorResult<QueueEvent>) => void; reject: (error: Error) => void }[] = [];
  #failure: Error | undefined;
  #isDone = false;

  constructor(queue: string, names: readonly EventName[], onEnd: (stream: EventStream) => Promise<void>) {
    this.queue = queue;
    this.names = names.length === 0 ? undefined : new Set(names);
    this.#onEnd = onEnd;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<QueueEvent>> {
    const event = this.#kept.shift();
    if (event !== undefined) {
      return Promise.resolve({ done: false, value: event });
    }
    if (this.#dropped !== undefined) {
      const value = this.#dropped;
      this.#dropped = undefined;
      return Promise.resolve({ done: false, value });
    }
    if (this.#failure !== undefined) {
      const error = this.#failure;
      this.#failure = undefined;
      return Promise.reject(error);
    }
    if (this.#isDone) {
      return Promise.resolve({ done: true, value: undefined });
    }
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  async return(): Promise<IteratorResult<QueueEvent>> {
    if (!this.#isDone) {
      this.end();
      await this.#onEnd(this);
    }
    return { done: true, value: undefined };
  }

  /** True if the event is one that was asked for. */
  wants(event: JobEvent): boolean {
    return (this.queue === "*" || this.queue === event.queue) && (this.names?.has(event.event) ?? true);
  }

  /** Hands an event to the reader, now or later. */
  add(event: QueueEvent): void {
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value: event });
    } else if (this.#dropped === undefined && this.#kept.length < MAX_KEPT) {
      this.#kept.push(event);
    } else if (this.#dropped === undefined) {
      this.#dropped = { event: "dropped", count: 1, seq: "seq" in event ? event.seq : 0 };
    } else {
      this.#dropped.count += 1;
    }
  }

  /** No more events; what is kept can still be read, then `error` if there is one. */
  end(error?: Error): void {
    this.#isDone = true;
    const readers = this.#readers.splice(0);
    if (error !== undefined && readers.length > 0) {
      readers.shift()!.reject(error);
    } else {
      this.#failure = error;
    }
    readers.forEach((reader) => reader.resolve({ done: true, value: undefined }));
  }
}

/** The subscriptions of one transport. */
export class Subscriptions {
  readonly #transport: Transport;
  readonly #streams = new Set<EventStream>();

  constructor(transport: Transport) {
    this.#transport = transport;
    transport.listen({
      onEvent: (event) => this.#spread(event),
      onOpen: (isAgain) => {
        if (isAgain) {
          this.#renew();
        }
      },
    });
  }

  /** Resolves when the daemon tells events of the queue (`*`: of all). `names` empty: all events. */
  async open(queue: string, names: readonly EventName[]): Promise<EventStream> {
    const stream = new EventStream(queue, names, (ended) => this.#close(ended));
    this.#streams.add(stream);
    try {
      await this.#tell(queue);
    } catch (error) {
      this.#streams.delete(stream);
      throw error;
    }
    return stream;
  }

  /** Ends all iterators. */
  end(): void {
    this.#streams.forEach((stream) => stream.end());
    this.#streams.clear();
  }

  async #close(stream: EventStream): Promise<void> {
    if (this.#streams.delete(stream) && this.#transport.isConnected()) {
      // A connection that ends meanwhile has ended its subscriptions too.
      await this.#tell(stream.queue).catch(() => undefined);
    }
  }

  /** Makes the daemon's subscription to a queue what the iterators need together: a new one replaces the old. */
  async #tell(queue: string): Promise<void> {
    const streams = [...this.#streams].filter((stream) => stream.queue === queue);
    if (streams.length === 0) {
      await this.#transport.send(JSON.stringify({ cmd: "UNSUBSCRIBE", queue }));
      return;
    }
    const areAll = streams.some((stream) => stream.names === undefined);
    const events = areAll ? [] : [...new Set(streams.flatMap((stream) => [...stream.names!]))];
    await this.#transport.send(JSON.stringify({ cmd: "SUBSCRIBE", queue, events }));
  }

  #renew(): void {
    for (const queue of new Set([...this.#streams].map((stream) => stream.queue))) {
      const streams = [...this.#streams].filter((stream) => stream.queue === queue);
      this.#tell(queue).then(
        () => streams.forEach((stream) => stream.add({ event: "reconnected" })),
        (error: Error) => {
          // The next connection tries again, unless the daemon has refused.
          if (this.#transport.isConnected()) {
            streams.forEach((stream) => {
              this.#streams.delete(stream);
              stream.end(error);
            });
          }
        },
      );
    }
  }

  #spread(event: JobEvent | DroppedEvent): void {
    for (const stream of this.#streams) {
      if (event.event === "dropped" || stream.wants(event)) {
        stream.add(event);
      }
    }
  }
}
