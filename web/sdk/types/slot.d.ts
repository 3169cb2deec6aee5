/**
 * @typedef {{speaker: number}} SpeakerRule
 * @typedef {{identity: string, source: import("./protocol.js").Source} | SpeakerRule | null} Wanted
 * @typedef {object} SlotHost what a slot needs of its room
 * @property {(slot: Slot) => Promise<void>} switchSource tells the server what `slot.wanted` is
 * @property {(number: number | null) => import("./participant.js").Participant | null} participant
 * @property {(slot: Slot) => void} release
 * @property {() => number} now milliseconds
 */
/** What flows in a slot changed. */
export class SlotChangeEvent extends Event {
    /** @param {Slot} slot */
    constructor(slot: Slot);
    slot: Slot;
}
export class Slot extends EventTarget {
    /**
     * @param {"audio" | "video"} kind
     * @param {MediaStream} stream
     * @param {SlotHost} host
     */
    constructor(kind: "audio" | "video", stream: MediaStream, host: SlotHost);
    /** Audio or video. */
    kind: "audio" | "video";
    /** For `srcObject`. */
    stream: MediaStream;
    /** What was asked for. @type {Wanted} */
    wanted: Wanted;
    /** Whose media flows, or will as soon as it can be decoded, as the server says. @type {number | null} */
    currentNumber: number | null;
    /** Whose media is in the packets that play now. @type {number | null} */
    playingNumber: number | null;
    /** Why nothing flows although there is a source. @type {import("./protocol.js").SlotPause | null} */
    paused: import("./protocol.js").SlotPause | null;
    /** The media section, while there is one. @type {RTCRtpTransceiver | null} */
    transceiver: RTCRtpTransceiver | null;
    /** Its id. @type {string | null} */
    mid: string | null;
    /** Whose media the server sends here. */
    get participant(): import("./participant.js").Participant | null;
    /** Whose media plays at this moment; the participant before, until a switch has come through. */
    get playing(): import("./participant.js").Participant | null;
    /** Whether a switch has not come through yet. */
    get isSwitching(): boolean;
    /**
     * Shows one track, and whatever its participant publishes as the same source later. Resolves when it plays.
     * @param {import("./participant.js").RemoteTrack | null} track
     * @param {{signal?: AbortSignal}} [options]
     * @returns {Promise<void>}
     */
    show(track: import("./participant.js").RemoteTrack | null, { signal }?: {
        signal?: AbortSignal;
    }): Promise<void>;
    /**
     * Lets the server choose: the n-th loudest voice, or the face of the n-th most recent speaker. Resolves when the
     * rule holds; somebody may play later only.
     * @param {SpeakerRule} rule
     * @param {{signal?: AbortSignal}} [options]
     * @returns {Promise<void>}
     */
    follow(rule: SpeakerRule, { signal }?: {
        signal?: AbortSignal;
    }): Promise<void>;
    /**
     * Empties the slot.
     * @param {{signal?: AbortSignal}} [options]
     * @returns {Promise<void>}
     */
    clear({ signal }?: {
        signal?: AbortSignal;
    }): Promise<void>;
    /** Empties the slot and gives it back, for the next `videoSlot()` or `audioSlot()`. */
    release(): void;
    /**
     * Binds the slot to a media section. For the room alone.
     * @param {RTCRtpTransceiver} transceiver
     */
    bind(transceiver: RTCRtpTransceiver): void;
    /**
     * What the server says flows. For the room alone.
     * @param {import("./protocol.js").SlotState} state
     */
    applyState(state: import("./protocol.js").SlotState): void;
    /**
     * Looks into the packets for whose media plays. Returns whether the slot still waits. For the room alone.
     * @returns {boolean}
     */
    watch(): boolean;
    /**
     * Gives up on what `show()` waits for. For the room alone.
     * @param {unknown} error
     */
    end(error: unknown): void;
    #private;
}
export type SpeakerRule = {
    speaker: number;
};
export type Wanted = {
    identity: string;
    source: import("./protocol.js").Source;
} | SpeakerRule | null;
/**
 * what a slot needs of its room
 */
export type SlotHost = {
    /**
     * tells the server what `slot.wanted` is
     */
    switchSource: (slot: Slot) => Promise<void>;
    participant: (number: number | null) => import("./participant.js").Participant | null;
    release: (slot: Slot) => void;
    /**
     * milliseconds
     */
    now: () => number;
};
