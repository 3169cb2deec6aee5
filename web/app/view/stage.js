/** The tiles of a call: which are on the page that is shown, and where. */
import { h, setText } from "../dom.js";
import { icon } from "../icons.js";
import { gridLayout, pageCapacity, stageLayout } from "../layout/grid.js";
import { orderTiles } from "../layout/order.js";
import { Tile } from "./tile.js";

const GAP = 8;
/** What the page turner takes from the height when there is more than one page. */
const PAGER = 48;

/**
 * @typedef {object} StageModel
 * @property {readonly import("./tile.js").TileModel[]} tiles everybody, in the order of arrival, own tile included
 * @property {readonly string[]} speakers keys of who speaks, loudest first
 * @property {(key: string) => number} lastSpoke
 */

export class Stage {
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  /** @type {string[]} */
  #order = [];
  #page = 0;
  /** @type {string | null} */
  #pinned = null;
  /** @type {StageModel} */
  #model = { tiles: [], speakers: [], lastSpoke: () => 0 };
  /** @type {readonly string[]} */
  #visible = [];
  #onVisible;
  #list = h("div", { role: "list", "aria-label": "People in this call" });
  #words = h("span", { class: "page-words" });
  #pager;
  #previous;
  #next;

  /** @param {(keys: readonly string[]) => void} onVisible told which tiles are on screen, most important first */
  constructor(onVisible) {
    this.#onVisible = onVisible;
    this.#previous = h("button", { type: "button", class: "icon-button", title: "Previous people", "aria-label": "Previous people", onclick: () => this.#turn(-1) }, icon("previous"));
    this.#next = h("button", { type: "button", class: "icon-button", title: "More people", "aria-label": "More people", onclick: () => this.#turn(1) }, icon("next"));
    this.#pager = h("div", { class: "pager", role: "group", "aria-label": "Pages of people", hidden: true }, this.#previous, this.#words, this.#next);
    this.element = h("div", { class: "tiles" }, this.#list, this.#pager);
    new ResizeObserver(() => this.layout()).observe(this.element);
  }

  /** How many tiles a page may hold in this window. */
  get capacity() {
    return pageCapacity({ width: this.element.clientWidth, height: this.element.clientHeight, gap: GAP });
  }

  /** @param {StageModel} model */
  update(model) {
    this.#model = model;
    this.layout();
  }

  /**
   * The picture of a tile, if that is on screen.
   * @param {string} key
   * @param {MediaStream | null} stream
   * @param {boolean} isPlaying
   */
  setPicture(key, stream, isPlaying) {
    this.#tiles.get(key)?.setPicture(stream, isPlaying);
  }

  /** The video element of a tile on screen. @param {string} key */
  video(key) {
    return this.#tiles.get(key)?.video ?? null;
  }

  layout() {
    const { clientWidth: width, clientHeight } = this.element;
    if (width === 0 || clientHeight === 0) return;
    const { tiles, speakers, lastSpoke } = this.#model;
    const byKey = new Map(tiles.map((tile) => [tile.key, tile]));
    if (this.#pinned && !byKey.has(this.#pinned)) this.#pinned = null;
    const staged = this.#pinned ?? tiles.findLast((tile) => tile.isScreen && !tile.isSelf)?.key ?? null;
    const rest = tiles.filter((tile) => tile.key !== staged);
    const capacityAt = (/** @type {number} */ height) =>
      staged ? stageLayout({ width, height, count: rest.length, gap: GAP }).capacity : pageCapacity({ width, height, gap: GAP });
    const height = rest.length > capacityAt(clientHeight) ? clientHeight - PAGER : clientHeight;
    const capacity = capacityAt(height);

    // The own tile closes the first page; everybody else takes turns.
    const self = rest.find((tile) => tile.isSelf && !tile.isScreen)?.key;
    const others = rest.filter((tile) => tile.key !== self).map((tile) => tile.key);
    const room = Math.max(1, capacity - (self && capacity > 1 ? 1 : 0));
    this.#order = orderTiles(this.#order, others, speakers, lastSpoke, room);
    const sequence = [...this.#order];
    if (self) sequence.splice(Math.min(room, sequence.length), 0, self);

    const pages = Math.max(1, Math.ceil(sequence.length / capacity));
    this.#page = Math.min(this.#page, pages - 1);
    const shown = sequence.slice(this.#page * capacity, (this.#page + 1) * capacity);
    const visible = staged ? [staged, ...shown] : shown;
    this.#show(visible, byKey, this.#rects(staged !== null, shown.length, width, height));
    this.#pager.hidden = pages === 1;
    this.#previous.disabled = this.#page === 0;
    this.#next.disabled = this.#page >= pages - 1;
    setText(this.#words, `${this.#page + 1} of ${pages}`);
    if (visible.join("\n") !== this.#visible.join("\n")) {
      this.#visible = visible;
      this.#onVisible(visible);
    }
  }

  /**
   * @param {boolean} isStaged
   * @param {number} count
   * @param {number} width
   * @param {number} height
   */
  #rects(isStaged, count, width, height) {
    if (!isStaged) return gridLayout({ width, height, count, gap: GAP }).tiles;
    const { stage, strip } = stageLayout({ width, height, count, gap: GAP });
    return [stage, ...strip];
  }

  /**
   * @param {readonly string[]} visible
   * @param {ReadonlyMap<string, import("./tile.js").TileModel>} byKey
   * @param {readonly import("../layout/grid.js").Rect[]} rects
   */
  #show(visible, byKey, rects) {
    for (const [key, tile] of this.#tiles) {
      if (visible.includes(key)) continue;
      tile.remove();
      this.#tiles.delete(key);
    }
    visible.forEach((key, index) => {
      const model = /** @type {import("./tile.js").TileModel} */ (byKey.get(key));
      let tile = this.#tiles.get(key);
      if (!tile) {
        tile = new Tile(model, (pinned) => this.#togglePin(pinned));
        this.#tiles.set(key, tile);
      }
      tile.update(model, this.#pinned === key);
      // Moving an element that has not moved would take the focus from it.
      if (this.#list.children[index] !== tile.element) this.#list.insertBefore(tile.element, this.#list.children[index] ?? null);
      if (rects[index]) tile.place(rects[index]);
    });
  }

  /** @param {string} key */
  #togglePin(key) {
    this.#pinned = this.#pinned === key ? null : key;
    this.layout();
  }

  /** @param {number} step */
  #turn(step) {
    this.#page = Math.max(0, this.#page + step);
    this.layout();
  }
}
