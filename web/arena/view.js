/** The arena on a canvas: the floor, everybody on it, rings, and a map in the corner. */
import { RING_MS } from "./game.js";
import { RADIUS, WORLD } from "./world.js";

/** Units shown across the shorter side of the window: fewer in a small one, so that nobody is a dot. */
const SHOWN = { least: 560, most: 900, perPixel: 1.2 };
/** Coloured ground, to find one's way by: x, y, radius, hue. */
const GROUND = [[760, 860, 620, 160], [3_120, 780, 700, 205], [2_000, 2_080, 820, 100], [880, 3_220, 660, 30], [3_240, 3_160, 720, 280]];
/** Distance between dots of the floor. */
const DOTS = 125;
const MAP = { size: 108, margin: 16 };

export class View {
  #canvas;
  #context;
  #colours = colours();
  #camera = { x: WORLD / 2, y: WORLD / 2 };
  #hasCamera = false;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (this.#colours = colours()));
  }

  /** What is shown, in units. */
  get window() {
    const { width, height, scale } = this.#size;
    return { width: width / scale, height: height / scale };
  }

  /** @param {import("./game.js").Game} game */
  draw(game) {
    const { width, height, scale, density } = this.#size;
    if (this.#canvas.width !== Math.round(width * density) || this.#canvas.height !== Math.round(height * density)) {
      this.#canvas.width = Math.round(width * density);
      this.#canvas.height = Math.round(height * density);
    }
    this.#follow(game.self);
    const context = this.#context;
    context.setTransform(density, 0, 0, density, 0, 0);
    context.fillStyle = this.#colours.beyond;
    context.fillRect(0, 0, width, height);
    context.translate(width / 2, height / 2);
    context.scale(scale, scale);
    context.translate(-this.#camera.x, -this.#camera.y);
    this.#floor();
    const now = performance.now();
    for (const ring of game.rings) this.#ring(ring, (now - ring.at) / RING_MS);
    const people = game.shown;
    for (const person of people) this.#person(person);
    for (const person of people) this.#name(person, scale);
    context.setTransform(density, 0, 0, density, 0, 0);
    this.#map(people, width);
  }

  get #size() {
    const width = this.#canvas.clientWidth || 1;
    const height = this.#canvas.clientHeight || 1;
    const shorter = Math.min(width, height);
    const shown = Math.min(SHOWN.most, Math.max(SHOWN.least, shorter * SHOWN.perPixel));
    return { width, height, scale: shorter / shown, density: Math.min(devicePixelRatio || 1, 2) };
  }

  /** @param {{x: number, y: number}} self */
  #follow(self) {
    const pull = this.#hasCamera ? 0.18 : 1;
    this.#hasCamera = true;
    this.#camera.x += (self.x - this.#camera.x) * pull;
    this.#camera.y += (self.y - this.#camera.y) * pull;
  }

  #floor() {
    const context = this.#context;
    context.fillStyle = this.#colours.floor;
    context.beginPath();
    context.roundRect(0, 0, WORLD, WORLD, 60);
    context.fill();
    context.strokeStyle = this.#colours.line;
    context.lineWidth = 6;
    context.stroke();
    for (const [x, y, radius, hue] of GROUND) {
      context.fillStyle = `hsl(${hue} ${this.#colours.ground})`;
      context.beginPath();
      context.arc(x, y, radius, 0, 7);
      context.fill();
    }
    const { width, height } = this.window;
    const first = (/** @type {number} */ from) => Math.max(DOTS, Math.floor(from / DOTS) * DOTS);
    context.fillStyle = this.#colours.dot;
    for (let x = first(this.#camera.x - width / 2); x < Math.min(WORLD, this.#camera.x + width / 2 + DOTS); x += DOTS) {
      for (let y = first(this.#camera.y - height / 2); y < Math.min(WORLD, this.#camera.y + height / 2 + DOTS); y += DOTS) {
        const isJack = x % (4 * DOTS) === 0 && y % (4 * DOTS) === 0;
        context.beginPath();
        context.arc(x, y, isJack ? 9 : 3, 0, 7);
        context.fill();
        if (isJack) {
          context.fillStyle = this.#colours.floor;
          context.beginPath();
          context.arc(x, y, 4, 0, 7);
          context.fill();
          context.fillStyle = this.#colours.dot;
        }
      }
    }
  }

  /** @param {import("./game.js").Shown} person */
  #person({ x, y, hue, isSelf }) {
    const context = this.#context;
    context.fillStyle = this.#colours.shade;
    context.beginPath();
    context.ellipse(x, y + RADIUS * 0.9, RADIUS * 0.9, RADIUS * 0.35, 0, 0, 7);
    context.fill();
    context.fillStyle = `hsl(${(hue / 256) * 360} ${this.#colours.person})`;
    context.beginPath();
    context.arc(x, y, RADIUS, 0, 7);
    context.fill();
    context.fillStyle = "rgb(255 255 255 / 0.35)";
    context.beginPath();
    context.arc(x - RADIUS * 0.3, y - RADIUS * 0.35, RADIUS * 0.3, 0, 7);
    context.fill();
    if (!isSelf) return;
    context.strokeStyle = this.#colours.text;
    context.lineWidth = 3;
    context.beginPath();
    context.arc(x, y, RADIUS + 6, 0, 7);
    context.stroke();
  }

  /**
   * @param {import("./game.js").Shown} person
   * @param {number} scale
   */
  #name({ x, y, name, isSelf }, scale) {
    if (!name) return;
    const context = this.#context;
    const size = Math.max(15, 12 / scale);
    context.font = `${isSelf ? 650 : 500} ${size}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.lineWidth = size / 4;
    context.lineJoin = "round";
    context.strokeStyle = this.#colours.floor;
    context.strokeText(name, x, y - RADIUS - size * 0.7, 260);
    context.fillStyle = this.#colours.text;
    context.fillText(name, x, y - RADIUS - size * 0.7, 260);
  }

  /**
   * @param {{x: number, y: number, hue: number}} ring
   * @param {number} age 0 to 1
   */
  #ring({ x, y, hue }, age) {
    const context = this.#context;
    context.globalAlpha = 1 - age;
    context.strokeStyle = `hsl(${(hue / 256) * 360} ${this.#colours.person})`;
    context.lineWidth = 10 * (1 - age) + 1;
    context.beginPath();
    context.arc(x, y, RADIUS + 220 * Math.sqrt(age), 0, 7);
    context.stroke();
    context.globalAlpha = 1;
  }

  /**
   * @param {readonly import("./game.js").Shown[]} people
   * @param {number} width
   */
  #map(people, width) {
    const context = this.#context;
    const side = Math.min(MAP.size, width / 4);
    const [left, top] = [width - side - MAP.margin, MAP.margin];
    context.fillStyle = this.#colours.map;
    context.beginPath();
    context.roundRect(left, top, side, side, 10);
    context.fill();
    context.strokeStyle = this.#colours.line;
    context.lineWidth = 1;
    context.stroke();
    for (const { x, y, hue, isSelf } of people) {
      context.fillStyle = isSelf ? this.#colours.text : `hsl(${(hue / 256) * 360} ${this.#colours.person})`;
      context.beginPath();
      context.arc(left + (x / WORLD) * side, top + (y / WORLD) * side, isSelf ? 3.5 : 2.5, 0, 7);
      context.fill();
    }
  }
}

/** The design tokens, as a canvas needs them. */
function colours() {
  const style = getComputedStyle(document.documentElement);
  const token = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  return {
    beyond: token("--sunken"), floor: token("--surface"), line: token("--line"), dot: isDark ? "#2b3431" : "#dfe5e1",
    text: token("--text"), map: isDark ? "rgb(16 20 19 / 0.8)" : "rgb(255 255 255 / 0.85)", shade: isDark ? "rgb(0 0 0 / 0.45)" : "rgb(20 40 32 / 0.14)",
    ground: isDark ? "40% 55% / 0.08" : "50% 50% / 0.08",
    person: isDark ? "62% 60%" : "58% 46%",
  };
}
