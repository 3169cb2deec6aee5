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
export function encodeClientMessage(id: number, request: ClientRequest, ack?: number): string;
/**
 * Reads a server message. A `type` that this version does not know is kept: newer servers may say more.
 * @param {unknown} data what the WebSocket delivered
 * @returns {ServerMessage}
 */
export function parseServerMessage(data: unknown): ServerMessage;
/**
 * Checks what was read from JSON.
 * @param {any} message
 * @returns {ServerMessage}
 */
export function checkServerMessage(message: any): ServerMessage;
/**
 * The media kind a source consists of.
 * @param {Source} source
 * @returns {MediaKind}
 */
export function kindOf(source: Source): MediaKind;
export const PROTOCOL_VERSION: 1;
export const WEBSOCKET_PROTOCOL: "patchbay.v1";
export const BEARER_PROTOCOL_PREFIX: "bearer.";
/** How often the client pings until `welcome` says otherwise. */
export const HEARTBEAT_INTERVAL_MS: 5000;
/** Close codes after which the client must not come back by itself, with the error code each one means. */
export const FINAL_CLOSE_CODES: Record<number, string>;
export type MediaKind = "audio" | "video";
export type Source = "microphone" | "camera" | "screen" | "screen_audio";
export type SlotSource = {
    track: number;
} | {
    participant: number;
    source: Source;
} | {
    speaker: number;
};
export type TrackEntry = {
    id: number;
    source: Source;
    kind: MediaKind;
    muted: boolean;
};
export type PresenceState = "active" | "away";
export type ParticipantEntry = {
    number: number;
    identity: string;
    name: string;
    metadata?: unknown;
    attributes?: Record<string, string>;
    hand_raised?: boolean;
    presence?: PresenceState;
    tracks?: TrackEntry[];
};
export type LeaveReason = "left" | "connection_lost" | "transport_lost" | "replaced" | "node_lost" | "shutdown" | "removed" | "banned" | "denied" | "token_expired" | "revoked" | "room_closed";
export type SlotPause = "no_source" | "codec" | "muted";
/**
 * `topic`: a label, or a prefix ending in `*`
 */
export type TopicGrant = {
    topic: string;
    publish: boolean;
    subscribe: boolean;
};
export type Grants = {
    publish: Source[];
    subscribe: boolean;
    data: boolean;
    topics?: TopicGrant[];
    moderate: boolean;
    hidden: boolean;
    record: boolean;
};
export type SlotState = {
    source: SlotSource | null;
    participant: number | null;
    track: number | null;
    paused?: SlotPause;
};
export type PublicationOffer = {
    mid: string;
    source: Source;
    muted: boolean;
};
export type SlotOffer = {
    mid: string;
    source: SlotSource | null;
    group?: string;
};
export type ChannelDeclaration = {
    id: number;
    label: string;
    protocol: string;
    ordered: boolean;
    max_retransmits?: number;
    max_lifetime_ms?: number;
};
export type Description = {
    sdp: string;
    publications: PublicationOffer[];
    slots: SlotOffer[];
    channels?: ChannelDeclaration[];
};
export type Answer = {
    sdp: string;
    publications?: {
        mid: string;
        track: number;
        source: Source;
    }[];
    slots?: {
        mid: string;
        ssrc: number;
        rtx_ssrc?: number;
    }[];
};
export type RoomInfo = {
    metadata?: unknown;
    attributes?: Record<string, string>;
    locked: boolean;
    waiting_room: boolean;
    max_participants: number;
    created_at_ms: number;
};
export type RoomChanges = {
    metadata?: unknown;
    attributes?: Record<string, string | null>;
    locked?: boolean;
    waiting_room?: boolean;
    max_participants?: number;
};
/**
 * somebody who waits to be admitted
 */
export type WaitingParticipant = {
    participant: number;
    identity: string;
    name: string;
};
export type ChatLine = {
    number: number;
    participant: number;
    identity: string;
    name: string;
    text: string;
    sent_at_ms: number;
    message_id?: string;
};
export type ModerationAction = {
    action: "mute";
    track: number;
} | {
    action: "stop_video" | "remove" | "ban" | "admit" | "deny" | "lower_hand";
    participant: number;
} | {
    action: "unban";
    identity: string;
} | {
    action: "promote";
    participant: number;
    grants: Grants;
} | ({
    action: "update_room";
} & RoomChanges) | {
    action: "close_room";
};
export type ClientRequest = {
    type: "hello";
    version: number;
    client?: string;
    resume?: {
        session: string;
        secret: string;
        last_seq: number;
        epoch?: number;
    };
} | {
    type: "join";
    room: string;
    identity?: string;
    name?: string;
    metadata?: unknown;
    offer?: Description;
} | ({
    type: "offer";
} & Description) | {
    type: "candidate";
    candidate: string;
    mid?: string;
} | {
    type: "slot";
    mid: string;
    source: SlotSource | null;
} | {
    type: "mute";
    track: number;
    muted: boolean;
} | {
    type: "update";
    name?: string;
    metadata?: unknown;
    attributes?: Record<string, string | null>;
    hand_raised?: boolean;
} | {
    type: "presence";
    state?: PresenceState;
    typing?: boolean;
} | {
    type: "chat";
    text: string;
    message_id?: string;
} | {
    type: "chat_history";
    before?: number;
    limit?: number;
} | ({
    type: "moderate";
} & ModerationAction) | {
    type: "refresh";
    token: string;
} | {
    type: "rpc";
    to: number;
    method: string;
    payload: string;
    timeout_ms?: number;
} | {
    type: "rpc_reply";
    call: number;
    payload?: string;
    error?: string;
} | {
    type: "topic_open";
    label: string;
    protocol: string;
} | {
    type: "topic_send";
    channel: number;
    messages: string[];
} | {
    type: "topic_close";
    channel: number;
} | {
    type: "trouble";
    kind: TroubleKind;
    detail: string;
} | {
    type: "ping";
} | {
    type: "leave";
};
/**
 * what the server can't see
 */
export type TroubleKind = "turn_refused" | "turn_unreachable" | "ice_failed" | "other";
export type Welcome = {
    type: "welcome";
    version: number;
    server: string;
    epoch: number;
    heartbeat_ms: number;
    session?: string;
    secret?: string;
    resume_window_ms?: number;
};
export type Snapshot = {
    session: string;
    secret: string;
    room: string;
    participant: ParticipantEntry;
    grants: Grants;
    participants: ParticipantEntry[];
    ice_servers: RTCIceServer[];
    answer?: Answer;
    room_info?: RoomInfo;
    chat?: ChatLine[];
    waiting?: WaitingParticipant[];
};
export type Joined = {
    type: "joined";
} & Snapshot;
export type Resumed = {
    type: "resumed";
    epoch: number;
    next_seq: number;
    heartbeat_ms: number;
    resume_window_ms: number;
    snapshot?: Snapshot;
};
export type Reply = Welcome | Joined | Resumed | ({
    type: "answered";
} & Answer) | {
    type: "done";
} | {
    type: "chatted";
    line: ChatLine;
} | {
    type: "history";
    lines: ChatLine[];
    more: boolean;
} | {
    type: "rpc_done";
    payload: string;
} | {
    type: "topic_opened";
    channel: number;
};
export type ServerEvent = {
    type: "ok";
    id: number;
    result: Reply;
} | {
    type: "error";
    id?: number;
    code: string;
    message: string;
    retry_after_ms?: number;
} | {
    type: "participant_joined";
    participant: ParticipantEntry;
} | {
    type: "participant_left";
    participant: number;
    reason: LeaveReason;
} | {
    type: "participant_updated";
    participant: ParticipantEntry;
} | {
    type: "track_published";
    participant: number;
    track: TrackEntry;
} | {
    type: "track_unpublished";
    participant: number;
    track: number;
} | {
    type: "track_muted";
    participant: number;
    track: number;
    muted: boolean;
    by?: number;
} | ({
    type: "slot";
    mid: string;
} & SlotState) | {
    type: "speakers";
    speakers: number[];
} | ({
    type: "chat";
} & ChatLine) | {
    type: "presence";
    participant: number;
    state: PresenceState;
    typing: boolean;
} | {
    type: "room_updated";
    room: RoomInfo;
} | {
    type: "grants_changed";
    grants: Grants;
} | {
    type: "token_expiring";
    expires_at_ms: number;
} | {
    type: "waiting";
    position: number;
} | ({
    type: "participant_waiting";
} & WaitingParticipant) | {
    type: "participant_waiting_ended";
    participant: number;
} | {
    type: "rpc_request";
    call: number;
    from?: number;
    method: string;
    payload: string;
    timeout_ms: number;
} | {
    type: "topic";
    channel: number;
    messages: string[];
} | {
    type: "topic_closed";
    channel: number;
    reason: string;
} | {
    type: "going_away";
    reconnect_in_ms: number;
} | {
    type: "candidate";
    candidate: string;
    mid?: string;
} | {
    type: "transport";
    state: "connected";
    srtp_profile: string;
} | {
    type: "transport";
    state: "failed";
    reason: string;
} | {
    type: "ice_servers";
    ice_servers: RTCIceServer[];
} | {
    type: "left";
    reason: LeaveReason;
};
/**
 * `seq` 0 stands outside the numbering
 */
export type ServerMessage = ServerEvent & {
    seq: number;
};
