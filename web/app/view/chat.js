/** The chat panel. Lines are text, whatever they hold. */
import { h } from "../dom.js";
import { icon } from "../icons.js";

/** Lines kept on the page. */
const LIMIT = 500;
/** Lines of one person within this time stand together. */
const RUN_MS = 120_000;

export class ChatPanel {
  #lines = h("ol", { class: "chat-lines", "aria-live": "polite", "aria-label": "Messages" });
  #empty = h("p", { class: "side-empty" }, "Messages are seen by everybody who is in the call now.");
  #input;
  /** @type {{name: string, sentAt: number} | null} */
  #last = null;

  /** @param {{send: (text: string) => Promise<void>, close: () => void}} actions */
  constructor({ send, close }) {
    this.#input = h("textarea", { class: "input", rows: 1, maxLength: 4000, placeholder: "Write to everybody", "aria-label": "Message", enterkeyhint: "send", dir: "auto" });
    const submit = async () => {
      const text = this.#input.value.trim();
      if (!text) return;
      this.#input.value = "";
      try {
        await send(text);
      } catch {
        if (!this.#input.value) this.#input.value = text;
      }
    };
    this.#input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      submit();
    });
    this.body = h("div", { class: "side-body" }, this.#empty, this.#lines);
    this.element = h("aside", { class: "side", "aria-label": "Chat" },
      h("div", { class: "side-head" }, h("h2", {}, "Chat"),
        h("button", { type: "button", class: "icon-button", "aria-label": "Close chat", onclick: close }, icon("close"))),
      this.body,
      h("form", { class: "chat-form", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); submit(); } },
        this.#input, h("button", { class: "button button-primary", "aria-label": "Send" }, icon("send"))));
  }

  /** @param {{name: string, text: string, sentAt: Date}} line */
  async add({ name, text, sentAt }) {
    this.#empty.hidden = true;
    const isRun = this.#last !== null && this.#last.name === name && sentAt.getTime() - this.#last.sentAt < RUN_MS;
    this.#last = { name, sentAt: sentAt.getTime() };
    const isAtEnd = this.body.scrollHeight - this.body.scrollTop - this.body.clientHeight < 60;
    this.#lines.append(
      h("li", { class: isRun ? "chat-line is-run" : "chat-line" },
        h("div", { class: "who" }, h("b", { dir: "auto" }, name), h("time", {}, sentAt.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }))),
        h("p", { dir: "auto" }, text)),
    );
    while (this.#lines.children.length > LIMIT) this.#lines.firstElementChild?.remove();
    if (isAtEnd) this.body.scrollTop = this.body.scrollHeight;
  }

  async focus() {
    this.body.scrollTop = this.body.scrollHeight;
    this.#input.focus();
  }
}
