/** The slots of a room: which there are, which are taken, and what the server is told about them. */
import { Slot } from "./slot.js";

/** How often a switch under way is looked for in the packets. */
const WATCH_MS = 50;

/**
 * @typedef {object} SlotsHost what the slots need of their room
 * @property {import("./participants.js").Participants} participants
 * @property {import("./platform.js").Platform} platform
 * @property {() => import("./session.js").Session | null} session to talk to now
 * @property {() => Promise<void>} sync makes the session carry every slot
 */

export class Slots {
  #host;
  /** @type {Slot[]} */
  #all = [];
  /** @type {Set<Slot>} */
  #taken = new Set();
  #isWatching = false;
  #isEnded = false;
  /** @type {import("./slot.js").SlotHost} */
  #slotHost;

  /** @param {SlotsHost} host */
  constructor(host) {
    this.#host = host;
    this.#slotHost = {
      switchSource: (slot) => this.#switchSource(slot),
      participant: (number) => host.participants.byNumber(number),
      release: (slot) => void this.#taken.delete(slot),
      now: () => host.platform.now(),
    };
  }

  /** @returns {readonly Slot[]} */
  get all() {
    return this.#all;
  }

  /** @param {import("./protocol.js").MediaKind} kind */
  add(kind) {
    const slot = new Slot(kind, new this.#host.platform.MediaStream(), this.#slotHost);
    this.#all.push(slot);
    return slot;
  }

  /** @param {import("./protocol.js").MediaKind} kind */
  take(kind) {
    let slot = this.#all.find((candidate) => candidate.kind === kind && !this.#taken.has(candidate));
    if (!slot) {
      slot = this.add(kind);
      // Slots asked for in one go share one offer.
      queueMicrotask(() => this.#host.sync().catch(() => {}));
    }
    this.#taken.add(slot);
    return slot;
  }

  /**
   * What a slot wants, as the server names it.
   * @param {import("./slot.js").Wanted} wanted
   * @returns {import("./protocol.js").SlotSource | null}
   */
  sourceOf(wanted) {
    if (wanted === null || "speaker" in wanted) return wanted;
    const participant = this.#host.participants.byIdentity(wanted.identity);
    return participant ? { participant: participant.number, source: wanted.source } : null;
  }

  /**
   * What the server says flows in a slot.
   * @param {{mid: string} & import("./protocol.js").SlotState} state
   */
  receive(state) {
    this.#all.find(({ mid }) => mid === state.mid)?.applyState(state);
    this.#watch();
  }

  /**
   * Tells the server anew whom slots show: somebody has another number than before, or everybody may have.
   * @param {string} [identity]
   */
  point(identity) {
    for (const slot of this.#all) {
      if (slot.wanted && "identity" in slot.wanted && (identity ?? slot.wanted.identity) === slot.wanted.identity) this.#switchSource(slot).catch(() => {});
    }
  }

  /** Empties the slots of whoever is gone, without a word of the server. */
  forgetTheGone() {
    for (const slot of this.#all) {
      if (slot.currentNumber !== null && !slot.participant) slot.applyState({ source: null, participant: null, track: null, paused: "no_source" });
    }
  }

  /** @param {unknown} error */
  end(error) {
    this.#isEnded = true;
    for (const slot of this.#all) slot.end(error);
  }

  /** @param {Slot} slot */
  async #switchSource(slot) {
    const session = this.#host.session();
    // Without a session, the next one takes what is wanted then.
    if (!session) return;
    if (slot.mid === null) await this.#host.sync();
    if (slot.mid === null || session !== this.#host.session()) return;
    await session.request({ type: "slot", mid: slot.mid, source: this.sourceOf(slot.wanted) });
  }

  /** Looks for switches under way until all have come through. */
  #watch() {
    if (this.#isWatching) return;
    this.#isWatching = true;
    const look = () => {
      this.#isWatching = !this.#isEnded && this.#all.filter((slot) => slot.watch()).length > 0;
      if (this.#isWatching) this.#host.platform.setTimeout(look, WATCH_MS);
    };
    look();
  }
}
