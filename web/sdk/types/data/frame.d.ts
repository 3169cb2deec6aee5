/**
 * Something for others.
 * @param {PublishFrame} publish
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodePublish({ payload, isText, isTombstone, targets, key, cell }: PublishFrame): Uint8Array<ArrayBuffer>;
/**
 * What is wanted, in *interest* mode.
 * @param {readonly Filter[]} filters
 * @param {{replace?: boolean}} [options] `replace`: and nothing that was wanted before
 */
export function encodeSubscribe(filters: readonly Filter[], { replace }?: {
    replace?: boolean;
}): Uint8Array<ArrayBuffer>;
/**
 * What is no longer wanted; without filters, everything.
 * @param {readonly Filter[]} filters as they were subscribed to
 */
export function encodeUnsubscribe(filters: readonly Filter[]): Uint8Array<ArrayBuffer>;
/**
 * Asks for the server's time.
 * @param {number} token comes back with it: a whole number below 2^53
 */
export function encodePing(token: number): Uint8Array<ArrayBuffer>;
/**
 * The frames of one message from the server. Frames of unknown types are passed over; the rest of a message that cannot be
 * read is, too.
 * @param {ArrayBuffer} message
 * @returns {Generator<ServerFrame>}
 */
export function serverFrames(message: ArrayBuffer): Generator<ServerFrame>;
/**
 * The binary frames of framed mode: what data channels carry whose protocol is `patchbay`. The written form is
 * `docs/protocol.md`; the files under `protocol/frame/golden` hold both to it.
 *
 * A message is one or more frames back to back; a frame is a type, a length (RFC 9000 §16, up to 30 bits) and a body.
 */
/** The subprotocol of channels in framed mode. */
export const FRAMED_PROTOCOL: "patchbay";
/** Longest payload in bytes. */
export const PAYLOAD_BYTES: number;
/** Longest key in bytes of UTF-8. */
export const KEY_BYTES: 64;
/** Most participants that one message is addressed to. */
export const TARGETS: 128;
/** Most filters of one subscription. */
export const FILTERS: 64;
/**
 * a cell of the application's own grid: 16-bit numbers
 */
export type Cell = {
    x: number;
    y: number;
};
export type Filter = {
    key: string;
} | {
    prefix: string;
} | {
    area: {
        from: Cell;
        to: Cell;
    };
};
export type Mode = "relay" | "latest" | "interest";
export type PublishFrame = {
    payload: Uint8Array;
    isText?: boolean | undefined;
    isTombstone?: boolean | undefined;
    targets?: readonly number[] | undefined;
    key?: string | undefined;
    cell?: Cell | undefined;
};
export type MessageFrame = {
    type: "message";
    sender: number;
    sequence: number;
    /**
     * server time, microseconds since the Unix epoch
     */
    time: number;
    isText: boolean;
    isTombstone: boolean;
    isTargeted: boolean;
    hasLeft: boolean;
    key: string | null;
    cell: Cell | null;
    payload: Uint8Array;
};
export type WelcomeFrame = {
    type: "welcome";
    version: number;
    participant: number;
    time: number;
    mode: Mode;
    rate: number;
    ttlMs: number;
    mayPublish: boolean;
    maySubscribe: boolean;
    waits: boolean;
    keeps: boolean;
};
export type ServerFrame = WelcomeFrame | MessageFrame | {
    type: "snapshotbegin";
    count: number;
} | {
    type: "snapshotend";
} | {
    type: "error";
    code: string;
    text: string;
} | {
    type: "pong";
    token: number;
    time: number;
};
