/** A call in figures: how good each picture is, and what the details panel shows. Fetched behind the join. */
import { qualityOf } from "./quality.js";

/**
 * @param {import("../sdk/index.js").Room} room
 * @param {ReadonlyMap<import("../sdk/index.js").Slot, string | null>} shown which tile each slot fills
 * @param {Map<string, {level: 1 | 2 | 3, freezes: number}>} quality by tile; brought up to date
 * @param {string} self the own tile
 */
export async function takeFigures(room, shown, quality, self) {
  const stats = await room.stats().catch(() => null);
  if (!stats) return null;
  for (const [slot, key] of shown) {
    const flow = key && stats.slots.find(({ mid }) => mid === slot.mid);
    if (!key || !flow || slot.playing === null) continue;
    const before = quality.get(key)?.freezes;
    quality.set(key, { level: qualityOf(flow, before, stats.path.rttMs), freezes: flow.freezes });
  }
  const sent = stats.publications.find(({ source }) => source === "camera") ?? stats.publications[0];
  if (sent) quality.set(self, { level: qualityOf(sent, undefined, stats.path.rttMs), freezes: 0 });
  return { path: stats.path, figures: figuresOf(stats, (number) => room.participant(number)?.name ?? null) };
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
