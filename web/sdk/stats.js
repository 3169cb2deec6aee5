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
  /** @type {Map<string, {bytes: number, packets: number, lost: number, timestamp: number}>} */
  #before = new Map();

  /**
   * @param {Iterable<[string, any]>} report an `RTCStatsReport`
   * @param {object} context
   * @param {readonly {source: import("./protocol.js").Source, mid: string | null}[]} context.publications
   * @param {readonly {mid: string | null, kind: string, currentNumber: number | null}[]} context.slots
   * @param {number | null} context.signalingRttMs
   * @returns {RoomStats}
   */
  sample(report, { publications, slots, signalingRttMs }) {
    const all = new Map(report);
    const stats = [...all.values()];
    const remote = new Map(stats.filter((stat) => stat.type === "remote-inbound-rtp").map((stat) => [stat.localId, stat]));
    const before = this.#before;
    this.#before = new Map();
    /** @type {RoomStats} */
    const result = { path: pathOf(all, stats, signalingRttMs), publications: [], slots: [] };
    for (const stat of stats) {
      if (stat.type === "inbound-rtp") {
        const slot = slots.find(({ mid }) => mid !== null && mid === stat.mid);
        const lost = stat.packetsLost ?? 0;
        const flow = this.#flow(stat, all, before, { bytes: stat.bytesReceived ?? 0, packets: stat.packetsReceived ?? 0, lost });
        result.slots.push({ ...flow, participant: slot?.currentNumber ?? null });
      } else if (stat.type === "outbound-rtp") {
        const publication = publications.find(({ mid }) => mid !== null && mid === stat.mid);
        if (!publication) continue;
        const lost = remote.get(stat.id)?.packetsLost ?? 0;
        const flow = this.#flow(stat, all, before, { bytes: stat.bytesSent ?? 0, packets: stat.packetsSent ?? 0, lost });
        result.publications.push({ ...flow, source: publication.source });
      }
    }
    return result;
  }

  /**
   * @param {any} stat
   * @param {Map<string, any>} all
   * @param {Map<string, {bytes: number, packets: number, lost: number, timestamp: number}>} before
   * @param {{bytes: number, packets: number, lost: number}} now
   * @returns {FlowStats}
   */
  #flow(stat, all, before, now) {
    const old = before.get(stat.id);
    this.#before.set(stat.id, { ...now, timestamp: stat.timestamp });
    const seconds = old ? (stat.timestamp - old.timestamp) / 1000 : 0;
    const lost = old ? Math.max(0, now.lost - old.lost) : 0;
    const packets = old ? Math.max(0, now.packets - old.packets) : 0;
    const mime = all.get(stat.codecId)?.mimeType;
    return {
      mid: stat.mid ?? null,
      kind: stat.kind,
      bitrateBps: old && seconds > 0 ? Math.max(0, Math.round(((now.bytes - old.bytes) * 8) / seconds)) : 0,
      lossFraction: lost + packets > 0 ? lost / (lost + packets) : 0,
      packets: now.packets,
      packetsLost: now.lost,
      frameWidth: stat.frameWidth ?? null,
      frameHeight: stat.frameHeight ?? null,
      framesPerSecond: stat.framesPerSecond ?? null,
      frames: stat.framesDecoded ?? stat.framesEncoded ?? 0,
      freezes: stat.freezeCount ?? 0,
      samples: stat.totalSamplesReceived ?? 0,
      concealedSamples: stat.concealedSamples ?? 0,
      jitterMs: stat.jitter === undefined ? null : Math.round(stat.jitter * 1000),
      codec: typeof mime === "string" ? (mime.split("/")[1] ?? null) : null,
      nacks: stat.nackCount ?? 0,
      plis: stat.pliCount ?? 0,
    };
  }
}

/**
 * @param {Map<string, any>} all
 * @param {any[]} stats
 * @param {number | null} signalingRttMs
 * @returns {PathStats}
 */
function pathOf(all, stats, signalingRttMs) {
  const transport = stats.find((stat) => stat.type === "transport");
  const pair = all.get(transport?.selectedCandidatePairId) ?? stats.find((stat) => stat.type === "candidate-pair" && stat.nominated && stat.state === "succeeded");
  const local = all.get(pair?.localCandidateId);
  return {
    rttMs: pair?.currentRoundTripTime === undefined ? null : Math.round(pair.currentRoundTripTime * 1000),
    protocol: local?.protocol ?? null,
    localType: local?.candidateType ?? null,
    availableOutgoingBps: pair?.availableOutgoingBitrate ?? null,
    srtpCipher: transport?.srtpCipher ?? null,
    signalingRttMs: signalingRttMs === null ? null : Math.round(signalingRttMs),
  };
}
