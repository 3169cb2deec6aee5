/**
 * A topic: small messages to everybody in the room who opened the same label, in framed mode. It outlives the carriers it
 * uses (data channels of one transport after another, or the signaling connection), and says again on each what it wants.
 */
import { PatchbayError } from "../errors.js";
import { SignalingCarrier } from "./carrier.js";
import { FRAMED_PROTOCOL, PAYLOAD_BYTES, encodePing, encodePublish, encodeSubscribe, serverFrames } from "./frame.js";

/** Messages that wait for a reader that iterates too slowly; the oldest go first. */
const READER_QUEUE = 4_096;
/** Values of the own that wait for room, in topics that keep the newest. */
const WAITING_VALUES = 1_024;
/** Values whose end is remembered. */
const ENDED_VALUES = 1_024;
/** How long a new carrier waits for what the one before still brings. */
const HANDOVER_MS = 3_000;
/** When a subscription that was not answered is said again, after how long each time. */
const SUBSCRIBE_AGAIN_MS = [300, 600, 1_200, 2_400, 4_800];
/** Messages on a reliable topic that wait for room. */
const WAITING_MESSAGES = 1_024;

/**
 * @typedef {object} TopicOptions
 * @property {import("./frame.js").Mode} [mode] `relay` unless told, or what the topic lives with
 * @property {number} [rate] most deliveries a second to one receiver
 * @property {number} [ttlMs] how long a value is kept after its last update
 * @property {"cut" | "wait"} [slow] what becomes of reliable receivers that don't keep up
 * @property {"drop" | "keep"} [leave] what becomes of the values of somebody who leaves
 * @property {boolean} [ordered] true unless told
 * @property {number} [maxRetransmits] as in `RTCDataChannelInit`
 * @property {number} [maxPacketLifeTime] milliseconds, as in `RTCDataChannelInit`
 *
 * @typedef {object} Outgoing
 * @property {Uint8Array<ArrayBuffer> | ArrayBuffer | string} data
 * @property {string} [key] what it is about
 * @property {import("./frame.js").Cell} [cell] where it is
 * @property {number | readonly number[]} [to] participants' numbers; everybody else unless told
 */

/** Something that somebody published. */
export class TopicMessageEvent extends Event {
  /** @param {import("./frame.js").MessageFrame} frame */
  constructor(frame) {
    super("message");
    /** The sender's number in the roster; 0 is the server itself. */
    this.sender = frame.sender;
    this.sequence = frame.sequence;
    /** When the server took it: milliseconds since the Unix epoch, by the server's clock. */
    this.time = frame.time / 1_000;
    this.key = frame.key;
    this.cell = frame.cell;
    /** The payload: bytes, or a string if it was sent as one. @type {Uint8Array<ArrayBuffer> | string} */
    this.data = frame.isText ? new TextDecoder().decode(frame.payload) : /** @type {Uint8Array<ArrayBuffer>} */ (frame.payload);
    /** Whether the value with this key ended. */
    this.isDeleted = frame.isTombstone;
    /** Whether the value went out of what is wanted here. */
    this.hasLeft = frame.hasLeft;
    /** Whether it was addressed to some, this client among them. */
    this.isTargeted = frame.isTargeted;
  }
}

/** The server says that something is wrong. The topic goes on, unless a `close` follows. */
export class TopicErrorEvent extends Event {
  /** @param {PatchbayError} error */
  constructor(error) {
    super("error");
    this.error = error;
  }
}

/** @typedef {import("./carrier.js").ChannelCarrier | import("./carrier.js").SignalingCarrier} Carrier */

export class Topic extends EventTarget {
  #host;
  /** @type {Carrier | null} */
  #carrier = null;
  /** On its way to take over. @type {Carrier | null} */
  #next = null;
  /** @type {import("./frame.js").WelcomeFrame | null} */
  #welcome = null;
  /** What is wanted, for the next carrier. @type {import("./frame.js").Filter[]} */
  #filters = [];
  /** Subscriptions that no snapshot has answered. */
  #unanswered = 0;
  /** Newest sequence of each sender. @type {Map<number, number>} */
  #sequences = new Map();
  /** What the carrier before had brought already, for the messages that both bring. @type {Map<number, number> | null} */
  #floor = null;
  /** Own values that wait for room, by key. @type {Map<string, Uint8Array<ArrayBuffer>>} */
  #waitingValues = new Map();
  /** @type {Uint8Array<ArrayBuffer>[]} */
  #waitingMessages = [];
  /** @type {Map<string, TopicMessageEvent>} */
  #values = new Map();
  /** Sequences of values that ended, for what an unordered channel brings behind their end. @type {Map<string, number>} */
  #ended = new Map();
  /** Names of values that were told on the carrier in use: others have ended while nobody listened here. @type {Set<string>} */
  #told = new Set();
  #isStale = false;
  /** @type {Set<Reader>} */
  #readers = new Set();
  /** @type {Map<number, {at: number}>} */
  #pings = new Map();
  #nextPing = 1;
  #isClosed = false;
  /** @type {(() => void)[]} */
  #whenRoom = [];
  /** What happened so far. */
  counters = { sent: 0, received: 0, conflated: 0, dropped: 0, errors: 0 };

  /**
   * Use `room.topic`.
   * @param {string} label
   * @param {TopicOptions} options
   * @param {{now: () => number, wait: (ms: number) => Promise<void>, clock: import("./clock.js").ServerClock, forget: (topic: Topic) => void}} host
   */
  constructor(label, options, host) {
    super();
    this.#host = host;
    this.label = label;
    this.options = options;
  }

  /** `opening`, `open` or `closed`. */
  get state() {
    return this.#isClosed ? "closed" : this.#welcome && this.#carrier?.isOpen ? "open" : "opening";
  }
  /** The settings the topic lives with, once open. */
  get settings() {
    return this.#welcome && { mode: this.#welcome.mode, rate: this.#welcome.rate, ttlMs: this.#welcome.ttlMs, slow: this.#welcome.waits ? "wait" : "cut", leave: this.#welcome.keeps ? "keep" : "drop" };
  }
  /** Whether messages go over the signaling connection now. */
  get isFallback() {
    return this.#carrier?.isFallback ?? false;
  }
  /** The newest of each sender and key, in topics that keep it. @returns {IterableIterator<TopicMessageEvent>} */
  get values() {
    return this.#values.values();
  }
  /** Whether a reliable topic would take a message at once. */
  get hasRoom() {
    return this.#carrier?.hasRoom ?? false;
  }
  /** Resolves when there is room. Await it between the messages of a long row. @returns {Promise<void>} */
  get ready() {
    if (this.hasRoom || this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => void this.#whenRoom.push(resolve));
  }
  /** The subprotocol of its channels. */
  get protocol() {
    const { mode, rate, ttlMs, slow, leave } = this.options;
    const settings = [mode && `mode=${mode}`, rate && `rate=${rate}`, ttlMs && `ttl=${ttlMs}`, slow && `slow=${slow}`, leave && `leave=${leave}`].filter(Boolean);
    return settings.length > 0 ? `${FRAMED_PROTOCOL}?${settings.join("&")}` : FRAMED_PROTOCOL;
  }
  /** Whether nothing may get lost. */
  get isReliable() {
    return this.options.maxRetransmits === undefined && this.options.maxPacketLifeTime === undefined;
  }

  /**
   * Sends to everybody else on the topic, or to some. Without room, a topic that keeps the newest keeps the newest of each
   * key here too, a reliable one queues, and an unreliable one drops.
   * @param {Outgoing} message
   * @returns {boolean} whether it was sent, or will be
   */
  send({ data, key, cell, to }) {
    const isText = typeof data === "string";
    const payload = isText ? new TextEncoder().encode(data) : data instanceof ArrayBuffer ? new Uint8Array(data) : data;
    const targets = to === undefined ? undefined : typeof to === "number" ? [to] : to;
    if (payload.length > PAYLOAD_BYTES) throw new PatchbayError("too_large", `A message has at most ${PAYLOAD_BYTES} bytes.`);
    return this.#send(encodePublish({ payload, isText, key, cell, targets }), targets ? null : (key ?? ""));
  }

  /** Ends a value of the own, for everybody. @param {string} [key] */
  delete(key) {
    return this.#send(encodePublish({ payload: new Uint8Array(), isTombstone: true, key }), key ?? "");
  }

  /**
   * Says what is wanted, in *interest* mode; what was wanted before no longer is.
   * @param {readonly import("./frame.js").Filter[]} filters
   */
  want(filters) {
    this.#filters = [...filters];
    for (const [name, { key, cell }] of this.#values) if (!filters.some((filter) => isWanted(filter, key ?? "", cell))) this.#values.delete(name);
    if (this.#carrier?.isOpen) void this.#subscribe(this.#carrier);
  }

  /** Messages as they come. @returns {AsyncIterableIterator<TopicMessageEvent>} */
  [Symbol.asyncIterator]() {
    const reader = new Reader(() => this.#readers.delete(reader), () => (this.counters.dropped += 1));
    if (this.#isClosed) reader.end();
    else this.#readers.add(reader);
    return reader;
  }

  /** Leaves the topic. */
  close() {
    this.end("closed");
  }

  /** @returns {void} */
  [/** @type {typeof Symbol.dispose} */ (Symbol.dispose ?? Symbol.for("Symbol.dispose"))]() {
    this.close();
  }

  /**
   * Another way for its messages, as soon as it is open. For the SDK itself.
   * @param {Carrier} carrier
   */
  use(carrier) {
    this.#next?.close();
    this.#next = carrier;
    const take = () => this.#take(carrier);
    if (carrier.isOpen) take();
    else carrier.addEventListener("open", take, { once: true });
    carrier.addEventListener("close", (event) => {
      const { reason } = /** @type {import("./carrier.js").CarrierCloseEvent} */ (event);
      if (this.#next === carrier) this.#next = null;
      if (this.#carrier !== carrier) return;
      this.#carrier = null;
      this.#welcome = null;
      if (!this.#isClosed) this.dispatchEvent(Object.assign(new Event("lost"), { reason }));
    });
  }

  /** The way that is used, or is about to be. For the SDK itself. */
  get carrier() {
    return this.#next ?? this.#carrier;
  }

  /** The way that is used, and the one that is about to be. For the SDK itself. @returns {Carrier[]} */
  get carriers() {
    return [this.#carrier, this.#next].filter((carrier) => carrier !== null);
  }

  /** Measures the server's clock. For the SDK itself. */
  ping() {
    if (!this.#carrier?.hasRoom) return;
    const token = this.#nextPing++;
    this.#pings.set(token, { at: this.#host.now() });
    // What was lost is not waited for.
    if (this.#pings.size > 16) this.#pings.delete(/** @type {number} */ (this.#pings.keys().next().value));
    this.#carrier.send(encodePing(token));
  }

  /** Ends it for good. For the SDK itself. @param {string} reason */
  end(reason) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const carrier of [this.#next, this.#carrier]) carrier?.close();
    this.#next = this.#carrier = null;
    this.#host.forget(this);
    for (const reader of this.#readers) reader.end();
    for (const resolve of this.#whenRoom.splice(0)) resolve();
    this.dispatchEvent(Object.assign(new Event("close"), { reason }));
  }

  /**
   * A carrier is open. What the one before still has on its way comes first, so that nothing is missed or comes twice.
   * @param {Carrier} carrier
   */
  async #take(carrier) {
    if (this.#next !== carrier) return;
    /** @type {ArrayBuffer[] | null} */
    let early = [];
    carrier.addEventListener("message", (event) => {
      const { data } = /** @type {import("./carrier.js").CarrierMessageEvent} */ (event);
      if (early) early.push(data);
      else if (this.#carrier === carrier) this.#receive(data);
    });
    const before = this.#carrier;
    if (before instanceof SignalingCarrier) await Promise.race([before.finish(), this.#host.wait(HANDOVER_MS)]);
    if (this.#next !== carrier) return;
    this.#next = null;
    this.#carrier = carrier;
    this.#floor = before ? new Map(this.#sequences) : null;
    this.#sequences.clear();
    this.#ended.clear();
    this.#told.clear();
    this.#isStale = true;
    before?.close();
    carrier.addEventListener("drain", () => this.#drain());
    this.#unanswered = 0;
    if (this.#filters.length > 0) void this.#subscribe(carrier);
    const messages = early;
    early = null;
    for (const message of messages) this.#receive(message);
    this.#drain();
    this.dispatchEvent(new Event("carried"));
  }

  /**
   * Says what is wanted. A channel that loses things may lose that too, and then nobody would be seen: it is said again until
   * a snapshot answers.
   * @param {Carrier} carrier
   */
  async #subscribe(carrier) {
    const filters = this.#filters;
    const say = () => carrier.send(encodeSubscribe(filters, { replace: true }));
    this.#unanswered += 1;
    say();
    if (this.isReliable || carrier.isFallback || (this.#welcome?.mode ?? this.options.mode) !== "interest") return;
    for (const ms of SUBSCRIBE_AGAIN_MS) {
      await this.#host.wait(ms);
      if (this.#isClosed || this.#carrier !== carrier || this.#filters !== filters || this.#unanswered === 0) return;
      this.#unanswered = 1;
      say();
    }
  }

  /**
   * @param {Uint8Array<ArrayBuffer>} message
   * @param {string | null} key by which it can be replaced by a newer one
   */
  #send(message, key) {
    if (this.#isClosed) throw new PatchbayError("closed", "This topic was closed.");
    const mode = this.#welcome?.mode ?? this.options.mode ?? "relay";
    if (this.#carrier?.hasRoom && this.#waitingMessages.length === 0) {
      this.counters.sent += 1;
      this.#waitingValues.delete(key ?? "");
      this.#carrier.send(message);
      return true;
    }
    if (mode !== "relay" && key !== null) {
      if (this.#waitingValues.has(key)) this.counters.conflated += 1;
      else if (this.#waitingValues.size >= WAITING_VALUES) return this.#drop();
      this.#waitingValues.set(key, message);
      return true;
    }
    if (!this.isReliable && this.#carrier) return this.#drop();
    if (this.#waitingMessages.length >= WAITING_MESSAGES) {
      if (this.isReliable) throw new PatchbayError("too_many", "Too many messages wait for room; await `ready` between them.");
      this.#waitingMessages.shift();
      this.counters.dropped += 1;
    }
    this.#waitingMessages.push(message);
    return true;
  }

  #drop() {
    this.counters.dropped += 1;
    return false;
  }

  #drain() {
    const carrier = this.#carrier;
    if (!carrier?.isOpen) return;
    while (this.#waitingMessages.length > 0 && carrier.hasRoom) {
      carrier.send(/** @type {Uint8Array<ArrayBuffer>} */ (this.#waitingMessages.shift()));
      this.counters.sent += 1;
    }
    for (const [key, message] of this.#waitingValues) {
      if (!carrier.hasRoom) break;
      this.#waitingValues.delete(key);
      carrier.send(message);
      this.counters.sent += 1;
    }
    if (carrier.hasRoom) for (const resolve of this.#whenRoom.splice(0)) resolve();
  }

  /** @param {ArrayBuffer} data */
  #receive(data) {
    for (const frame of serverFrames(data)) {
      switch (frame.type) {
        case "message":
          this.#receiveMessage(frame);
          break;
        case "welcome": {
          const isFirst = this.#welcome === null;
          this.#welcome = frame;
          this.#host.clock.hint(frame.time);
          this.dispatchEvent(new Event(isFirst ? "open" : "change"));
          break;
        }
        case "snapshotend":
          this.#unanswered = Math.max(0, this.#unanswered - 1);
          // In *interest* each subscription has a snapshot of its own; only the first one on a carrier is of everything.
          if (this.#isStale) for (const name of this.#values.keys()) if (!this.#told.has(name)) this.#values.delete(name);
          this.#isStale = false;
          this.dispatchEvent(new Event("snapshot"));
          break;
        case "pong": {
          const ping = this.#pings.get(frame.token);
          this.#pings.delete(frame.token);
          if (ping) this.#host.clock.add(ping.at, frame.time);
          break;
        }
        case "error":
          this.counters.errors += 1;
          this.dispatchEvent(new TopicErrorEvent(new PatchbayError(frame.code, frame.text)));
          break;
      }
    }
  }

  /** @param {import("./frame.js").MessageFrame} frame */
  #receiveMessage(frame) {
    const floor = this.#floor?.get(frame.sender);
    const mode = this.#welcome?.mode ?? "relay";
    // Brought by the carrier before already. Sequences wrap.
    if (mode === "relay" && floor !== undefined && ((frame.sequence - floor) | 0) <= 0) return;
    this.#sequences.set(frame.sender, frame.sequence);
    this.counters.received += 1;
    const event = new TopicMessageEvent(frame);
    if (mode !== "relay" && !frame.isTargeted) {
      const name = `${frame.sender} ${frame.key ?? ""}`;
      const known = this.#values.get(name);
      const newest = known?.sequence ?? this.#ended.get(name);
      if (this.#isStale) this.#told.add(name);
      // Unordered channels bring an older value behind a newer one.
      if (newest !== undefined && ((frame.sequence - newest) | 0) < 0) return;
      if (frame.isTombstone || frame.hasLeft) this.#forgetValue(name, frame.sequence);
      else this.#values.set(name, event);
    }
    this.dispatchEvent(event);
    for (const reader of this.#readers) reader.push(event);
  }

  /**
   * @param {string} name
   * @param {number} sequence
   */
  #forgetValue(name, sequence) {
    this.#values.delete(name);
    this.#ended.delete(name);
    this.#ended.set(name, sequence);
    if (this.#ended.size > ENDED_VALUES) this.#ended.delete(/** @type {string} */ (this.#ended.keys().next().value));
  }
}

/**
 * @param {import("./frame.js").Filter} filter
 * @param {string} key
 * @param {import("./frame.js").Cell | null} cell
 */
function isWanted(filter, key, cell) {
  if ("key" in filter) return key === filter.key;
  if ("prefix" in filter) return key.startsWith(filter.prefix);
  const { from, to } = filter.area;
  return cell !== null && cell.x >= from.x && cell.x <= to.x && cell.y >= from.y && cell.y <= to.y;
}

/** One `for await` over a topic. */
class Reader {
  /** @type {TopicMessageEvent[]} */
  #queue = [];
  /** @type {((result: IteratorResult<TopicMessageEvent, undefined>) => void)[]} */
  #waiting = [];
  #isOver = false;
  #leave;
  #drop;

  /**
   * @param {() => void} leave
   * @param {() => void} drop one message was dropped
   */
  constructor(leave, drop) {
    this.#leave = leave;
    this.#drop = drop;
  }

  /** @param {TopicMessageEvent} event */
  push(event) {
    const waiting = this.#waiting.shift();
    if (waiting) return waiting({ done: false, value: event });
    this.#queue.push(event);
    if (this.#queue.length > READER_QUEUE) {
      this.#queue.shift();
      this.#drop();
    }
  }

  end() {
    this.#isOver = true;
    for (const resolve of this.#waiting.splice(0)) resolve({ done: true, value: undefined });
  }

  /** @returns {Promise<IteratorResult<TopicMessageEvent, undefined>>} */
  next() {
    const event = this.#queue.shift();
    if (event) return Promise.resolve({ done: false, value: event });
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }

  /** @returns {Promise<IteratorResult<TopicMessageEvent, undefined>>} */
  return() {
    this.#leave();
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}
