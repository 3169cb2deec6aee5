/**
 * The table of rooms: sorted by any column, filtered by words, and as long as it is asked to be.
 */
import { announce, h, setAttribute, setText } from "../../app/dom.js";
import { count, duration, plural } from "../format.js";
import { arrange, sortBy } from "../order.js";

/** @typedef {import("../order.js").RoomRow} RoomRow */
/** @typedef {import("../order.js").SortKey} SortKey */

/** On a small window, what comes below the table shouldn't be far. */
const AT_ONCE = matchMedia("(max-width: 619px)").matches ? 12 : 50;

/** @type {{key: SortKey, title: string, isNumber: boolean}[]} */
const COLUMNS = [
  { key: "name", title: "Room", isNumber: false },
  { key: "participants", title: "Participants", isNumber: true },
  { key: "tracks", title: "Tracks", isNumber: true },
  { key: "createdAtMs", title: "Open for", isNumber: true },
  { key: "node", title: "Node", isNumber: false },
];

class Row {
  #marks = h("span", { class: "marks" });
  #participants = h("td", { class: "number", "data-title": "participants" });
  #tracks = h("td", { class: "number", "data-title": "tracks" });
  #age = h("td", { class: "number dim" });
  #node = h("td", { class: "dim column-node" });

  /**
   * @param {string} name
   * @param {(name: string) => void} open
   */
  constructor(name, open) {
    this.button = h("button", { type: "button", class: "link ellipsis", title: name, "data-room": name }, name);
    this.element = h("tr", { class: "row" }, h("th", { scope: "row" }, h("span", { class: "room-name" }, this.button, this.#marks)), this.#participants, this.#tracks, this.#age, this.#node);
    // The whole row is a large target for a pointer; the keyboard has the button.
    this.element.addEventListener("click", () => open(name));
  }

  /**
   * @param {RoomRow} room
   * @param {number} now
   * @param {boolean} isOpen
   */
  update(room, now, isOpen) {
    setText(this.#participants, room.maxParticipants && room.participants !== null && room.participants >= room.maxParticipants ? `${count(room.participants)} (full)` : count(room.participants));
    setText(this.#tracks, count(room.tracks));
    setText(this.#age, duration(room.createdAtMs === null ? null : now - room.createdAtMs));
    setText(this.#node, room.node || "–");
    const marks = [room.locked && "locked", room.waiting ? `${count(room.waiting)} waiting` : room.waitingRoom && "waiting room"].filter((mark) => typeof mark === "string");
    if ([...this.#marks.children].map((child) => child.textContent).join("|") !== marks.join("|")) this.#marks.replaceChildren(...marks.map((mark) => h("span", { class: "mark" }, mark)));
    this.element.classList.toggle("is-open", isOpen);
    setAttribute(this.button, "aria-current", isOpen ? "true" : null);
  }
}

export class RoomsView {
  /** @type {import("../order.js").Sorting} */
  #sorting = { key: "participants", descending: true };
  #limit = AT_ONCE;
  /** @type {Map<string, Row>} */
  #rows = new Map();
  #body = h("tbody");
  #note = h("span", { class: "dim" });
  #empty = h("p", { class: "empty" });
  #more = h("button", { type: "button", class: "button small" });
  #filter = h("input", { type: "search", class: "input small-input", id: "room-filter", placeholder: "Filter by name, node, “locked”", autocomplete: "off", spellcheck: false, "aria-label": "Filter rooms" });
  #heads = COLUMNS.map(({ key, title, isNumber }) => {
    const button = h("button", { type: "button", class: "sort" }, title, h("span", { class: "sort-mark", "aria-hidden": "true" }));
    const head = h("th", { scope: "col", class: `${isNumber ? "number " : ""}column-${key}` }, button);
    button.addEventListener("click", () => {
      this.#sorting = sortBy(this.#sorting, key);
      this.#draw();
      announce(`Sorted by ${title.toLowerCase()}, ${this.#sorting.descending ? "descending" : "ascending"}`);
    });
    return head;
  });
  #table = h("div", { class: "scroll", tabIndex: -1 }, h("table", { class: "table rooms" }, h("caption", { class: "visually-hidden" }, "Rooms; the name opens a room"), h("thead", {}, h("tr", {}, ...this.#heads)), this.#body));
  element = h("section", { class: "panel", "aria-labelledby": "rooms-title" },
    h("header", { class: "panel-head" }, h("h2", { id: "rooms-title" }, "Rooms"), this.#note, this.#filter), this.#table, this.#empty, h("footer", { class: "panel-foot" }, this.#more));
  #last = { rooms: /** @type {RoomRow[]} */ ([]), now: 0, open: /** @type {string | null} */ (null), words: /** @type {string | null} */ (null) };
  #open;

  /** @param {(name: string) => void} open */
  constructor(open) {
    this.#open = open;
    this.#filter.addEventListener("input", () => {
      this.#limit = AT_ONCE;
      this.#draw();
    });
    this.#more.addEventListener("click", () => {
      this.#limit += 4 * AT_ONCE;
      this.#draw();
    });
  }

  focusFilter() {
    this.#filter.focus();
  }

  /** @param {string} name */
  focusRoom(name) {
    const row = this.#rows.get(name);
    if (row?.element.isConnected) row.button.focus();
    else this.#filter.focus();
  }

  /**
   * @param {Iterable<RoomRow>} rooms
   * @param {number} now by the server's clock
   * @param {string | null} open
   * @param {string | null} words why there is no list
   */
  update(rooms, now, open, words) {
    this.#last = { rooms: [...rooms], now, open, words };
    this.#draw();
  }

  #draw() {
    const { rooms, now, open, words } = this.#last;
    const found = arrange(rooms, this.#sorting, this.#filter.value);
    const shown = found.slice(0, this.#limit);
    const names = new Set(shown.map(({ name }) => name));
    for (const [name, row] of this.#rows) {
      if (names.has(name)) continue;
      row.element.remove();
      this.#rows.delete(name);
    }
    shown.forEach((room, index) => {
      let row = this.#rows.get(room.name);
      if (!row) {
        row = new Row(room.name, this.#open);
        this.#rows.set(room.name, row);
      }
      row.update(room, now, room.name === open);
      // Moved only when it has to be: what has the focus keeps it.
      if (this.#body.children[index] !== row.element) {
        const focused = document.activeElement === row.button;
        this.#body.insertBefore(row.element, this.#body.children[index] ?? null);
        if (focused) row.button.focus();
      }
    });
    COLUMNS.forEach(({ key }, index) => setAttribute(this.#heads[index], "aria-sort", this.#sorting.key !== key ? null : this.#sorting.descending ? "descending" : "ascending"));
    setText(this.#note, words !== null ? "" : found.length === rooms.length ? count(rooms.length) : `${count(found.length)} of ${count(rooms.length)}`);
    this.#more.hidden = found.length <= shown.length;
    setText(this.#more, `Show more (${plural(found.length - shown.length, "room")} below)`);
    this.#empty.hidden = found.length > 0;
    setText(this.#empty, words ?? (rooms.length === 0 ? "No room is open. A room opens when the first person joins it." : "No room matches."));
    this.#table.hidden = found.length === 0;
  }
}
