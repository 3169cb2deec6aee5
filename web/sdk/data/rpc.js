/**
 * Calls: one participant asks another, or the server's API asks a participant, and gets one answer. They go over signaling, so
 * they survive a change of connection, and work where there is no path for media.
 */
import { PatchbayError } from "../errors.js";
import { abortable } from "../platform.js";

/** Bytes of a payload, there and back. */
const PAYLOAD_BYTES = 15 * 1024;
const ERROR_BYTES = 512;

/**
 * @typedef {(call: {from: number | null, payload: string, signal: AbortSignal}) => string | Promise<string>} Method what answers a call;
 *   `from`: the caller's number, null for the server's API. What it throws is told to the caller.
 */

export class Calls {
  #host;
  /** @type {Map<string, Method>} */
  #methods = new Map();

  /** @param {{request: (request: any) => Promise<any>, setTimeout: (callback: () => void, ms: number) => any, clearTimeout: (timer: any) => void}} host */
  constructor(host) {
    this.#host = host;
  }

  /**
   * Answers calls of a method from now on.
   * @param {string} name
   * @param {Method | null} method null: no longer
   */
  register(name, method) {
    if (method) this.#methods.set(name, method);
    else this.#methods.delete(name);
  }

  /**
   * Calls a method of another participant.
   * @param {number} to its number in the roster
   * @param {string} method
   * @param {string} [payload]
   * @param {{timeoutMs?: number, signal?: AbortSignal}} [options] 10 s unless told
   * @returns {Promise<string>}
   */
  async call(to, method, payload = "", { timeoutMs, signal } = {}) {
    if (byteLength(payload) > PAYLOAD_BYTES) throw new PatchbayError("too_large", `A payload has at most ${PAYLOAD_BYTES} bytes.`);
    const reply = await abortable(this.#host.request({ type: "rpc", to, method, payload, timeout_ms: timeoutMs }), signal);
    return reply.payload;
  }

  /**
   * Somebody calls. For the SDK itself.
   * @param {{call: number, from?: number, method: string, payload: string, timeout_ms: number}} request
   */
  async answer({ call, from, method: name, payload, timeout_ms }) {
    const method = this.#methods.get(name);
    const late = new AbortController();
    const timer = this.#host.setTimeout(() => late.abort(), timeout_ms);
    /** @type {{payload: string} | {error: string}} */
    let outcome;
    try {
      if (!method) throw new Error(`there is no method ${name} here`);
      const answer = String(await method({ from: from ?? null, payload, signal: late.signal }));
      outcome = byteLength(answer) > PAYLOAD_BYTES ? { error: "the answer is too long" } : { payload: answer };
    } catch (error) {
      outcome = { error: cut(error instanceof Error ? error.message : String(error)) };
    }
    this.#host.clearTimeout(timer);
    if (!late.signal.aborted) await this.#host.request({ type: "rpc_reply", call, ...outcome }).catch(() => {});
  }
}

/** @param {string} text */
function byteLength(text) {
  return new TextEncoder().encode(text).length;
}

/** @param {string} text */
function cut(text) {
  let short = text || "failed";
  while (byteLength(short) > ERROR_BYTES) short = short.slice(0, -16);
  return short;
}
