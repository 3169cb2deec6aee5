/**
 * @typedef {object} TopicOptions
 * @property {import("./frame.js").Mode} [mode] `relay` unless told, or what the topic lives with
 * @property {number} [rate] most deliveries a second to one receiver
 * @property {number} [ttlMs] how long a value is kept after its last update
 * @property {"cut" | "wait"} [slow] what becomes of reliable receivers that don't keep up
 * @property {"drop" | "keep"} [leave] what becomes of the values of somebody who leaves
 * @property {boolean} [ordered] true unless told
 * @property {number} [maxRetransmits] as in `RTCDataChannelInit`
 * @property {number} [maxPacketLifeTime] milliseconds, as in `RTCDataChannelInit`
 *
 * @typedef {object} Outgoing
 * @property {Uint8Array<ArrayBuffer> | ArrayBuffer | string} data
 * @property {string} [key] what it is about
 * @property {import("./frame.js").Cell} [cell] where it is
 * @property {number | readonly number[]} [to] participants' numbers; everybody else unless told
 */
/** Something that somebody published. */
export class TopicMessageEvent extends Event {
    /** @param {import("./frame.js").MessageFrame} frame */
    constructor(frame: import("./frame.js").MessageFrame);
    /** The sender's number in the roster; 0 is the server itself. */
    sender: number;
    sequence: number;
    /** When the server took it: milliseconds since the Unix epoch, by the server's clock. */
    time: number;
    key: string | null;
    cell: import("./frame.js").Cell | null;
    /** The payload: bytes, or a string if it was sent as one. @type {Uint8Array<ArrayBuffer> | string} */
    data: Uint8Array<ArrayBuffer> | string;
    /** Whether the value with this key ended. */
    isDeleted: boolean;
    /** Whether the value went out of what is wanted here. */
    hasLeft: boolean;
    /** Whether it was addressed to some, this client among them. */
    isTargeted: boolean;
}
/** The server says that something is wrong. The topic goes on, unless a `close` follows. */
export class TopicErrorEvent extends Event {
    /** @param {PatchbayError} error */
    constructor(error: PatchbayError);
    error: PatchbayError;
}
/** @typedef {import("./carrier.js").ChannelCarrier | import("./carrier.js").SignalingCarrier} Carrier */
export class Topic extends EventTarget {
    /**
     * Use `room.topic`.
     * @param {string} label
     * @param {TopicOptions} options
     * @param {{now: () => number, clock: import("./clock.js").ServerClock, forget: (topic: Topic) => void}} host
     */
    constructor(label: string, options: TopicOptions, host: {
        now: () => number;
        clock: import("./clock.js").ServerClock;
        forget: (topic: Topic) => void;
    });
    /** What happened so far. */
    counters: {
        sent: number;
        received: number;
        conflated: number;
        dropped: number;
        errors: number;
    };
    label: string;
    options: TopicOptions;
    /** `opening`, `open` or `closed`. */
    get state(): "closed" | "open" | "opening";
    /** The settings the topic lives with, once open. */
    get settings(): {
        mode: import("./frame.js").Mode;
        rate: number;
        ttlMs: number;
        slow: string;
        leave: string;
    } | null;
    /** Whether messages go over the signaling connection now. */
    get isFallback(): boolean;
    /** The newest of each sender and key, in topics that keep it. @returns {IterableIterator<TopicMessageEvent>} */
    get values(): IterableIterator<TopicMessageEvent>;
    /** Whether a reliable topic would take a message at once. */
    get hasRoom(): boolean;
    /** Resolves when there is room. Await it between the messages of a long row. @returns {Promise<void>} */
    get ready(): Promise<void>;
    /** The subprotocol of its channels. */
    get protocol(): string;
    /** Whether nothing may get lost. */
    get isReliable(): boolean;
    /**
     * Sends to everybody else on the topic, or to some. Without room, a topic that keeps the newest keeps the newest of each
     * key here too, a reliable one queues, and an unreliable one drops.
     * @param {Outgoing} message
     * @returns {boolean} whether it was sent, or will be
     */
    send({ data, key, cell, to }: Outgoing): boolean;
    /** Ends a value of the own, for everybody. @param {string} [key] */
    delete(key?: string): boolean;
    /**
     * Says what is wanted, in *interest* mode; what was wanted before no longer is.
     * @param {readonly import("./frame.js").Filter[]} filters
     */
    want(filters: readonly import("./frame.js").Filter[]): void;
    /** Leaves the topic. */
    close(): void;
    /**
     * Another way for its messages, as soon as it is open. For the SDK itself.
     * @param {Carrier} carrier
     */
    use(carrier: Carrier): void;
    /** The way that is used, or is about to be. For the SDK itself. */
    get carrier(): Carrier | null;
    /** Measures the server's clock. For the SDK itself. */
    ping(): void;
    /** Ends it for good. For the SDK itself. @param {string} reason */
    end(reason: string): void;
    /** Messages as they come. @returns {AsyncIterableIterator<TopicMessageEvent>} */
    [Symbol.asyncIterator](): AsyncIterableIterator<TopicMessageEvent>;
    #private;
}
export type TopicOptions = {
    /**
     * `relay` unless told, or what the topic lives with
     */
    mode?: import("./frame.js").Mode | undefined;
    /**
     * most deliveries a second to one receiver
     */
    rate?: number | undefined;
    /**
     * how long a value is kept after its last update
     */
    ttlMs?: number | undefined;
    /**
     * what becomes of reliable receivers that don't keep up
     */
    slow?: "cut" | "wait" | undefined;
    /**
     * what becomes of the values of somebody who leaves
     */
    leave?: "drop" | "keep" | undefined;
    /**
     * true unless told
     */
    ordered?: boolean | undefined;
    /**
     * as in `RTCDataChannelInit`
     */
    maxRetransmits?: number | undefined;
    /**
     * milliseconds, as in `RTCDataChannelInit`
     */
    maxPacketLifeTime?: number | undefined;
};
export type Outgoing = {
    data: Uint8Array<ArrayBuffer> | ArrayBuffer | string;
    /**
     * what it is about
     */
    key?: string | undefined;
    /**
     * where it is
     */
    cell?: import("./frame.js").Cell | undefined;
    /**
     * participants' numbers; everybody else unless told
     */
    to?: number | readonly number[] | undefined;
};
export type Carrier = import("./carrier.js").ChannelCarrier | import("./carrier.js").SignalingCarrier;
import { PatchbayError } from "../errors.js";
