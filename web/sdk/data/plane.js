/**
 * The data plane of a room: its topics, the server's clock, calls and files. It puts topics on data channels where there is a
 * path for media, on the signaling connection where there is none, and moves them as that changes.
 */
import { Calls } from "./rpc.js";
import { ChannelCarrier, SignalingCarrier } from "./carrier.js";
import { ServerClock } from "./clock.js";
import { FILE_TOPIC, Files, pacer } from "./file.js";
import { Topic } from "./topic.js";

/** A channel that is not open after this is helped out by signaling. */
const FALLBACK_AFTER_MS = 3_000;
/** How often the server's clock is measured: soon at first, as the first measurements are the worst. */
const PING_MS = 2_000;
const FIRST_PINGS_MS = [0, 100, 200, 400, 800];

/**
 * @typedef {object} DataHost what the plane needs of a room
 * @property {() => number} now
 * @property {(callback: () => void, ms: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {(request: any) => Promise<any>} request asks signaling; rejects while there is no session
 * @property {(label: string, init: RTCDataChannelInit) => RTCDataChannel | null} openChannel on the transport of now, if there is one
 * @property {() => boolean} hasMedia whether the transport is connected
 */

export class DataPlane {
  #host;
  /** @type {Map<string, Topic>} */
  #topics = new Map();
  /** @type {Map<Topic, any>} */
  #timers = new Map();
  /** @type {any} */
  #pinging;
  #pings = 0;
  #isOver = false;
  /** @type {Files | null} */
  #files = null;
  /** @type {ServerClock} */
  clock;
  /** @type {Calls} */
  calls;

  /**
   * With the clock and the timers of a platform.
   * @param {import("../platform.js").Platform} platform
   * @param {Omit<DataHost, "now" | "setTimeout" | "clearTimeout">} host
   */
  static on(platform, host) {
    return new DataPlane({
      now: () => platform.now(),
      setTimeout: (callback, ms) => platform.setTimeout(callback, ms),
      clearTimeout: (timer) => platform.clearTimeout(timer),
      ...host,
    });
  }

  /** @param {DataHost} host */
  constructor(host) {
    this.#host = host;
    this.clock = new ServerClock(() => host.now());
    this.calls = new Calls(host);
  }

  /**
   * The topic with a label; a second call gives the same one.
   * @param {string} label
   * @param {import("./topic.js").TopicOptions} options
   */
  topic(label, options) {
    let topic = this.#topics.get(label);
    if (topic) return topic;
    const made = new Topic(label, options, {
      now: () => this.#host.now(),
      wait: (ms) => new Promise((resolve) => void this.#host.setTimeout(() => resolve(undefined), ms)),
      clock: this.clock,
      forget: (it) => {
        this.#topics.delete(it.label);
        this.#host.clearTimeout(this.#timers.get(it));
        this.#timers.delete(it);
      },
    });
    this.#topics.set(label, made);
    made.addEventListener("lost", (event) => {
      const { reason } = /** @type {Event & {reason: string}} */ (event);
      if (reason === "not_allowed" || reason === "too_many") made.end(reason);
      // A channel that the server closes, such as of a receiver that was too slow, comes back, but not at once.
      else this.#later(made, 1_000, () => this.#carry(made));
    });
    made.addEventListener("carried", () => {
      this.#pings = 0;
      this.#host.clearTimeout(this.#pinging);
      this.#beat();
    });
    this.#carry(made);
    return made;
  }

  /** Transfers of large things. The first use opens their topic. */
  get files() {
    return (this.#files ??= new Files({
      topic: () => this.topic(FILE_TOPIC, { mode: "relay", slow: "wait" }),
      pace: pacer(this.#host),
      setTimeout: (callback, ms) => this.#host.setTimeout(callback, ms),
      clearTimeout: (timer) => this.#host.clearTimeout(timer),
    }));
  }

  /** There is a new transport, or a session without one. */
  restart() {
    for (const topic of this.#topics.values()) this.#carry(topic);
  }

  /** The transport connected, or is gone. */
  changeMedia() {
    for (const topic of this.#topics.values()) {
      if (this.#host.hasMedia() ? topic.carrier?.isFallback !== false : topic.carrier === null) this.#carry(topic);
      else if (!this.#host.hasMedia()) this.#helpOut(topic);
    }
  }

  /**
   * A server message that concerns data.
   * @param {any} message
   * @returns {boolean} whether it was one
   */
  handle(message) {
    switch (message.type) {
      case "topic":
        this.#fallback(message.channel)?.deliver(message.messages);
        return true;
      case "topic_closed":
        this.#fallback(message.channel)?.end(message.reason);
        return true;
      case "rpc_request":
        void this.calls.answer(message);
        return true;
      case "participant_left":
        this.#files?.forget(message.participant);
        return false;
      default:
        return false;
    }
  }

  /** The server was restarted: topics over signaling are opened anew, and what it may still hold of them is closed. */
  forgetFallbacks() {
    for (const topic of this.#topics.values()) for (const carrier of topic.carriers) if (carrier instanceof SignalingCarrier) carrier.close();
  }

  /** Ends everything. */
  close() {
    this.#isOver = true;
    this.#host.clearTimeout(this.#pinging);
    for (const topic of [...this.#topics.values()]) topic.end("closed");
  }

  /** Gives a topic the best way there is. @param {Topic} topic */
  #carry(topic) {
    if (this.#isOver || topic.state === "closed") return;
    const { ordered, maxRetransmits, maxPacketLifeTime } = topic.options;
    const channel = this.#host.openChannel(topic.label, { ordered, maxRetransmits, maxPacketLifeTime, protocol: topic.protocol });
    if (channel) topic.use(new ChannelCarrier(channel));
    // What others have waited for in vain is not waited for again.
    const isHopeless = !this.#host.hasMedia() && [...this.#topics.values()].some(({ isFallback }) => isFallback);
    this.#helpOut(topic, channel && !isHopeless ? FALLBACK_AFTER_MS : 0);
  }

  /**
   * Puts a topic on signaling, unless it is open by then.
   * @param {Topic} topic
   * @param {number} [afterMs]
   */
  #helpOut(topic, afterMs = FALLBACK_AFTER_MS) {
    this.#later(topic, afterMs, () => {
      if (topic.state === "open" && this.#host.hasMedia()) return;
      if (topic.isFallback || topic.carrier?.isFallback) return;
      topic.use(new SignalingCarrier(this.#host, topic));
    });
  }

  /**
   * @param {Topic} topic
   * @param {number} ms
   * @param {() => void} callback
   */
  #later(topic, ms, callback) {
    this.#host.clearTimeout(this.#timers.get(topic));
    this.#timers.set(topic, this.#host.setTimeout(callback, ms));
  }

  /** @param {number} channel @returns {SignalingCarrier | undefined} */
  #fallback(channel) {
    const carriers = [...this.#topics.values()].flatMap((topic) => topic.carriers);
    return carriers.filter((carrier) => carrier instanceof SignalingCarrier).find((carrier) => carrier.channel === channel);
  }

  #beat() {
    this.#pinging = this.#host.setTimeout(() => {
      // One topic is enough; a channel that may drop measures best.
      const open = [...this.#topics.values()].filter(({ state }) => state === "open");
      const topic = open.find(({ isReliable }) => !isReliable) ?? open[0];
      topic?.ping();
      this.#pings += 1;
      this.#beat();
    }, FIRST_PINGS_MS[this.#pings] ?? PING_MS);
  }
}
