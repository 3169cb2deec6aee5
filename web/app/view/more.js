/** The panel behind "more": devices, keys, and what the connection does, in figures. */
import { h, setText } from "../dom.js";
import { icon } from "../icons.js";
import { devicePickers } from "./device-pickers.js";

const SVG = "http://www.w3.org/2000/svg";
/** Samples in a graph: two minutes at one in two seconds. */
const SAMPLES = 60;

/**
 * @typedef {{title: string, rows: [string, string][], value: number | null}} Figures
 */

export class MorePanel {
  #figures = h("div", { class: "figures" });
  #trouble = h("div", { class: "settings", hidden: true });
  #devices = h("div", { class: "settings" });
  /** @type {Map<string, {element: HTMLElement, list: HTMLElement, path: SVGPathElement, values: number[]}>} */
  #sections = new Map();

  /** @param {{close: () => void, people: () => void}} actions */
  constructor({ close, people }) {
    const keys = /** @type {[string, string][]} */ ([["M", "microphone"], ["V", "camera"], ["S", "share your screen"], ["H", "raise your hand"], ["C", "chat"], ["P", "people"], ["Space", "hold to talk"], ["Esc", "close a panel"]]);
    this.element = h("aside", { class: "side", "aria-label": "More" },
      h("div", { class: "side-head" }, h("h2", {}, "Devices and details"),
        h("button", { type: "button", class: "icon-button", "aria-label": "Close", onclick: close }, icon("close"))),
      h("div", { class: "side-body" },
        h("div", { class: "settings" }, h("button", { type: "button", class: "button", onclick: people }, icon("people"), "People"), this.#trouble, this.#devices, h("hr"), h("h2", {}, "Connection"), this.#figures, h("hr"), h("h2", {}, "Keys"),
          h("dl", { class: "keys" }, ...keys.flatMap(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])))));
  }

  async focus() {
    this.element.querySelector("button")?.focus();
  }

  /**
   * @param {Record<string, {id: string, label: string}[]>} devices
   * @param {Record<string, string>} chosen
   * @param {(kind: string, id: string) => void} onChoose
   */
  async setDevices(devices, chosen, onChoose) {
    this.#devices.replaceChildren(...devicePickers(devices, chosen, onChoose));
  }

  /**
   * What happened on the way to media, and what to do.
   * @param {import("../../sdk/room.js").Timeline | null} timeline null: no trouble
   */
  async setTrouble(timeline) {
    this.#trouble.hidden = timeline === null;
    if (!timeline) return;
    const { diagnosis, steps, troubles } = timeline;
    this.#trouble.replaceChildren(
      h("h2", {}, "Trouble connecting?"),
      h("p", {}, diagnosis ? diagnosis.words : "Nothing is known to be wrong."),
      diagnosis ? h("p", {}, diagnosis.remedy) : "",
      h("dl", { class: "keys" }, ...steps.flatMap(({ at_ms, words }) => [h("dt", {}, `${(at_ms / 1000).toFixed(1)} s`), h("dd", {}, words)]),
        ...troubles.flatMap(({ detail }) => [h("dt", {}, "here"), h("dd", {}, detail)])),
      h("hr"));
  }

  /** @param {readonly Figures[]} all */
  async setFigures(all) {
    const titles = new Set(all.map(({ title }) => title));
    for (const [title, { element }] of this.#sections) {
      if (titles.has(title)) continue;
      element.remove();
      this.#sections.delete(title);
    }
    for (const figures of all) this.#section(figures);
  }

  /** @param {Figures} figures */
  #section({ title, rows, value }) {
    let section = this.#sections.get(title);
    if (!section) {
      const svg = document.createElementNS(SVG, "svg");
      svg.setAttribute("class", "graph");
      svg.setAttribute("viewBox", "0 0 100 40");
      svg.setAttribute("preserveAspectRatio", "none");
      svg.setAttribute("aria-hidden", "true");
      const path = document.createElementNS(SVG, "path");
      svg.append(path);
      const list = h("dl");
      const element = h("section", {}, h("h3", { dir: "auto" }, title), value === null ? null : svg, list);
      section = { element, list, path, values: [] };
      this.#sections.set(title, section);
      this.#figures.append(element);
    }
    if (value !== null) {
      section.values = [...section.values, value].slice(-SAMPLES);
      section.path.setAttribute("d", graphPath(section.values));
    }
    const cells = section.list.children;
    if (cells.length !== rows.length * 2) section.list.replaceChildren(...rows.flatMap(() => [h("dt"), h("dd")]));
    rows.forEach(([name, text], index) => {
      setText(section.list.children[index * 2], name);
      setText(section.list.children[index * 2 + 1], text);
    });
  }
}

/**
 * A line through values, scaled to the largest.
 * @param {readonly number[]} values
 */
export function graphPath(values) {
  const top = Math.max(...values, 1e-9);
  return values
    .map((value, index) => {
      const x = 100 - ((values.length - 1 - index) * 100) / (SAMPLES - 1);
      return `${index === 0 ? "M" : "L"}${x.toFixed(1)} ${(37 - (value / top) * 33).toFixed(1)}`;
    })
    .join("");
}
