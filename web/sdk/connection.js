/**
 * One WebSocket to signaling: requests with exactly one reply each, events in order, heartbeats. It knows nothing of
 * rooms. When it breaks it says so once (`close`) and every waiting request fails with `connection_lost`.
 */
import { PatchbayError } from "./errors.js";
import {
  BEARER_PROTOCOL_PREFIX, FINAL_CLOSE_CODES, HEARTBEAT_INTERVAL_MS, HEARTBEAT_TIMEOUT_MS, WEBSOCKET_PROTOCOL,
  encodeClientMessage, parseServerMessage,
} from "./protocol.js";

/** How long a WebSocket may take to open: twice the heartbeat, as a SYN that is dropped never fails by itself. */
const OPEN_TIMEOUT_MS = 10_000;
/** A timer that is so late was held up with everything else in the page: an answer may be waiting behind it. */
const LATE_MS = 300;

/** An event of the server that is no reply. */
export class MessageEvent extends Event {
  /** @param {import("./protocol.js").ServerMessage} message */
  constructor(message) {
    super("message");
    this.message = message;
  }
}

/** The connection is over. */
export class ConnectionCloseEvent extends Event {
  /** @param {PatchbayError} error why */
  constructor(error) {
    super("close");
    this.error = error;
  }
}

export class Connection extends EventTarget {
  /** @type {WebSocket} */
  #socket;
  #platform;
  #nextId = 1;
  /** @type {Map<number, {resolve: (reply: any) => void, reject: (error: unknown) => void}>} */
  #waiting = new Map();
  #lastHeard = 0;
  /** @type {any} */
  #heartbeat;
  #heartbeatMs = HEARTBEAT_INTERVAL_MS;
  #open = false;
  #closed = false;
  /** @type {(() => void) | undefined} */
  #opened;
  /** @type {Promise<boolean> | null} */
  #probing = null;
  /** Milliseconds from a ping to its reply, the last one measured. */
  rttMs = /** @type {number | undefined} */ (undefined);
  /** Resolves when requests can be sent; rejects when the connection cannot be made. @type {Promise<void>} */
  ready;

  /**
   * Starts to connect.
   * @param {string | URL} url `ws:`, `wss:`, `http:` or `https:`; a bare origin means its `/v1/ws`
   * @param {{token?: string, openTimeoutMs?: number, platform: import("./platform.js").Platform}} options
   */
  constructor(url, { token, openTimeoutMs = OPEN_TIMEOUT_MS, platform }) {
    super();
    this.#platform = platform;
    const protocols = token ? [WEBSOCKET_PROTOCOL, BEARER_PROTOCOL_PREFIX + token] : [WEBSOCKET_PROTOCOL];
    this.#socket = new platform.WebSocket(webSocketUrl(url), protocols);
    this.ready = new Promise((resolve, reject) => {
      this.#opened = resolve;
      this.addEventListener("close", (event) => reject(/** @type {ConnectionCloseEvent} */ (event).error), { once: true });
    });
    this.ready.catch(() => {});
    const timer = platform.setTimeout(() => {
      if (!this.#open) this.#fail(new PatchbayError("timeout", "The server did not answer in time."));
    }, openTimeoutMs);
    this.#socket.onopen = () => {
      platform.clearTimeout(timer);
      this.#open = true;
      this.#lastHeard = platform.now();
      this.#beat();
      this.#opened?.();
    };
    this.#socket.onmessage = (event) => this.#receive(event.data);
    this.#socket.onclose = (event) => {
      platform.clearTimeout(timer);
      this.#fail(closeError(event.code, event.reason, this.#open));
    };
  }

  /** Whether requests can be sent. */
  get isOpen() {
    return this.#open && !this.#closed && this.#socket.readyState === 1;
  }

  /**
   * Sends a request and waits for its reply.
   * @param {import("./protocol.js").ClientRequest} request
   * @returns {Promise<import("./protocol.js").Reply>}
   */
  request(request) {
    if (!this.isOpen) return Promise.reject(new PatchbayError("connection_lost", "There is no connection to the server."));
    const id = this.#nextId++;
    const sentAt = this.#platform.now();
    return new Promise((resolve, reject) => {
      const answered = (/** @type {any} */ reply) => {
        // These two are answered at once; others may take time.
        if (request.type === "ping" || request.type === "hello") this.rttMs = this.#platform.now() - sentAt;
        resolve(reply);
      };
      this.#waiting.set(id, { resolve: answered, reject });
      this.#socket.send(encodeClientMessage(id, request));
    });
  }

  /**
   * Asks the server for a sign of life, now. When none comes, the connection counts as lost.
   * @param {number} timeoutMs
   * @returns {Promise<boolean>} whether the connection lives
   */
  probe(timeoutMs) {
    if (!this.isOpen) return Promise.resolve(false);
    this.#probing ??= this.#probe(timeoutMs).finally(() => (this.#probing = null));
    return this.#probing;
  }

  /**
   * How often to ping from now on.
   * @param {number} ms from the server's `welcome`
   */
  setHeartbeat(ms) {
    if (Number.isFinite(ms) && ms >= 500) this.#heartbeatMs = ms;
  }

  /** Closes for good; no `close` event follows. */
  close() {
    if (this.#closed) return;
    this.#end(new PatchbayError("closed", "The room was closed."));
  }

  /**
   * @param {number} timeoutMs
   * @returns {Promise<boolean>}
   */
  #probe(timeoutMs) {
    const askedAt = this.#platform.now();
    return new Promise((resolve) => {
      /** @type {any} */
      let timer;
      const wait = (/** @type {number} */ ms) => {
        const due = this.#platform.now() + ms;
        timer = this.#platform.setTimeout(() => {
          if (this.#closed || this.#lastHeard > askedAt) return resolve(!this.#closed);
          if (this.#platform.now() - due > LATE_MS) return wait(LATE_MS);
          this.#fail(new PatchbayError("timeout", "The server is out of reach."));
        }, ms);
      };
      wait(timeoutMs);
      const answered = (/** @type {boolean} */ isAlive) => {
        this.#platform.clearTimeout(timer);
        resolve(isAlive);
      };
      // A refusal is a sign of life too.
      const replied = () => answered(!this.#closed);
      this.request({ type: "ping" }).then(replied, replied);
    });
  }

  /** @param {unknown} data */
  #receive(data) {
    this.#lastHeard = this.#platform.now();
    let message;
    try {
      message = parseServerMessage(data);
    } catch (error) {
      return this.#fail(/** @type {PatchbayError} */ (error));
    }
    if (message.type !== "ok" && message.type !== "error") {
      this.dispatchEvent(new MessageEvent(message));
      return;
    }
    const waiting = message.id === undefined ? undefined : this.#waiting.get(message.id);
    if (!waiting) return;
    this.#waiting.delete(/** @type {number} */ (message.id));
    if (message.type === "ok") waiting.resolve(message.result);
    else waiting.reject(new PatchbayError(message.code, message.message, { retryAfterMs: message.retry_after_ms }));
  }

  #beat() {
    this.#heartbeat = this.#platform.setTimeout(() => {
      if (this.#closed) return;
      const now = this.#platform.now();
      if (now - this.#lastHeard > HEARTBEAT_TIMEOUT_MS) {
        return this.#fail(new PatchbayError("connection_lost", "Nothing was heard from the server for too long."));
      }
      this.request({ type: "ping" }).catch(() => {});
      this.#beat();
    }, this.#heartbeatMs);
  }

  /** @param {PatchbayError} error */
  #fail(error) {
    if (this.#closed) return;
    this.#end(error);
    this.dispatchEvent(new ConnectionCloseEvent(error));
  }

  /** @param {PatchbayError} error */
  #end(error) {
    this.#closed = true;
    this.#platform.clearTimeout(this.#heartbeat);
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(error);
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
  }
}

/**
 * @param {string | URL} url
 * @returns {string}
 */
export function webSocketUrl(url) {
  const parsed = new URL(url);
  parsed.protocol = parsed.protocol.replace(/^http/, "ws");
  if (parsed.pathname === "/") parsed.pathname = "/v1/ws";
  parsed.hash = "";
  return parsed.href;
}

/**
 * @param {number} code
 * @param {string} reason
 * @param {boolean} wasOpen
 */
function closeError(code, reason, wasOpen) {
  const final = FINAL_CLOSE_CODES[code];
  if (final) return new PatchbayError(final, reason || `The server closed the connection (${code}).`);
  if (!wasOpen) return new PatchbayError("connection_failed", "The server could not be reached, or refused the connection.");
  if (code === 4429) return new PatchbayError("rate_limited", reason || "Too many requests.");
  return new PatchbayError("connection_lost", reason || `The connection to the server was lost (${code}).`);
}
