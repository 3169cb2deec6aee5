export namespace LOADERS {
    function websocket(): Promise<typeof WebSocketConnection>;
    function sse(): Promise<typeof import("./connection/sse.js").SseConnection>;
    function poll(): Promise<typeof import("./connection/poll.js").PollConnection>;
}
/**
 * @typedef {import("./policy/connection.js").ConnectionKind} ConnectionKind
 * @typedef {{connection?: ConnectionKind}} ConnectionMemory what worked last; an application may keep it between visits
 * @typedef {"connecting" | "connected" | "reconnecting" | "closed"} ConnectionState
 * @typedef {{state: ConnectionState, transport: ConnectionKind, attempt?: number, retryInMs?: number, error?: PatchbayError}} ConnectionStep
 *
 * @typedef {object} Link one connection, from its first try
 * @property {ConnectionKind} kind
 * @property {import("./connection/websocket.js").Connection} connection
 * @property {number} helloId
 * @property {number} beganAt
 * @property {boolean} isOpen whether requests can be sent
 * @property {(error: PatchbayError | null, isAnswer?: boolean) => void} settle with why its hello was not answered, or null
 * @property {any} timer
 *
 * @typedef {object} Waiting a request without an answer
 * @property {import("./protocol.js").ClientRequest} request
 * @property {(reply: any) => void} resolve
 * @property {(error: PatchbayError) => void} reject
 * @property {Link | null} sentOn
 * @property {number} sentAt
 */
/** The session is over. */
export class SignalingCloseEvent extends Event {
    /** @param {PatchbayError} error why */
    constructor(error: PatchbayError);
    error: PatchbayError;
}
/** @typedef {Event & {message: import("./protocol.js").ServerMessage}} MessageEvent an event of the server that is no reply */
/** @typedef {Event & {snapshot: import("./protocol.js").Joined | null}} ResumedEvent `resumed`: the session goes on */
/** @typedef {Event & {step: ConnectionStep}} StepEvent `step` */
export class Signaling extends EventTarget {
    /**
     * Starts to connect.
     * @param {string | URL} url `ws:`, `wss:`, `http:` or `https:`; a bare origin means its `/v1/ws`
     * @param {{token?: string, memory?: ConnectionMemory, openTimeoutMs?: number, platform: import("./platform.js").Platform}} options
     */
    constructor(url: string | URL, { token, memory, openTimeoutMs, platform }: {
        token?: string;
        memory?: ConnectionMemory;
        openTimeoutMs?: number;
        platform: import("./platform.js").Platform;
    });
    /** Milliseconds from a ping to its reply, the last one measured. */
    rttMs: number | undefined;
    /** Whether there is a connection now. */
    get isOpen(): boolean;
    /** Which connection works, or worked last. @returns {ConnectionKind} */
    get kind(): ConnectionKind;
    /**
     * Sends a request and waits for its reply, over as many connections as it takes.
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
    /** Tries at once, when a retry is being waited for. */
    retryNow(): void;
    /** Closes for good; no `close` event follows. Leaves, if there is a way to say so. */
    close(): void;
    #private;
}
export type ConnectionKind = import("./policy/connection.js").ConnectionKind;
/**
 * what worked last; an application may keep it between visits
 */
export type ConnectionMemory = {
    connection?: ConnectionKind;
};
export type ConnectionState = "connecting" | "connected" | "reconnecting" | "closed";
export type ConnectionStep = {
    state: ConnectionState;
    transport: ConnectionKind;
    attempt?: number;
    retryInMs?: number;
    error?: PatchbayError;
};
/**
 * one connection, from its first try
 */
export type Link = {
    kind: ConnectionKind;
    connection: import("./connection/websocket.js").Connection;
    helloId: number;
    beganAt: number;
    /**
     * whether requests can be sent
     */
    isOpen: boolean;
    /**
     * with why its hello was not answered, or null
     */
    settle: (error: PatchbayError | null, isAnswer?: boolean) => void;
    timer: any;
};
/**
 * a request without an answer
 */
export type Waiting = {
    request: import("./protocol.js").ClientRequest;
    resolve: (reply: any) => void;
    reject: (error: PatchbayError) => void;
    sentOn: Link | null;
    sentAt: number;
};
/**
 * an event of the server that is no reply
 */
export type MessageEvent = Event & {
    message: import("./protocol.js").ServerMessage;
};
/**
 * `resumed`: the session goes on
 */
export type ResumedEvent = Event & {
    snapshot: import("./protocol.js").Joined | null;
};
/**
 * `step`
 */
export type StepEvent = Event & {
    step: ConnectionStep;
};
import { WebSocketConnection } from "./connection/websocket.js";
import { PatchbayError } from "./errors.js";
