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

/** Close codes after which the client must not come back by itself, with the error code each one means. */
export const FINAL_CLOSE_CODES = /** @type {Record<number, string>} */ ({
  1009: "message_too_large",
  4400: "malformed_message",
  4401: "token_invalid",
  4403: "not_allowed",
  4409: "replaced",
});

/**
 * @typedef {"audio" | "video"} MediaKind
 * @typedef {"microphone" | "camera" | "screen" | "screen_audio"} Source
 * @typedef {{track: number} | {participant: number, source: Source} | {speaker: number}} SlotSource
 * @typedef {{id: number, source: Source, kind: MediaKind, muted: boolean}} TrackEntry
 * @typedef {"active" | "away"} PresenceState
 * @typedef {{number: number, identity: string, name: string, metadata?: unknown, attributes?: Record<string, string>,
 *   hand_raised?: boolean, presence?: PresenceState, tracks?: TrackEntry[]}} ParticipantEntry
 * @typedef {"left" | "connection_lost" | "transport_lost" | "replaced" | "node_lost" | "shutdown" | "removed" | "banned" | "denied"
 *   | "token_expired" | "revoked" | "room_closed"} LeaveReason
 * @typedef {"no_source" | "codec" | "muted"} SlotPause
 * @typedef {{topic: string, publish: boolean, subscribe: boolean}} TopicGrant `topic`: a label, or a prefix ending in `*`
 * @typedef {{publish: Source[], subscribe: boolean, data: boolean, topics?: TopicGrant[], moderate: boolean, hidden: boolean, record: boolean}} Grants
 * @typedef {{source: SlotSource | null, participant: number | null, track: number | null, paused?: SlotPause}} SlotState
 * @typedef {{mid: string, source: Source, muted: boolean}} PublicationOffer
 * @typedef {{mid: string, source: SlotSource | null, group?: string}} SlotOffer
 * @typedef {{id: number, label: string, protocol: string, ordered: boolean, max_retransmits?: number, max_lifetime_ms?: number}} ChannelDeclaration
 * @typedef {{sdp: string, publications: PublicationOffer[], slots: SlotOffer[], channels?: ChannelDeclaration[]}} Description
 * @typedef {{sdp: string, publications?: {mid: string, track: number, source: Source}[], slots?: {mid: string, ssrc: number, rtx_ssrc?: number}[]}} Answer
 * @typedef {{metadata?: unknown, attributes?: Record<string, string>, locked: boolean, waiting_room: boolean, max_participants: number, created_at_ms: number}} RoomInfo
 * @typedef {{metadata?: unknown, attributes?: Record<string, string | null>, locked?: boolean, waiting_room?: boolean, max_participants?: number}} RoomChanges
 * @typedef {{participant: number, identity: string, name: string}} WaitingParticipant somebody who waits to be admitted
 * @typedef {{number: number, participant: number, identity: string, name: string, text: string, sent_at_ms: number, message_id?: string}} ChatLine
 *
 * @typedef {{action: "mute", track: number}
 *   | {action: "stop_video" | "remove" | "ban" | "admit" | "deny" | "lower_hand", participant: number}
 *   | {action: "unban", identity: string}
 *   | {action: "promote", participant: number, grants: Grants}
 *   | ({action: "update_room"} & RoomChanges)
 *   | {action: "close_room"}} ModerationAction
 *
 * @typedef {{type: "hello", version: number, client?: string, resume?: {session: string, secret: string, last_seq: number, epoch?: number}}
 *   | {type: "join", room: string, identity?: string, name?: string, metadata?: unknown, offer?: Description}
 *   | ({type: "offer"} & Description)
 *   | {type: "candidate", candidate: string, mid?: string}
 *   | {type: "slot", mid: string, source: SlotSource | null}
 *   | {type: "mute", track: number, muted: boolean}
 *   | {type: "update", name?: string, metadata?: unknown, attributes?: Record<string, string | null>, hand_raised?: boolean}
 *   | {type: "presence", state?: PresenceState, typing?: boolean}
 *   | {type: "chat", text: string, message_id?: string}
 *   | {type: "chat_history", before?: number, limit?: number}
 *   | ({type: "moderate"} & ModerationAction)
 *   | {type: "refresh", token: string}
 *   | {type: "rpc", to: number, method: string, payload: string, timeout_ms?: number}
 *   | {type: "rpc_reply", call: number, payload?: string, error?: string}
 *   | {type: "topic_open", label: string, protocol: string}
 *   | {type: "topic_send", channel: number, messages: string[]}
 *   | {type: "topic_close", channel: number}
 *   | {type: "trouble", kind: TroubleKind, detail: string}
 *   | {type: "ping"}
 *   | {type: "leave"}} ClientRequest
 *
 * @typedef {"turn_refused" | "turn_unreachable" | "ice_failed" | "other"} TroubleKind what the server can't see
 *
 * @typedef {{type: "welcome", version: number, server: string, epoch: number, heartbeat_ms: number, session?: string, secret?: string,
 *   resume_window_ms?: number}} Welcome
 * @typedef {{session: string, secret: string, room: string, participant: ParticipantEntry, grants: Grants, participants: ParticipantEntry[],
 *   ice_servers: RTCIceServer[], answer?: Answer, room_info?: RoomInfo, chat?: ChatLine[], waiting?: WaitingParticipant[]}} Snapshot
 * @typedef {{type: "joined"} & Snapshot} Joined
 * @typedef {{type: "resumed", epoch: number, next_seq: number, heartbeat_ms: number, resume_window_ms: number, snapshot?: Snapshot}} Resumed
 * @typedef {Welcome | Joined | Resumed | ({type: "answered"} & Answer) | {type: "done"} | {type: "chatted", line: ChatLine}
 *   | {type: "history", lines: ChatLine[], more: boolean} | {type: "rpc_done", payload: string} | {type: "topic_opened", channel: number}} Reply
 *
 * @typedef {{type: "ok", id: number, result: Reply}
 *   | {type: "error", id?: number, code: string, message: string, retry_after_ms?: number}
 *   | {type: "participant_joined", participant: ParticipantEntry}
 *   | {type: "participant_left", participant: number, reason: LeaveReason}
 *   | {type: "participant_updated", participant: ParticipantEntry}
 *   | {type: "track_published", participant: number, track: TrackEntry}
 *   | {type: "track_unpublished", participant: number, track: number}
 *   | {type: "track_muted", participant: number, track: number, muted: boolean, by?: number}
 *   | ({type: "slot", mid: string} & SlotState)
 *   | {type: "speakers", speakers: number[]}
 *   | ({type: "chat"} & ChatLine)
 *   | {type: "presence", participant: number, state: PresenceState, typing: boolean}
 *   | {type: "room_updated", room: RoomInfo}
 *   | {type: "grants_changed", grants: Grants}
 *   | {type: "token_expiring", expires_at_ms: number}
 *   | {type: "waiting", position: number}
 *   | ({type: "participant_waiting"} & WaitingParticipant)
 *   | {type: "participant_waiting_ended", participant: number}
 *   | {type: "rpc_request", call: number, from?: number, method: string, payload: string, timeout_ms: number}
 *   | {type: "topic", channel: number, messages: string[]}
 *   | {type: "topic_closed", channel: number, reason: string}
 *   | {type: "going_away", reconnect_in_ms: number}
 *   | {type: "candidate", candidate: string, mid?: string}
 *   | {type: "transport", state: "connected", srtp_profile: string}
 *   | {type: "transport", state: "failed", reason: string}
 *   | {type: "ice_servers", ice_servers: RTCIceServer[]}
 *   | {type: "left", reason: LeaveReason}} ServerEvent
 * @typedef {ServerEvent & {seq: number}} ServerMessage `seq` 0 stands outside the numbering
 */

/**
 * The text of a request.
 * @param {number} id unique in the session
 * @param {ClientRequest} request
 * @param {number} [ack] the last message of the server that was taken in order
 */
export function encodeClientMessage(id, request, ack) {
  return JSON.stringify(ack ? { id, ack, ...request } : { id, ...request });
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
  return checkServerMessage(message);
}

/**
 * Checks what was read from JSON.
 * @param {any} message
 * @returns {ServerMessage}
 */
export function checkServerMessage(message) {
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
