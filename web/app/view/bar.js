/** The control bar: the same order everywhere, state readable without colour, keys named. */
import { h, setAttribute } from "../dom.js";
import { icon, setIcon } from "../icons.js";

/**
 * @typedef {object} BarModel
 * @property {boolean} microphone whether it is on
 * @property {boolean} camera
 * @property {boolean} sharing
 * @property {boolean} hand
 * @property {"chat" | "people" | "more" | null} panel
 * @property {boolean} hasUnread
 * @property {boolean} canShare
 * @property {boolean} microphoneFault
 * @property {boolean} cameraFault
 *
 * @typedef {Record<"microphone" | "camera" | "share" | "hand" | "chat" | "more" | "leave", () => void>} BarActions
 */

export class Bar {
  /** @type {Record<string, {button: HTMLButtonElement, svg: SVGSVGElement}>} */
  #controls = {};
  #dot = h("span", { class: "dot", hidden: true });

  /** @param {BarActions} actions */
  constructor(actions) {
    const control = (/** @type {keyof BarActions} */ name, /** @type {string} */ iconName) => {
      const svg = icon(iconName);
      const button = h("button", { type: "button", class: "control", onclick: () => actions[name]() }, svg);
      this.#controls[name] = { button, svg };
      return button;
    };
    const leave = h("button", { type: "button", class: "control control-leave", onclick: () => actions.leave(), "aria-label": "Leave the call", "data-tip": "Leave" }, icon("leave"), h("span", {}, "Leave"));
    const chat = control("chat", "chat");
    chat.append(this.#dot);
    this.element = h("div", { class: "controls", role: "toolbar", "aria-label": "Call controls" },
      control("microphone", "microphone"), control("camera", "camera"), control("share", "screen"), control("hand", "hand"),
      chat, control("more", "more"), leave);
  }

  /** @param {BarModel} model */
  update(model) {
    this.#set("microphone", model.microphone ? "microphone" : "microphone-off", model.microphone ? "Turn microphone off" : "Turn microphone on", "M", { isOff: !model.microphone, hasFault: model.microphoneFault });
    this.#set("camera", model.camera ? "camera" : "camera-off", model.camera ? "Turn camera off" : "Turn camera on", "V", { isOff: !model.camera, hasFault: model.cameraFault });
    this.#set("share", "screen", model.sharing ? "Stop sharing your screen" : "Share your screen", "S", { isActive: model.sharing, pressed: model.sharing });
    this.#controls.share.button.hidden = !model.canShare;
    this.#set("hand", "hand", model.hand ? "Lower your hand" : "Raise your hand", "H", { isActive: model.hand, pressed: model.hand });
    this.#set("chat", "chat", model.hasUnread ? "Chat, new messages" : "Chat", "C", { isActive: model.panel === "chat", expanded: model.panel === "chat" });
    this.#set("more", "more", "More: devices and details", "", { isActive: model.panel === "more", expanded: model.panel === "more" });
    this.#dot.hidden = !model.hasUnread;
  }

  /** @param {string} name */
  focus(name) {
    this.#controls[name]?.button.focus();
  }

  /**
   * @param {string} name
   * @param {string} iconName
   * @param {string} label
   * @param {string} key
   * @param {{isOff?: boolean, isActive?: boolean, hasFault?: boolean, pressed?: boolean, expanded?: boolean}} state
   */
  #set(name, iconName, label, key, { isOff = false, isActive = false, hasFault = false, pressed, expanded }) {
    const { button, svg } = this.#controls[name];
    setIcon(svg, iconName);
    setAttribute(button, "aria-label", hasFault ? `${label} (not available)` : label);
    setAttribute(button, "data-tip", key ? `${label} (${key})` : label);
    setAttribute(button, "aria-keyshortcuts", key || null);
    setAttribute(button, "aria-pressed", pressed === undefined ? null : String(pressed));
    setAttribute(button, "aria-expanded", expanded === undefined ? null : String(expanded));
    button.classList.toggle("is-off", isOff);
    button.classList.toggle("is-active", isActive);
    button.classList.toggle("has-fault", hasFault);
  }
}
