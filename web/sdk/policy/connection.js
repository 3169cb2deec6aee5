/**
 * Which connection to signaling to try, how long to wait before it, and when one counts as dead: pure functions.
 *
 * A WebSocket is best. Where a proxy or a firewall refuses it, Server-Sent Events carry the same messages over plain
 * HTTP; where something on the way holds those back until its buffer is full, long polling does.
 */
import { backoff } from "./backoff.js";
import { retryBounds } from "./retry.js";

/** @typedef {"websocket" | "sse" | "poll"} ConnectionKind */

/** Tries of a WebSocket that worked in this session before the others are tried too: a restart of the server lets every
 * connection fail, and whoever comes back by two ways asks twice. */
const LOYAL_ATTEMPTS = 2;
/** The longest wait for a session that the server still keeps, or rebuilds after a restart: a person must be back within
 * 5 s of the server, and full jitter halves the mean. */
const RESUME_CAP_MS = 4_000;
/** Waits for a WebSocket while something else works. */
const CLIMB_BASE_MS = 5_000;
const CLIMB_CAP_MS = 60_000;

/**
 * What to try, in this order, in one attempt.
 * @param {object} view
 * @param {ConnectionKind} [view.last] what worked last
 * @param {boolean} [view.isBuffered] whether something on the way holds an SSE stream back
 * @param {boolean} [view.hasWebSocketWorked] in this session
 * @param {number} [view.attempt] 0 for the first
 * @returns {ConnectionKind[]}
 */
export function connectionsToTry({ last = "websocket", isBuffered = false, hasWebSocketWorked = false, attempt = 0 }) {
  const http = isBuffered || last === "poll" ? "poll" : "sse";
  if (last !== "websocket") return [http, "websocket"];
  return hasWebSocketWorked && attempt < LOYAL_ATTEMPTS ? ["websocket"] : ["websocket", http];
}

/**
 * How long to wait before a session is resumed over a new connection.
 * @param {object} view
 * @param {number} view.attempt 0 for the first since the connection was lost
 * @param {string} view.code of the error that ended the connection or the last attempt
 * @param {number} [view.retryAfterMs] what the server asks for, which wins
 * @param {number} [view.notBeforeMs] from now on: the server said when to come back
 * @param {boolean} [view.isKept] whether the server may still keep the session
 * @param {() => number} [view.random]
 * @returns {number} milliseconds
 */
export function resumeDelay({ attempt, code, retryAfterMs, notBeforeMs = 0, isKept = true, random }) {
  if (code === "buffered") return 0;
  const bounds = isKept ? { capMs: RESUME_CAP_MS, ...retryBounds(code) } : retryBounds(code);
  return Math.max(notBeforeMs, backoff(attempt, { random, retryAfterMs, ...bounds }));
}

/**
 * How long to wait before a WebSocket is tried while another connection works: between half of a ceiling that doubles
 * and the whole.
 * @param {number} attempt 0 for the first
 * @param {() => number} random
 */
export function climbDelay(attempt, random) {
  return Math.round(Math.min(CLIMB_CAP_MS, CLIMB_BASE_MS * 2 ** Math.min(attempt, 10)) * (0.5 + random() / 2));
}
