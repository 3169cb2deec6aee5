/**
 * Server-sent events over `fetch`, which can say who asks, as `EventSource` can't.
 */

/** @typedef {{id: string | null, type: string, data: string}} StreamEvent */

/** Takes text as it comes and gives whole events (WHATWG HTML, 9.2.6). */
export class StreamParser {
  #rest = "";
  #isAfterCarriageReturn = false;
  /** @type {string | null} */
  #id = null;
  #type = "";
  /** @type {string[]} */
  #data = [];

  /**
   * @param {string} text
   * @returns {StreamEvent[]}
   */
  push(text) {
    // A line may end in the middle of CR LF.
    if (this.#isAfterCarriageReturn && text.startsWith("\n")) text = text.slice(1);
    if (text !== "") this.#isAfterCarriageReturn = text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() ?? "";
    return lines.map((line) => this.#line(line)).filter((event) => event !== null);
  }

  /** @param {string} line */
  #line(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const [field, value] = colon < 0 ? [line, ""] : [line.slice(0, colon), line.slice(colon + (line[colon + 1] === " " ? 2 : 1))];
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#type = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    return null;
  }

  /** @returns {StreamEvent | null} */
  #dispatch() {
    const event = this.#data.length > 0 || this.#type !== "" ? { id: this.#id, type: this.#type || "message", data: this.#data.join("\n") } : null;
    this.#type = "";
    this.#data = [];
    return event;
  }
}

/**
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<StreamEvent>}
 */
export async function* readStream(body) {
  const parser = new StreamParser();
  const reader = body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
