/** The chat of a room: every line once, whatever becomes of the connection. */
import { PatchbayError } from "./errors.js";
import { ChatEvent } from "./events.js";

/** How many lines are kept at hand. */
const KEPT = 200;

/**
 * @typedef {Readonly<{number: number, identity: string, name: string, text: string, sentAt: Date}>} ChatLine `number` grows
 *   with every line of the room; `text` is plain text, never markup
 *
 * @typedef {object} ChatHost what the chat needs of its room
 * @property {(request: import("./protocol.js").ClientRequest) => Promise<import("./protocol.js").Reply>} request
 * @property {() => Promise<void>} whenJoined resolves when there is a session to talk to; rejects when there will be none
 * @property {import("./participants.js").Participants} participants
 * @property {(event: Event) => void} tell
 * @property {() => number} random
 */

export class Chat {
  #host;
  #sent = 0;
  /** @type {ChatLine[]} */
  #lines = [];
  /** @type {Set<string>} */
  #known = new Set();

  /** @param {ChatHost} host */
  constructor(host) {
    this.#host = host;
  }

  /** The newest lines, oldest first. @returns {readonly ChatLine[]} */
  get lines() {
    return this.#lines;
  }

  /**
   * Sends a line. It arrives once, however often it has to be sent.
   * @param {string} text
   */
  async send(text) {
    const messageId = `${++this.#sent}-${Math.floor(this.#host.random() * 2 ** 48).toString(36)}-${Date.now().toString(36)}`;
    for (;;) {
      try {
        await this.#host.request({ type: "chat", text, message_id: messageId });
        return;
      } catch (error) {
        if (!(error instanceof PatchbayError) || error.code !== "connection_lost" && error.code !== "session_gone") throw error;
        await this.#host.whenJoined();
      }
    }
  }

  /**
   * Older lines, which are not kept at hand.
   * @param {{before?: number, limit?: number}} options `before`: that line's number
   * @returns {Promise<{lines: ChatLine[], more: boolean}>}
   */
  async history(options) {
    const { lines, more } = /** @type {any} */ (await this.#host.request({ type: "chat_history", ...options }));
    return { lines: lines.map(lineOf), more };
  }

  /**
   * The history that comes with a join.
   * @param {readonly import("./protocol.js").ChatLine[]} lines
   * @param {boolean} isFirst whether nobody has seen any yet, so that none is news
   */
  takeHistory(lines, isFirst) {
    for (const line of lines) this.take(line, isFirst);
  }

  /**
   * @param {import("./protocol.js").ChatLine} wire
   * @param {boolean} [isSilent]
   */
  take(wire, isSilent = false) {
    const key = `${wire.number}/${wire.sent_at_ms}`;
    if (wire.number !== undefined && this.#known.has(key)) return;
    const line = lineOf(wire);
    this.#known.add(key);
    this.#lines = [...this.#lines, line].slice(-KEPT);
    if (this.#known.size > 2 * KEPT) this.#known = new Set([...this.#known].slice(-KEPT));
    if (!isSilent) this.#host.tell(new ChatEvent(line, this.#host.participants.byNumber(wire.participant)));
  }
}

/** @param {import("./protocol.js").ChatLine} line */
function lineOf({ number, identity, name, text, sent_at_ms: sentAt }) {
  return { number, identity, name, text, sentAt: new Date(sentAt) };
}
