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
     */
    constructor(type: "trackpublished" | "trackunpublished" | "trackmuted", track: import("./participant.js").RemoteTrack);
    track: import("./participant.js").RemoteTrack;
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
    /** @param {{participant: import("./participant.js").Participant | null, name: string, text: string, sentAt: Date}} line */
    constructor({ participant, name, text, sentAt }: {
        participant: import("./participant.js").Participant | null;
        name: string;
        text: string;
        sentAt: Date;
    });
    /** Who wrote it, while they are in the room. */
    participant: import("./participant.js").Participant | null;
    /** The writer's name at that time. */
    name: string;
    /** Plain text: never markup. */
    text: string;
    sentAt: Date;
}
