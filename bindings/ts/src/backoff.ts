// How long to wait before trying again: exponential, with full jitter, so that clients that lost the daemon together do
// not come back together.

/** The bounds of a wait that grows. */
export interface BackoffOptions {
  /** Milliseconds that the first wait has at most. */
  base: number;
  /** Milliseconds that no wait exceeds. */
  cap: number;
}

/**
 * Milliseconds to wait before a further try: evenly between 0 and base x 2^failures, at most cap.
 *
 * @param failures how many tries have failed before the last one, from 0
 * @param random a number from 0 to 1
 */
export function waitBefore(failures: number, options: BackoffOptions, random: () => number = Math.random): number {
  return random() * Math.min(options.cap, options.base * 2 ** failures);
}
