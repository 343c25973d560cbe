// What the daemon in memory says no with.

/** A refusal on its way to a client. */
export class FakeRefusal extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}
