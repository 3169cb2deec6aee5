/**
 * What the SDK takes from its surroundings, in one object, so that a test can hand in its own.
 *
 * @typedef {object} Platform
 * @property {typeof RTCPeerConnection} RTCPeerConnection
 * @property {typeof WebSocket} WebSocket
 * @property {typeof fetch} fetch
 * @property {typeof MediaStream} MediaStream
 * @property {(kind: "audio" | "video", direction: "send" | "receive") => readonly import("./policy/codec.js").Codec[]} codecs
 * @property {(callback: () => void, ms: number) => any} setTimeout
 * @property {(handle: any) => void} clearTimeout
 * @property {() => number} now milliseconds, monotonic
 * @property {() => number} random in [0, 1)
 * @property {(tell: (change: NetworkChange) => void) => () => void} watchNetwork until the function that it returns is called
 *
 * @typedef {"moved" | "doubtful"} NetworkChange what the system says of the network: this device is on another one, or
 *   online again; or something happened after which the path may be gone
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
    fetch: (/** @type {[any, any?]} */ ...request) => globalThis.fetch(...request),
    MediaStream: globalThis.MediaStream,
    codecs: capabilities,
    setTimeout: (/** @type {() => void} */ callback, /** @type {number} */ ms) => globalThis.setTimeout(callback, ms),
    clearTimeout: (/** @type {any} */ handle) => globalThis.clearTimeout(handle),
    now: () => performance.now(),
    random: Math.random,
    watchNetwork,
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
 * @param {(change: NetworkChange) => void} tell
 * @returns {() => void}
 */
function watchNetwork(tell) {
  /** The Network Information API, where there is one. @type {any} */
  const information = /** @type {any} */ (globalThis.navigator)?.connection;
  let type = information?.type;
  // It also changes with every new guess of the network's speed.
  const changed = () => {
    if (information.type === type) return;
    type = information.type;
    tell("moved");
  };
  const moved = () => tell("moved");
  const doubtful = () => tell("doubtful");
  /** @type {[any, string, () => void][]} */
  const sources = [
    [globalThis, "online", moved],
    [globalThis, "offline", doubtful],
    // The device slept, or the page was put aside.
    [globalThis, "visibilitychange", doubtful],
    [information, "change", changed],
  ];
  for (const [source, type, listener] of sources) source?.addEventListener?.(type, listener);
  return () => {
    for (const [source, type, listener] of sources) source?.removeEventListener?.(type, listener);
  };
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
