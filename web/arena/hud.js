/** What stands over the arena: where one is, who is there, and how the network does. */
import { h, setText } from "../app/dom.js";

/** Points of the latency's graph. */
const POINTS = 60;

export class Hud {
  #people = h("span", { class: "arena-figure" });
  #latency = h("span", { class: "arena-figure" });
  #deliveries = h("span", { class: "arena-figure" });
  #words = h("p", { class: "arena-words", role: "status", hidden: true });
  #stick = h("div", { class: "arena-stick", hidden: true }, h("div", { class: "arena-knob" }));
  #graph = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  #path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  /** @type {number[]} */
  #points = [];
  #received = 0;
  element;

  /**
   * @param {{room: string, onRing: () => void, onCopy: () => Promise<void>, onLeave: () => void}} options
   */
  constructor({ room, onRing, onCopy, onLeave }) {
    this.#graph.setAttribute("viewBox", `0 0 ${POINTS} 20`);
    this.#graph.setAttribute("preserveAspectRatio", "none");
    this.#graph.setAttribute("class", "arena-graph");
    this.#graph.setAttribute("aria-hidden", "true");
    this.#graph.append(this.#path);
    const copy = h("button", { class: "button arena-button", type: "button" }, "Copy link");
    copy.addEventListener("click", async () => {
      await onCopy();
      setText(copy, "Copied");
      setTimeout(() => setText(copy, "Copy link"), 1_500);
    });
    this.element = h("div", { class: "arena-hud" },
      h("section", { class: "arena-panel", "aria-label": "Arena" },
        h("h1", { class: "arena-title" }, room),
        h("dl", { class: "arena-figures" },
          h("div", {}, h("dt", {}, "Here"), h("dd", {}, this.#people)),
          h("div", {}, h("dt", {}, "Round trip"), h("dd", {}, this.#latency)),
          h("div", {}, h("dt", {}, "Updates"), h("dd", {}, this.#deliveries))),
        this.#graph),
      this.#words,
      this.#stick,
      h("nav", { class: "arena-bar", "aria-label": "Controls" },
        h("p", { class: "arena-hint" }, h("span", { class: "with-keys" }, "Move with W A S D or the arrow keys, ring with Space."), h("span", { class: "with-touch" }, "Drag to move, tap to ring.")),
        h("button", { class: "button button-primary arena-button", type: "button", onclick: onRing }, "Ring"),
        copy,
        h("button", { class: "button arena-button", type: "button", onclick: onLeave }, "Leave")));
  }

  /**
   * Once a second.
   * @param {import("./game.js").Game} game
   * @param {number} people
   */
  update(game, people) {
    const rate = game.received - this.#received;
    this.#received = game.received;
    setText(this.#people, String(people));
    setText(this.#deliveries, `${rate}/s`);
    const { rttMs } = game;
    setText(this.#latency, rttMs === null ? "…" : `${rttMs < 10 ? rttMs.toFixed(1) : Math.round(rttMs)} ms`);
    this.#points = [...this.#points, rttMs ?? 0].slice(-POINTS);
    const top = Math.max(20, ...this.#points) * 1.2;
    this.#path.setAttribute("d", this.#points.map((point, index) => `${index === 0 ? "M" : "L"}${index + POINTS - this.#points.length} ${(20 - (point / top) * 20).toFixed(1)}`).join(""));
  }

  /** @param {string | null} words null: nothing to be said */
  say(words) {
    this.#words.hidden = words === null;
    if (words !== null) setText(this.#words, words);
  }

  /** @param {{x: number, y: number, dx: number, dy: number} | null} stick */
  showStick(stick) {
    this.#stick.hidden = stick === null;
    if (!stick) return;
    this.#stick.style.setProperty("--x", `${stick.x}px`);
    this.#stick.style.setProperty("--y", `${stick.y}px`);
    this.#stick.style.setProperty("--dx", `${stick.dx}px`);
    this.#stick.style.setProperty("--dy", `${stick.dy}px`);
  }
}
