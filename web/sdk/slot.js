/**
 * A slot: a media section that receives, whose source the server changes without renegotiation. Its `stream` stays
 * the same object for the slot's life, so it is attached to a media element once.
 */
import { PatchbayError } from "./errors.js";
import { abortable } from "./platform.js";

/**
 * @typedef {{speaker: number}} SpeakerRule
 * @typedef {{identity: string, source: import("./protocol.js").Source} | SpeakerRule | null} Wanted
 * @typedef {object} SlotHost what a slot needs of its room
 * @property {(slot: Slot) => Promise<void>} switchSource tells the server what `slot.wanted` is
 * @property {(number: number | null) => import("./participant.js").Participant | null} participant
 * @property {(slot: Slot) => void} release
 * @property {() => number} now milliseconds
 */

/** What flows in a slot changed. */
export class SlotChangeEvent extends Event {
  /** @param {Slot} slot */
  constructor(slot) {
    super("change");
    this.slot = slot;
  }
}

/** After this long without a sign in the packets, what the server says is taken for what plays. */
const SETTLE_MS = 4_000;

export class Slot extends EventTarget {
  #host;
  /** @type {{resolve: () => void, reject: (error: unknown) => void} | null} */
  #pending = null;
  #switchedAt = 0;
  /** Packets up to this moment, in the clock of contributing sources, belong to what flowed before. */
  #staleUntil = 0;

  /**
   * @param {"audio" | "video"} kind
   * @param {MediaStream} stream
   * @param {SlotHost} host
   */
  constructor(kind, stream, host) {
    super();
    /** Audio or video. */
    this.kind = kind;
    /** For `srcObject`. */
    this.stream = stream;
    this.#host = host;
    /** What was asked for. @type {Wanted} */
    this.wanted = null;
    /** Whose media flows, or will as soon as it can be decoded, as the server says. @type {number | null} */
    this.currentNumber = null;
    /** Whose media is in the packets that play now. @type {number | null} */
    this.playingNumber = null;
    /** Why nothing flows although there is a source. @type {import("./protocol.js").SlotPause | null} */
    this.paused = null;
    /** The media section, while there is one. @type {RTCRtpTransceiver | null} */
    this.transceiver = null;
    /** Its id. @type {string | null} */
    this.mid = null;
  }

  /** Whose media the server sends here. */
  get participant() {
    return this.#host.participant(this.currentNumber);
  }

  /** Whose media plays at this moment; the participant before, until a switch has come through. */
  get playing() {
    return this.#host.participant(this.playingNumber);
  }

  /** Whether a switch has not come through yet. */
  get isSwitching() {
    return this.currentNumber !== null && this.paused === null && this.playingNumber !== this.currentNumber;
  }

  /**
   * Shows one track, and whatever its participant publishes as the same source later. Resolves when it plays.
   * @param {import("./participant.js").RemoteTrack | null} track
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<void>}
   */
  show(track, { signal } = {}) {
    if (!track) return Promise.reject(new PatchbayError("invalid_argument", "There is no such track to show."));
    if (track.kind !== this.kind) {
      return Promise.reject(new PatchbayError("invalid_argument", `A slot for ${this.kind} cannot show ${track.kind}.`));
    }
    return this.#switch({ identity: track.participant.identity, source: track.source }, signal);
  }

  /**
   * Lets the server choose: the n-th loudest voice, or the face of the n-th most recent speaker. Resolves when the
   * rule holds; somebody may play later only.
   * @param {SpeakerRule} rule
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<void>}
   */
  follow(rule, { signal } = {}) {
    return this.#switch({ speaker: rule.speaker }, signal);
  }

  /**
   * Empties the slot.
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<void>}
   */
  clear({ signal } = {}) {
    return this.#switch(null, signal);
  }

  /** Empties the slot and gives it back, for the next `videoSlot()` or `audioSlot()`. */
  release() {
    this.clear().catch(() => {});
    this.#host.release(this);
  }

  /**
   * Binds the slot to a media section. For the room alone.
   * @param {RTCRtpTransceiver} transceiver
   */
  bind(transceiver) {
    for (const track of this.stream.getTracks()) this.stream.removeTrack(track);
    this.transceiver = transceiver;
    this.mid = null;
    this.stream.addTrack(transceiver.receiver.track);
    this.currentNumber = this.playingNumber = this.paused = null;
  }

  /**
   * What the server says flows. For the room alone.
   * @param {import("./protocol.js").SlotState} state
   */
  applyState(state) {
    const paused = state.paused ?? null;
    if (state.participant === this.currentNumber && paused === this.paused) return;
    this.currentNumber = state.participant;
    this.paused = paused;
    this.#switchedAt = this.#host.now();
    this.#staleUntil = this.#newestSource()?.timestamp ?? 0;
    if (state.participant === null || paused !== null) this.playingNumber = null;
    this.#settle();
    this.dispatchEvent(new SlotChangeEvent(this));
  }

  /**
   * Looks into the packets for whose media plays. Returns whether the slot still waits. For the room alone.
   * @returns {boolean}
   */
  watch() {
    if (!this.isSwitching) return false;
    const newest = this.#newestSource();
    const isHere = newest?.source === this.currentNumber && newest.timestamp > this.#staleUntil;
    const isOverdue = this.#host.now() - this.#switchedAt > SETTLE_MS;
    if (!isHere && !isOverdue) return true;
    this.playingNumber = this.currentNumber;
    this.#settle();
    this.dispatchEvent(new SlotChangeEvent(this));
    return false;
  }

  /**
   * Gives up on what `show()` waits for. For the room alone.
   * @param {unknown} error
   */
  end(error) {
    this.#pending?.reject(error);
    this.#pending = null;
  }

  /**
   * @param {Wanted} wanted
   * @param {AbortSignal} [signal]
   * @returns {Promise<void>}
   */
  #switch(wanted, signal) {
    if (signal?.aborted) return Promise.reject(signal.reason);
    this.end(new PatchbayError("superseded", "The slot was switched again before this came through."));
    this.wanted = wanted;
    const told = this.#host.switchSource(this);
    if (wanted === null || "speaker" in wanted) return abortable(told, signal);
    /** @type {Promise<void>} */
    const plays = new Promise((resolve, reject) => {
      const pending = (this.#pending = { resolve, reject });
      told.then(
        () => this.#settle(),
        (error) => {
          if (this.#pending === pending) this.#pending = null;
          reject(error);
        },
      );
    });
    plays.catch(() => {});
    return abortable(plays, signal);
  }

  /** @returns {{source: number, timestamp: number} | null} */
  #newestSource() {
    /** @type {{source: number, timestamp: number} | null} */
    let newest = null;
    for (const entry of this.transceiver?.receiver.getContributingSources?.() ?? []) {
      if (!newest || entry.timestamp > newest.timestamp) newest = entry;
    }
    return newest;
  }

  /** Resolves `show()` once what was asked for plays. */
  #settle() {
    if (!this.#pending || this.wanted === null || "speaker" in this.wanted) return;
    const playing = this.playing;
    if (playing === null || playing.identity !== this.wanted.identity || this.isSwitching) return;
    this.#pending.resolve();
    this.#pending = null;
  }
}
