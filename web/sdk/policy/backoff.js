/** The first ceiling of a retry delay. */
const BASE_MS = 500;
/** The last one: long enough for a server to come back under everybody's return, short enough for a person to wait. */
const CAP_MS = 15_000;

/**
 * How long to wait before a retry: exponential with full jitter, so that a restart of the server spreads its clients
 * over the whole interval. What the server asks for wins.
 * @param {number} attempt 0 for the first retry
 * @param {{random?: () => number, retryAfterMs?: number, baseMs?: number, capMs?: number}} [options]
 * @returns {number} milliseconds
 */
export function backoff(attempt, { random = Math.random, retryAfterMs, baseMs = BASE_MS, capMs = CAP_MS } = {}) {
  if (retryAfterMs !== undefined && Number.isFinite(retryAfterMs) && retryAfterMs >= 0) return retryAfterMs;
  const ceiling = Math.min(capMs, baseMs * 2 ** Math.min(Math.max(0, attempt), 30));
  return Math.round(random() * ceiling);
}
