/**
 * Watches the path between the browser and the SFU, and does what the policy says: asks signaling, restarts ICE,
 * gives up. It looks at the packets that come in, at what the browser says of the connection, and at what the system
 * says of the network.
 */
import { answerTimeout, isDead, isTroubled, nextStep } from "./policy/recovery.js";

/** How often packets are counted, and how often while none come. */
const LOOK_MS = 500;
const LOOK_CLOSER_MS = 200;
/** How many times between answers are remembered, and have to be. */
const ANSWER_MEMORY = 4;
/** After the id of a candidate pair: what is counted are answers to its checks, of which no browser tells the age. */
const ANSWERS = " answers";
/** What lies this far back is no reason to look closer. */
const FRESH_MS = 250;
/** How many silences back the usual one is learnt from: some 5 s. */
const MEMORY = 10;

/**
 * @typedef {object} PathHost what the watch needs of its session
 * @property {() => Promise<Iterable<[string, any]>>} stats
 * @property {() => RTCPeerConnectionState} state
 * @property {() => boolean} isPublishing
 * @property {() => number | undefined} rttMs of signaling
 * @property {(timeoutMs: number) => Promise<boolean>} ask signaling; false: it is out of reach now
 * @property {() => void} restart ICE
 * @property {() => void} giveUp
 * @property {() => void} changed whether the path is dead
 */

export class PathWatch {
  #platform;
  #host;
  /** @type {any} */
  #timer;
  /** @type {(() => void) | null} */
  #unsubscribe;
  #ended = false;
  #looking = false;
  /** Counters by id of what they belong to. @type {Map<string, number>} */
  #received = new Map();
  #receivedAt = 0;
  /** The silence at the last look. */
  #silentMs = 0;
  /** Times between answers to checks of late. @type {number[]} */
  #answerGaps = [];
  /** @type {number | null} */
  #lastAnswerAt = null;
  /** The silences that ended of late. @type {number[]} */
  #gaps = [];
  #hasMoved = false;
  #isHinted = false;
  /** @type {number | null} */
  #troubledSince = null;
  /** @type {number | null} */
  #answeredAt = null;
  #asking = false;
  #restarts = 0;
  #restartedAt = 0;
  /** Whether media cannot flow now, as far as anybody can know. */
  isDead = false;

  /**
   * Begins to watch, once media has flowed.
   * @param {import("./platform.js").Platform} platform
   * @param {PathHost} host
   */
  constructor(platform, host) {
    this.#platform = platform;
    this.#host = host;
    this.#receivedAt = platform.now();
    this.#unsubscribe = platform.watchNetwork((change) => this.#hint(change));
    this.#look();
  }

  stop() {
    this.#ended = true;
    this.#platform.clearTimeout(this.#timer);
    this.#unsubscribe?.();
    this.#unsubscribe = null;
  }

  /** The browser's state of the connection changed. */
  stateChanged() {
    this.#look();
  }

  /** An ICE restart was begun at somebody's request. */
  restarted() {
    this.#restarts += 1;
    this.#restartedAt = this.#platform.now();
  }

  /** Signaling has answered, as when its session was resumed. */
  answered() {
    this.#answeredAt = this.#platform.now();
    this.#decide();
  }

  /** @param {import("./platform.js").NetworkChange} change */
  #hint(change) {
    if (change === "moved") this.#hasMoved = true;
    this.#isHinted = true;
    this.#look();
    this.#ask();
  }

  async #look() {
    if (this.#looking || this.#ended) return;
    this.#looking = true;
    this.#platform.clearTimeout(this.#timer);
    try {
      this.#count(receivedIn(await this.#host.stats()));
    } catch {
      // The connection is being closed.
    }
    this.#looking = false;
    if (this.#ended) return;
    this.#decide();
    this.#timer = this.#platform.setTimeout(() => this.#look(), this.#silentMs > FRESH_MS ? LOOK_CLOSER_MS : LOOK_MS);
  }

  /** @param {ReturnType<typeof receivedIn>} seen */
  #count({ received, ageMs }) {
    const now = this.#platform.now();
    const before = this.#received;
    this.#received = received;
    const grown = [...received].filter(([id, count]) => count > (before.get(id) ?? 0));
    if (grown.length > 0) {
      const isAnswered = grown.some(([id]) => id.endsWith(ANSWERS));
      if (isAnswered) this.#countAnswer(now);
      this.#receivedAt = Math.max(this.#receivedAt, isAnswered ? now : now - ageMs);
      // What an outage was is not what is usual.
      if (this.#restarts === 0 && before.size > 0) this.#gaps.push(Math.max(this.#silentMs, now - this.#receivedAt));
      if (this.#gaps.length > MEMORY) this.#gaps.shift();
    }
    this.#silentMs = now - this.#receivedAt;
  }

  /** @param {number} now */
  #countAnswer(now) {
    if (this.#lastAnswerAt !== null && this.#restarts === 0) this.#answerGaps.push(now - this.#lastAnswerAt);
    if (this.#answerGaps.length > ANSWER_MEMORY) this.#answerGaps.shift();
    this.#lastAnswerAt = now;
  }

  #decide() {
    if (this.#ended) return;
    const now = this.#platform.now();
    const state = this.#host.state();
    const view = {
      now,
      isBroken: state === "disconnected" || state === "failed",
      hasMoved: this.#hasMoved,
      isPublishing: this.#host.isPublishing(),
      answerGapMs: this.#answerGaps.length < ANSWER_MEMORY ? null : Math.max(...this.#answerGaps),
      silentMs: now - this.#receivedAt,
      usualGapMs: this.#gaps.length < 3 ? null : Math.max(...this.#gaps),
      troubledSince: this.#troubledSince,
      answeredAt: this.#answeredAt,
      restarts: this.#restarts,
      restartedAt: this.#restartedAt,
    };
    // A restart that is under way shows as `connecting`: neither broken nor well.
    const isPending = state === "connecting" && this.#troubledSince !== null;
    if (!isTroubled(view) && !isPending) {
      // Whether what came before still comes has to be learnt anew.
      if (this.#restarts > 0) this.#gaps = [];
      this.#troubledSince = this.#answeredAt = null;
      this.#restarts = 0;
    } else {
      view.troubledSince = this.#troubledSince ??= now;
    }
    const isDeadNow = isDead({ ...view, hasMoved: false }) || (isPending && this.isDead);
    if (isDeadNow !== this.isDead) {
      this.isDead = isDeadNow;
      this.#host.changed();
    }
    if (this.#ended) return;
    const step = nextStep({ ...view, isBroken: view.isBroken || isPending });
    if (step === "ask") {
      this.#ask();
    } else if (step === "restart") {
      this.#hasMoved = false;
      this.restarted();
      this.#host.restart();
    } else if (step === "give_up") {
      this.#host.giveUp();
    }
  }

  async #ask() {
    if (this.#asking || this.#ended) return;
    this.#asking = true;
    const isSilent = !this.#isHinted && this.#troubledSince !== null;
    this.#isHinted = false;
    const isAnswered = await this.#host.ask(answerTimeout(this.#host.rttMs(), isSilent));
    this.#asking = false;
    // Without an answer the session is resumed, and that is one.
    if (isAnswered) this.answered();
  }
}

/**
 * Numbers that grow when something came over the connection (media, reports, answers to checks), and how old the newest
 * packet of media or reports is, where the browser tells; 0 where it doesn't.
 * @param {Iterable<[string, any]>} report an `RTCStatsReport`
 * @returns {{received: Map<string, number>, ageMs: number}}
 */
export function receivedIn(report) {
  const received = new Map();
  let ageMs = Number.POSITIVE_INFINITY;
  for (const [id, stat] of report) {
    if (stat.type === "candidate-pair") {
      received.set(id, stat.packetsReceived ?? stat.bytesReceived ?? 0);
      received.set(id + ANSWERS, stat.responsesReceived ?? 0);
      if (stat.lastPacketReceivedTimestamp > 0) ageMs = Math.min(ageMs, Math.max(0, stat.timestamp - stat.lastPacketReceivedTimestamp));
    } else if (stat.type === "inbound-rtp") {
      received.set(id, stat.packetsReceived ?? 0);
    }
  }
  return { received, ageMs: Number.isFinite(ageMs) ? ageMs : 0 };
}
