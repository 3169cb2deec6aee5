/** Before the call: see yourself, choose devices and a name, and go in. */
import { listDevices, meter } from "./devices.js";
import { h, setAttribute, setText } from "./dom.js";
import { icon, logo, setIcon } from "./icons.js";
import { hueOf, initials } from "./person.js";
import { isRoomName, proposeRoomName, toRoomName } from "./room-name.js";
import { loadSettings, saveSettings } from "./settings.js";
import { devicePickers } from "./view/device-pickers.js";
import { deviceWords, wordsFor } from "./words.js";

/** Codes that a token may help against. */
const TOKEN_CODES = ["token_missing", "token_invalid", "token_expired", "token_not_yet_valid", "wrong_room", "not_allowed"];

/**
 * @typedef {{room: string, name: string, token: string}} Entry
 */

export class Lobby {
  #local;
  #onJoin;
  #room;
  #video = h("video", { autoplay: true, playsInline: true, muted: true, "aria-label": "Your camera" });
  #avatar = h("div", { class: "avatar", "aria-hidden": "true" });
  #words = h("div");
  #person = h("div", { class: "preview-words" }, this.#avatar, this.#words);
  #level = h("div", { class: "level" });
  #levelBar = h("div");
  #faults = h("div", { class: "preview-side" });
  #pickers = h("div");
  #name;
  #roomInput;
  #token;
  #error = h("div", { role: "alert" });
  #microphone;
  #camera;
  /** @type {(() => void) | null} */
  #stopMeter = null;
  /** @type {MediaStreamTrack | null} */
  #metered = null;
  #changed = () => this.#update();

  /**
   * @param {object} options
   * @param {import("./local.js").LocalMedia} options.local
   * @param {string | null} options.room the room that the address names, if it does
   * @param {string} options.name
   * @param {string} options.token
   * @param {unknown} [options.error] why the last try failed
   * @param {(entry: Entry) => void} options.onJoin
   */
  constructor({ local, room, name, token, error, onJoin }) {
    this.#local = local;
    this.#onJoin = onJoin;
    this.#room = room;
    this.#name = h("input", { class: "input", id: "name", maxLength: 60, autocomplete: "name", spellcheck: false, dir: "auto", value: name, placeholder: "How others see you", oninput: () => this.#showPerson() });
    this.#roomInput = h("input", { class: "input", id: "room", maxLength: 64, autocomplete: "off", spellcheck: false, autocapitalize: "none", value: room ?? proposeRoomName() });
    this.#token = h("input", { class: "input", id: "token", autocomplete: "off", spellcheck: false, value: token });
    const isAskingToken = TOKEN_CODES.includes(String(/** @type {any} */ (error)?.code));
    this.#microphone = this.#toggle("microphone");
    this.#camera = this.#toggle("camera");
    const preview = h("div", { class: "preview" }, this.#video, this.#person,
      h("div", { class: "preview-bar" }, this.#microphone.button, this.#camera.button));
    this.#preview = preview;
    this.#level.append(icon("microphone"), h("div", { class: "level-bar", role: "presentation" }, this.#levelBar));
    const form = h("form", { class: "lobby-form", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); this.#submit(); } },
      h("div", {}, h("h1", {}, room ? "Ready to join?" : "Start a call"),
        h("p", { class: "lead" }, room ? `Room ${room}` : "Choose a name for the room, or keep this one, and share the link.")),
      this.#error,
      room ? null : h("div", { class: "field" }, h("label", { for: "room" }, "Room"),
        h("div", { class: "room-row" }, this.#roomInput, h("button", { type: "button", class: "button", onclick: () => { this.#roomInput.value = proposeRoomName(); } }, "Another"))),
      h("div", { class: "field" }, h("label", { for: "name" }, "Your name"), this.#name),
      isAskingToken ? h("div", { class: "field" }, h("label", { for: "token" }, "Token"), this.#token) : null,
      h("button", { class: "button button-primary" }, room ? "Join" : "Start"),
      h("details", { class: "pickers" }, h("summary", {}, "Camera, microphone and speaker"), this.#pickers));
    this.element = h("div", { class: "lobby" },
      h("header", { class: "brand" }, logo(), "Patchbay"),
      h("main", { class: "lobby-body" }, h("div", {}, preview, this.#level, this.#faults), form));
    if (error) {
      const { title, text } = wordsFor(error);
      this.#error.append(h("div", { class: "notice" }, h("div", {}, h("strong", {}, title), text)));
    }
    local.addEventListener("change", this.#changed);
    this.#update();
  }

  #preview;

  /** Puts the cursor where it is most likely wanted. */
  focus() {
    const field = this.#error.hasChildNodes() && this.#token.isConnected ? this.#token : this.#name;
    if (!field.value && matchMedia("(hover: hover)").matches) field.focus();
  }

  close() {
    this.#local.removeEventListener("change", this.#changed);
    this.#stopMeter?.();
    this.#video.srcObject = null;
    this.element.remove();
  }

  /** @param {import("./local.js").Device} device */
  #toggle(device) {
    const svg = icon(device);
    const button = h("button", { type: "button", class: "control", onclick: async () => {
      const local = this.#local;
      if (local.isOn(device)) {
        local.wants[device] = false;
        local.close(device);
      } else {
        local.wants[device] = true;
        await local.open(device);
      }
      saveSettings(device === "camera" ? { wantsCamera: local.wants.camera } : { wantsMicrophone: local.wants.microphone });
      this.#update();
    } }, svg);
    return { button, svg };
  }

  #update() {
    const { tracks, faults, wants } = this.#local;
    for (const [device, { button, svg }] of /** @type {const} */ ([["microphone", this.#microphone], ["camera", this.#camera]])) {
      const isOn = this.#local.isOn(device);
      setIcon(svg, isOn ? device : `${device}-off`);
      button.classList.toggle("is-off", !isOn);
      button.classList.toggle("has-fault", wants[device] && faults[device] !== null);
      const label = isOn ? `Turn ${device} off` : `Turn ${device} on`;
      setAttribute(button, "aria-label", label);
      button.title = label;
    }
    const camera = this.#local.isOn("camera") ? tracks.camera : null;
    const shown = /** @type {MediaStream | null} */ (this.#video.srcObject)?.getTracks()[0] ?? null;
    if (shown !== camera) this.#video.srcObject = camera ? new MediaStream([camera]) : null;
    this.#video.classList.toggle("is-on", camera !== null);
    this.#person.hidden = camera !== null;
    this.#showFaults();
    this.#showPerson();
    this.#showLevel();
    this.#showPickers();
  }

  #showFaults() {
    const { faults, wants } = this.#local;
    const both = wants.camera && wants.microphone && faults.camera !== null && faults.camera === faults.microphone;
    const devices = /** @type {import("./local.js").Device[]} */ (both ? ["camera"] : ["camera", "microphone"]);
    this.#faults.replaceChildren(...devices.flatMap((device) => {
      const fault = faults[device];
      if (!fault || !wants[device]) return [];
      const words = deviceWords(device, fault);
      const both_ = (/** @type {string} */ text) => (both ? text.replace(/your camera/i, "your camera and microphone").replace("No camera was", "No camera and no microphone were").replace("access to it", "access to them") : text);
      const retry = fault === "insecure" ? null : h("button", { type: "button", class: "button", onclick: () => (both ? this.#local.openAll() : this.#local.open(device)) }, "Try again");
      return [h("div", { class: "notice", role: "status" }, h("div", {}, h("strong", {}, both_(words.title)), words.text), retry)];
    }));
  }

  #showPerson() {
    const name = this.#name.value.trim() || "You";
    setText(this.#avatar, initials(name));
    setText(this.#words, this.#local.wants.camera ? "" : "Your camera is off");
    this.#preview.style.setProperty("--hue", String(hueOf(name)));
  }

  #showLevel() {
    const track = this.#local.isOn("microphone") ? this.#local.tracks.microphone : null;
    this.#level.hidden = track === null;
    if (track === this.#metered) return;
    this.#stopMeter?.();
    this.#metered = track;
    this.#stopMeter = track ? meter(track, (level) => this.#levelBar.style.setProperty("--level", level.toFixed(3))) : null;
  }

  async #showPickers() {
    const devices = await listDevices();
    const { camera, microphone, speaker } = loadSettings();
    const current = { camera: this.#local.tracks.camera?.getSettings().deviceId ?? camera, microphone: this.#local.tracks.microphone?.getSettings().deviceId ?? microphone, speaker };
    const pickers = devicePickers(devices, current, (kind, id) => {
      if (kind === "speaker") saveSettings({ speaker: id });
      else this.#local.choose(/** @type {import("./local.js").Device} */ (kind), id);
    });
    if (this.#pickers.contains(document.activeElement)) return;
    this.#pickers.replaceChildren(...(pickers.length > 0 ? pickers : [h("p", { class: "hint" }, "They can be chosen once the browser may use them.")]));
  }

  #submit() {
    const room = this.#room ?? toRoomName(this.#roomInput.value);
    if (!isRoomName(room)) {
      this.#roomInput.setAttribute("aria-invalid", "true");
      this.#roomInput.focus();
      this.#error.replaceChildren(h("div", { class: "notice" }, h("div", {}, h("strong", {}, "The room needs a name"), "Letters, digits, hyphens, dots and underscores.")));
      return;
    }
    // Whoever goes in without a device has been told why, and has chosen.
    for (const device of /** @type {const} */ (["camera", "microphone"])) this.#local.wants[device] &&= this.#local.tracks[device] !== null;
    const name = this.#name.value.trim() || "Guest";
    saveSettings({ name: this.#name.value.trim() });
    this.#onJoin({ room, name, token: this.#token.value.trim() });
  }
}
