/** What a moderator can do. Every method resolves when the server has done it, or rejects with its code. */
/** @typedef {import("./participant.js").Participant} Participant */
export class Moderation {
    /** @param {(request: import("./protocol.js").ClientRequest) => Promise<unknown>} request */
    constructor(request: (request: import("./protocol.js").ClientRequest) => Promise<unknown>);
    /** Silences a track. Its owner may unmute it. @param {{id: number}} track */
    mute(track: {
        id: number;
    }): Promise<void>;
    /** Mutes camera and screen, until the participant is promoted anew. @param {Participant} participant */
    stopVideo(participant: Participant): Promise<void>;
    /** Sends somebody out, who may join again. @param {Participant} participant */
    remove(participant: Participant): Promise<void>;
    /** Sends somebody out for good. @param {Participant} participant */
    ban(participant: Participant): Promise<void>;
    /** Lets a banned identity in again. @param {string} identity */
    unban(identity: string): Promise<void>;
    /** Lets somebody in who waits. @param {{participant: number}} waiting from `room.waiting` */
    admit({ participant }: {
        participant: number;
    }): Promise<void>;
    /** Sends somebody away who waits. @param {{participant: number}} waiting from `room.waiting` */
    deny({ participant }: {
        participant: number;
    }): Promise<void>;
    /**
     * Changes what somebody may do.
     * @param {Participant} participant
     * @param {import("./protocol.js").Grants} grants all of them
     */
    promote(participant: Participant, grants: import("./protocol.js").Grants): Promise<void>;
    /** Lowers a raised hand. @param {Participant} participant */
    lowerHand(participant: Participant): Promise<void>;
    /**
     * Changes the room: what is absent stays, an attribute that is null goes.
     * @param {{metadata?: unknown, attributes?: Record<string, string | null>, locked?: boolean, waitingRoom?: boolean, maxParticipants?: number}} changes
     */
    updateRoom({ metadata, attributes, locked, waitingRoom, maxParticipants }: {
        metadata?: unknown;
        attributes?: Record<string, string | null>;
        locked?: boolean;
        waitingRoom?: boolean;
        maxParticipants?: number;
    }): Promise<void>;
    /** Sends everybody out and ends the room. */
    closeRoom(): Promise<void>;
    #private;
}
export type Participant = import("./participant.js").Participant;
