/**
 * Whether trying again later may help.
 * @param {unknown} error
 */
export function isTemporary(error: unknown): boolean;
/**
 * Errors with a stable `code`, so that a caller decides by code and shows the message to a person.
 *
 * Codes that come from the server are those of the protocol (`token_missing`, `room_full`, …). The SDK adds:
 * `connection_failed` (no connection could be made), `connection_lost` (it broke while something was waited for),
 * `closed` (the room was closed), `superseded` (a newer request took this one's place), `timeout`,
 * `media_failed` (no media path to the server), `unsupported` (the browser lacks WebRTC), `replaced`, `removed` and
 * `room_closed` (why the stay ended), `buffered` and `going_away` (why a connection was left for another).
 */
export class PatchbayError extends Error {
    /**
     * @param {string} code stable, machine-readable
     * @param {string} message for a person
     * @param {{retryAfterMs?: number, cause?: unknown}} [details]
     */
    constructor(code: string, message: string, { retryAfterMs, cause }?: {
        retryAfterMs?: number;
        cause?: unknown;
    });
    /** Stable code. */
    code: string;
    /** When the server asks to be tried again, in milliseconds. */
    retryAfterMs: number | undefined;
}
