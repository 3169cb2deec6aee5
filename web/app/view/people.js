/** The panel of everybody in the room. Moderators find there what they may do. */
import { h, setAttribute, setText } from "../dom.js";
import { icon, setIcon } from "../icons.js";
import { hueOf, initials } from "../person.js";

/**
 * @typedef {"mute" | "stopVideo" | "lowerHand" | "remove" | "ban" | "admit" | "deny" | "lock" | "unlock" | "letWait" | "letIn"} PeopleAction
 *
 * @typedef {{number: number, identity: string, name: string, isSelf: boolean, hasHand: boolean, isAway: boolean, isMuted: boolean,
 *   hasSound: boolean, hasPicture: boolean}} Person
 * @typedef {{number: number, name: string}} Waiting
 *
 * @typedef {object} PeopleModel
 * @property {boolean} canModerate
 * @property {boolean} isLocked
 * @property {boolean} hasWaitingRoom
 * @property {readonly Waiting[]} waiting
 * @property {readonly Person[]} people in the order to show
 *
 * @typedef {(action: PeopleAction, number?: number, done?: string) => Promise<void>} Act `done`: what to announce once it is done
 */

/** What asks before it is done. @type {Partial<Record<PeopleAction, {question: (name: string) => string, answer: string}>>} */
const CONFIRMED = {
  stopVideo: { question: (name) => `Stop the video of ${name}? It stays off until they join again.`, answer: "Stop video" },
  remove: { question: (name) => `Remove ${name}? They can join again.`, answer: "Remove" },
  ban: { question: (name) => `Ban ${name}? They can't come back to this room.`, answer: "Ban" },
};

export class PeoplePanel {
  #count = h("span", { class: "hint" });
  #waiting = h("ul", { class: "people", "aria-label": "Waiting to be let in" });
  #waitingPart = h("section", { hidden: true }, h("h3", {}, "Waiting to be let in"), this.#waiting);
  #locked = h("p", { class: "notice", hidden: true }, "The room is locked: nobody else can join.");
  #list = h("ul", { class: "people", "aria-label": "In the call", tabIndex: -1 });
  #lock = h("input", { type: "checkbox", onchange: () => this.#act(this.#lock.checked ? "lock" : "unlock") });
  #ask = h("input", { type: "checkbox", onchange: () => this.#act(this.#ask.checked ? "letWait" : "letIn") });
  #roomPart;
  /** @type {Map<number, PersonRow>} */
  #rows = new Map();
  /** @type {Map<number, HTMLElement>} */
  #waitingRows = new Map();
  /** @type {Act} */
  #act = async () => {};

  /** @param {() => void} close */
  constructor(close) {
    this.#roomPart = h("fieldset", { class: "people-room", hidden: true },
      h("legend", {}, "This room"),
      h("label", {}, this.#lock, h("span", {}, "Locked", h("small", {}, "Nobody else can join"))),
      h("label", {}, this.#ask, h("span", {}, "Waiting room", h("small", {}, "You let in who joins"))));
    this.element = h("aside", { class: "side", "aria-label": "People" },
      h("div", { class: "side-head" }, h("h2", {}, "People ", this.#count),
        h("button", { type: "button", class: "icon-button", "aria-label": "Close people", onclick: close }, icon("close"))),
      h("div", { class: "side-body people-body" }, this.#waitingPart, this.#locked, this.#list, this.#roomPart));
  }

  async focus() {
    this.element.querySelector("button")?.focus();
  }

  /**
   * How to do what a person chose.
   * @param {Act} act
   */
  async follow(act) {
    this.#act = act;
  }

  /** @param {PeopleModel} model */
  async update(model) {
    const hadFocus = this.element.contains(document.activeElement);
    const focused = /** @type {HTMLElement | null} */ (hadFocus ? document.activeElement : null);
    setText(this.#count, String(model.people.length));
    this.#showWaiting(model.waiting);
    this.#showPeople(model);
    this.#roomPart.hidden = !model.canModerate;
    this.#locked.hidden = model.canModerate || !model.isLocked;
    this.#lock.checked = model.isLocked;
    this.#ask.checked = model.hasWaitingRoom;
    // What had the focus may have moved, or be gone.
    if (!focused || document.activeElement === focused) return;
    if (focused.isConnected) focused.focus();
    if (!this.element.contains(document.activeElement)) this.#list.focus();
  }

  /** @param {readonly Waiting[]} waiting */
  #showWaiting(waiting) {
    this.#waitingPart.hidden = waiting.length === 0;
    const numbers = new Set(waiting.map(({ number }) => number));
    for (const [number, element] of this.#waitingRows) {
      if (numbers.has(number)) continue;
      element.remove();
      this.#waitingRows.delete(number);
    }
    for (const { number, name } of waiting) {
      if (this.#waitingRows.has(number)) continue;
      const button = (/** @type {PeopleAction} */ action, /** @type {string} */ text, /** @type {string} */ done, className = "") =>
        h("button", { type: "button", class: `button ${className}`, "aria-label": `${text}: ${name}`, onclick: () => this.#act(action, number, done) }, text);
      const element = h("li", { class: "person" }, h("div", { class: "person-line" }, h("span", { class: "person-name", dir: "auto" }, name),
        button("deny", "Deny", `${name} was not let in`), button("admit", "Let in", `${name} was let in`, "button-primary")));
      this.#waitingRows.set(number, element);
      this.#waiting.append(element);
    }
  }

  /** @param {PeopleModel} model */
  #showPeople({ people, canModerate }) {
    const numbers = new Set(people.map(({ number }) => number));
    for (const [number, row] of this.#rows) {
      if (numbers.has(number)) continue;
      row.element.remove();
      this.#rows.delete(number);
    }
    people.forEach((person, index) => {
      const row = this.#rows.get(person.number) ?? new PersonRow(person, (...rest) => this.#act(...rest), () => this.#foldOthers(person.number));
      this.#rows.set(person.number, row);
      row.update(person, canModerate && !person.isSelf);
      const there = this.#list.children[index] ?? null;
      if (there !== row.element) this.#list.insertBefore(row.element, there);
    });
  }

  /** @param {number} number whose row stays open */
  #foldOthers(number) {
    for (const [other, row] of this.#rows) if (other !== number) row.fold();
  }
}

/** One person, and behind a button what a moderator can do. */
class PersonRow {
  #act;
  #person;
  #name = h("span", { class: "person-name", dir: "auto" });
  #notes = h("span", { class: "person-notes" });
  #hand = h("span", { class: "person-mark", title: "Hand is raised" }, icon("hand"), h("span", { class: "visually-hidden" }, "hand raised"));
  #sound = icon("microphone");
  #soundWords = h("span", { class: "visually-hidden" });
  #avatar = h("span", { class: "avatar", "aria-hidden": "true" });
  #toggle;
  #actions = h("div", { class: "person-actions", role: "group", hidden: true });
  /** What is asked. @type {PeopleAction | null} */
  #asked = null;
  #isOpen = false;
  #drawn = "";

  /**
   * @param {Person} person
   * @param {Act} act
   * @param {() => void} onOpen
   */
  constructor(person, act, onOpen) {
    this.#person = person;
    this.#act = act;
    this.#toggle = h("button", { type: "button", class: "icon-button", "aria-expanded": "false", onclick: () => {
      this.#isOpen = !this.#isOpen;
      this.#asked = null;
      if (this.#isOpen) onOpen();
      this.#draw();
    } }, icon("more"));
    this.#actions.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      // It closes what is open here, not the panel.
      event.stopPropagation();
      if (this.#asked) this.#ask(null);
      else this.fold();
    });
    this.element = h("li", { class: "person" },
      h("div", { class: "person-line" }, this.#avatar, h("span", { class: "person-who" }, this.#name, this.#notes), this.#hand,
        h("span", { class: "person-mark" }, this.#sound, this.#soundWords), this.#toggle),
      this.#actions);
  }

  /**
   * @param {Person} person
   * @param {boolean} canAct
   */
  update(person, canAct) {
    this.#person = person;
    const { name, identity, isSelf, isAway, isMuted, hasHand } = person;
    setText(this.#name, name);
    setText(this.#notes, [isSelf && "you", isAway && "away"].filter(Boolean).join(", "));
    setText(this.#avatar, initials(name));
    this.#avatar.style.setProperty("--hue", String(hueOf(identity)));
    this.#hand.hidden = !hasHand;
    setIcon(this.#sound, isMuted ? "microphone-off" : "microphone");
    this.#sound.classList.toggle("is-off", isMuted);
    setText(this.#soundWords, isMuted ? "muted" : "microphone on");
    setAttribute(this.#toggle, "aria-label", `What to do with ${name}`);
    setAttribute(this.#actions, "aria-label", name);
    this.#toggle.hidden = !canAct;
    if (!canAct) this.#isOpen = false;
    this.#draw();
  }

  fold() {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#asked = null;
    this.#draw();
  }

  /** Shows what can be done, or the question, if that is another than before. */
  #draw() {
    const { number, name, hasSound, hasPicture, hasHand } = this.#person;
    const key = this.#isOpen ? JSON.stringify([this.#asked, name, hasSound, hasPicture, hasHand]) : "";
    if (key === this.#drawn) return;
    this.#drawn = key;
    const hadFocus = this.#actions.contains(document.activeElement);
    setAttribute(this.#toggle, "aria-expanded", String(this.#isOpen));
    this.#actions.hidden = !this.#isOpen;
    const button = (/** @type {string} */ text, /** @type {() => void} */ onclick, className = "") => h("button", { type: "button", class: `button ${className}`, onclick }, text);
    const asked = this.#asked;
    const confirmed = asked && CONFIRMED[asked];
    if (!this.#isOpen) this.#actions.replaceChildren();
    else if (confirmed) {
      const question = h("p", { dir: "auto" }, confirmed.question(name));
      const cancel = button("Cancel", () => this.#ask(null));
      this.#actions.replaceChildren(question, cancel, button(confirmed.answer, () => {
        this.fold();
        this.#act(asked, number);
      }, "button-danger"));
      if (hadFocus) cancel.focus();
      setAttribute(this.#actions, "aria-label", confirmed.question(name));
      return;
    } else {
      this.#actions.replaceChildren(...[
        hasSound ? button("Mute", () => this.#act("mute", number, `${name} is muted`)) : "",
        hasPicture ? button("Stop video", () => this.#ask("stopVideo")) : "",
        hasHand ? button("Lower hand", () => this.#act("lowerHand", number, `The hand of ${name} is lowered`)) : "",
        button("Remove", () => this.#ask("remove")), button("Ban", () => this.#ask("ban"))]);
    }
    setAttribute(this.#actions, "aria-label", name);
    if (hadFocus) this.#toggle.focus();
  }

  /** @param {PeopleAction | null} action */
  #ask(action) {
    this.#asked = action;
    this.#draw();
  }
}
