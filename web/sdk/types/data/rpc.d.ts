/**
 * @typedef {(call: {from: number | null, payload: string, signal: AbortSignal}) => string | Promise<string>} Method what answers a call;
 *   `from`: the caller's number, null for the server's API. What it throws is told to the caller.
 */
export class Calls {
    /** @param {{request: (request: any) => Promise<any>, setTimeout: (callback: () => void, ms: number) => any, clearTimeout: (timer: any) => void}} host */
    constructor(host: {
        request: (request: any) => Promise<any>;
        setTimeout: (callback: () => void, ms: number) => any;
        clearTimeout: (timer: any) => void;
    });
    /**
     * Answers calls of a method from now on.
     * @param {string} name
     * @param {Method | null} method null: no longer
     */
    register(name: string, method: Method | null): void;
    /**
     * Calls a method of another participant.
     * @param {number} to its number in the roster
     * @param {string} method
     * @param {string} [payload]
     * @param {{timeoutMs?: number, signal?: AbortSignal}} [options] 10 s unless told
     * @returns {Promise<string>}
     */
    call(to: number, method: string, payload?: string, { timeoutMs, signal }?: {
        timeoutMs?: number;
        signal?: AbortSignal;
    }): Promise<string>;
    /**
     * Somebody calls. For the SDK itself.
     * @param {{call: number, from?: number, method: string, payload: string, timeout_ms: number}} request
     */
    answer({ call, from, method: name, payload, timeout_ms }: {
        call: number;
        from?: number;
        method: string;
        payload: string;
        timeout_ms: number;
    }): Promise<void>;
    #private;
}
/**
 * what answers a call;
 *   `from`: the caller's number, null for the server's API. What it throws is told to the caller.
 */
export type Method = (call: {
    from: number | null;
    payload: string;
    signal: AbortSignal;
}) => string | Promise<string>;
