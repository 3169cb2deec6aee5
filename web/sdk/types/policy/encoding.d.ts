/**
 * The encoding parameters for a source.
 * @param {import("../protocol.js").Source} source
 * @param {{others?: number, height?: number}} [room] `others`: how many other participants; `height`: of the captured picture
 * @returns {RTCRtpEncodingParameters}
 */
export function encodingFor(source: import("../protocol.js").Source, { others, height }?: {
    others?: number;
    height?: number;
}): RTCRtpEncodingParameters;
