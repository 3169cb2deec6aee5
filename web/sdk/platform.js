/**
 * What the SDK takes from its surroundings, in one object, so that a test can hand in its own.
 *
 * @typedef {object} Platform
 * @property {typeof RTCPeerConnection} RTCPeerConnection
 * @property {typeof WebSocket} WebSocket
 * @property {typeof MediaStream} MediaStream
 * @property {(kind: "audio" | "video", direction: "send" | "receive") => readonly import("./policy/codec.js").Codec[]} codecs
 * @property {(callback: () => void, ms: number) => any} setTimeout
 * @property {(handle: any) => void} clearTimeout
 * @property {() => number} now milliseconds, monotonic
 * @property {() => number} random in [0, 1)
 */
import { PatchbayError } from "./errors.js";

/**
 * The browser's own, with `overrides` on top.
 * @param {Partial<Platform>} [overrides]
 * @returns {Platform}
 */
export function platformOf(overrides = {}) {
  const platform = {
    RTCPeerConnection: globalThis.RTCPeerConnection,
    WebSocket: globalThis.WebSocket,
    MediaStream: globalThis.MediaStream,
    codecs: capabilities,
    setTimeout: (/** @type {() => void} */ callback, /** @type {number} */ ms) => globalThis.setTimeout(callback, ms),
    clearTimeout: (/** @type {any} */ handle) => globalThis.clearTimeout(handle),
    now: () => performance.now(),
    random: Math.random,
    ...overrides,
  };
  if (!platform.RTCPeerConnection || !platform.WebSocket) {
    throw new PatchbayError("unsupported", "This browser has no WebRTC, or has it switched off.");
  }
  return platform;
}

/**
 * @param {"audio" | "video"} kind
 * @param {"send" | "receive"} direction
 */
function capabilities(kind, direction) {
  const side = direction === "send" ? globalThis.RTCRtpSender : globalThis.RTCRtpReceiver;
  return side?.getCapabilities?.(kind)?.codecs ?? [];
}

/**
 * A promise that a signal can end early.
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
export function abortable(promise, signal) {
  if (!signal) return promise;
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/**
 * Waits, unless a signal ends it.
 * @param {Platform} platform
 * @param {number} ms
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
export function delay(platform, ms, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const abort = () => {
      platform.clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = platform.setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
