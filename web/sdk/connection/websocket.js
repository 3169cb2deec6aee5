/** The connection that is tried first: one WebSocket. */
import { PatchbayError } from "../errors.js";
import { BEARER_PROTOCOL_PREFIX, FINAL_CLOSE_CODES, WEBSOCKET_PROTOCOL, parseServerMessage } from "../protocol.js";
import { webSocketUrl } from "../url.js";

/**
 * @typedef {object} ConnectionOptions what every connection begins with
 * @property {string | URL} url of the server
 * @property {string} [token]
 * @property {() => string} hello the text of the first request, at the moment it is sent
 * @property {import("../platform.js").Platform} platform
 *
 * @typedef {object} ConnectionHost what a connection tells, and asks, its session
 * @property {() => void} opened requests can be sent
 * @property {(message: import("../protocol.js").ServerMessage) => void} message
 * @property {() => void} heard a sign of life that is no message
 * @property {(error: PatchbayError) => void} closed it is over, and was not closed by `close`
 * @property {() => string} credential of the session, once the hello was answered
 * @property {() => number} lastSeq the last message that was taken in order
 *
 * @typedef {object} Connection
 * @property {(text: string) => void} send a request
 * @property {() => void} close what was sent before still leaves
 */

/** @implements {Connection} */
export class WebSocketConnection {
  #socket;
  #host;
  #isOpen = false;

  /**
   * @param {ConnectionOptions} options
   * @param {ConnectionHost} host
   */
  constructor({ url, token, hello, platform }, host) {
    this.#host = host;
    const protocols = token ? [WEBSOCKET_PROTOCOL, BEARER_PROTOCOL_PREFIX + token] : [WEBSOCKET_PROTOCOL];
    const socket = (this.#socket = new platform.WebSocket(webSocketUrl(url), protocols));
    socket.onopen = () => {
      this.#isOpen = true;
      socket.send(hello());
      host.opened();
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => {
      this.close();
      host.closed(closeError(code, reason, this.#isOpen));
    };
  }

  /** @param {string} text */
  send(text) {
    if (this.#socket.readyState === 1) this.#socket.send(text);
  }

  close() {
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /** @param {unknown} data */
  #receive(data) {
    let message;
    try {
      message = parseServerMessage(data);
    } catch (error) {
      this.close();
      return this.#host.closed(/** @type {PatchbayError} */ (error));
    }
    this.#host.message(message);
  }
}

/**
 * What a close code means. Connections over HTTP have the same.
 * @param {number} code
 * @param {string} reason
 * @param {boolean} wasOpen
 */
export function closeError(code, reason, wasOpen) {
  const final = FINAL_CLOSE_CODES[code];
  if (final) return new PatchbayError(final, reason || `The server closed the connection (${code}).`);
  if (!wasOpen) return new PatchbayError("connection_failed", "The server could not be reached, or refused the connection.");
  if (code === 4429) return new PatchbayError("rate_limited", reason || "Too many requests.");
  return new PatchbayError("connection_lost", reason || `The connection to the server was lost (${code}).`);
}
