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
  constructor(code, message, { retryAfterMs, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "PatchbayError";
    /** Stable code. */
    this.code = code;
    /** When the server asks to be tried again, in milliseconds. */
    this.retryAfterMs = retryAfterMs;
  }
}

/** Codes after which trying again with the same options cannot help. */
const FINAL = new Set([
  "token_missing", "token_invalid", "token_expired", "token_not_yet_valid", "wrong_room", "not_allowed", "invalid_argument",
  "unsupported_version", "replaced", "unsupported", "closed", "invalid_sdp", "message_too_large", "malformed_message",
  "token_wrong_algorithm", "token_unknown_key", "token_revoked", "banned", "denied", "removed", "room_closed", "room_locked",
]);

/**
 * Whether trying again later may help.
 * @param {unknown} error
 */
export function isTemporary(error) {
  return !(error instanceof PatchbayError) || !FINAL.has(error.code);
}
