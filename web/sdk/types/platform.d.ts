/**
 * The browser's own, with `overrides` on top.
 * @param {Partial<Platform>} [overrides]
 * @returns {Platform}
 */
export function platformOf(overrides?: Partial<Platform>): Platform;
/**
 * A promise that a signal can end early.
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
export function abortable<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T>;
/**
 * Waits, unless a signal ends it.
 * @param {Platform} platform
 * @param {number} ms
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
export function delay(platform: Platform, ms: number, signal?: AbortSignal): Promise<void>;
/**
 * What the SDK takes from its surroundings, in one object, so that a test can hand in its own.
 */
export type Platform = {
    RTCPeerConnection: typeof RTCPeerConnection;
    WebSocket: typeof WebSocket;
    fetch: typeof fetch;
    MediaStream: typeof MediaStream;
    codecs: (kind: "audio" | "video", direction: "send" | "receive") => readonly import("./policy/codec.js").Codec[];
    setTimeout: (callback: () => void, ms: number) => any;
    clearTimeout: (handle: any) => void;
    /**
     * milliseconds, monotonic
     */
    now: () => number;
    /**
     * in [0, 1)
     */
    random: () => number;
    /**
     * until the function that it returns is called
     */
    watchNetwork: (tell: (change: NetworkChange) => void) => () => void;
};
/**
 * what the system says of the network: this device is on another one, or
 *  online again; or something happened after which the path may be gone
 */
export type NetworkChange = "moved" | "doubtful";
