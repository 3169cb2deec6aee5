/**
 * @typedef {object} DataHost what the plane needs of a room
 * @property {() => number} now
 * @property {(callback: () => void, ms: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {(request: any) => Promise<any>} request asks signaling; rejects while there is no session
 * @property {(label: string, init: RTCDataChannelInit) => RTCDataChannel | null} openChannel on the transport of now, if there is one
 * @property {() => boolean} hasMedia whether the transport is connected
 */
export class DataPlane {
    /** @param {DataHost} host */
    constructor(host: DataHost);
    /** @type {ServerClock} */
    clock: ServerClock;
    /** @type {Calls} */
    calls: Calls;
    /**
     * The topic with a label; a second call gives the same one.
     * @param {string} label
     * @param {import("./topic.js").TopicOptions} options
     */
    topic(label: string, options: import("./topic.js").TopicOptions): Topic;
    /** Transfers of large things. The first use opens their topic. */
    get files(): Files;
    /** There is a new transport, or a session without one. */
    restart(): void;
    /** The transport connected, or is gone. */
    changeMedia(): void;
    /**
     * A server message that concerns data.
     * @param {any} message
     * @returns {boolean} whether it was one
     */
    handle(message: any): boolean;
    /** The server was restarted, and knows nothing of topics that were opened over signaling. */
    forgetFallbacks(): void;
    /** Ends everything. */
    close(): void;
    #private;
}
/**
 * what the plane needs of a room
 */
export type DataHost = {
    now: () => number;
    setTimeout: (callback: () => void, ms: number) => any;
    clearTimeout: (timer: any) => void;
    /**
     * asks signaling; rejects while there is no session
     */
    request: (request: any) => Promise<any>;
    /**
     * on the transport of now, if there is one
     */
    openChannel: (label: string, init: RTCDataChannelInit) => RTCDataChannel | null;
    /**
     * whether the transport is connected
     */
    hasMedia: () => boolean;
};
import { ServerClock } from "./clock.js";
import { Calls } from "./rpc.js";
import { Topic } from "./topic.js";
import { Files } from "./file.js";
