/**
 * The client protocol, version 1: the shapes on the wire and the two functions that read and write them.
 * The written form is `docs/protocol.md`; the golden files under `protocol/golden` hold both to it.
 */
import { PatchbayError } from "./errors.js";

export const PROTOCOL_VERSION = 1;
export const WEBSOCKET_PROTOCOL = "patchbay.v1";
export const BEARER_PROTOCOL_PREFIX = "bearer.";
/** How often the client pings until `welcome` says otherwise. */
export const HEARTBEAT_INTERVAL_MS = 5_000;
/** Silence after which the connection counts as gone. */
export const HEARTBEAT_TIMEOUT_MS = 15_000;

/** Close codes after which the client must not come back by itself, with the error code each one means. */
export const FINAL_CLOSE_CODES = /** @type {Record<number, string>} */ ({
  1009: "message_too_large",
  4400: "malformed_message",
  4401: "token_invalid",
  4409: "replaced",
});

/**
 * @typedef {"audio" | "video"} MediaKind
 * @typedef {"microphone" | "camera" | "screen" | "screen_audio"} Source
 * @typedef {{track: number} | {participant: number, source: Source} | {speaker: number}} SlotSource
 * @typedef {{id: number, source: Source, kind: MediaKind, muted: boolean}} TrackEntry
 * @typedef {{number: number, identity: string, name: string, metadata?: unknown, hand_raised?: boolean, tracks?: TrackEntry[]}} ParticipantEntry
 * @typedef {"left" | "connection_lost" | "transport_lost" | "replaced" | "node_lost" | "shutdown"} LeaveReason
 * @typedef {"no_source" | "codec" | "muted"} SlotPause
 * @typedef {{publish: Source[], subscribe: boolean, data: boolean, moderate: boolean, hidden: boolean, record: boolean}} Grants
 * @typedef {{source: SlotSource | null, participant: number | null, track: number | null, paused?: SlotPause}} SlotState
 * @typedef {{mid: string, source: Source, muted: boolean}} PublicationOffer
 * @typedef {{mid: string, source: SlotSource | null, group?: string}} SlotOffer
 * @typedef {{sdp: string, publications: PublicationOffer[], slots: SlotOffer[]}} Description
 * @typedef {{sdp: string, publications?: {mid: string, track: number, source: Source}[], slots?: {mid: string, ssrc: number, rtx_ssrc?: number}[]}} Answer
 *
 * @typedef {{type: "hello", version: number, client?: string}
 *   | {type: "join", room: string, identity?: string, name?: string, metadata?: unknown, offer?: Description}
 *   | ({type: "offer"} & Description)
 *   | {type: "candidate", candidate: string, mid?: string}
 *   | {type: "slot", mid: string, source: SlotSource | null}
 *   | {type: "mute", track: number, muted: boolean}
 *   | {type: "update", name?: string, metadata?: unknown, hand_raised?: boolean}
 *   | {type: "chat", text: string}
 *   | {type: "trouble", kind: TroubleKind, detail: string}
 *   | {type: "ping"}
 *   | {type: "leave"}} ClientRequest
 *
 * @typedef {"turn_refused" | "turn_unreachable" | "ice_failed" | "other"} TroubleKind what the server can't see
 *
 * @typedef {{type: "welcome", version: number, server: string, epoch: number, heartbeat_ms: number}} Welcome
 * @typedef {{type: "joined", session: string, secret: string, room: string, participant: ParticipantEntry, grants: Grants,
 *   participants: ParticipantEntry[], ice_servers: RTCIceServer[], answer?: Answer}} Joined
 * @typedef {Welcome | Joined | ({type: "answered"} & Answer) | {type: "done"}} Reply
 *
 * @typedef {{type: "ok", id: number, result: Reply}
 *   | {type: "error", id?: number, code: string, message: string, retry_after_ms?: number}
 *   | {type: "participant_joined", participant: ParticipantEntry}
 *   | {type: "participant_left", participant: number, reason: LeaveReason}
 *   | {type: "participant_updated", participant: ParticipantEntry}
 *   | {type: "track_published", participant: number, track: TrackEntry}
 *   | {type: "track_unpublished", participant: number, track: number}
 *   | {type: "track_muted", participant: number, track: number, muted: boolean}
 *   | ({type: "slot", mid: string} & SlotState)
 *   | {type: "speakers", speakers: number[]}
 *   | {type: "chat", participant: number, name: string, text: string, sent_at_ms: number}
 *   | {type: "candidate", candidate: string, mid?: string}
 *   | {type: "transport", state: "connected", srtp_profile: string}
 *   | {type: "transport", state: "failed", reason: string}
 *   | {type: "ice_servers", ice_servers: RTCIceServer[]}
 *   | {type: "left", reason: LeaveReason}} ServerEvent
 * @typedef {ServerEvent & {seq: number}} ServerMessage
 */

/**
 * The text of a request.
 * @param {number} id unique in the session
 * @param {ClientRequest} request
 */
export function encodeClientMessage(id, request) {
  return JSON.stringify({ id, ...request });
}

/**
 * Reads a server message. A `type` that this version does not know is kept: newer servers may say more.
 * @param {unknown} data what the WebSocket delivered
 * @returns {ServerMessage}
 */
export function parseServerMessage(data) {
  if (typeof data !== "string") throw new PatchbayError("malformed_message", "The server sent something that is not text.");
  /** @type {any} */
  let message;
  try {
    message = JSON.parse(data);
  } catch (cause) {
    throw new PatchbayError("malformed_message", "The server sent something that is not JSON.", { cause });
  }
  if (message === null || typeof message !== "object" || typeof message.type !== "string" || typeof message.seq !== "number") {
    throw new PatchbayError("malformed_message", "The server sent something that is not a message of this protocol.");
  }
  return message;
}

/**
 * The media kind a source consists of.
 * @param {Source} source
 * @returns {MediaKind}
 */
export function kindOf(source) {
  return source === "microphone" || source === "screen_audio" ? "audio" : "video";
}
