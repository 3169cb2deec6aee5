/**
 * Statistics in the few figures that a person or a test wants, from `getStats()`. Rates are over the time since the
 * sample before.
 */
/**
 * @typedef {object} FlowStats one direction of one section
 * @property {string | null} mid
 * @property {"audio" | "video"} kind
 * @property {number} bitrateBps
 * @property {number} lossFraction 0 to 1, over the interval
 * @property {number} packets since the beginning
 * @property {number} packetsLost since the beginning
 * @property {number | null} frameWidth
 * @property {number | null} frameHeight
 * @property {number | null} framesPerSecond
 * @property {number} frames decoded or encoded, since the beginning
 * @property {number} freezes since the beginning
 * @property {number} samples of audio received, since the beginning
 * @property {number} concealedSamples since the beginning
 * @property {number | null} jitterMs
 * @property {string | null} codec such as `VP8`
 * @property {number} nacks since the beginning
 * @property {number} plis since the beginning
 *
 * @typedef {object} PathStats
 * @property {number | null} rttMs
 * @property {string | null} protocol `udp` or `tcp`
 * @property {string | null} localType `host`, `srflx`, `prflx` or `relay`
 * @property {number | null} availableOutgoingBps
 * @property {string | null} srtpCipher
 * @property {number | null} signalingRttMs
 *
 * @typedef {{path: PathStats, publications: (FlowStats & {source: import("./protocol.js").Source})[],
 *   slots: (FlowStats & {participant: number | null})[]}} RoomStats
 */
/**
 * Remembers the sample before, so that rates can be told.
 */
export class StatsSampler {
    /**
     * @param {Iterable<[string, any]>} report an `RTCStatsReport`
     * @param {object} context
     * @param {readonly {source: import("./protocol.js").Source, mid: string | null}[]} context.publications
     * @param {readonly {mid: string | null, kind: string, currentNumber: number | null}[]} context.slots
     * @param {number | null} context.signalingRttMs
     * @returns {RoomStats}
     */
    sample(report: Iterable<[string, any]>, { publications, slots, signalingRttMs }: {
        publications: readonly {
            source: import("./protocol.js").Source;
            mid: string | null;
        }[];
        slots: readonly {
            mid: string | null;
            kind: string;
            currentNumber: number | null;
        }[];
        signalingRttMs: number | null;
    }): RoomStats;
    #private;
}
/**
 * one direction of one section
 */
export type FlowStats = {
    mid: string | null;
    kind: "audio" | "video";
    bitrateBps: number;
    /**
     * 0 to 1, over the interval
     */
    lossFraction: number;
    /**
     * since the beginning
     */
    packets: number;
    /**
     * since the beginning
     */
    packetsLost: number;
    frameWidth: number | null;
    frameHeight: number | null;
    framesPerSecond: number | null;
    /**
     * decoded or encoded, since the beginning
     */
    frames: number;
    /**
     * since the beginning
     */
    freezes: number;
    /**
     * of audio received, since the beginning
     */
    samples: number;
    /**
     * since the beginning
     */
    concealedSamples: number;
    jitterMs: number | null;
    /**
     * such as `VP8`
     */
    codec: string | null;
    /**
     * since the beginning
     */
    nacks: number;
    /**
     * since the beginning
     */
    plis: number;
};
export type PathStats = {
    rttMs: number | null;
    /**
     * `udp` or `tcp`
     */
    protocol: string | null;
    /**
     * `host`, `srflx`, `prflx` or `relay`
     */
    localType: string | null;
    availableOutgoingBps: number | null;
    srtpCipher: string | null;
    signalingRttMs: number | null;
};
export type RoomStats = {
    path: PathStats;
    publications: (FlowStats & {
        source: import("./protocol.js").Source;
    })[];
    slots: (FlowStats & {
        participant: number | null;
    })[];
};
