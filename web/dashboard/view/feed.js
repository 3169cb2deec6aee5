/**
 * What happened lately, in words.
 */
import { h, setText } from "../../app/dom.js";
import { clock, count } from "../format.js";
import { eventWords, kindOf } from "../words.js";

/** @typedef {import("../feed.js").FeedEntry} FeedEntry */

/** More is nothing that anybody reads. */
const SHOWN = 120;
const KINDS = /** @type {const} */ ([["", "Everything"], ["people", "People"], ["tracks", "Tracks"], ["rooms", "Rooms"], ["chat", "Chat"], ["server", "Server and nodes"]]);

export class FeedView {
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();
  #list = h("ol", { class: "events" });
  #empty = h("p", { class: "empty" });
  #kind = h("select", { class: "input small-input", "aria-label": "Which events" }, ...KINDS.map(([value, title]) => h("option", { value }, title)));
  #pause = h("button", { type: "button", class: "button small", "aria-pressed": "false" }, "Pause");
  element = h("section", { class: "panel feed", "aria-labelledby": "feed-title" }, h("header", { class: "panel-head" }, h("h2", { id: "feed-title" }, "Events"), this.#kind, this.#pause), h("div", { class: "scroll events-scroll", tabIndex: 0, role: "region", "aria-label": "Events, the newest first" }, this.#list), this.#empty);
  /** What is shown while it is paused.
   * @type {readonly FeedEntry[] | null} */
  #frozen = null;
  /** @type {readonly FeedEntry[]} */
  #entries = [];
  /** @type {string | null} */
  #words = null;
  #open;

  /** @param {(room: string) => void} open */
  constructor(open) {
    this.#open = open;
    this.#kind.addEventListener("change", () => this.#draw());
    this.#pause.addEventListener("click", () => {
      this.#frozen = this.#frozen ? null : [...this.#entries];
      this.#pause.setAttribute("aria-pressed", String(this.#frozen !== null));
      this.#draw();
    });
  }

  /**
   * @param {readonly FeedEntry[]} entries newest first
   * @param {string | null} words why there are none
   */
  update(entries, words) {
    this.#entries = entries;
    this.#words = words;
    this.#draw();
  }

  #draw() {
    const known = new Set(this.#frozen?.map(({ key }) => key));
    const missed = this.#frozen ? this.#entries.filter(({ key }) => !known.has(key)).length : 0;
    setText(this.#pause, !this.#frozen ? "Pause" : missed > 0 ? `Go on (${count(missed)} new)` : "Go on");
    const kind = this.#kind.value;
    const shown = (this.#frozen ?? this.#entries).filter(({ event }) => kind === "" || kindOf(event.type) === kind).slice(0, SHOWN);
    const keys = new Set(shown.map(({ key }) => key));
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    shown.forEach((entry, index) => {
      let row = this.#rows.get(entry.key);
      if (!row) {
        row = this.#row(entry);
        this.#rows.set(entry.key, row);
      }
      if (this.#list.children[index] !== row) this.#list.insertBefore(row, this.#list.children[index] ?? null);
    });
    this.#empty.hidden = shown.length > 0 && this.#words === null;
    setText(this.#empty, this.#words ?? (kind === "" ? "Nothing has happened since this page was opened." : "None of these since this page was opened."));
  }

  /** @param {FeedEntry} entry */
  #row({ event }) {
    const { who, what } = eventWords(event);
    const room = event.room;
    const link = room && h("button", { type: "button", class: "link ellipsis event-room", title: room }, room);
    if (link) link.addEventListener("click", () => this.#open(/** @type {string} */ (room)));
    return h("li", { class: `event event-${kindOf(event.type)}`, "data-type": event.type },
      h("time", { class: "dim", dateTime: new Date(event.at_ms).toISOString(), title: new Date(event.at_ms).toLocaleString() }, clock(event.at_ms)),
      h("span", { class: "event-dot", "aria-hidden": "true" }),
      h("span", { class: "event-words" }, who ? h("bdi", { class: "event-who" }, who) : null, who ? " " : null, what, link ? " " : null, link || null));
  }
}
