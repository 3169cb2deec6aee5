/** One tile: a face, a shared screen, or the initials of somebody who shows neither. */
import { h, setAttribute, setText } from "../dom.js";
import { icon, qualityBars } from "../icons.js";
import { hueOf, initials } from "../person.js";

/**
 * @typedef {object} TileModel
 * @property {string} key unique in the room and stable, such as `camera/alice`
 * @property {string} identity
 * @property {string} name
 * @property {boolean} isSelf
 * @property {boolean} isScreen
 * @property {boolean} hasPicture whether there is a picture to ask for
 * @property {boolean} isMuted
 * @property {boolean} isSpeaking
 * @property {boolean} hasHand
 * @property {number | null} quality 1 to 3
 * @property {string} words what to say in place of a picture, or nothing
 */

const QUALITY = ["", "poor connection", "fair connection", "good connection"];

export class Tile {
  #avatar = h("div", { class: "avatar", "aria-hidden": "true" });
  #name = h("span", { class: "tile-name", dir: "auto" });
  #muted = icon("microphone-off");
  #quality = qualityBars();
  #badge = h("div", { class: "tile-badge", "aria-hidden": "true" }, icon("hand"), h("span", {}, "Hand up"));
  #words = h("p", { class: "tile-words" });
  #pin;
  #isPinned = false;
  /** @type {MediaStream | null} */
  #stream = null;

  /**
   * @param {TileModel} model
   * @param {(key: string) => void} onPin
   */
  constructor(model, onPin) {
    this.key = model.key;
    this.video = h("video", { autoplay: true, playsInline: true, muted: true, "aria-hidden": "true", disablePictureInPicture: false });
    this.#pin = h("button", { class: "tile-pin", type: "button", onclick: () => onPin(this.key) }, icon("pin"));
    this.element = h("div", { class: "tile is-new", role: "listitem", tabIndex: 0 },
      this.video, this.#avatar, this.#words, this.#badge,
      h("div", { class: "tile-label", "aria-hidden": "true" }, this.#muted, this.#name, this.#quality), this.#pin);
    this.element.classList.toggle("tile-screen", model.isScreen);
    this.element.classList.toggle("is-mirrored", model.isSelf && !model.isScreen);
    this.element.style.setProperty("--hue", String(hueOf(model.identity)));
    this.element.addEventListener("dblclick", () => onPin(this.key));
    this.update(model, false);
    this.setPicture(null, false);
  }

  /**
   * @param {TileModel} model
   * @param {boolean} isPinned
   */
  update(model, isPinned) {
    const shownName = model.isScreen ? `${model.name}’s screen` : model.isSelf ? `${model.name} (you)` : model.name;
    setText(this.#name, shownName);
    setText(this.#avatar, initials(model.name));
    setText(this.#words, model.words);
    this.#words.hidden = !model.words;
    this.#avatar.hidden = model.isScreen;
    this.#muted.toggleAttribute("hidden", !model.isMuted || model.isScreen);
    this.#badge.hidden = !model.hasHand || model.isScreen;
    this.#quality.toggleAttribute("hidden", model.quality === null);
    if (model.quality !== null) setAttribute(this.#quality, "data-level", String(model.quality));
    this.element.classList.toggle("is-speaking", model.isSpeaking && !model.isScreen);
    const label = [
      shownName,
      !model.isScreen && (model.isMuted ? "microphone off" : model.isSpeaking && "speaking"),
      !model.isScreen && !model.hasPicture && "camera off",
      model.hasHand && !model.isScreen && "hand raised",
      model.quality !== null && QUALITY[model.quality],
    ];
    setAttribute(this.element, "aria-label", label.filter(Boolean).join(", "));
    if (this.#isPinned !== isPinned || !this.#pin.title) {
      this.#isPinned = isPinned;
      const text = isPinned ? "Back to the grid" : "Show large";
      this.#pin.title = text;
      setAttribute(this.#pin, "aria-label", `${text}: ${model.name}`);
      setAttribute(this.#pin, "aria-pressed", String(isPinned));
      this.#pin.replaceChildren(icon(isPinned ? "unpin" : "pin"));
    }
  }

  /**
   * @param {MediaStream | null} stream
   * @param {boolean} isPlaying whether what it carries is this tile's picture already
   */
  setPicture(stream, isPlaying) {
    if (this.#stream !== stream) {
      this.#stream = stream;
      this.video.srcObject = stream;
      if (stream) this.video.play().catch(() => {});
    }
    this.element.classList.toggle("has-picture", stream !== null && isPlaying);
  }

  /** @param {import("../layout/grid.js").Rect} rect */
  place({ x, y, width, height }) {
    const { style } = this.element;
    style.setProperty("--x", `${x}px`);
    style.setProperty("--y", `${y}px`);
    style.setProperty("--w", `${width}px`);
    style.setProperty("--h", `${height}px`);
    if (this.element.classList.contains("is-new")) requestAnimationFrame(() => this.element.classList.remove("is-new"));
  }

  remove() {
    this.video.srcObject = null;
    this.element.remove();
  }
}
