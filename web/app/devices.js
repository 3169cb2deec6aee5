/** Cameras, microphones and screens, with reasons when they are not to be had. */

/** Thrown where a page without TLS asks for a device. */
class InsecureContextError extends Error {
  constructor() {
    super("Devices need a secure context.");
    this.name = "InsecureContextError";
  }
}

export function mediaDevices() {
  if (!globalThis.isSecureContext || !navigator.mediaDevices) throw new InsecureContextError();
  return navigator.mediaDevices;
}

/**
 * @param {{deviceId?: string, height?: number}} [options]
 * @returns {Promise<MediaStreamTrack>}
 */
export async function openCamera(options = {}) {
  const stream = await mediaDevices().getUserMedia({ video: cameraConstraints(options) });
  return stream.getVideoTracks()[0];
}

/**
 * @param {{deviceId?: string}} [options]
 * @returns {Promise<MediaStreamTrack>}
 */
export async function openMicrophone(options = {}) {
  const stream = await mediaDevices().getUserMedia({ audio: microphoneConstraints(options) });
  return stream.getAudioTracks()[0];
}

/**
 * Both at once where that works, so that the browser asks once; else each by itself, so that one that fails does not
 * take the other with it.
 * @param {{camera: {deviceId?: string, height?: number} | null, microphone: {deviceId?: string} | null}} wanted null for not wanted
 * @returns {Promise<{camera: MediaStreamTrack | null, microphone: MediaStreamTrack | null,
 *   faults: {camera?: unknown, microphone?: unknown}}>}
 */
export async function openDevices({ camera, microphone }) {
  /** @type {Awaited<ReturnType<typeof openDevices>>} */
  const opened = { camera: null, microphone: null, faults: {} };
  if (camera && microphone && globalThis.isSecureContext && navigator.mediaDevices) {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: cameraConstraints(camera), audio: microphoneConstraints(microphone) });
      return { camera: stream.getVideoTracks()[0], microphone: stream.getAudioTracks()[0], faults: {} };
    } catch {
      // Which of the two it was shows when each is asked for alone.
    }
  }
  if (microphone) opened.microphone = await openMicrophone(microphone).catch((error) => ((opened.faults.microphone = error), null));
  if (camera) opened.camera = await openCamera(camera).catch((error) => ((opened.faults.camera = error), null));
  return opened;
}

/** @param {{deviceId?: string, height?: number}} options */
function cameraConstraints({ deviceId, height = 720 }) {
  return {
    deviceId: deviceId ? { ideal: deviceId } : undefined,
    width: { ideal: Math.round((height * 16) / 9) },
    height: { ideal: height },
    frameRate: { ideal: 30, max: 30 },
  };
}

/** @param {{deviceId?: string}} options */
function microphoneConstraints({ deviceId }) {
  return { deviceId: deviceId ? { ideal: deviceId } : undefined, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
}

/** Whether this browser can share a screen. */
export function canShareScreen() {
  return Boolean(globalThis.isSecureContext && navigator.mediaDevices && "getDisplayMedia" in navigator.mediaDevices);
}

/**
 * What can be chosen from. Names stay empty until a device was allowed.
 * @returns {Promise<Record<"camera" | "microphone" | "speaker", {id: string, label: string}[]>>}
 */
export async function listDevices() {
  /** @type {Record<"camera" | "microphone" | "speaker", {id: string, label: string}[]>} */
  const devices = { camera: [], microphone: [], speaker: [] };
  if (!navigator.mediaDevices?.enumerateDevices) return devices;
  for (const { kind, deviceId, label } of await navigator.mediaDevices.enumerateDevices()) {
    const list = devices[kind === "videoinput" ? "camera" : kind === "audioinput" ? "microphone" : "speaker"];
    if (deviceId) list.push({ id: deviceId, label: label || `Device ${list.length + 1}` });
  }
  return devices;
}

/**
 * Calls back with a level from 0 to 1, about twenty times a second, until stopped.
 * @param {MediaStreamTrack} track
 * @param {(level: number) => void} onLevel
 * @returns {() => void} stops it
 */
export function meter(track, onLevel) {
  const Context = globalThis.AudioContext;
  if (!Context) return () => {};
  const context = new Context();
  const analyser = context.createAnalyser();
  analyser.fftSize = 512;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let shown = 0;
  const timer = setInterval(() => {
    if (context.state === "suspended") context.resume().catch(() => {});
    analyser.getFloatTimeDomainData(samples);
    let sum = 0;
    for (const sample of samples) sum += sample * sample;
    const decibels = 10 * Math.log10(sum / samples.length + 1e-10);
    const level = Math.min(1, Math.max(0, (decibels + 60) / 50));
    shown = level > shown ? level : shown * 0.8 + level * 0.2;
    onLevel(shown);
  }, 50);
  return () => {
    clearInterval(timer);
    context.close().catch(() => {});
  };
}
