/**
 * The little that the client reads from its own offers: which media section carries which mid.
 */
/**
 * The media sections of an SDP, in order.
 * @param {string} sdp
 * @returns {{kind: string, mid: string}[]}
 */
export function mediaSections(sdp: string): {
    kind: string;
    mid: string;
}[];
/**
 * The mid that each transceiver has, or will have once the offer is applied: transceivers without a section take the
 * new sections in the order in which they were added (RFC 8829 §5.2.2).
 * @template {{mid: string | null}} T
 * @param {string} sdp the offer
 * @param {readonly T[]} transceivers in the order of their creation
 * @returns {Map<T, string>}
 */
export function assignMids<T extends {
    mid: string | null;
}>(sdp: string, transceivers: readonly T[]): Map<T, string>;
