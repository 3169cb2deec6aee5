/** The own microphone and camera, on the way from the lobby into the call and back. */
import { openCamera, openDevices, openMicrophone } from "./devices.js";
import { deviceFault } from "./words.js";
import { loadSettings, saveSettings } from "./settings.js";

/**
 * @typedef {"camera" | "microphone"} Device
 */

export class LocalMedia extends EventTarget {
  /** @type {Record<Device, MediaStreamTrack | null>} */
  tracks = { camera: null, microphone: null };
  /** Why a device gave nothing, if it did. @type {Record<Device, ReturnType<typeof deviceFault> | null>} */
  faults = { camera: null, microphone: null };
  /** Whether a person wants it on. @type {Record<Device, boolean>} */
  wants;
  /** Lines to capture. */
  height;

  /** @param {{camera: boolean, microphone: boolean, height?: number}} wants */
  constructor({ camera, microphone, height = 720 }) {
    super();
    this.wants = { camera, microphone };
    this.height = height;
  }

  /** @param {Device} device */
  isOn(device) {
    return this.wants[device] && this.tracks[device] !== null;
  }

  /** Opens what is wanted. Faults are kept, not thrown. */
  async openAll() {
    const settings = loadSettings();
    const { camera, microphone, faults } = await openDevices({
      camera: this.wants.camera ? { deviceId: settings.camera, height: this.height } : null,
      microphone: this.wants.microphone ? { deviceId: settings.microphone } : null,
    });
    this.#take("camera", camera, faults.camera);
    this.#take("microphone", microphone, faults.microphone);
  }

  /**
   * Opens one device. Says whether that worked.
   * @param {Device} device
   */
  async open(device) {
    const settings = loadSettings();
    try {
      const track = device === "camera"
        ? await openCamera({ deviceId: settings.camera, height: this.height })
        : await openMicrophone({ deviceId: settings.microphone });
      this.#take(device, track, undefined);
      return true;
    } catch (error) {
      this.#take(device, null, error);
      return false;
    }
  }

  /**
   * Lets a device go.
   * @param {Device} device
   */
  close(device) {
    const track = this.tracks[device];
    this.tracks[device] = null;
    track?.stop();
    this.dispatchEvent(new Event("change"));
  }

  closeAll() {
    this.close("camera");
    this.close("microphone");
  }

  /**
   * Remembers a choice of device and takes that one.
   * @param {Device} device
   * @param {string} id
   */
  async choose(device, id) {
    saveSettings({ [device]: id });
    if (!this.wants[device]) return;
    const before = this.tracks[device];
    if (await this.open(device)) before?.stop();
  }

  /**
   * @param {Device} device
   * @param {MediaStreamTrack | null} track
   * @param {unknown} fault
   */
  #take(device, track, fault) {
    this.tracks[device] = track;
    this.faults[device] = fault === undefined ? null : deviceFault(fault);
    if (track) {
      track.addEventListener("ended", () => {
        if (this.tracks[device] !== track) return;
        this.tracks[device] = null;
        this.faults[device] = "missing";
        this.dispatchEvent(Object.assign(new Event("lost"), { device }));
        this.dispatchEvent(new Event("change"));
      });
    }
    this.dispatchEvent(new Event("change"));
  }
}
