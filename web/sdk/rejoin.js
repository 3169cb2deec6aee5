/** Joins anew when a session is over: until it works, makes no sense, or the room is closed. */
import { PatchbayError, isTemporary } from "./errors.js";
import { delay } from "./platform.js";
import { backoff } from "./policy/backoff.js";
import { openTimeout, retryBounds } from "./policy/retry.js";

export { leftError } from "./left.js";

/**
 * @typedef {object} RejoinHost what it needs of its room
 * @property {import("./platform.js").Platform} platform
 * @property {AbortSignal} signal ends it
 * @property {(openTimeoutMs: number) => Promise<void>} enter joins
 * @property {(details: {error: PatchbayError, attempt: number, retryInMs?: number}) => void} tell what is being done
 * @property {() => void} done
 * @property {(error: PatchbayError) => void} giveUp
 */

export class Rejoin {
  #host;
  #isRunning = false;
  /** Why the last session or try was lost, until the next try begins. @type {PatchbayError | null} */
  #cause = null;
  /** @type {(() => void) | null} */
  #wake = null;

  /** @param {RejoinHost} host */
  constructor(host) {
    this.#host = host;
  }

  /** Tries at once, when a retry is being waited for. */
  now() {
    this.#wake?.();
  }

  /** @param {PatchbayError} cause */
  async begin(cause) {
    const { platform, signal } = this.#host;
    if (!isTemporary(cause)) return this.#host.giveUp(cause);
    this.#cause = cause;
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (let attempt = 0; this.#cause && !signal.aborted; attempt += 1) {
      /** @type {PatchbayError} */
      const error = this.#cause;
      const retryInMs = backoff(attempt, { random: platform.random, retryAfterMs: error.retryAfterMs, ...retryBounds(error.code) });
      this.#host.tell({ error, retryInMs, attempt });
      try {
        await this.#pause(retryInMs);
        this.#host.tell({ error, attempt });
        this.#cause = null;
        await this.#host.enter(openTimeout(attempt));
      } catch (reason) {
        this.#cause = reason instanceof PatchbayError ? reason : new PatchbayError("connection_failed", String(reason), { cause: reason });
        if (!isTemporary(this.#cause)) return this.#host.giveUp(this.#cause);
      }
    }
    this.#isRunning = false;
    this.#host.done();
  }

  /** @param {number} ms */
  async #pause(ms) {
    const { platform, signal } = this.#host;
    const woken = new Promise((resolve) => (this.#wake = () => resolve(undefined)));
    const unsubscribe = platform.watchNetwork((change) => change === "moved" && this.#wake?.());
    await Promise.race([delay(platform, ms, signal), woken]).finally(unsubscribe);
    this.#wake = null;
  }
}
