/** Everything one sees during a call. It shows a model and tells what a person does; it knows no SDK. */
import { lazy } from "../../sdk/lazy.js";
import { announce, h, setAttribute, setText } from "../dom.js";
import { icon, setIcon } from "../icons.js";
import { Bar } from "./bar.js";
import { Stage } from "./stage.js";

/** How long passing words stay. */
const TOAST_MS = 5_000;

/**
 * @typedef {object} CallModel
 * @property {string} room
 * @property {string} link
 * @property {readonly import("./tile.js").TileModel[]} tiles
 * @property {readonly string[]} speakers
 * @property {(key: string) => number} lastSpoke
 * @property {number} people how many are in the room
 * @property {boolean} isAlone
 * @property {{text: string, action?: string} | null} state what to say about the connection
 * @property {Omit<import("./bar.js").BarModel, "panel" | "hasUnread">} bar
 *
 * @typedef {object} CallActions
 * @property {() => void} microphone
 * @property {() => void} camera
 * @property {() => void} share
 * @property {() => void} hand
 * @property {() => void} leave
 * @property {() => void} stateAction
 * @property {(keys: readonly string[]) => void} visible
 * @property {() => void} panel another panel is open, or none
 */

export class CallView {
  /** @type {"chat" | "people" | "more" | null} */
  #panel = null;
  #hasUnread = false;
  /** Those that were fetched. @type {Map<"chat" | "people" | "more", HTMLElement>} */
  #panels = new Map();
  /** @type {CallModel | null} */
  #model = null;
  #actions;
  #toasts = h("div", { class: "toasts" });
  #stateText = h("span");
  #stateButton;
  #state;
  #invite;
  #inviteLink = h("input", { class: "input", readOnly: true, "aria-label": "Link to this room" });
  #rooms;
  #bar;

  /** @param {CallActions} actions */
  constructor(actions) {
    this.#actions = actions;
    this.stage = new Stage((keys) => actions.visible(keys));
    /** The panels are fetched when they are first needed. */
    this.chat = lazy(async () => {
      const { ChatPanel } = await import("./chat.js");
      return this.#place("chat", new ChatPanel(() => this.togglePanel("chat")));
    });
    const people = () => this.togglePanel("people");
    this.people = lazy(async () => this.#place("people", new (await import("./people.js")).PeoplePanel(people)));
    this.more = lazy(async () => {
      const { MorePanel } = await import("./more.js");
      return this.#place("more", new MorePanel({ close: () => this.togglePanel("more"), people }));
    });
    this.#bar = new Bar({ ...actions, chat: () => this.togglePanel("chat"), more: () => this.togglePanel("more") });
    this.#stateButton = h("button", { type: "button", class: "button", hidden: true, onclick: () => actions.stateAction() });
    this.#state = h("div", { class: "state", role: "status", hidden: true }, h("span", { class: "state-dot" }), this.#stateText, this.#stateButton);
    this.#invite = h("div", { class: "invite", hidden: true },
      h("h2", {}, "Nobody else is here yet"),
      h("p", {}, "Send this link to whoever shall join."),
      h("div", { class: "row" }, this.#inviteLink, this.#copyButton()));
    this.#rooms = [this.#roomWords(), this.#roomWords()];
    this.element = h("div", { class: "call" },
      h("main", { class: "call-main" },
        h("div", { class: "call-top" }, this.#rooms[0].element, this.#rooms[0].copy),
        this.stage.element, this.#invite, this.#state, this.#toasts),
      h("footer", { class: "bar" }, this.#rooms[1].element, this.#bar.element, h("div", { class: "bar-end" }, this.#rooms[1].copy)));
  }

  /** Which panel is open. */
  get panel() {
    return this.#panel;
  }

  /** @param {CallModel} model */
  update(model) {
    this.#model = model;
    this.stage.update(model);
    this.#bar.update({ ...model.bar, panel: this.#panel, hasUnread: this.#hasUnread });
    for (const { name, count, element } of this.#rooms) {
      setText(name, model.room);
      setText(count, String(model.people));
      setAttribute(element, "aria-label", `Room ${model.room}, ${model.people} in the call`);
      setAttribute(element, "aria-expanded", String(this.#panel === "people"));
    }
    this.#invite.hidden = !model.isAlone;
    if (this.#inviteLink.value !== model.link) this.#inviteLink.value = model.link;
    this.#state.hidden = model.state === null;
    if (model.state) {
      setText(this.#stateText, model.state.text);
      this.#stateButton.hidden = !model.state.action;
      setText(this.#stateButton, model.state.action ?? "");
    }
  }

  /** @param {"chat" | "people" | "more" | null} panel null closes any */
  togglePanel(panel) {
    const before = this.#panel;
    this.#panel = before === panel ? null : panel;
    for (const [name, element] of this.#panels) element.hidden = this.#panel !== name;
    if (this.#panel === "chat") {
      this.#hasUnread = false;
      for (const toast of this.#toasts.querySelectorAll(".is-chat")) toast.remove();
    }
    if (this.#panel) this[this.#panel].focus().catch(() => this.toast({ text: "This could not be loaded. Check that you are online." }));
    else if (before === "people") for (const { element } of this.#rooms) element.focus();
    else if (before) this.#bar.focus(before);
    this.#actions.panel();
    if (this.#model) this.update(this.#model);
  }

  /**
   * Tells of a line of somebody else, unless the chat shows it.
   * @param {string} name
   * @param {string} text
   */
  tellChat(name, text) {
    if (this.#panel === "chat") return;
    this.#hasUnread = true;
    this.toast({ title: name, text: text.length > 120 ? `${text.slice(0, 119)}…` : text }).classList.add("is-chat");
    if (this.#model) this.update(this.#model);
  }

  /**
   * Words that pass. With an action they wait for it, or for being put away.
   * @param {{title?: string, text: string, action?: string, onAction?: () => void}} words
   */
  toast({ title, text, action, onAction }) {
    const element = h("div", { class: "toast", role: "status" },
      h("div", { dir: "auto" }, title ? h("strong", {}, title) : null, text),
      action ? h("button", { type: "button", class: "button", onclick: () => { element.remove(); onAction?.(); } }, action) : null,
      title && action ? h("button", { type: "button", class: "icon-button", "aria-label": "Put away", onclick: () => element.remove() }, icon("close")) : null);
    this.#toasts.append(element);
    while (this.#toasts.children.length > 3) this.#toasts.firstElementChild?.remove();
    if (!action) setTimeout(() => element.remove(), TOAST_MS);
    announce(title ? `${title}: ${text}` : text);
    return element;
  }

  /**
   * @template {{element: HTMLElement}} T
   * @param {"chat" | "people" | "more"} name
   * @param {T} panel
   */
  #place(name, panel) {
    panel.element.hidden = this.#panel !== name;
    this.#panels.set(name, panel.element);
    this.element.lastElementChild?.before(panel.element);
    return panel;
  }

  #roomWords() {
    const name = h("span", { class: "name", dir: "auto" });
    const count = h("span");
    const element = h("button", { type: "button", class: "bar-room", title: "People (P)", onclick: () => this.togglePanel("people") }, name, h("span", { class: "count", "aria-hidden": "true" }, icon("people"), count));
    return { element, name, count, copy: this.#copyButton("icon-button") };
  }

  /** @param {string} [className] */
  #copyButton(className = "button button-primary") {
    const svg = icon("link");
    const isSmall = className === "icon-button";
    const text = h("span", {}, "Copy");
    const button = h("button", { type: "button", class: className, title: "Copy the link to this room", "aria-label": "Copy the link to this room", onclick: async () => {
      const link = this.#model?.link ?? location.href;
      try {
        await navigator.clipboard.writeText(link);
      } catch {
        return void this.toast({ title: "Copy this link", text: link });
      }
      setIcon(svg, "check");
      setText(text, "Copied");
      announce("Link copied");
      if (isSmall) this.toast({ text: "Link copied" });
      setTimeout(() => {
        setIcon(svg, "link");
        setText(text, "Copy");
      }, 2_000);
    } }, svg, isSmall ? null : text);
    return button;
  }
}
