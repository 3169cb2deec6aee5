/** @typedef {import("./policy/connection.js").ConnectionKind} ConnectionKind */
/**
 * @typedef {object} KeeperHost what it needs of its session
 * @property {import("./platform.js").Platform} platform
 * @property {import("./signaling.js").ConnectionMemory} memory
 * @property {() => {readonly kind: ConnectionKind} | null} link the connection that works, if one does
 * @property {() => number} lastHeard when it last brought anything
 * @property {() => Promise<unknown>} ping
 * @property {() => boolean} canResume whether there is a session yet
 * @property {() => boolean} hasJoined
 * @property {() => boolean} isEnded
 * @property {() => number} windowMs how long the server keeps a session without a connection
 * @property {(kind: ConnectionKind, timeoutMs: number) => Promise<{error: PatchbayError | null, isAnswer?: boolean}>} open a connection;
 *   `isAnswer`: the server itself refused
 * @property {(error: PatchbayError) => void} abandon what is being opened
 * @property {(error: PatchbayError) => void} leave the connection that works, for another
 * @property {(step: {state: "connecting" | "reconnecting", transport?: ConnectionKind, attempt?: number, retryInMs?: number, error?: PatchbayError}) => void} tell
 * @property {(error: PatchbayError) => void} fail the session is over
 */
export class Keeper {
    /** @param {KeeperHost} host */
    constructor(host: KeeperHost);
    /**
     * Makes the first connection, by other means than a WebSocket that failed.
     * @param {PatchbayError | null} error why it did; null: it was not tried, as something else worked last
     * @param {number} timeoutMs
     */
    begin(error: PatchbayError | null, timeoutMs: number): Promise<void>;
    /**
     * A connection works.
     * @param {ConnectionKind} kind
     */
    established(kind: ConnectionKind): void;
    /**
     * Takes the session up again over another connection, until that works or the session is gone.
     * @param {PatchbayError} error why the connection was lost
     */
    resume(error: PatchbayError): Promise<void>;
    /**
     * The server goes away, and says when to come back.
     * @param {number} inMs
     */
    move(inMs: number): void;
    /** @param {import("./platform.js").NetworkChange} change */
    hint(change: import("./platform.js").NetworkChange): undefined;
    /**
     * Asks the server for a sign of life, now. When none comes, the connection counts as lost.
     * @param {number} timeoutMs
     * @returns {Promise<boolean>} whether the connection lives
     */
    probe(timeoutMs: number): Promise<boolean>;
    /** Tries at once, when a retry is being waited for. */
    retryNow(): void;
    /** @param {PatchbayError} error */
    stop(error: PatchbayError): void;
    #private;
}
export type ConnectionKind = import("./policy/connection.js").ConnectionKind;
/**
 * what it needs of its session
 */
export type KeeperHost = {
    platform: import("./platform.js").Platform;
    memory: import("./signaling.js").ConnectionMemory;
    /**
     * the connection that works, if one does
     */
    link: () => {
        readonly kind: ConnectionKind;
    } | null;
    /**
     * when it last brought anything
     */
    lastHeard: () => number;
    ping: () => Promise<unknown>;
    /**
     * whether there is a session yet
     */
    canResume: () => boolean;
    hasJoined: () => boolean;
    isEnded: () => boolean;
    /**
     * how long the server keeps a session without a connection
     */
    windowMs: () => number;
    /**
     * a connection;
     * `isAnswer`: the server itself refused
     */
    open: (kind: ConnectionKind, timeoutMs: number) => Promise<{
        error: PatchbayError | null;
        isAnswer?: boolean;
    }>;
    /**
     * what is being opened
     */
    abandon: (error: PatchbayError) => void;
    /**
     * the connection that works, for another
     */
    leave: (error: PatchbayError) => void;
    tell: (step: {
        state: "connecting" | "reconnecting";
        transport?: ConnectionKind;
        attempt?: number;
        retryInMs?: number;
        error?: PatchbayError;
    }) => void;
    /**
     * the session is over
     */
    fail: (error: PatchbayError) => void;
};
import { PatchbayError } from "./errors.js";
