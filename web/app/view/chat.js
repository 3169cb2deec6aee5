/** The chat panel. Lines are text, whatever they hold. */
import { h, setText } from "../dom.js";
import { icon } from "../icons.js";

/** Lines kept on the page. */
const LIMIT = 500;
/** Lines of one person within this time stand together. */
const RUN_MS = 120_000;
/** Typing is told again after this time, before others cease to believe it. */
const TYPING_MS = 3_000;

/**
 * @typedef {{number: number, name: string, text: string, sentAt: Date}} Line `number` grows with every line of the room
 *
 * @typedef {object} ChatSource
 * @property {readonly Line[]} lines what was said before, oldest first
 * @property {(text: string) => Promise<void>} send rejects if it was not sent
 * @property {(isTyping: boolean) => void} typing
 * @property {(before: number) => Promise<{lines: readonly Line[], more: boolean}>} older
 */

export class ChatPanel {
  #lines = h("ol", { class: "chat-lines", "aria-live": "polite", "aria-label": "Messages" });
  #empty = h("p", { class: "side-empty" }, "Messages are seen by everybody in the call, and by who joins later.");
  #typing = h("p", { class: "chat-typing", dir: "auto", "aria-live": "polite" });
  #older = h("button", { type: "button", class: "button chat-older", hidden: true, onclick: () => this.#showOlder() }, "Older messages");
  #input;
  /** @type {ChatSource | null} */
  #source = null;
  /** @type {WeakMap<Element, Line>} */
  #shown = new WeakMap();
  #toldTypingAt = Number.NEGATIVE_INFINITY;

  /** @param {() => void} close */
  constructor(close) {
    this.#input = h("textarea", { class: "input", rows: 1, maxLength: 4000, placeholder: "Write to everybody", "aria-label": "Message", enterkeyhint: "send", dir: "auto" });
    const submit = async () => {
      const text = this.#input.value.trim();
      if (!text || !this.#source) return;
      this.#input.value = "";
      // A line that was sent ends the typing by itself.
      this.#toldTypingAt = Number.NEGATIVE_INFINITY;
      try {
        await this.#source.send(text);
      } catch {
        if (!this.#input.value) this.#input.value = text;
      }
    };
    this.#input.addEventListener("input", () => this.#tellTyping(this.#input.value.trim() !== ""));
    this.#input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      submit();
    });
    this.body = h("div", { class: "side-body" }, this.#older, this.#empty, this.#lines);
    this.element = h("aside", { class: "side", "aria-label": "Chat" },
      h("div", { class: "side-head" }, h("h2", {}, "Chat"),
        h("button", { type: "button", class: "icon-button", "aria-label": "Close chat", onclick: close }, icon("close"))),
      this.body,
      h("form", { class: "chat-form", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); submit(); } },
        this.#typing, this.#input, h("button", { class: "button button-primary", "aria-label": "Send" }, icon("send"))));
  }

  /**
   * Where lines come from and go to, once there is a room.
   * @param {ChatSource} source
   */
  async follow(source) {
    this.#source = source;
    this.#put(source.lines, true);
    this.body.scrollTop = this.body.scrollHeight;
  }

  /** @param {Line} line */
  async add(line) {
    const isAtEnd = this.body.scrollHeight - this.body.scrollTop - this.body.clientHeight < 60;
    this.#put([line], false);
    if (isAtEnd) this.body.scrollTop = this.body.scrollHeight;
  }

  /** @param {readonly string[]} names who types */
  async setTyping(names) {
    setText(this.#typing, typingWords(names));
  }

  async focus() {
    this.body.scrollTop = this.body.scrollHeight;
    this.#input.focus();
  }

  async #showOlder() {
    const first = this.#first();
    if (!this.#source || !first) return;
    const fromEnd = this.body.scrollHeight - this.body.scrollTop;
    try {
      const { lines, more } = await this.#source.older(first.number);
      if (this.#first() !== first) return;
      this.#quietly(() => {
        const next = this.#lines.firstElementChild;
        this.#lines.prepend(...this.#elements(lines, undefined));
        next?.classList.toggle("is-run", isRun(lines.at(-1), first));
      });
      this.body.scrollTop = this.body.scrollHeight - fromEnd;
      if (more) return;
      if (document.activeElement === this.#older) this.#input.focus();
      this.#older.hidden = true;
    } catch {
      // Its room has told.
    }
  }

  #first() {
    const element = this.#lines.firstElementChild;
    return element ? this.#shown.get(element) : undefined;
  }

  /**
   * @param {readonly Line[]} lines
   * @param {boolean} isHistory whether nobody needs to be told
   */
  #put(lines, isHistory) {
    const last = this.#lines.lastElementChild;
    const elements = this.#elements(lines, last ? this.#shown.get(last) : undefined);
    if (isHistory) this.#quietly(() => this.#lines.append(...elements));
    else this.#lines.append(...elements);
    while (!isHistory && this.#lines.children.length > LIMIT) {
      this.#lines.firstElementChild?.remove();
      this.#older.hidden = false;
    }
    this.#empty.hidden = this.#lines.children.length > 0;
    if (isHistory) this.#older.hidden = (this.#first()?.number ?? 1) <= 1;
  }

  /**
   * Changes lines that no screen reader shall read out.
   * @param {() => void} change
   */
  #quietly(change) {
    this.#lines.setAttribute("aria-live", "off");
    change();
    setTimeout(() => this.#lines.setAttribute("aria-live", "polite"), 1_000);
  }

  /**
   * @param {readonly Line[]} lines
   * @param {Line | undefined} previous
   */
  #elements(lines, previous) {
    return lines.map((line, index) => {
      const { name, text, sentAt } = line;
      const element = h("li", { class: isRun(index > 0 ? lines[index - 1] : previous, line) ? "chat-line is-run" : "chat-line" },
        h("div", { class: "who" }, h("b", { dir: "auto" }, name), h("time", { dateTime: sentAt.toISOString() }, timeWords(sentAt))),
        h("p", { dir: "auto" }, text));
      this.#shown.set(element, line);
      return element;
    });
  }

  /** @param {boolean} isTyping */
  #tellTyping(isTyping) {
    const now = performance.now();
    if (isTyping ? now - this.#toldTypingAt < TYPING_MS : this.#toldTypingAt === Number.NEGATIVE_INFINITY) return;
    this.#toldTypingAt = isTyping ? now : Number.NEGATIVE_INFINITY;
    this.#source?.typing(isTyping);
  }
}

/**
 * Who types, in words.
 * @param {readonly string[]} names
 */
export function typingWords(names) {
  if (names.length === 0) return "";
  if (names.length === 1) return `${names[0]} is typing…`;
  if (names.length === 2) return `${names[0]} and ${names[1]} are typing…`;
  return "Several people are typing…";
}

/**
 * @param {Line | undefined} previous
 * @param {Line} line
 */
function isRun(previous, line) {
  return previous !== undefined && previous.name === line.name && line.sentAt.getTime() - previous.sentAt.getTime() < RUN_MS;
}

/** @param {Date} at */
function timeWords(at) {
  /** @type {Intl.DateTimeFormatOptions} */
  const time = { hour: "2-digit", minute: "2-digit" };
  return at.toDateString() === new Date().toDateString() ? at.toLocaleTimeString([], time) : at.toLocaleString([], { ...time, month: "short", day: "numeric" });
}
