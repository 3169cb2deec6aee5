/**
 * Bounds of the wait before a retry, by what went wrong; none for what happens to many at once.
 * @param {string} code of the error
 * @returns {{baseMs?: number, capMs?: number}}
 */
export function retryBounds(code: string): {
    baseMs?: number;
    capMs?: number;
};
/**
 * How long a connection may take to open: a lost first packet is sent again after 1, 3 and 7 s, so short tries notice
 * sooner that the network is back, and longer ones give a slow network its time.
 * @param {number} attempt 0 for the first try of a rejoin
 */
export function openTimeout(attempt: number): number;
/**
 * Whether a connection on which a ping is sent at every beat is dead. A silence that begins right after an answer is
 * found at the third beat, at three times the interval.
 * @param {number} silentMs
 * @param {number} heartbeatMs
 */
export function isConnectionDead(silentMs: number, heartbeatMs: number): boolean;
/** What every connection and every retry goes by. */
/** A timer that is so late was held up with everything else in the page: an answer may be waiting behind it. */
export const LATE_MS: 300;
