/**
 * The events that carry little: `roomupdated` (`info`), `grantschanged` (`grants`), `tokenexpiring` (`expiresAt`), `presence`
 * (`participant`, `state`, `typing`), `waiting` (`position`), `waitingchanged` (`waiting`: who waits to be admitted).
 * @template {object} T
 * @param {string} type
 * @param {T} details
 * @returns {Event & T}
 */
export function roomEvent<T extends object>(type: string, details: T): Event & T;
/** The events of a `Room`, each with what it is about as properties. */
/** `statechange`: the room's state, in a word. */
export class StateChangeEvent extends Event {
    /**
     * @param {import("./room.js").RoomState} state
     * @param {{error?: import("./errors.js").PatchbayError, retryInMs?: number, attempt?: number}} [details]
     */
    constructor(state: import("./room.js").RoomState, { error, retryInMs, attempt }?: {
        error?: import("./errors.js").PatchbayError;
        retryInMs?: number;
        attempt?: number;
    });
    state: import("./room.js").RoomState;
    /** Why, when it is `reconnecting` or `closed` and nobody asked for it. */
    error: import("./errors.js").PatchbayError | undefined;
    /** When the next try starts, when it is `reconnecting` and waits. */
    retryInMs: number | undefined;
    /** How many tries were made, when it is `reconnecting`. */
    attempt: number | undefined;
}
/** `participantjoined`, `participantleft`, `participantupdated`. */
export class ParticipantEvent extends Event {
    /**
     * @param {"participantjoined" | "participantleft" | "participantupdated"} type
     * @param {import("./participant.js").Participant} participant
     * @param {import("./protocol.js").LeaveReason} [reason] of leaving
     */
    constructor(type: "participantjoined" | "participantleft" | "participantupdated", participant: import("./participant.js").Participant, reason?: import("./protocol.js").LeaveReason);
    participant: import("./participant.js").Participant;
    reason: import("./protocol.js").LeaveReason | undefined;
}
/** `trackpublished`, `trackunpublished`, `trackmuted`. */
export class TrackEvent extends Event {
    /**
     * @param {"trackpublished" | "trackunpublished" | "trackmuted"} type
     * @param {import("./participant.js").RemoteTrack} track
     * @param {number} [by] the moderator who muted it
     */
    constructor(type: "trackpublished" | "trackunpublished" | "trackmuted", track: import("./participant.js").RemoteTrack, by?: number);
    track: import("./participant.js").RemoteTrack;
    /** The number of the moderator who muted it, if one did. */
    by: number | undefined;
    participant: import("./participant.js").Participant;
}
/** `speakerschanged`: who speaks now, loudest first. */
export class SpeakersEvent extends Event {
    /** @param {readonly import("./participant.js").Participant[]} speakers */
    constructor(speakers: readonly import("./participant.js").Participant[]);
    speakers: readonly import("./participant.js").Participant[];
}
/** `chat`: a line of text. */
export class ChatEvent extends Event {
    /**
     * @param {import("./chat.js").ChatLine} line
     * @param {import("./participant.js").Participant | null} participant
     */
    constructor(line: import("./chat.js").ChatLine, participant: import("./participant.js").Participant | null);
    line: Readonly<{
        number: number;
        identity: string;
        name: string;
        text: string;
        sentAt: Date;
    }>;
    /** Who wrote it, while they are in the room. */
    participant: import("./participant.js").Participant | null;
    /** The writer's name at that time. */
    name: string;
    /** Plain text: never markup. */
    text: string;
    sentAt: Date;
}
/** `connectionstate`: a step of the connection to signaling. Media does not depend on it while it is away. */
export class ConnectionStateEvent extends Event {
    /**
     * @param {import("./signaling.js").ConnectionStep} step
     * @param {string} words for a person
     */
    constructor({ state, transport, attempt, retryInMs, error }: import("./signaling.js").ConnectionStep, words: string);
    state: import("./signaling.js").ConnectionState;
    /** `websocket`, `sse` or `poll`. */
    transport: import("./policy/connection.js").ConnectionKind;
    /** Tries since the connection was lost, from 0. */
    attempt: number;
    /** When the next try starts, while one is waited for. */
    retryInMs: number | undefined;
    error: import("./errors.js").PatchbayError | undefined;
    words: string;
}
