export class Room extends EventTarget {
    /**
     * Joins a room, in one round trip.
     * @param {string | URL} url of the server: `https://host`, `wss://host/v1/ws`
     * @param {JoinOptions} options
     * @returns {Promise<Room>}
     */
    static join(url: string | URL, options: JoinOptions): Promise<Room>;
    /**
     * Use `Room.join`.
     * @param {string | URL} url
     * @param {JoinOptions} options
     */
    constructor(url: string | URL, options: JoinOptions);
    /** What a moderator can do; fetched when it is first used. */
    moderate: import("./moderation.js").Moderation;
    /** What others are told of one's being there; fetched when it is first used. */
    presence: import("./presence.js").Presence;
    /** The room's name. */
    get name(): string;
    /** One word for how it stands. It follows the media, which go on while signaling is away. */
    get state(): RoomState;
    /** How signaling is connected, or was last: `websocket`, `sse` or `poll`. */
    get connection(): import("./policy/connection.js").ConnectionKind;
    /** The own entry, once joined. */
    get self(): import("./participant.js").Participant | null;
    /** Everybody else, in the order of their arrival. */
    get participants(): import("./participant.js").Participant[];
    /** Who speaks now, loudest first. */
    get speakers(): import("./participant.js").Participant[];
    /** What the own client publishes. @returns {readonly Publication[]} */
    get publications(): readonly Publication[];
    /** All slots. */
    get slots(): readonly import("./slot.js").Slot[];
    /** What the own client may do, once joined. */
    get grants(): import("./protocol.js").Grants | null;
    /** The room's metadata, attributes, lock and bounds, once joined. */
    get info(): import("./protocol.js").RoomInfo | null;
    /** Who waits to be admitted, for moderators. */
    get waiting(): readonly import("./protocol.js").WaitingParticipant[];
    /** The newest lines of the chat, oldest first. */
    get chat(): readonly Readonly<{
        number: number;
        identity: string;
        name: string;
        text: string;
        sentAt: Date;
    }>[];
    /** How many offers the present session has made. */
    get offers(): number;
    /**
     * Somebody in the room by number.
     * @param {number | null} number
     */
    participant(number: number | null): import("./participant.js").Participant | null;
    /**
     * The own publication of a source, if there is one.
     * @param {import("./protocol.js").Source} source
     */
    publication(source: import("./protocol.js").Source): Publication | null;
    /**
     * Publishes a track. Resolves when the server has taken it.
     * @param {MediaStreamTrack | null} track null to announce a source that starts later, by `replaceTrack`
     * @param {{source: import("./protocol.js").Source, muted?: boolean, codec?: string, signal?: AbortSignal}} options
     *   `codec`: that one alone, such as `vp9`
     * @returns {Promise<Publication>}
     */
    publish(track: MediaStreamTrack | null, { source, muted, codec, signal }: {
        source: import("./protocol.js").Source;
        muted?: boolean;
        codec?: string;
        signal?: AbortSignal;
    }): Promise<Publication>;
    /** A free slot for video. When all that were negotiated are taken, one more offer adds it. */
    videoSlot(): import("./slot.js").Slot;
    /** A free slot for audio. The first four follow the loudest voices. */
    audioSlot(): import("./slot.js").Slot;
    /**
     * Writes to everybody. Resolves when the server has it; it arrives once, whatever happens to the connection meanwhile.
     * @param {string} text plain text
     */
    sendChat(text: string): Promise<void>;
    /**
     * Older lines of the chat.
     * @param {{before?: number, limit?: number}} [options] `before`: the number of a line
     */
    chatHistory(options?: {
        before?: number;
        limit?: number;
    }): Promise<{
        lines: ChatLine[];
        more: boolean;
    }>;
    /**
     * Asks to be heard, or no longer.
     * @param {boolean} raised
     */
    raiseHand(raised: boolean): Promise<void>;
    /**
     * Changes the own entry in the roster.
     * @param {{name?: string, metadata?: unknown, attributes?: Record<string, string | null>}} entry what is absent stays; an
     *   attribute that is null goes
     */
    update({ name, metadata, attributes }: {
        name?: string;
        metadata?: unknown;
        attributes?: Record<string, string | null>;
    }): Promise<void>;
    /**
     * Goes on with a newer token for the same room and identity.
     * @param {string} token a JWT
     */
    refreshToken(token: string): Promise<void>;
    /**
     * A topic: small messages between all who open the same label. A second call gives the same topic; its options are those of
     * the first.
     * @param {string} label
     * @param {import("./data/topic.js").TopicOptions} [options]
     */
    topic(label: string, options?: import("./data/topic.js").TopicOptions): import("./index.js").Topic;
    /** The server's clock, measured while a topic is open. */
    get clock(): import("./data/clock.js").ServerClock;
    /** Files and other large things, from one to another. The first use opens their topic. */
    get files(): import("./index.js").Files;
    /**
     * Calls a method of another participant and waits for its answer.
     * @param {number} to the participant's number
     * @param {string} method
     * @param {string} [payload] at most 15 KiB
     * @param {{timeoutMs?: number, signal?: AbortSignal}} [options]
     * @returns {Promise<string>}
     */
    rpc(to: number, method: string, payload?: string, options?: {
        timeoutMs?: number;
        signal?: AbortSignal;
    }): Promise<string>;
    /**
     * Answers calls of a method from now on.
     * @param {string} method
     * @param {import("./data/rpc.js").Method | null} answer null: no longer
     */
    handleRpc(method: string, answer: import("./data/rpc.js").Method | null): void;
    /** What flows, in figures: path, publications, slots. */
    stats(): Promise<import("./stats.js").RoomStats | null>;
    /**
     * What happened on the way to media in the last join, as the server saw it, and what is wrong. Null if it can't tell.
     * @returns {Promise<Timeline | null>}
     */
    timeline(): Promise<Timeline | null>;
    /** Tries at once, when a retry is being waited for: after the network came back, or because a person asked. */
    retryNow(): void;
    /** Looks for a new network path now, such as after a change of network. Media goes on meanwhile where it can. */
    restartIce(): void;
    /** Leaves the room, for good. */
    close(): Promise<void>;
    #private;
}
export type RoomState = "connecting" | "connected" | "reconnecting" | "closed";
export type JoinOptions = import("./join-options.js").JoinOptions;
export type Timeline = import("./join-options.js").Timeline;
import { Publication } from "./publication.js";
