/**
 * One stay in the arena: the own movement, what is told of it, and where everybody else is. No page: a canvas draws it.
 */
import { DELAY_MS, Track, WORLD, areaAround, cellOf, decodeState, encodeState, step } from "./world.js";

/** Updates a second while moving. */
const MOVING_HZ = 30;
/** Milliseconds between updates while standing still: enough to be found again after a loss. */
const STILL_MS = 500;
/** Somebody of whom nothing was heard for so long is gone from here. */
const GONE_MS = 4_000;
/** A ring that somebody sends out is seen for so long. */
export const RING_MS = 900;

/** @typedef {{number: number, name: string, hue: number, x: number, y: number, isSelf: boolean}} Shown */

export class Game extends EventTarget {
  #room;
  #moves;
  #rings;
  #hue;
  /** @type {Map<number, Track>} */
  #tracks = new Map();
  /** What the own client was at, for those who compare. */
  #own = new Track();
  #self;
  #toldAt = 0;
  #wasMoving = false;
  #area = "";
  /** Rings under way. @type {{x: number, y: number, hue: number, at: number}[]} */
  rings = [];
  /** Deliveries since the start. */
  received = 0;

  /** @param {import("../sdk/index.js").Room} room */
  constructor(room) {
    super();
    this.#room = room;
    this.#hue = hueOf(room.self?.identity ?? "");
    this.#self = { x: WORLD * (0.4 + 0.2 * Math.random()), y: WORLD * (0.4 + 0.2 * Math.random()), vx: 0, vy: 0 };
    this.#moves = room.topic("arena", { mode: "interest", ttlMs: 10_000, ordered: false, maxRetransmits: 0 });
    this.#rings = room.topic("arena.rings", { ordered: false, maxRetransmits: 0 });
    this.#moves.addEventListener("message", (event) => this.#hear(/** @type {import("../sdk/data/topic.js").TopicMessageEvent} */ (event)));
    this.#rings.addEventListener("message", (event) => {
      const { data } = /** @type {import("../sdk/data/topic.js").TopicMessageEvent} */ (event);
      const state = decodeState(data);
      if (state) this.rings.push({ ...state, at: performance.now() });
    });
    room.addEventListener("participantleft", (event) => {
      this.#tracks.delete(/** @type {import("../sdk/events.js").ParticipantEvent} */ (event).participant.number);
    });
  }

  /** The own place. */
  get self() {
    return this.#self;
  }
  /** Milliseconds to the server and back. */
  get rttMs() {
    return this.#room.clock.rttMs;
  }
  /** `opening`, `open` or `closed`. */
  get state() {
    return this.#moves.state;
  }
  /** Whether everything goes over the signaling connection. */
  get isFallback() {
    return this.#moves.isFallback;
  }
  /** Server time in ms; the own clock's before it is known. */
  get now() {
    return this.#room.clock.now() ?? Date.now();
  }

  /**
   * Time passes.
   * @param {{x: number, y: number}} wish where to go
   * @param {number} seconds since the last time
   * @param {{width: number, height: number}} window what is shown, in units
   */
  advance(wish, seconds, window) {
    this.#self = step(this.#self, wish, Math.min(seconds, 0.1));
    const now = this.now;
    const state = { at: now, ...this.#self, hue: this.#hue };
    this.#own.add(state);
    const isMoving = this.#self.vx !== 0 || this.#self.vy !== 0;
    const isDue = now - this.#toldAt >= (isMoving ? 1_000 / MOVING_HZ - 2 : STILL_MS);
    if (isDue || (this.#wasMoving && !isMoving)) {
      this.#moves.send({ key: "at", cell: cellOf(this.#self), data: encodeState(state) });
      this.#toldAt = now;
      this.#wasMoving = isMoving;
    }
    const area = areaAround(this.#self, window);
    const name = JSON.stringify(area);
    if (name !== this.#area) {
      this.#area = name;
      this.#moves.want([{ area }]);
    }
    const shown = performance.now();
    this.rings = this.rings.filter(({ at }) => shown - at < RING_MS);
    for (const [number, track] of this.#tracks) if (now - (track.last?.at ?? 0) > GONE_MS) this.#tracks.delete(number);
  }

  /** Sends a ring out, for all to see. */
  ring() {
    const state = { at: this.now, ...this.#self, hue: this.#hue };
    this.rings.push({ ...state, at: performance.now() });
    this.#rings.send({ data: encodeState(state) });
  }

  /** Everybody to be drawn, the own last. @returns {Shown[]} */
  get shown() {
    const at = this.now - DELAY_MS;
    const others = [...this.#tracks].flatMap(([number, track]) => {
      const place = track.positionAt(at);
      if (!place) return [];
      return { number, name: this.#room.participant(number)?.name ?? "", hue: track.last?.hue ?? 0, isSelf: false, x: place.x, y: place.y };
    });
    const own = { number: this.#room.self?.number ?? 0, name: this.#room.self?.name ?? "", hue: this.#hue, isSelf: true, x: this.#self.x, y: this.#self.y };
    return [...others, own];
  }

  /**
   * Where somebody was, by what is known here: for those who compare two screens.
   * @param {number} number
   * @param {number} at server time in ms
   */
  positionAt(number, at) {
    return (number === this.#room.self?.number ? this.#own : this.#tracks.get(number))?.positionAt(at) ?? null;
  }

  close() {
    this.#moves.close();
    this.#rings.close();
  }

  /** @param {import("../sdk/data/topic.js").TopicMessageEvent} event */
  #hear({ sender, data, isDeleted, hasLeft }) {
    this.received += 1;
    if (isDeleted || hasLeft) return void this.#tracks.delete(sender);
    const state = decodeState(data);
    if (!state) return;
    let track = this.#tracks.get(sender);
    if (!track) this.#tracks.set(sender, (track = new Track()));
    track.add(state);
  }
}

/** @param {string} text */
function hueOf(text) {
  let hash = 2_166_136_261;
  for (const unit of text) hash = Math.imul(hash ^ (unit.codePointAt(0) ?? 0), 16_777_619);
  return (hash >>> 8) & 0xff;
}
