/** What the page says when something is not as it should be: what happened, and what to do next. */

export { connectionWords } from "../sdk/policy/words.js";

/**
 * @typedef {{title: string, text: string}} Words
 */

/** Where a WebSocket does not get through. @type {Words} */
export const HTTP_WORDS = { title: "This network blocks WebSockets; using plain HTTP", text: "The call works as usual; words and changes take a little longer." };

/** @type {Words} */
const BUSY = { title: "The server is busy", text: "Wait a moment, then try again." };
/** @type {Words} */
const INVALID = { title: "This invitation does not hold", text: "The token could not be verified. Ask for a new one." };

/** @type {Record<string, Words>} */
const ROOM = {
  token_missing: { title: "This room needs an invitation", text: "Ask whoever runs it for a token, and paste it below." },
  token_invalid: INVALID,
  token_wrong_algorithm: INVALID,
  token_unknown_key: INVALID,
  token_expired: { title: "This invitation has expired", text: "Ask for a new one." },
  token_not_yet_valid: { title: "It is too early", text: "This invitation becomes valid later. Try again then." },
  token_revoked: { title: "This invitation was withdrawn", text: "Ask whoever runs the room." },
  banned: { title: "You were removed from this room", text: "You may not come back. Ask whoever runs it." },
  removed: { title: "You were asked to leave", text: "A moderator removed you from the room." },
  denied: { title: "You were not let in", text: "A moderator did not admit you." },
  room_locked: { title: "This room is locked", text: "Ask somebody inside to unlock it, then try again." },
  room_closed: { title: "The room was closed", text: "A moderator ended the call for everybody." },
  too_many: { title: "That is too many", text: "The server allows no more of these." },
  draining: BUSY,
  wrong_room: { title: "This invitation is for another room", text: "Check the link that you were given." },
  not_allowed: { title: "You may not do this here", text: "Your invitation does not allow it." },
  room_full: { title: "This room is full", text: "Try again when somebody has left." },
  rate_limited: { title: "Too many tries", text: "Wait a moment, then try again." },
  overloaded: BUSY,
  no_node: { title: "No media server is running", text: "Signaling works, but no SFU node is there to carry audio and video. Whoever runs this server should start one." },
  unsupported_version: { title: "This page is out of date", text: "Reload it to get the version that the server speaks." },
  unsupported: { title: "This browser cannot make calls", text: "It has no WebRTC, or has it switched off. Try a current Firefox, Chrome, Edge or Safari." },
  invalid_argument: { title: "That name cannot be used", text: "Choose another name for yourself or the room." },
  invalid_sdp: { title: "Browser and server do not agree", text: "The server could not work with what this browser offers. Try another browser." },
  message_too_large: { title: "That was too much at once", text: "The server takes smaller messages only. Join again." },
  malformed_message: { title: "Page and server do not understand each other", text: "Reload the page to get the version that the server speaks." },
  connection_failed: { title: "The server cannot be reached", text: "Check that you are online and that the server is running, then try again." },
  connection_lost: { title: "The connection was lost", text: "Check that you are online, then come back in." },
  media_failed: { title: "Audio and video cannot get through", text: "This network may block them. Try another network, or ask whoever runs it to let UDP through." },
  replaced: { title: "You joined somewhere else", text: "The call goes on in the other window or device." },
  timeout: { title: "That took too long", text: "Check that you are online, then try again." },
};

/**
 * Words for an error of the SDK or the server.
 * @param {unknown} error
 * @returns {Words}
 */
export function wordsFor(error) {
  const code = /** @type {{code?: unknown}} */ (error)?.code;
  const known = typeof code === "string" ? ROOM[code] : undefined;
  if (known) return known;
  const text = error instanceof Error && error.message ? error.message : "Try again; if it happens again, reload the page.";
  return { title: "Something went wrong", text };
}

/**
 * Why a device gave nothing, in one word.
 * @param {unknown} error from `getUserMedia` or `getDisplayMedia`
 * @returns {"refused" | "in_use" | "missing" | "insecure" | "unknown"}
 */
export function deviceFault(error) {
  switch (/** @type {{name?: string}} */ (error)?.name) {
    case "NotAllowedError":
    case "SecurityError":
      return "refused";
    case "NotReadableError":
    case "AbortError":
    case "TrackStartError":
      return "in_use";
    case "NotFoundError":
    case "OverconstrainedError":
    case "DevicesNotFoundError":
      return "missing";
    case "InsecureContextError":
      return "insecure";
    default:
      return "unknown";
  }
}

/**
 * Words for a device that gave nothing.
 * @param {"camera" | "microphone"} device
 * @param {ReturnType<typeof deviceFault>} fault
 * @returns {Words}
 */
export function deviceWords(device, fault) {
  switch (fault) {
    case "refused":
      return { title: `The browser may not use your ${device}`, text: `Allow it in the address bar, next to the page's address, then try again. You can join without.` };
    case "in_use":
      return { title: `Your ${device} is used by another program`, text: "Close the other program, then try again. You can join without." };
    case "missing":
      return { title: `No ${device} was found`, text: "Plug one in, or join without." };
    case "insecure":
      return { title: `This page has no access to your ${device}`, text: "Browsers give it to secure pages only. Open this page over https, or on localhost. You can join to watch and listen." };
    default:
      return { title: `Your ${device} did not start`, text: "Try another one, or join without." };
  }
}
