/**
 * What to try, in this order, in one attempt.
 * @param {object} view
 * @param {ConnectionKind} [view.last] what worked last
 * @param {boolean} [view.isBuffered] whether something on the way holds an SSE stream back
 * @param {boolean} [view.hasWebSocketWorked] in this session
 * @param {number} [view.attempt] 0 for the first
 * @returns {ConnectionKind[]}
 */
export function connectionsToTry({ last, isBuffered, hasWebSocketWorked, attempt }: {
    last?: ConnectionKind | undefined;
    isBuffered?: boolean | undefined;
    hasWebSocketWorked?: boolean | undefined;
    attempt?: number | undefined;
}): ConnectionKind[];
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
export function resumeDelay({ attempt, code, retryAfterMs, notBeforeMs, isKept, random }: {
    attempt: number;
    code: string;
    retryAfterMs?: number | undefined;
    notBeforeMs?: number | undefined;
    isKept?: boolean | undefined;
    random?: (() => number) | undefined;
}): number;
/**
 * How long to wait before a WebSocket is tried while another connection works: between half of a ceiling that doubles
 * and the whole.
 * @param {number} attempt 0 for the first
 * @param {() => number} random
 */
export function climbDelay(attempt: number, random: () => number): number;
export type ConnectionKind = "websocket" | "sse" | "poll";
