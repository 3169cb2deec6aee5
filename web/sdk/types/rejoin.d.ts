export { leftError } from "./left.js";
/**
 * @typedef {object} RejoinHost what it needs of its room
 * @property {import("./platform.js").Platform} platform
 * @property {AbortSignal} signal ends it
 * @property {(openTimeoutMs: number) => Promise<void>} enter joins
 * @property {(details: {error: PatchbayError, attempt: number, retryInMs?: number}) => void} tell what is being done
 * @property {() => void} done
 * @property {(error: PatchbayError) => void} giveUp
 */
export class Rejoin {
    /** @param {RejoinHost} host */
    constructor(host: RejoinHost);
    /** Tries at once, when a retry is being waited for. */
    now(): void;
    /** @param {PatchbayError} cause */
    begin(cause: PatchbayError): Promise<void>;
    #private;
}
/**
 * what it needs of its room
 */
export type RejoinHost = {
    platform: import("./platform.js").Platform;
    /**
     * ends it
     */
    signal: AbortSignal;
    /**
     * joins
     */
    enter: (openTimeoutMs: number) => Promise<void>;
    /**
     * what is being done
     */
    tell: (details: {
        error: PatchbayError;
        attempt: number;
        retryInMs?: number;
    }) => void;
    done: () => void;
    giveUp: (error: PatchbayError) => void;
};
import { PatchbayError } from "./errors.js";
