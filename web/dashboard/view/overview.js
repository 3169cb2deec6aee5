/**
 * The figures of the whole server, each with its last ten minutes.
 */
import { h, setText } from "../../app/dom.js";
import { bitrate, clock, count, percent, perSecond } from "../format.js";
import { Series } from "../rates.js";
import { Spark } from "./spark.js";

/** @typedef {import("../status.js").Overview} Overview */
/** @typedef {keyof Omit<Overview, "connections">} Key */

/** @type {{title: string, hint: string, keys: Key[], format: (value: number | null) => string}[]} */
const TILES = [
  { title: "Sessions", hint: "Clients, those that wait to come back included", keys: ["sessions"], format: count },
  { title: "Rooms", hint: "Rooms that are open", keys: ["rooms"], format: count },
  { title: "Participants", hint: "People and programs in rooms", keys: ["participants"], format: count },
  { title: "Joins", hint: "Joins handed to rooms, a mean over 10 s", keys: ["joins"], format: perSecond },
  { title: "Errors", hint: "Requests that were refused, a mean over 10 s", keys: ["errors"], format: perSecond },
  { title: "Messages", hint: "Signaling messages from and to clients, a mean over 10 s", keys: ["messagesIn", "messagesOut"], format: perSecond },
  { title: "Packets", hint: "Datagrams that nodes take in and send out", keys: ["packetsIn", "packetsOut"], format: perSecond },
  { title: "Bitrate", hint: "What nodes take in and send out", keys: ["bitsIn", "bitsOut"], format: bitrate },
  { title: "Deliveries", hint: "Messages of data channels, once for each who gets them", keys: ["deliveries"], format: perSecond },
  { title: "Asked again", hint: "Share of media packets that were missing and asked for again, both ways", keys: ["missing"], format: percent },
];

/** @type {Record<string, string>} */
const KINDS = { websocket: "WebSocket", sse: "SSE", poll: "polling" };

class Tile {
  #spec;
  #values;
  #caption = h("span", { class: "tile-caption" });
  #series;
  #spark;
  #now = 0;
  #pointerX = /** @type {number | null} */ (null);
  #note = "";

  /** @param {(typeof TILES)[number]} spec */
  constructor(spec) {
    this.#spec = spec;
    this.#values = spec.keys.map(() => h("span", { class: "tile-number" }, "–"));
    this.#series = spec.keys.map(() => new Series());
    this.#spark = new Spark(this.#series);
    const isPair = spec.keys.length === 2;
    this.element = h("div", { class: isPair ? "tile tile-pair" : "tile", "data-tile": spec.title.toLowerCase().replace(" ", "-"), title: spec.hint },
      h("dt", { class: "tile-title" }, spec.title),
      h("dd", { class: "tile-values" }, ...this.#values.map((value, index) => (isPair
        ? h("span", { class: "tile-value" }, h("span", { class: `tile-way way-${index}` }, index === 0 ? "in" : "out"), value)
        : h("span", { class: "tile-value" }, value)))),
      h("dd", { class: "tile-graph" }, this.#spark.element, this.#caption));
    this.#spark.element.addEventListener("pointermove", (event) => {
      this.#pointerX = event.clientX;
      this.#say();
    });
    this.#spark.element.addEventListener("pointerleave", () => {
      this.#pointerX = null;
      this.#spark.endPoint();
      this.#say();
    });
  }

  /**
   * @param {number} now
   * @param {(number | null)[]} values
   * @param {string} [note] in place of the peak
   */
  update(now, values, note = "") {
    const { title, keys, format } = this.#spec;
    this.#now = now;
    values.forEach((value, index) => {
      this.#series[index].push(now, value);
      setText(this.#values[index], format(value));
    });
    const ways = keys.length === 2 ? ["in ", "out "] : [""];
    const said = this.#series.map((series, index) => {
      const bounds = series.bounds();
      return bounds ? `${ways[index]}between ${format(bounds.lowest)} and ${format(bounds.highest)}` : `${ways[index]}not known`;
    });
    const highest = this.#spark.draw(now, `${title} in the last ten minutes: ${said.join(", ")}`);
    this.#note = note || (highest === null ? "" : `peak ${format(highest)}`);
    this.#say();
  }

  #say() {
    const point = this.#pointerX === null ? null : this.#spark.point(this.#pointerX, this.#now);
    setText(this.#caption, point ? `${clock(point.at)}  ${point.values.map((value) => this.#spec.format(value)).join(" / ")}` : this.#note);
  }
}

export class OverviewView {
  #tiles = TILES.map((spec) => new Tile(spec));
  element = h("section", { class: "overview", "aria-label": "Overview" }, h("dl", { class: "tiles" }, ...this.#tiles.map((tile) => tile.element)));

  /**
   * @param {number} now
   * @param {Overview | null} overview `null` while the server is away: a gap
   */
  update(now, overview) {
    TILES.forEach(({ keys }, index) => {
      this.#tiles[index].update(now, keys.map((key) => overview?.[key] ?? null), keys[0] === "sessions" && overview ? connectionWords(overview.connections) : "");
    });
  }
}

/** @param {Record<string, number>} connections */
function connectionWords(connections) {
  const kinds = Object.entries(connections).filter(([, number]) => number > 0);
  return kinds.length === 0 ? "" : kinds.map(([kind, number]) => `${count(number)} ${KINDS[kind] ?? kind}`).join(", ");
}
