/** Server-Sent Events by `fetch`, which can carry an Authorization header where `EventSource` can't. */
import { PatchbayError } from "../errors.js";
import { HttpConnection } from "./http.js";
import { closeError } from "./websocket.js";

/** The server sends padding at once, and whole events: when the beginning, or the rest of one, is not here after this
 * time, something on the way holds it back. */
const BUFFERED_MS = 3_000;

export class SseConnection extends HttpConnection {
  /**
   * @override
   * @returns {Promise<void>}
   */
  async listen() {
    let hasStreamed = false;
    // Proxies end what lasts long: a stream that ends well is asked for again.
    while (!this.isClosed) {
      /** @type {(error: PatchbayError) => void} */
      let refuse = () => {};
      const refused = new Promise((_, reject) => (refuse = reject));
      refused.catch(() => {});
      /** @type {any} */
      let timer;
      /** @param {PatchbayError | null} error unless something comes before; null to wait for nothing */
      const expect = (error) => {
        this.platform.clearTimeout(timer);
        if (error) timer = this.platform.setTimeout(() => refuse(error), BUFFERED_MS);
      };
      const isBuffered = () => new PatchbayError("buffered", "Something on the way holds the server's messages back.");
      expect(hasStreamed ? new PatchbayError("timeout", "The server did not answer in time.") : isBuffered());
      const came = (/** @type {boolean} */ isWhole) => {
        hasStreamed = true;
        expect(isWhole ? null : isBuffered());
      };
      try {
        const ended = this.#read(came);
        ended.catch(() => {});
        const count = await Promise.race([ended, refused]);
        if (count === 0) throw new PatchbayError("connection_lost", "The server's stream ended before it began.");
      } finally {
        this.platform.clearTimeout(timer);
      }
    }
  }

  /**
   * Reads one stream to its end.
   * @param {(isWhole: boolean) => void} came after each piece: whether it ended with an event, and not within one
   * @returns {Promise<number>} how many pieces came
   */
  async #read(came) {
    const response = await this.down("sse");
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    const decoder = new TextDecoder();
    let text = "";
    for (let count = 0; ; count += 1) {
      const { done, value } = await reader.read();
      if (done || this.isClosed) return count;
      this.host.heard();
      text += decoder.decode(value, { stream: true });
      const blocks = text.split(/\r?\n\r?\n/);
      text = blocks.pop() ?? "";
      came(text === "");
      for (const block of blocks) {
        const { event, data } = parseBlock(block);
        if (event === "close") throw closeError(Number(JSON.parse(data).code), "", true);
        if (data) await this.deliver(data);
      }
    }
  }
}

/**
 * The fields of one event of a stream. Comments have none.
 * @param {string} block
 */
function parseBlock(block) {
  let event = "";
  /** @type {string[]} */
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    const at = line.indexOf(":");
    const value = line.slice(at + (line[at + 1] === " " ? 2 : 1));
    if (line.startsWith("data:")) data.push(value);
    else if (line.startsWith("event:")) event = value;
  }
  return { event, data: data.join("\n") };
}
