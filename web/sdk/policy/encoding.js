/**
 * How much a publication may send. Everybody in a room receives the same encoding, so its size follows the number
 * of people who share the screen it is shown on.
 */

/** Frames per second of a shared screen: text wants sharpness, not motion. */
const SCREEN_FRAME_RATE = 15;

/**
 * The encoding parameters for a source.
 * @param {import("../protocol.js").Source} source
 * @param {{others?: number, height?: number}} [room] `others`: how many other participants; `height`: of the captured picture
 * @returns {RTCRtpEncodingParameters}
 */
export function encodingFor(source, { others = 1, height = 720 } = {}) {
  switch (source) {
    case "microphone":
      return { maxBitrate: 40_000 };
    case "screen_audio":
      return { maxBitrate: 96_000 };
    case "screen":
      return { maxBitrate: 2_500_000, maxFramerate: SCREEN_FRAME_RATE };
    case "camera": {
      const wanted = others <= 2 ? 720 : 360;
      const maxBitrate = others <= 2 ? 1_500_000 : others <= 8 ? 600_000 : 400_000;
      return { maxBitrate, maxFramerate: 30, scaleResolutionDownBy: Math.max(1, height / wanted) };
    }
  }
}
