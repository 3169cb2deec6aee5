/** The session cannot go on. */
export class LostEvent extends Event {
    /** @param {PatchbayError} error */
    constructor(error: PatchbayError);
    error: PatchbayError;
}
/**
 * @typedef {object} Desired what the session shall carry
 * @property {readonly import("./publication.js").Publication[]} publications
 * @property {readonly import("./slot.js").Slot[]} slots
 * @property {(slot: import("./slot.js").Slot) => import("./protocol.js").SlotSource | null} sourceOf
 */
export class Session extends EventTarget {
    /**
     * @param {{url: string | URL, token?: string, memory?: import("./signaling.js").ConnectionMemory, openTimeoutMs?: number,
     *   hasData?: boolean, platform: import("./platform.js").Platform}} options
     */
    constructor({ url, platform, hasData, ...options }: {
        url: string | URL;
        token?: string;
        memory?: import("./signaling.js").ConnectionMemory;
        openTimeoutMs?: number;
        hasData?: boolean;
        platform: import("./platform.js").Platform;
    });
    /** How many offers were made. */
    get offers(): number;
    /** The browser's connection, for statistics. */
    get peerConnection(): RTCPeerConnection;
    /** As the browser says, except that a dead path is `disconnected` before it notices. @returns {RTCPeerConnectionState} */
    get mediaState(): RTCPeerConnectionState;
    /** Whether there is a connection to signaling now. */
    get isConnected(): boolean;
    /** Whether nothing but topics is wanted of it: they can do without a path for media. */
    get isDataOnly(): boolean;
    /** Milliseconds to signaling and back. */
    get signalingRttMs(): number | undefined;
    /**
     * Joins in one round trip: the offer goes with the request.
     * @param {Omit<Extract<import("./protocol.js").ClientRequest, {type: "join"}>, "type" | "offer">} request
     * @param {Desired} desired
     * @param {(joined: import("./protocol.js").Joined) => void} onJoined called before any later event is delivered
     * @param {AbortSignal} [signal]
     */
    join(request: Omit<Extract<import("./protocol.js").ClientRequest, {
        type: "join";
    }>, "type" | "offer">, desired: Desired, onJoined: (joined: import("./protocol.js").Joined) => void, signal?: AbortSignal): Promise<void>;
    /**
     * Makes the session carry what is desired, with at most one offer.
     * @param {Desired} desired
     */
    sync(desired: Desired): Promise<void>;
    /**
     * @param {import("./protocol.js").ClientRequest} request
     * @returns {Promise<import("./protocol.js").Reply>}
     */
    request(request: import("./protocol.js").ClientRequest): Promise<import("./protocol.js").Reply>;
    /**
     * A data channel on this session's transport; null if it was made without.
     * @param {string} label
     * @param {RTCDataChannelInit} init
     */
    openChannel(label: string, init: RTCDataChannelInit): RTCDataChannel | null;
    /** Ends it: leaves the room if there is still a way to say so. */
    close(): void;
    /** Tries to reach signaling at once. */
    retryNow(): void;
    /** Looks for a new path between browser and server, while the old one goes on. */
    restartIce(): void;
    #private;
}
/**
 * what the session shall carry
 */
export type Desired = {
    publications: readonly import("./publication.js").Publication[];
    slots: readonly import("./slot.js").Slot[];
    sourceOf: (slot: import("./slot.js").Slot) => import("./protocol.js").SlotSource | null;
};
import { PatchbayError } from "./errors.js";
