// Cuts a stream of bytes into lines. Pieces of an unfinished line are kept as they came and joined once, when its end
// is there: a line of N bytes costs N, in however many pieces it arrives.

const NEWLINE = 10;

/** Collects chunks of a stream; gives back the lines that they complete. */
export class LineSplitter {
  #pieces: Buffer[] = [];

  /** The lines that end in this chunk, without their newline. UTF-8 sequences may be cut anywhere. */
  push(chunk: Buffer): string[] {
    const end = chunk.lastIndexOf(NEWLINE);
    if (end < 0) {
      this.#pieces.push(chunk);
      return [];
    }
    const complete = chunk.subarray(0, end);
    const text =
      this.#pieces.length === 0 ? complete.toString() : Buffer.concat([...this.#pieces, complete]).toString();
    this.#pieces = end + 1 < chunk.length ? [chunk.subarray(end + 1)] : [];
    return text.split("\n");
  }

  /** Forget an unfinished line. */
  clear(): void {
    this.#pieces = [];
  }
}
