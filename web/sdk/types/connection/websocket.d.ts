/**
 * What a close code means. Connections over HTTP have the same.
 * @param {number} code
 * @param {string} reason
 * @param {boolean} wasOpen
 */
export function closeError(code: number, reason: string, wasOpen: boolean): PatchbayError;
/**
 * @typedef {object} ConnectionOptions what every connection begins with
 * @property {string | URL} url of the server
 * @property {string} [token]
 * @property {() => string} hello the text of the first request, at the moment it is sent
 * @property {import("../platform.js").Platform} platform
 *
 * @typedef {object} ConnectionHost what a connection tells, and asks, its session
 * @property {() => void} opened requests can be sent
 * @property {(message: import("../protocol.js").ServerMessage) => void} message
 * @property {() => void} heard a sign of life that is no message
 * @property {(error: PatchbayError) => void} closed it is over, and was not closed by `close`
 * @property {() => string} credential of the session, once the hello was answered
 * @property {() => number} lastSeq the last message that was taken in order
 *
 * @typedef {object} Connection
 * @property {(text: string) => void} send a request
 * @property {() => void} close what was sent before still leaves
 */
/** @implements {Connection} */
export class WebSocketConnection implements Connection {
    /**
     * @param {ConnectionOptions} options
     * @param {ConnectionHost} host
     */
    constructor({ url, token, hello, platform }: ConnectionOptions, host: ConnectionHost);
    /** @param {string} text */
    send(text: string): void;
    close(): void;
    #private;
}
/**
 * what every connection begins with
 */
export type ConnectionOptions = {
    /**
     * of the server
     */
    url: string | URL;
    token?: string | undefined;
    /**
     * the text of the first request, at the moment it is sent
     */
    hello: () => string;
    platform: import("../platform.js").Platform;
};
/**
 * what a connection tells, and asks, its session
 */
export type ConnectionHost = {
    /**
     * requests can be sent
     */
    opened: () => void;
    message: (message: import("../protocol.js").ServerMessage) => void;
    /**
     * a sign of life that is no message
     */
    heard: () => void;
    /**
     * it is over, and was not closed by `close`
     */
    closed: (error: PatchbayError) => void;
    /**
     * of the session, once the hello was answered
     */
    credential: () => string;
    /**
     * the last message that was taken in order
     */
    lastSeq: () => number;
};
export type Connection = {
    /**
     * a request
     */
    send: (text: string) => void;
    /**
     * what was sent before still leaves
     */
    close: () => void;
};
import { PatchbayError } from "../errors.js";
