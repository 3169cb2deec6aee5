/**
 * The media nodes: what each carries, and how well.
 */
import { h, setText } from "../../app/dom.js";
import { bitrate, count, percent, perSecond, plural } from "../format.js";
import { Series } from "../rates.js";
import { Spark } from "./spark.js";

/** @typedef {import("../status.js").NodeFigures} NodeFigures */

/** @type {{id: string, title: string, hint: string, text: (node: NodeFigures) => string, more?: (node: NodeFigures) => string, isBad?: (node: NodeFigures) => boolean}[]} */
const COLUMNS = [
  { id: "rooms", title: "Rooms", hint: "Rooms placed there", text: (node) => count(node.rooms) },
  { id: "transports", title: "Transports", hint: "Connections of participants for media and data", text: (node) => count(node.transports) },
  { id: "tcp", title: "On TCP", hint: "Transports of those whose network lets no UDP through", text: (node) => count(node.onTcp) },
  { id: "packets", title: "Packets in / out", hint: "Datagrams a second", text: (node) => `${perSecond(node.packetsIn)} / ${perSecond(node.packetsOut)}` },
  { id: "bits", title: "Bitrate in / out", hint: "Of all of them", text: (node) => `${bitrate(node.bitsIn)} / ${bitrate(node.bitsOut)}` },
  { id: "missing", title: "Asked again in / out", hint: "Share of media packets that publishers were asked for again, and that subscribers asked for again (NACK)", text: (node) => `${percent(node.missingIn)} / ${percent(node.missingOut)}`, isBad: (node) => Math.max(node.missingIn ?? 0, node.missingOut ?? 0) >= 0.02 },
  { id: "lost", title: "Lost", hint: "Packets from publishers that never came, asked for or not", text: (node) => perSecond(node.lost), isBad: (node) => (node.lost ?? 0) >= 1 },
  { id: "repairs", title: "RTX", hint: "Packets sent again to subscribers", text: (node) => perSecond(node.repairs) },
  { id: "keyframes", title: "Keyframes asked", hint: "Keyframe requests to publishers", text: (node) => perSecond(node.keyframes) },
  { id: "drops", title: "Dropped", hint: "Packets thrown away: forged, malformed, without room", text: (node) => perSecond(node.drops), more: (node) => node.dropReasons.map(([reason, rate]) => `${reason}: ${perSecond(rate)}`).join("\n"), isBad: (node) => (node.drops ?? 0) >= 1 },
];

class Row {
  #dot = h("span", { class: "dot", "aria-hidden": "true" });
  #state = h("span", { class: "dim" });
  #cells = COLUMNS.map(({ id, title }) => h("td", { class: "number", "data-column": id, "data-title": title }));
  #series = [new Series(), new Series()];
  #spark = new Spark(this.#series);

  /** @param {string} name */
  constructor(name) {
    this.name = name;
    this.element = h("tr", {},
      h("th", { scope: "row" }, h("span", { class: "node-name" }, this.#dot, h("span", { class: "ellipsis", title: name }, name)), this.#state),
      h("td", { class: "node-graph" }), ...this.#cells);
    this.element.children[1].append(this.#spark.element);
  }

  /**
   * @param {number} now
   * @param {NodeFigures} node
   */
  update(now, node) {
    this.#series[0].push(now, node.bitsIn);
    this.#series[1].push(now, node.bitsOut);
    const highest = this.#spark.draw(now, "");
    this.#spark.element.setAttribute("aria-label", highest === null ? "No bitrate yet" : `Bitrate in the last ten minutes, at most ${bitrate(highest)}`);
    const state = !node.attached ? "away" : node.draining ? "draining" : "attached";
    this.#dot.className = `dot dot-${state}`;
    setText(this.#state, state);
    COLUMNS.forEach(({ text, more, isBad, hint }, index) => {
      const cell = this.#cells[index];
      setText(cell, text(node));
      cell.classList.toggle("bad", isBad?.(node) ?? false);
      cell.title = more?.(node) || hint;
    });
  }
}

export class NodesView {
  #body = h("tbody");
  #note = h("span", { class: "dim" });
  #empty = h("p", { class: "empty", hidden: true }, "No media node is attached. Sessions are held, but nobody can join a room.");
  #table = h("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Nodes, a table" },
    h("table", { class: "table nodes" },
      h("caption", { class: "visually-hidden" }, "Media nodes"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Node"), h("th", { scope: "col", title: "Bitrate in and out, the last ten minutes" }, h("span", { class: "tile-way" }, "in"), " ", h("span", { class: "tile-way way-1" }, "out")), ...COLUMNS.map(({ title, hint }) => h("th", { scope: "col", class: "number", title: hint }, title)))),
      this.#body));
  element = h("section", { class: "panel", "aria-labelledby": "nodes-title" }, h("header", { class: "panel-head" }, h("h2", { id: "nodes-title" }, "Nodes"), this.#note), this.#table, this.#empty);
  /** @type {Map<string, Row>} */
  #rows = new Map();

  /**
   * @param {number} now
   * @param {readonly NodeFigures[]} nodes
   */
  update(now, nodes) {
    for (const [name, row] of this.#rows) {
      if (nodes.some((node) => node.name === name)) continue;
      row.element.remove();
      this.#rows.delete(name);
    }
    for (const node of nodes) {
      let row = this.#rows.get(node.name);
      if (!row) {
        row = new Row(node.name);
        this.#rows.set(node.name, row);
        this.#body.append(row.element);
      }
      row.update(now, node);
    }
    const attached = nodes.filter((node) => node.attached).length;
    setText(this.#note, attached === nodes.length ? plural(attached, "node") : `${attached} of ${nodes.length} attached`);
    this.#empty.hidden = nodes.length > 0;
    this.#table.hidden = nodes.length === 0;
  }
}
