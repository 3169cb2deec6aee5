/**
 * Numbers that grow when something came over the connection (media, reports, answers to checks), and how old the newest
 * packet of media or reports is, where the browser tells; 0 where it doesn't.
 * @param {Iterable<[string, any]>} report an `RTCStatsReport`
 * @returns {{received: Map<string, number>, ageMs: number}}
 */
export function receivedIn(report: Iterable<[string, any]>): {
    received: Map<string, number>;
    ageMs: number;
};
/**
 * @typedef {object} PathHost what the watch needs of its session
 * @property {() => Promise<Iterable<[string, any]>>} stats
 * @property {() => RTCPeerConnectionState} state
 * @property {() => boolean} isPublishing
 * @property {() => number | undefined} rttMs of signaling
 * @property {(timeoutMs: number) => Promise<boolean>} ask signaling; false: it is out of reach now
 * @property {() => void} restart ICE
 * @property {() => void} giveUp
 * @property {() => void} changed whether the path is dead
 */
export class PathWatch {
    /**
     * Begins to watch, once media has flowed.
     * @param {import("./platform.js").Platform} platform
     * @param {PathHost} host
     */
    constructor(platform: import("./platform.js").Platform, host: PathHost);
    /** Whether media cannot flow now, as far as anybody can know. */
    isDead: boolean;
    stop(): void;
    /** The browser's state of the connection changed. */
    stateChanged(): void;
    /** An ICE restart was begun at somebody's request. */
    restarted(): void;
    /** Signaling has answered, as when its session was resumed. */
    answered(): void;
    #private;
}
/**
 * what the watch needs of its session
 */
export type PathHost = {
    stats: () => Promise<Iterable<[string, any]>>;
    state: () => RTCPeerConnectionState;
    isPublishing: () => boolean;
    /**
     * of signaling
     */
    rttMs: () => number | undefined;
    /**
     * signaling; false: it is out of reach now
     */
    ask: (timeoutMs: number) => Promise<boolean>;
    /**
     * ICE
     */
    restart: () => void;
    giveUp: () => void;
    /**
     * whether the path is dead
     */
    changed: () => void;
};
