/**
 * How long to wait before a retry: exponential with full jitter, so that a restart of the server spreads its clients
 * over the whole interval. What the server asks for wins.
 * @param {number} attempt 0 for the first retry
 * @param {{random?: () => number, retryAfterMs?: number, baseMs?: number, capMs?: number}} [options]
 * @returns {number} milliseconds
 */
export function backoff(attempt: number, { random, retryAfterMs, baseMs, capMs }?: {
    random?: () => number;
    retryAfterMs?: number;
    baseMs?: number;
    capMs?: number;
}): number;
