/**
 * Keeps a session going when connections break: tries them in the order of the policy, resumes over another one, moves
 * back to a WebSocket when one works, and goes when the server asks. It is fetched behind the first connection, or when
 * that one can't be made.
 */
import { PatchbayError, isTemporary } from "./errors.js";
import { delay } from "./platform.js";
import { climbDelay, connectionsToTry, resumeDelay } from "./policy/connection.js";
import { LATE_MS, openTimeout } from "./policy/retry.js";

/** How often a session that has not joined tries to resume. */
const PATIENCE_BEFORE_JOIN = 4;
/** How long signaling may take to answer after something happened to the network. */
const DOUBT_MS = 2_000;

/** @typedef {import("./policy/connection.js").ConnectionKind} ConnectionKind */

/**
 * @typedef {object} KeeperHost what it needs of its session
 * @property {import("./platform.js").Platform} platform
 * @property {import("./signaling.js").ConnectionMemory} memory
 * @property {() => {readonly kind: ConnectionKind} | null} link the connection that works, if one does
 * @property {() => number} lastHeard when it last brought anything
 * @property {() => Promise<unknown>} ping
 * @property {() => boolean} canResume whether there is a session yet
 * @property {() => boolean} hasJoined
 * @property {() => boolean} isEnded
 * @property {() => number} windowMs how long the server keeps a session without a connection
 * @property {(kind: ConnectionKind, timeoutMs: number) => Promise<{error: PatchbayError | null, isAnswer?: boolean}>} open a connection;
 *   `isAnswer`: the server itself refused
 * @property {(error: PatchbayError) => void} abandon what is being opened
 * @property {(error: PatchbayError) => void} leave the connection that works, for another
 * @property {(step: {state: "connecting" | "reconnecting", transport?: ConnectionKind, attempt?: number, retryInMs?: number, error?: PatchbayError}) => void} tell
 * @property {(error: PatchbayError) => void} fail the session is over
 */

export class Keeper {
  #host;
  #hasWebSocketWorked = false;
  #isBuffered = false;
  /** Whether the next try shall not wait. */
  #isHurried = false;
  #isOpening = false;
  #climbs = 0;
  #notBefore = 0;
  #abort = new AbortController();
  /** @type {any} */
  #climbTimer;
  /** @type {any} */
  #moveTimer;
  /** @type {(() => void) | null} */
  #wake = null;
  /** @type {Promise<boolean> | null} */
  #probing = null;

  /** @param {KeeperHost} host */
  constructor(host) {
    this.#host = host;
  }

  /**
   * Makes the first connection, by other means than a WebSocket that failed.
   * @param {PatchbayError | null} error why it did; null: it was not tried, as something else worked last
   * @param {number} timeoutMs
   */
  async begin(error, timeoutMs) {
    const failure = await this.#connect(0, timeoutMs, error);
    if (failure && !this.#host.isEnded()) this.#host.fail(failure);
  }

  /**
   * A connection works.
   * @param {ConnectionKind} kind
   */
  established(kind) {
    this.#wake?.();
    this.#notBefore = 0;
    this.#host.platform.clearTimeout(this.#moveTimer);
    this.#host.platform.clearTimeout(this.#climbTimer);
    if (kind === "websocket") {
      this.#hasWebSocketWorked = true;
      this.#climbs = 0;
      // They may not be had when the network breaks.
      import("./connection/sse.js").catch(() => {});
      import("./connection/poll.js").catch(() => {});
    } else {
      this.#climbLater(kind);
    }
  }

  /**
   * Takes the session up again over another connection, until that works or the session is gone.
   * @param {PatchbayError} error why the connection was lost
   */
  async resume(error) {
    const { platform, tell } = this.#host;
    const lostAt = platform.now();
    // A stream on which nothing comes, while what is sent arrives, is one that is held back.
    if (error.code === "buffered" || (error.code === "timeout" && this.#host.memory.connection === "sse")) this.#isBuffered = true;
    platform.clearTimeout(this.#climbTimer);
    for (let attempt = 0; ; attempt += 1) {
      const now = platform.now();
      const retryInMs = resumeDelay({
        attempt, code: error.code, retryAfterMs: error.retryAfterMs, notBeforeMs: this.#notBefore - now,
        isKept: now - lostAt <= 2 * this.#host.windowMs(), random: platform.random,
      });
      tell({ state: "reconnecting", attempt, retryInMs, error });
      await this.#pause(retryInMs);
      if (this.#isSettled) return;
      tell({ state: "reconnecting", attempt, error });
      const failure = await this.#connect(attempt, openTimeout(attempt));
      if (this.#isSettled || !failure) return;
      error = failure;
      if (!isTemporary(error) || error.code === "session_gone" || (!this.#host.hasJoined() && attempt >= PATIENCE_BEFORE_JOIN)) {
        return this.#host.fail(error);
      }
    }
  }

  /**
   * The server goes away, and says when to come back.
   * @param {number} inMs
   */
  move(inMs) {
    const { platform, leave } = this.#host;
    this.#notBefore = platform.now() + inMs;
    platform.clearTimeout(this.#moveTimer);
    this.#moveTimer = platform.setTimeout(() => leave(new PatchbayError("going_away", "The server goes away.", { retryAfterMs: 0 })), inMs);
  }

  /** @param {import("./platform.js").NetworkChange} change */
  hint(change) {
    this.#climbs = 0;
    if (change === "moved") this.#isBuffered = false;
    if (this.#host.link()) return void this.probe(DOUBT_MS);
    if (change === "moved" && this.#isOpening && this.#host.canResume()) {
      // What was begun on the network before may wait for long.
      this.#isHurried = true;
      this.#host.abandon(new PatchbayError("timeout", "This device is on another network now."));
    }
    this.#wake?.();
  }

  /**
   * Asks the server for a sign of life, now. When none comes, the connection counts as lost.
   * @param {number} timeoutMs
   * @returns {Promise<boolean>} whether the connection lives
   */
  probe(timeoutMs) {
    this.#probing ??= this.#probe(timeoutMs).finally(() => (this.#probing = null));
    return this.#probing;
  }

  /**
   * @param {number} timeoutMs
   * @returns {Promise<boolean>}
   */
  #probe(timeoutMs) {
    const { platform, link, lastHeard, ping, leave } = this.#host;
    const asked = link();
    const askedAt = platform.now();
    return new Promise((resolve) => {
      /** @type {any} */
      let timer;
      const wait = (/** @type {number} */ ms) => {
        const due = platform.now() + ms;
        timer = platform.setTimeout(() => {
          if (link() !== asked || lastHeard() > askedAt) return resolve(link() === asked);
          if (platform.now() - due > LATE_MS) return wait(LATE_MS);
          leave(new PatchbayError("timeout", "The server is out of reach."));
          resolve(false);
        }, ms);
      };
      wait(timeoutMs);
      const answered = () => {
        platform.clearTimeout(timer);
        resolve(link() === asked);
      };
      // A refusal is a sign of life too.
      ping().then(answered, answered);
    });
  }

  /** Tries at once, when a retry is being waited for. */
  retryNow() {
    this.#wake?.();
  }

  /** @param {PatchbayError} error */
  stop(error) {
    this.#abort.abort(error);
    this.#host.platform.clearTimeout(this.#climbTimer);
    this.#host.platform.clearTimeout(this.#moveTimer);
  }

  get #isSettled() {
    return this.#host.isEnded() || this.#host.link() !== null;
  }

  /**
   * One attempt, over every connection that is worth a try.
   * @param {number} attempt
   * @param {number} timeoutMs for each
   * @param {PatchbayError | null} [tried] why a WebSocket did not work just now
   * @returns {Promise<PatchbayError | null>} why none works
   */
  async #connect(attempt, timeoutMs, tried = null) {
    const { memory, open, tell, canResume } = this.#host;
    const kinds = connectionsToTry({ last: memory.connection, isBuffered: this.#isBuffered, hasWebSocketWorked: this.#hasWebSocketWorked, attempt });
    let failure = tried;
    this.#isOpening = true;
    for (const kind of kinds) {
      if (tried && kind === "websocket") continue;
      if (!canResume()) tell({ state: "connecting", transport: kind, error: failure ?? undefined });
      const { error, isAnswer } = await open(kind, timeoutMs);
      if (!error || this.#isSettled) {
        failure = null;
        break;
      }
      // The server itself has spoken: another way to it changes nothing.
      const isLast = isAnswer || !isTemporary(error) || error.code === "session_gone" || error.retryAfterMs !== undefined || this.#isHurried;
      failure = isLast ? error : (failure ?? error);
      if (isLast) break;
    }
    this.#isOpening = false;
    return failure;
  }

  /** @param {number} ms */
  async #pause(ms) {
    const isHurried = this.#isHurried;
    this.#isHurried = false;
    const woken = new Promise((resolve) => (this.#wake = () => resolve(undefined)));
    await Promise.race([delay(this.#host.platform, isHurried ? 0 : ms, this.#abort.signal), woken]).catch(() => {});
    this.#wake = null;
  }

  /**
   * Tries a WebSocket now and then while something else works.
   * @param {ConnectionKind} kind
   */
  #climbLater(kind) {
    const { platform, open } = this.#host;
    this.#climbTimer = platform.setTimeout(async () => {
      await open("websocket", openTimeout(0));
      if (!this.#host.isEnded() && this.#host.link()?.kind === kind) this.#climbLater(kind);
    }, climbDelay(this.#climbs++, platform.random));
  }
}
