/**
 * What the dashboard says when something isn't as it should be, and what happened in words.
 */
import { duration } from "./format.js";

/** What a token needs to see everything here. */
export const SCOPES = "rooms:read,status,events";
const MINT = "Mint another with “patchbay token --api”.";

/** @type {Record<string, [string, string]>} */
const REFUSALS = {
  token_missing: ["This server has keys", "Give it a token that may read its state."],
  token_invalid: ["This token is wrong", "The server's keys didn't sign it, or not all of it was copied."],
  token_malformed: ["This is no token", "It was cut off, or something else was copied."],
  token_expired: ["This token has expired", MINT],
  token_not_yet_valid: ["This token isn't valid yet", "Perhaps a clock is wrong."],
  token_wrong_algorithm: ["This token is wrong", "It isn't signed the way this server signs."],
  token_unknown_key: ["This token is wrong", "It was signed with a key that this server doesn't have (any more)."],
  token_revoked: ["This token was revoked", MINT],
};

/**
 * @param {{status: number, code: string, message: string}} error
 * @returns {{title: string, text: string}}
 */
export function refusalWords({ status, code, message }) {
  const known = REFUSALS[code];
  if (known) return { title: known[0], text: known[1] };
  if (status === 401) return { title: "The server refused this token", text: message ? sentence(message) : MINT };
  if (status === 403) return { title: "Not allowed", text: message ? sentence(message) : `To see everything a token needs ${SCOPES}.` };
  return { title: "The server said no", text: message || `It answered ${status}.` };
}

/** @param {string} text */
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;

/**
 * The state of the connection in one sentence.
 * @param {{kind: "connecting" | "live" | "away" | "refused", sinceMs: number, retryAtMs: number | null, code: string | null}} state
 * @param {number} now
 * @param {{uptimeMs: number | null, draining: boolean} | null} figures
 */
export function stateWords(state, now, figures) {
  if (state.kind === "connecting") return "Asking the server…";
  if (state.kind === "refused") return "The server refuses this token";
  if (state.kind === "away") {
    const what = state.code === "unreachable" ? "The server doesn't answer" : state.code === "rate_limited" ? "The server asks this page to wait" : "The server has trouble";
    const rest = state.retryAtMs === null ? "asking now…" : `asking again in ${duration(Math.max(0, state.retryAtMs - now) + 999)}`;
    return `${what} since ${duration(now - state.sinceMs)}, ${rest}`;
  }
  if (figures?.draining) return "Going away: takes no new sessions";
  return figures?.uptimeMs != null ? `Live, up for ${duration(figures.uptimeMs)}` : "Live";
}

/** @type {Record<string, string>} */
const LEFT = {
  left: "left", connection_lost: "lost the connection", transport_lost: "lost the media connection", shutdown: "left: the server went away", removed: "was removed", banned: "was banned", denied: "was not let in", replaced: "was replaced by a newer session",
  token_expired: "left: the token expired", revoked: "left: the token was revoked", room_closed: "left: the room was closed", node_lost: "left: the node was lost",
};
/** @type {Record<string, string>} */
const SOURCES = { microphone: "the microphone", camera: "the camera", screen: "a screen", screen_audio: "a screen's sound" };

/** @typedef {import("./feed.js").FeedEntry} FeedEntry */

/**
 * What happened; whoever did it comes first, the room is shown beside it. Nobody's chat is shown.
 * @param {FeedEntry["event"]} event
 * @returns {{who: string, what: string}}
 */
export function eventWords(event) {
  const who = event.name || "Somebody";
  const source = SOURCES[event.source ?? ""] ?? "a track";
  switch (event.type) {
    case "room_created": return { who: "", what: "Room opened" };
    case "room_updated": return { who: "", what: event.room_info?.locked ? "Room changed, it is locked" : "Room changed" };
    case "room_closed": return { who: "", what: "Room closed" };
    case "participant_joined": return { who, what: "joined" };
    case "participant_left": return { who, what: LEFT[event.reason ?? "left"] ?? "left" };
    case "participant_updated": return { who, what: changeWords(event.participant, event.before) };
    case "track_published": return { who, what: `publishes ${source}` };
    case "track_unpublished": return { who, what: `stopped ${source}` };
    case "track_muted": return { who, what: event.muted === false ? `unmuted ${source}` : `muted ${source}` };
    case "chat": return { who, what: "wrote in the chat" };
    case "node_attached": return { who: String(event.node ?? "A node"), what: "attached" };
    case "node_lost": return { who: String(event.node ?? "A node"), what: "is lost" };
    case "gap": return { who: "", what: "Some events were missed here" };
    case "note": return { who: "", what: String(event.text ?? "") };
    default: return { who, what: event.type.replaceAll("_", " ") };
  }
}

/**
 * @param {any} person
 * @param {any} before
 */
function changeWords(person, before) {
  if (before && person.hand_raised !== before.hand_raised) return person.hand_raised ? "raised a hand" : "lowered the hand";
  if (before && person.presence !== before.presence) return person.presence === "away" ? "is away" : "is back";
  return before && person.name !== before.name ? `was ${before.name} before` : "changed";
}

/**
 * Which kind of happening it is, for the filter.
 * @param {string} type
 * @returns {"people" | "tracks" | "chat" | "rooms" | "server"}
 */
export function kindOf(type) {
  if (type.startsWith("participant_")) return "people";
  if (type.startsWith("track_")) return "tracks";
  if (type === "chat") return "chat";
  return type.startsWith("room_") ? "rooms" : "server";
}
