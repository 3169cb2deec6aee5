/** From figures to what a person is shown. Pure. */

/**
 * How good a flow is: 3 good, 2 fair, 1 poor.
 * @param {{lossFraction: number, freezes?: number}} flow
 * @param {number} [freezesBefore]
 * @param {number | null} [rttMs]
 * @returns {1 | 2 | 3}
 */
export function qualityOf({ lossFraction, freezes = 0 }, freezesBefore = freezes, rttMs = null) {
  if (lossFraction > 0.1 || freezes - freezesBefore > 1 || (rttMs ?? 0) > 800) return 1;
  if (lossFraction > 0.03 || freezes > freezesBefore || (rttMs ?? 0) > 350) return 2;
  return 3;
}

/** @param {number} bps */
export function formatBitrate(bps) {
  if (bps >= 1_000_000) return `${(bps / 1_000_000).toFixed(1)} Mbit/s`;
  return `${Math.round(bps / 1000)} kbit/s`;
}

/** @type {Record<string, string>} */
const SOURCES = { microphone: "microphone", camera: "camera", screen: "screen", screen_audio: "sound of the screen" };

/**
 * What the details panel shows.
 * @param {import("../sdk/stats.js").RoomStats} stats
 * @param {(number: number | null) => string | null} nameOf
 * @returns {import("./view/more.js").Figures[]}
 */
export function figuresOf({ path, publications, slots }, nameOf) {
  /** @type {[string, string][]} */
  const rows = [["Round trip", path.rttMs === null ? "–" : `${path.rttMs} ms`]];
  if (path.signalingRttMs !== null) rows.push(["Signaling", `${path.signalingRttMs} ms`]);
  if (path.protocol) rows.push(["Path", `${path.protocol.toUpperCase()}${path.localType === "relay" ? ", relayed" : ", direct"}`]);
  if (path.srtpCipher) rows.push(["Encryption", path.srtpCipher.replaceAll("_", "-")]);
  const figures = [{ title: "To the server", rows, value: path.rttMs }];
  for (const flow of publications) figures.push(flowFigures(`Your ${SOURCES[flow.source]}`, flow));
  for (const flow of slots) {
    const name = nameOf(flow.participant);
    if (name === null) continue;
    figures.push(flowFigures(`${name}, ${flow.kind === "audio" ? "voice" : "picture"}`, flow));
  }
  return figures;
}

/**
 * @param {string} title
 * @param {import("../sdk/stats.js").FlowStats} flow
 */
function flowFigures(title, flow) {
  /** @type {[string, string][]} */
  const rows = [["Bitrate", formatBitrate(flow.bitrateBps)]];
  if (flow.frameWidth && flow.frameHeight) {
    const rate = flow.framesPerSecond === null ? "" : `, ${Math.round(flow.framesPerSecond)} fps`;
    rows.push(["Picture", `${flow.frameWidth} × ${flow.frameHeight}${rate}`]);
  }
  rows.push(["Loss", `${(flow.lossFraction * 100).toFixed(1)} %`]);
  if (flow.jitterMs !== null) rows.push(["Jitter", `${flow.jitterMs} ms`]);
  if (flow.codec) rows.push(["Codec", flow.codec]);
  return { title, rows, value: flow.bitrateBps };
}
