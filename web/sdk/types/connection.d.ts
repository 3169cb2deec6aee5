/**
 * @param {string | URL} url
 * @returns {string}
 */
export function webSocketUrl(url: string | URL): string;
/** An event of the server that is no reply. */
export class MessageEvent extends Event {
    /** @param {import("./protocol.js").ServerMessage} message */
    constructor(message: import("./protocol.js").ServerMessage);
    message: import("./protocol.js").ServerMessage;
}
/** The connection is over. */
export class ConnectionCloseEvent extends Event {
    /** @param {PatchbayError} error why */
    constructor(error: PatchbayError);
    error: PatchbayError;
}
export class Connection extends EventTarget {
    /**
     * Starts to connect.
     * @param {string | URL} url `ws:`, `wss:`, `http:` or `https:`; a bare origin means its `/v1/ws`
     * @param {{token?: string, openTimeoutMs?: number, platform: import("./platform.js").Platform}} options
     */
    constructor(url: string | URL, { token, openTimeoutMs, platform }: {
        token?: string;
        openTimeoutMs?: number;
        platform: import("./platform.js").Platform;
    });
    /** Milliseconds from a ping to its reply, the last one measured. */
    rttMs: number | undefined;
    /** Resolves when requests can be sent; rejects when the connection cannot be made. @type {Promise<void>} */
    ready: Promise<void>;
    /** Whether requests can be sent. */
    get isOpen(): boolean;
    /**
     * Sends a request and waits for its reply.
     * @param {import("./protocol.js").ClientRequest} request
     * @returns {Promise<import("./protocol.js").Reply>}
     */
    request(request: import("./protocol.js").ClientRequest): Promise<import("./protocol.js").Reply>;
    /**
     * Asks the server for a sign of life, now. When none comes, the connection counts as lost.
     * @param {number} timeoutMs
     * @returns {Promise<boolean>} whether the connection lives
     */
    probe(timeoutMs: number): Promise<boolean>;
    /**
     * How often to ping from now on.
     * @param {number} ms from the server's `welcome`
     */
    setHeartbeat(ms: number): void;
    /** Closes for good; no `close` event follows. */
    close(): void;
    #private;
}
import { PatchbayError } from "./errors.js";
