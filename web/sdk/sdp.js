/**
 * The little that the client reads from its own offers: which media section carries which mid.
 */

/**
 * The media sections of an SDP, in order.
 * @param {string} sdp
 * @returns {{kind: string, mid: string}[]}
 */
export function mediaSections(sdp) {
  /** @type {{kind: string, mid: string}[]} */
  const sections = [];
  for (const line of sdp.split(/\r?\n/)) {
    if (line.startsWith("m=")) sections.push({ kind: line.slice(2).split(" ", 1)[0] ?? "", mid: "" });
    else if (line.startsWith("a=mid:") && sections.length > 0) sections[sections.length - 1].mid = line.slice(6).trim();
  }
  return sections;
}

/**
 * The mid that each transceiver has, or will have once the offer is applied: transceivers without a section take the
 * new sections in the order in which they were added (RFC 8829 §5.2.2).
 * @template {{mid: string | null}} T
 * @param {string} sdp the offer
 * @param {readonly T[]} transceivers in the order of their creation
 * @returns {Map<T, string>}
 */
export function assignMids(sdp, transceivers) {
  const taken = new Set(transceivers.map((transceiver) => transceiver.mid).filter((mid) => mid !== null));
  const fresh = mediaSections(sdp).filter(({ kind, mid }) => kind !== "application" && !taken.has(mid));
  /** @type {Map<T, string>} */
  const mids = new Map();
  for (const transceiver of transceivers) {
    const mid = transceiver.mid ?? fresh.shift()?.mid;
    if (mid !== undefined) mids.set(transceiver, mid);
  }
  return mids;
}
