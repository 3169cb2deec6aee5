/**
 * Which codecs a section offers. A slot offers every codec that a publisher may use, and nothing else: an offer
 * with thirteen slots shrinks to less than half. A publication prefers VP8, which everybody decodes.
 */

/** Video codecs worth offering, best first for a publication. */
const VIDEO = ["video/vp8", "video/vp9", "video/av1", "video/h264"];
const AUDIO = ["audio/opus"];
const REPAIR = ["video/rtx"];

/**
 * @typedef {{mimeType: string, sdpFmtpLine?: string, clockRate: number, channels?: number}} Codec
 */

/**
 * The preference list for one section, or an empty list to leave the browser's own.
 * @param {readonly Codec[]} available from `getCapabilities(kind).codecs`
 * @param {"audio" | "video"} kind
 * @param {string} [only] one codec's short name, such as `vp9`: that one and repair alone
 * @returns {Codec[]}
 */
export function codecPreferences(available, kind, only) {
  const names = only ? [`${kind}/${only.toLowerCase()}`] : kind === "video" ? VIDEO : AUDIO;
  const chosen = names.flatMap((name) => available.filter((codec) => codec.mimeType.toLowerCase() === name && isUsable(codec)));
  if (chosen.length === 0) return [];
  return [...chosen, ...available.filter((codec) => REPAIR.includes(codec.mimeType.toLowerCase()))];
}

/**
 * H.264 in packetization mode 0 cannot carry a frame larger than one packet (RFC 6184 §6.2), VP9 and AV1 profiles
 * above 0 are decoded by few.
 * @param {Codec} codec
 */
function isUsable(codec) {
  const fmtp = codec.sdpFmtpLine ?? "";
  switch (codec.mimeType.toLowerCase()) {
    case "video/h264":
      return fmtp.includes("packetization-mode=1") && /profile-level-id=42/i.test(fmtp);
    case "video/vp9":
      return !/profile-id=[1-9]/.test(fmtp);
    case "video/av1":
      return !/(^|;)\s*profile=[1-9]/.test(fmtp);
    default:
      return true;
  }
}
