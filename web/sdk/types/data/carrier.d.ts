/** @typedef {Event & {data: ArrayBuffer}} CarrierMessageEvent */
/** @typedef {Event & {reason: string}} CarrierCloseEvent */
/** A data channel. */
export class ChannelCarrier extends EventTarget {
    /** @param {RTCDataChannel} channel */
    constructor(channel: RTCDataChannel);
    isClosed: boolean;
    get isOpen(): boolean;
    /** Whether more can be taken now. */
    get hasRoom(): boolean;
    /** Whether it goes over the signaling connection. */
    get isFallback(): boolean;
    /** @param {Uint8Array<ArrayBuffer>} message */
    send(message: Uint8Array<ArrayBuffer>): void;
    close(): void;
    #private;
}
/**
 * The signaling connection.
 *
 * @typedef {object} SignalingWay
 * @property {(request: any) => Promise<any>} request
 * @property {(callback: () => void, ms: number) => any} setTimeout
 */
export class SignalingCarrier extends EventTarget {
    /**
     * @param {SignalingWay} way
     * @param {{label: string, protocol: string}} topic
     */
    constructor(way: SignalingWay, { label, protocol }: {
        label: string;
        protocol: string;
    });
    isClosed: boolean;
    get isOpen(): boolean;
    get hasRoom(): boolean;
    get isFallback(): boolean;
    /** Which events are for this carrier. */
    get channel(): number | null;
    /** @param {Uint8Array<ArrayBuffer>} message */
    send(message: Uint8Array<ArrayBuffer>): void;
    close(): void;
    /** Messages came for this carrier. @param {readonly string[]} messages in base64 */
    deliver(messages: readonly string[]): void;
    /** It is over. @param {string} reason */
    end(reason: string): void;
    #private;
}
export type CarrierMessageEvent = Event & {
    data: ArrayBuffer;
};
export type CarrierCloseEvent = Event & {
    reason: string;
};
/**
 * The signaling connection.
 */
export type SignalingWay = {
    request: (request: any) => Promise<any>;
    setTimeout: (callback: () => void, ms: number) => any;
};
