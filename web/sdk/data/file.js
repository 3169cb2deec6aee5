/**
 * Files and other large things, from one participant to another: in chunks, with flow control by the receiver, progress and
 * cancellation. They travel on a reliable topic of their own, so that they never hold up small messages on others; the
 * messages are specified in `docs/protocol.md`.
 */
import { PatchbayError } from "../errors.js";

/** The topic. */
export const FILE_TOPIC = "patchbay.files";
/** Bytes of one chunk: with its frame it stays below 16 KiB. */
const CHUNK_BYTES = 16_000;
/** Bytes that may be on their way before the receiver asks for more. */
const WINDOW_BYTES = 256 * 1024;
/** The receiver asks for more after so many. */
const ACK_BYTES = WINDOW_BYTES / 4;
/** After so long without the next piece it is asked for again: a carrier may have been lost with what was on it. */
const ASK_AGAIN_MS = 3_000;
/** How long an offer waits for an answer, and a transfer for its next sign of life. */
const PATIENCE_MS = 60_000;
/** What all transfers together send at most: three quarters of what the server takes from one participant. */
const BYTES_PER_MS = 3 * 1.048_576 * 1_000;
/** What was not used of it for so long may be used at once. */
const BURST_MS = 50;
/** How long what somebody said last may take beyond the word that it left. */
const LAST_WORDS_MS = 1_000;
/** Transfers from one sender at a time. */
const OFFERS = 16;

const OFFER = 1;
const ACCEPT = 2;
const CHUNK = 3;
const ACK = 4;
const CANCEL = 5;

/**
 * @typedef {object} FileHost
 * @property {() => import("./topic.js").Topic} topic
 * @property {(bytes: number) => Promise<void>} pace waits for what all transfers together may send
 * @property {(callback: () => void, ms: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 */

/** `progress`: how far it is. */
export class ProgressEvent extends Event {
  /**
   * @param {number} transferred bytes so far
   * @param {number} size bytes in all
   */
  constructor(transferred, size) {
    super("progress");
    this.transferred = transferred;
    this.size = size;
  }
}

/** `offer`: somebody wants to send something. */
export class OfferEvent extends Event {
  /** @param {IncomingFile} file */
  constructor(file) {
    super("offer");
    this.file = file;
  }
}

/** What both ends have in common: an end that comes once, and patience. */
class Transfer extends EventTarget {
  #host;
  /** @type {any} */
  #timer;
  #settle = /** @type {{resolve: (value: any) => void, reject: (error: unknown) => void}} */ (/** @type {unknown} */ (null));
  isOver = false;
  transferred = 0;
  /** Resolves when all has arrived, rejects when it won't. @type {Promise<any>} */
  done;

  /**
   * @param {FileHost} host
   * @param {number} peer the other's number
   * @param {number} id chosen by the sender
   * @param {{name: string, size: number, type: string}} description
   */
  constructor(host, peer, id, { name, size, type }) {
    super();
    this.#host = host;
    this.peer = peer;
    this.id = id;
    this.name = name;
    this.size = size;
    this.type = type;
    this.done = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.done.catch(() => {});
    this.stir();
  }

  /** Ends it, at both ends. */
  cancel() {
    if (this.isOver) return;
    this.tell(CANCEL, new TextEncoder().encode("cancelled"));
    this.end(new PatchbayError("cancelled", "The transfer was cancelled."));
  }

  /**
   * @param {number} kind
   * @param {Uint8Array} body
   */
  tell(kind, body) {
    const data = new Uint8Array(5 + body.length);
    data[0] = kind;
    new DataView(data.buffer).setUint32(1, this.id);
    data.set(body, 5);
    try {
      this.#host.topic().send({ data, to: this.peer });
    } catch (error) {
      this.end(/** @type {PatchbayError} */ (error));
    }
  }

  /** A sign of life. */
  stir() {
    this.#host.clearTimeout(this.#timer);
    if (this.isOver) return;
    this.#timer = this.#host.setTimeout(() => {
      this.tell(CANCEL, new TextEncoder().encode("timeout"));
      this.end(new PatchbayError("timeout", "The other side did not go on in time."));
    }, PATIENCE_MS);
  }

  /** @param {number} bytes */
  progress(bytes) {
    this.transferred = bytes;
    this.stir();
    this.dispatchEvent(new ProgressEvent(bytes, this.size));
  }

  /**
   * @param {PatchbayError | null} error
   * @param {unknown} [value]
   */
  end(error, value) {
    if (this.isOver) return;
    this.isOver = true;
    this.stir();
    if (error) this.#settle.reject(error);
    else this.#settle.resolve(value);
    this.dispatchEvent(new Event("end"));
  }
}

/** Something on its way to somebody. */
export class OutgoingFile extends Transfer {
  #content;
  #host;
  #allowed = 0;
  #isSending = false;

  /**
   * @param {FileHost} host
   * @param {number} peer
   * @param {number} id
   * @param {Blob} content
   * @param {string} name
   */
  constructor(host, peer, id, content, name) {
    super(host, peer, id, { name, size: content.size, type: content.type });
    this.#host = host;
    this.#content = content;
    this.#offer();
  }

  /** Said again until there is an answer: the other side may not have opened the topic yet. */
  #offer() {
    if (this.isOver || this.#allowed > 0) return;
    this.tell(OFFER, new TextEncoder().encode(JSON.stringify({ name: this.name, size: this.size, type: this.type })));
    this.#host.setTimeout(() => this.#offer(), ASK_AGAIN_MS);
  }

  /**
   * The receiver takes bytes up to here.
   * @param {number} received what it has
   * @param {boolean} [isAgain] whether it asks for what comes then
   */
  allow(received, isAgain = false) {
    if (received > this.#at) return;
    // What was on its way is lost.
    if (isAgain) this.#at = received;
    this.#allowed = received + WINDOW_BYTES;
    this.progress(received);
    if (received === this.size) return this.end(null);
    void this.#pump();
  }

  async #pump() {
    if (this.#isSending) return;
    this.#isSending = true;
    try {
      while (!this.isOver && this.#at < Math.min(this.size, this.#allowed)) {
        const at = this.#at;
        const chunk = await this.#content.slice(at, at + CHUNK_BYTES).arrayBuffer();
        await this.#host.topic().ready;
        await this.#host.pace(chunk.byteLength);
        if (this.isOver) return;
        if (this.#at !== at) continue;
        this.#at += chunk.byteLength;
        const body = new Uint8Array(8 + chunk.byteLength);
        new DataView(body.buffer).setBigUint64(0, BigInt(at));
        body.set(new Uint8Array(chunk), 8);
        this.tell(CHUNK, body);
      }
    } catch (cause) {
      this.tell(CANCEL, new TextEncoder().encode("unreadable"));
      this.end(new PatchbayError("unreadable", "The file can no longer be read.", { cause }));
    } finally {
      this.#isSending = false;
    }
  }
  #at = 0;
}

/** Something that somebody offers, or is on its way from there. */
export class IncomingFile extends Transfer {
  /** @type {ReadableStreamDefaultController<Uint8Array> | null} */
  #controller = null;
  #acknowledged = 0;
  #isAccepted = false;
  /** Whether a missing piece was asked for already. */
  #hasAsked = false;
  /** @type {any} */
  #asking;
  #host;

  /**
   * @param {FileHost} host
   * @param {number} peer
   * @param {number} id
   * @param {{name: string, size: number, type: string}} description
   */
  constructor(host, peer, id, description) {
    super(host, peer, id, description);
    this.#host = host;
  }

  /**
   * Takes it, piece by piece: the sender is asked for more as it is read.
   * @returns {ReadableStream<Uint8Array>}
   */
  stream() {
    if (this.#isAccepted || this.isOver) throw new PatchbayError("closed", "This transfer was taken or ended already.");
    this.#isAccepted = true;
    /** @type {UnderlyingDefaultSource<Uint8Array>} */
    const source = {
      start: (controller) => {
        this.#controller = controller;
        this.#ask();
        if (this.size === 0) this.#finish();
      },
      // Asked when the queue is below its mark: what was taken out may be sent anew.
      pull: () => this.#acknowledge(this.transferred),
      cancel: () => this.cancel(),
    };
    return new ReadableStream(source, new ByteLengthQueuingStrategy({ highWaterMark: WINDOW_BYTES }));
  }

  /** Takes it as a whole. @returns {Promise<Blob>} */
  async blob() {
    const parts = /** @type {Uint8Array<ArrayBuffer>[]} */ ([]);
    const reader = this.stream().getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return new Blob(parts, { type: this.type });
      parts.push(/** @type {Uint8Array<ArrayBuffer>} */ (value));
    }
  }

  /** Does not take it. */
  refuse() {
    this.cancel();
  }

  /**
   * @param {number} at
   * @param {Uint8Array} chunk
   */
  receive(at, chunk) {
    if (this.isOver || !this.#controller) return;
    if (at !== this.transferred) {
      if (at > this.transferred && !this.#hasAsked) this.#ask();
      return;
    }
    this.#hasAsked = false;
    this.#askLater();
    if (this.transferred + chunk.length > this.size) {
      this.cancel();
      return;
    }
    this.progress(this.transferred + chunk.length);
    this.#controller.enqueue(chunk);
    if (this.transferred === this.size) this.#finish();
    else if ((this.#controller.desiredSize ?? 0) > 0) this.#acknowledge(this.transferred);
  }

  /**
   * @override
   * @param {PatchbayError | null} error
   * @param {unknown} [value]
   */
  end(error, value) {
    if (this.isOver) return;
    super.end(error, value);
    if (error) this.#controller?.error(error);
  }

  /** From where the next piece is wanted. */
  #ask() {
    this.#hasAsked = true;
    const body = new Uint8Array(8);
    new DataView(body.buffer).setBigUint64(0, BigInt(this.transferred));
    this.tell(ACCEPT, body);
    this.#askLater();
  }

  #askLater() {
    this.#host.clearTimeout(this.#asking);
    this.#asking = this.#host.setTimeout(() => {
      // Who reads slowly is not waiting.
      if (!this.isOver && (this.#controller?.desiredSize ?? 0) > 0) this.#ask();
      else if (!this.isOver) this.#askLater();
    }, ASK_AGAIN_MS);
  }

  #finish() {
    this.#host.clearTimeout(this.#asking);
    this.#acknowledge(this.size, true);
    this.#controller?.close();
    this.end(null);
  }

  /**
   * @param {number} bytes
   * @param {boolean} [isLast]
   */
  #acknowledge(bytes, isLast = false) {
    if (!isLast && bytes - this.#acknowledged < ACK_BYTES) return;
    this.#acknowledged = bytes;
    const body = new Uint8Array(8);
    new DataView(body.buffer).setBigUint64(0, BigInt(bytes));
    this.tell(ACK, body);
  }
}

/**
 * Spreads what is sent over time: what is more than the server takes would be dropped there.
 * @param {{now: () => number, setTimeout: (callback: () => void, ms: number) => any}} host
 * @returns {FileHost["pace"]}
 */
export function pacer(host) {
  let due = 0;
  return async (bytes) => {
    const now = host.now();
    const at = Math.max(due, now - BURST_MS);
    due = at + bytes / BYTES_PER_MS;
    // Timers are coarse: a little ahead is not waited for.
    if (at - now > 10) await new Promise((resolve) => void host.setTimeout(() => resolve(undefined), at - now));
  };
}

/** `room.files`: sends, and says `offer` when somebody sends. */
export class Files extends EventTarget {
  #host;
  /** @type {Map<number, OutgoingFile>} */
  #outgoing = new Map();
  /** @type {Map<string, IncomingFile>} */
  #incoming = new Map();
  #nextId = Math.floor(Math.random() * 2 ** 31);

  /** @param {FileHost} host */
  constructor(host) {
    super();
    this.#host = host;
    host.topic().addEventListener("message", (event) => this.#receive(/** @type {import("./topic.js").TopicMessageEvent} */ (event)));
  }

  /**
   * Offers something to somebody.
   * @param {Blob | Uint8Array<ArrayBuffer> | ArrayBuffer} content
   * @param {{to: number, name?: string, type?: string, signal?: AbortSignal}} options `to`: the receiver's number in the roster
   * @returns {OutgoingFile}
   */
  send(content, { to, name, type, signal }) {
    const blob = content instanceof Blob ? content : new Blob([content], { type });
    const id = (this.#nextId = (this.#nextId + 1) >>> 0);
    const file = new OutgoingFile(this.#host, to, id, blob, (name ?? /** @type {{name?: string}} */ (blob).name ?? "file").slice(0, 255));
    this.#outgoing.set(id, file);
    file.addEventListener("end", () => this.#outgoing.delete(id));
    if (signal?.aborted) file.cancel();
    else signal?.addEventListener("abort", () => file.cancel(), { once: true });
    return file;
  }

  /** Somebody is gone. For the SDK itself. @param {number} participant */
  forget(participant) {
    // That it has everything may still be on its way.
    this.#host.setTimeout(() => {
      for (const file of [...this.#outgoing.values(), ...this.#incoming.values()]) {
        if (file.peer === participant) file.end(new PatchbayError("unknown_participant", "The other side has left the room."));
      }
    }, LAST_WORDS_MS);
  }

  /** @param {import("./topic.js").TopicMessageEvent} event */
  #receive({ sender, data, isTargeted }) {
    if (typeof data === "string" || data.length < 5 || !isTargeted) return;
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const id = view.getUint32(1);
    const body = data.subarray(5);
    const outgoing = this.#outgoing.get(id);
    const mine = outgoing?.peer === sender ? outgoing : undefined;
    const theirs = this.#incoming.get(`${sender} ${id}`);
    switch (data[0]) {
      case OFFER:
        return this.#offered(sender, id, body);
      case ACCEPT:
      case ACK:
        if (body.length === 8) mine?.allow(Number(view.getBigUint64(5)), data[0] === ACCEPT);
        return;
      case CHUNK:
        if (body.length >= 8) theirs?.receive(Number(view.getBigUint64(5)), body.subarray(8));
        return;
      case CANCEL: {
        const error = new PatchbayError("cancelled", "The other side ended the transfer.");
        mine?.end(error);
        theirs?.end(error);
      }
    }
  }

  /**
   * @param {number} sender
   * @param {number} id
   * @param {Uint8Array} body
   */
  #offered(sender, id, body) {
    const name = `${sender} ${id}`;
    const description = parseOffer(body);
    const isTooMany = [...this.#incoming.values()].filter(({ peer }) => peer === sender).length >= OFFERS;
    if (!description || isTooMany || this.#incoming.has(name)) return;
    const file = new IncomingFile(this.#host, sender, id, description);
    this.#incoming.set(name, file);
    file.addEventListener("end", () => this.#incoming.delete(name));
    this.dispatchEvent(new OfferEvent(file));
  }
}

/** @param {Uint8Array} body */
function parseOffer(body) {
  try {
    const { name, size, type } = JSON.parse(new TextDecoder().decode(body));
    if (typeof name !== "string" || !Number.isSafeInteger(size) || size < 0) return null;
    return { name: name.slice(0, 255), size: /** @type {number} */ (size), type: typeof type === "string" ? type : "" };
  } catch {
    return null;
  }
}
