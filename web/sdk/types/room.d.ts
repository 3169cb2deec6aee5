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
    /** The room's name. */
    get name(): string;
    /** One word for how it stands. */
    get state(): RoomState;
    /** The own entry, once joined. */
    get self(): Participant | null;
    /** Everybody else, in the order of their arrival. */
    get participants(): Participant[];
    /** Who speaks now, loudest first. */
    get speakers(): Participant[];
    /** What the own client publishes. @returns {readonly Publication[]} */
    get publications(): readonly Publication[];
    /** All slots. @returns {readonly Slot[]} */
    get slots(): readonly Slot[];
    /** What the own client may do, once joined. */
    get grants(): import("./protocol.js").Grants | null;
    /** How many offers the present session has made. */
    get offers(): number;
    /**
     * Somebody in the room by number.
     * @param {number | null} number
     */
    participant(number: number | null): Participant | null;
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
    videoSlot(): Slot;
    /** A free slot for audio. The first four follow the loudest voices. */
    audioSlot(): Slot;
    /**
     * Writes to everybody.
     * @param {string} text plain text
     */
    sendChat(text: string): Promise<void>;
    /**
     * Asks to be heard, or no longer.
     * @param {boolean} raised
     */
    raiseHand(raised: boolean): Promise<void>;
    /**
     * Changes the own entry in the roster.
     * @param {{name?: string, metadata?: unknown}} entry
     */
    update({ name, metadata }: {
        name?: string;
        metadata?: unknown;
    }): Promise<void>;
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
export type JoinOptions = {
    /**
     * the room's name
     */
    room: string;
    /**
     * a JWT; not needed where the server runs open
     */
    token?: string | undefined;
    /**
     * the name to show
     */
    name?: string | undefined;
    /**
     * unique in the room; the server mints one when it is absent
     */
    identity?: string | undefined;
    /**
     * anything others shall see
     */
    metadata?: unknown;
    /**
     * published with the join
     */
    tracks?: {
        track: MediaStreamTrack | null;
        source: import("./protocol.js").Source;
        muted?: boolean;
        codec?: string;
    }[] | undefined;
    /**
     * how many are negotiated with the join; 4 and 9 unless told. Audio
     * slot n follows the n-th loudest voice until it is told otherwise; video slots are empty.
     */
    slots?: {
        audio?: number;
        video?: number;
    } | undefined;
    /**
     * ends the joining
     */
    signal?: AbortSignal | undefined;
    /**
     * stands in for the browser's own, in tests
     */
    platform?: Partial<import("./platform.js").Platform> | undefined;
};
export type Timeline = {
    connected: boolean;
    steps: {
        at_ms: number;
        step: string;
        words: string;
    }[];
    troubles: {
        kind: string;
        detail: string;
    }[];
    diagnosis: {
        cause: string;
        words: string;
        remedy: string;
    } | null;
};
import { Participant } from "./participant.js";
import { Publication } from "./publication.js";
import { Slot } from "./slot.js";
