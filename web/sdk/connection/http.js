/**
 * What the connections over plain HTTP have in common: the hello and all requests go up by POST, one at a time and in
 * order. How messages come down is up to the two that build on it.
 */
import { PatchbayError } from "../errors.js";
import { checkServerMessage } from "../protocol.js";
import { delay } from "../platform.js";
import { httpUrl } from "../url.js";
import { closeError } from "./websocket.js";

/** How many requests one POST carries at most. */
const BATCH = 32;

export class HttpConnection {
  #options;
  #abort = new AbortController();
  /** @type {string[]} */
  #queue = [];
  #isSending = false;
  #isClosed = false;

  /**
   * @param {import("./websocket.js").ConnectionOptions} options
   * @param {import("./websocket.js").ConnectionHost} host
   */
  constructor(options, host) {
    this.#options = options;
    this.host = host;
    this.platform = options.platform;
    this.#guard(this.#begin());
  }

  /** Whether nothing is to be delivered any more. */
  get isClosed() {
    return this.#isClosed;
  }

  /** @param {string} text */
  send(text) {
    this.#queue.push(text);
    if (!this.#isSending) this.#guard(this.#drain());
  }

  close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#abort.abort();
    // Such as the word that one leaves: it outlives even the page.
    if (this.#queue.length > 0) this.#post("send", this.#takeBatch(), { keepalive: true }).catch(() => {});
  }

  /** Brings messages down until the connection ends. @returns {Promise<void>} */
  async listen() {
    throw new Error("a connection says how it listens");
  }

  /**
   * Asks for messages.
   * @param {string} path
   */
  async down(path) {
    const { platform, url } = this.#options;
    const response = await platform.fetch(httpUrl(url, path), {
      headers: { authorization: `Bearer ${this.host.credential()}`, "last-event-id": String(this.host.lastSeq()) },
      cache: "no-store", signal: this.#abort.signal,
    });
    if (!response.ok) throw await refusal(response);
    return response;
  }

  /** @param {string} text one message, or an array of them */
  async deliver(text) {
    /** @type {unknown} */
    let parsed;
    try {
      parsed = JSON.parse(text);
    } catch (cause) {
      // Such as the page of a portal in place of what was asked for.
      throw new PatchbayError("connection_failed", "What came is not from the server.", { cause });
    }
    for (const message of Array.isArray(parsed) ? parsed : [parsed]) {
      if (this.#isClosed) return;
      this.host.message(checkServerMessage(message));
      // Whoever waits for a reply has it before the next message, as over a WebSocket.
      if (message.type === "ok") await nextTask();
    }
  }

  async #begin() {
    const { token, hello } = this.#options;
    const response = await this.#post("hello", hello(), { signal: this.#abort.signal }, token);
    await this.deliver(await response.text());
    if (this.#isClosed) return;
    this.host.opened();
    await this.listen();
  }

  async #drain() {
    this.#isSending = true;
    // What is asked for in one go leaves together.
    await null;
    while (this.#queue.length > 0 && !this.#isClosed) await this.#sendBatch(this.#takeBatch());
    this.#isSending = false;
  }

  /** @param {string} batch */
  async #sendBatch(batch) {
    for (;;) {
      try {
        return void (await this.#post("send", batch, { signal: this.#abort.signal }));
      } catch (error) {
        // Nothing of it was taken.
        if (!(error instanceof PatchbayError) || error.code !== "rate_limited" || error.retryAfterMs === undefined) throw error;
        await delay(this.platform, error.retryAfterMs, this.#abort.signal);
      }
    }
  }

  #takeBatch() {
    const batch = this.#queue.splice(0, BATCH);
    return batch.length === 1 ? batch[0] : `[${batch.join()}]`;
  }

  /**
   * @param {string} path
   * @param {string} body
   * @param {RequestInit} init
   * @param {string} [credential] in place of the session's
   */
  async #post(path, body, init, credential = path === "hello" ? undefined : this.host.credential()) {
    const { platform, url } = this.#options;
    /** @type {Record<string, string>} */
    const headers = { "content-type": "application/json" };
    if (credential) headers.authorization = `Bearer ${credential}`;
    const response = await platform.fetch(httpUrl(url, path), { method: "POST", headers, body, cache: "no-store", ...init });
    if (!response.ok) throw await refusal(response);
    return response;
  }

  /** @param {Promise<void>} work that ends the connection when it fails */
  async #guard(work) {
    try {
      await work;
    } catch (cause) {
      if (this.#isClosed) return;
      this.#queue = [];
      this.close();
      this.host.closed(cause instanceof PatchbayError ? cause : new PatchbayError("connection_lost", "The connection to the server was lost.", { cause }));
    }
  }
}

/** Timers are slowed down in pages that are not in front; messages are not. @returns {Promise<void>} */
function nextTask() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** @param {Response} response */
async function refusal(response) {
  const said = await response.json().catch(() => null);
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  const retryAfterMs = said?.retry_after_ms ?? (Number.isFinite(seconds) ? seconds * 1000 : undefined);
  if (typeof said?.close === "number") return closeError(said.close, "", true);
  const code = typeof said?.code === "string" ? said.code : response.status === 503 ? "overloaded" : "connection_failed";
  return new PatchbayError(code, said?.message ?? `The server refused the connection (${response.status}).`, { retryAfterMs });
}
