/** What every connection and every retry goes by. */

/** A timer that is so late was held up with everything else in the page: an answer may be waiting behind it. */
export const LATE_MS = 300;

/** Bounds of the wait before the next try at a server from which nothing comes at all: that is mostly the network of
 * one client, so that nobody is spared by waiting, and a person waits. */
const SILENT = { baseMs: 200, capMs: 3_000 };

/**
 * Bounds of the wait before a retry, by what went wrong; none for what happens to many at once.
 * @param {string} code of the error
 * @returns {{baseMs?: number, capMs?: number}}
 */
export function retryBounds(code) {
  // The session was asked for after a wait already.
  if (code === "session_gone") return { baseMs: 0, capMs: 0 };
  return code === "timeout" ? SILENT : {};
}

/**
 * How long a connection may take to open: a lost first packet is sent again after 1, 3 and 7 s, so short tries notice
 * sooner that the network is back, and longer ones give a slow network its time.
 * @param {number} attempt 0 for the first try of a rejoin
 */
export function openTimeout(attempt) {
  return Math.min(10_000, 4_000 + 2_000 * attempt);
}

/**
 * Whether a connection on which a ping is sent at every beat is dead. A silence that begins right after an answer is
 * found at the third beat, at three times the interval.
 * @param {number} silentMs
 * @param {number} heartbeatMs
 */
export function isConnectionDead(silentMs, heartbeatMs) {
  return silentMs > 2.5 * heartbeatMs;
}
