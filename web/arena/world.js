/**
 * The arena's rules and its numbers on the wire, without a page and without a network: how somebody moves, what is told of
 * it, and where somebody was at a given server time.
 *
 * A state is 25 bytes, big-endian: server time in ms (f64), x, y (f32), velocity x, y (f32, units per second), hue (u8, of
 * 256). Bots write the same.
 */

/** Units from one side to the other. */
export const WORLD = 4_000;
/** Side of a cell of the grid by which the server filters. */
export const CELL = 250;
/** Units a second. */
export const SPEED = 420;
/** Radius of a person. */
export const RADIUS = 22;
/** How far behind the server's clock others are shown: two updates and some jitter fit in. */
export const DELAY_MS = 100;
/** For how long somebody is moved on beyond the last thing heard. */
const EXTRAPOLATE_MS = 200;
/** How long what was heard is kept. */
const KEEP_MS = 3_000;
const STATE_BYTES = 25;

/**
 * @typedef {object} State where somebody is
 * @property {number} at server time in ms
 * @property {number} x
 * @property {number} y
 * @property {number} vx
 * @property {number} vy
 * @property {number} hue 0 to 255
 */

/** @param {State} state */
export function encodeState({ at, x, y, vx, vy, hue }) {
  const bytes = new Uint8Array(STATE_BYTES);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, at);
  [x, y, vx, vy].forEach((number, index) => view.setFloat32(8 + 4 * index, number));
  bytes[24] = hue;
  return bytes;
}

/**
 * @param {Uint8Array | string} data
 * @returns {State | null} null if it is no state
 */
export function decodeState(data) {
  if (typeof data === "string" || data.length < STATE_BYTES) return null;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const [at, x, y, vx, vy] = [view.getFloat64(0), view.getFloat32(8), view.getFloat32(12), view.getFloat32(16), view.getFloat32(20)];
  if (![at, x, y, vx, vy].every(Number.isFinite)) return null;
  return { at, x: clamp(x), y: clamp(y), vx, vy, hue: data[24] };
}

/** @param {{x: number, y: number}} place */
export function cellOf({ x, y }) {
  return { x: Math.floor(x / CELL), y: Math.floor(y / CELL) };
}

/**
 * The cells that a window shows, with one to spare on each side, so that nobody appears out of nothing.
 * @param {{x: number, y: number}} centre
 * @param {{width: number, height: number}} window in units
 * @returns {{from: {x: number, y: number}, to: {x: number, y: number}}}
 */
export function areaAround(centre, { width, height }) {
  const from = cellOf({ x: centre.x - width / 2 - CELL, y: centre.y - height / 2 - CELL });
  const to = cellOf({ x: centre.x + width / 2 + CELL, y: centre.y + height / 2 + CELL });
  return { from, to };
}

/**
 * One step of somebody's own movement. Speed follows the wish smoothly, so that nothing jerks.
 * @param {{x: number, y: number, vx: number, vy: number}} self
 * @param {{x: number, y: number}} wish a direction, of length 1 at most
 * @param {number} seconds
 */
export function step(self, wish, seconds) {
  const follow = 1 - Math.exp(-12 * seconds);
  const vx = self.vx + (wish.x * SPEED - self.vx) * follow;
  const vy = self.vy + (wish.y * SPEED - self.vy) * follow;
  const x = clamp(self.x + vx * seconds);
  const y = clamp(self.y + vy * seconds);
  const isStill = Math.hypot(vx, vy) < 2;
  return { x, y, vx: isStill ? 0 : (x - self.x) / (seconds || 1), vy: isStill ? 0 : (y - self.y) / (seconds || 1) };
}

/** Where somebody was, by what was heard of them. */
export class Track {
  /** In order of their time. @type {State[]} */
  #states = [];

  /** The last thing heard. @returns {State | null} */
  get last() {
    return this.#states.at(-1) ?? null;
  }

  /** @param {State} state */
  add(state) {
    const last = this.last;
    // Packets may overtake one another.
    if (last && state.at <= last.at) return;
    this.#states.push(state);
    while (this.#states.length > 2 && this.#states[1].at < state.at - KEEP_MS) this.#states.shift();
  }

  /**
   * Where they were at a server time: between two things heard on a smooth curve, shortly beyond the last on a straight line.
   * @param {number} at
   * @returns {{x: number, y: number} | null}
   */
  positionAt(at) {
    const next = this.#states.findIndex((state) => state.at >= at);
    if (next === 0 || this.#states.length === 0) return this.#states[0] ?? null;
    if (next < 0) {
      const last = /** @type {State} */ (this.last);
      const seconds = Math.min(at - last.at, EXTRAPOLATE_MS) / 1_000;
      return { x: clamp(last.x + last.vx * seconds), y: clamp(last.y + last.vy * seconds) };
    }
    return between(this.#states[next - 1], this.#states[next], at);
  }
}

/**
 * A cubic through both places with both velocities (Hermite).
 * @param {State} from
 * @param {State} to
 * @param {number} at
 */
function between(from, to, at) {
  const seconds = (to.at - from.at) / 1_000;
  const t = (at - from.at) / (to.at - from.at);
  // After a pause of the sender its velocity says nothing about the way between.
  const bend = seconds < 0.5 ? seconds : 0;
  const [a, b] = [2 * t ** 3 - 3 * t ** 2 + 1, 3 * t ** 2 - 2 * t ** 3];
  const [c, d] = bend ? [(t ** 3 - 2 * t ** 2 + t) * bend, (t ** 3 - t ** 2) * bend] : [0, 0];
  return { x: clamp(a * from.x + b * to.x + c * from.vx + d * to.vx), y: clamp(a * from.y + b * to.y + c * from.vy + d * to.vy) };
}

/** @param {number} value */
function clamp(value) {
  return Math.min(WORLD - RADIUS, Math.max(RADIUS, value));
}
