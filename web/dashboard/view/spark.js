/**
 * A line of the last ten minutes, or two on one scale: no axes, the tallest value beside it, and what was when under the pointer.
 */
import { SPAN_MS } from "../rates.js";

/** A page that was just opened has a graph of less, which grows with what there is to show. */
const SHORTEST_MS = 60_000;
const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 32;
const TOP = 3;
const BOTTOM = 30;

/**
 * The line of a run of values, on a field of 100 × 32.
 * @param {readonly {at: number, value: number}[]} run
 * @param {number} now
 * @param {number} highest
 * @param {number} [span] milliseconds from the left to the right
 */
export function linePath(run, now, highest, span = SPAN_MS) {
  return run.map(({ at, value }, index) => `${index === 0 ? "M" : "L"}${across(at, now, span).toFixed(2)} ${up(value, highest).toFixed(2)}`).join("");
}

/** @param {number} at @param {number} now @param {number} span */
const across = (at, now, span) => Math.max(0, 100 - ((now - at) / span) * 100);
/** @param {number} value @param {number} highest */
const up = (value, highest) => BOTTOM - (value / highest) * (BOTTOM - TOP);

export class Spark {
  element = document.createElementNS(SVG, "svg");
  #series;
  #lines;
  #area;
  #ends;
  #rule;
  #span = SHORTEST_MS;

  /** @param {readonly import("../rates.js").Series[]} series the first is the one that is filled */
  constructor(series) {
    this.#series = series;
    this.element.setAttribute("class", "spark");
    this.element.setAttribute("viewBox", `0 0 100 ${HEIGHT}`);
    this.element.setAttribute("preserveAspectRatio", "none");
    this.element.setAttribute("role", "img");
    this.#area = this.#path("spark-area");
    this.#path("spark-ground").setAttribute("d", `M0 ${BOTTOM + 1}H100`);
    this.#lines = series.map((_, index) => this.#path(`spark-line spark-${index}`));
    this.#ends = series.map((_, index) => this.#path(`spark-end spark-${index}`));
    this.#rule = this.#path("spark-rule");
  }

  /** @param {string} name */
  #path(name) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    this.element.append(path);
    return path;
  }

  /**
   * @param {number} now
   * @param {string} label what it shows, in words
   * @returns {number | null} the highest value
   */
  draw(now, label) {
    const tops = this.#series.map((series) => series.bounds()?.highest).filter((top) => top !== undefined);
    const highest = Math.max(...tops, 0);
    const scale = highest || 1;
    const oldest = Math.min(...this.#series.map((series) => series.oldest() ?? now));
    const span = (this.#span = Math.min(SPAN_MS, Math.max(SHORTEST_MS, now - oldest)));
    this.#series.forEach((series, index) => {
      const runs = series.runs();
      this.#lines[index].setAttribute("d", runs.map((run) => linePath(run, now, scale, span)).join(""));
      if (index === 0) this.#area.setAttribute("d", runs.map((run) => `${linePath(run, now, scale, span)}V${BOTTOM + 1}H${across(run[0].at, now, span).toFixed(2)}Z`).join(""));
      const last = runs.at(-1)?.at(-1);
      // A line of no length with round ends is a dot, however the field is stretched.
      this.#ends[index].setAttribute("d", last ? `M${across(last.at, now, span).toFixed(2)} ${up(last.value, scale).toFixed(2)}h0` : "");
    });
    this.element.setAttribute("aria-label", label);
    return tops.length > 0 ? highest : null;
  }

  /**
   * What was at a place of the graph.
   * @param {number} clientX
   * @param {number} now
   * @returns {{at: number, values: (number | null)[]} | null}
   */
  point(clientX, now) {
    const { left, width } = this.element.getBoundingClientRect();
    const at = now - this.#span * (1 - Math.min(1, Math.max(0, (clientX - left) / width)));
    const near = this.#series.map((series) => series.near(at));
    const first = near.find((point) => point !== null);
    if (!first) return null;
    this.#rule.setAttribute("d", `M${across(first.at, now, this.#span).toFixed(2)} 0V${HEIGHT}`);
    return { at: first.at, values: near.map((point) => point?.value ?? null) };
  }

  endPoint() {
    this.#rule.setAttribute("d", "");
  }
}
