/**
 * Ways on which a topic's messages travel: a data channel, or the signaling connection where there is no path for media.
 * Both carry the same bytes. A carrier says `open`, `message` (with `data`, an ArrayBuffer), `drain` when what it had buffered is
 * mostly gone, and `close` once.
 */

/** Above this many bytes waiting, a carrier takes no more; below a quarter it says `drain`. */
const HIGH_WATER = 64 * 1024;
/** Data channel messages in one request over signaling, and their bytes in base64. */
const BATCH = { messages: 64, bytes: 256 * 1024 };
/** Messages over signaling are gathered for as long as this. */
const GATHER_MS = 5;

/** @typedef {Event & {data: ArrayBuffer}} CarrierMessageEvent */
/** @typedef {Event & {reason: string}} CarrierCloseEvent */

/** A data channel. */
export class ChannelCarrier extends EventTarget {
  #channel;
  isClosed = false;

  /** @param {RTCDataChannel} channel */
  constructor(channel) {
    super();
    this.#channel = channel;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = HIGH_WATER / 4;
    channel.onopen = () => this.dispatchEvent(new Event("open"));
    channel.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) this.dispatchEvent(Object.assign(new Event("message"), { data }));
    };
    channel.onbufferedamountlow = () => this.dispatchEvent(new Event("drain"));
    channel.onclose = () => this.#end("closed");
  }

  get isOpen() {
    return this.#channel.readyState === "open";
  }
  /** Whether more can be taken now. */
  get hasRoom() {
    return this.isOpen && this.#channel.bufferedAmount < HIGH_WATER;
  }
  /** Whether it goes over the signaling connection. */
  get isFallback() {
    return false;
  }

  /** @param {Uint8Array<ArrayBuffer>} message */
  send(message) {
    this.#channel.send(message);
  }

  close() {
    this.#channel.close();
    this.#end("closed");
  }

  /** @param {string} reason */
  #end(reason) {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#channel.onopen = this.#channel.onmessage = this.#channel.onbufferedamountlow = this.#channel.onclose = null;
    this.dispatchEvent(Object.assign(new Event("close"), { reason }));
  }
}

/**
 * The signaling connection.
 *
 * @typedef {object} SignalingWay
 * @property {(request: any) => Promise<any>} request
 * @property {(callback: () => void, ms: number) => any} setTimeout
 */
export class SignalingCarrier extends EventTarget {
  #way;
  /** @type {number | null} */
  #channel = null;
  /** @type {string[]} */
  #queue = [];
  #queuedBytes = 0;
  #isSending = false;
  #isGathering = false;
  #isFinishing = false;
  isClosed = false;

  /**
   * @param {SignalingWay} way
   * @param {{label: string, protocol: string}} topic
   */
  constructor(way, { label, protocol }) {
    super();
    this.#way = way;
    way.request({ type: "topic_open", label, protocol }).then(
      ({ channel }) => {
        if (this.isClosed) return void way.request({ type: "topic_close", channel }).catch(() => {});
        this.#channel = channel;
        this.dispatchEvent(new Event("open"));
      },
      (error) => this.end(error.code ?? "closed"),
    );
  }

  get isOpen() {
    return this.#channel !== null && !this.isClosed;
  }
  get hasRoom() {
    return this.isOpen && !this.#isFinishing && this.#queuedBytes < HIGH_WATER;
  }
  get isFallback() {
    return true;
  }

  /** Which events are for this carrier. */
  get channel() {
    return this.#channel;
  }

  /** @param {Uint8Array<ArrayBuffer>} message */
  send(message) {
    const text = toBase64(message);
    this.#queue.push(text);
    this.#queuedBytes += text.length;
    if (this.#isGathering || this.#isSending) return;
    this.#isGathering = true;
    this.#way.setTimeout(() => {
      this.#isGathering = false;
      void this.#flush();
    }, GATHER_MS);
  }

  close() {
    void this.finish();
    this.end("closed");
  }

  /** Resolves when everything that was under way has come. */
  async finish() {
    if (!this.isOpen || this.#isFinishing) return;
    this.#isFinishing = true;
    await this.#flush();
    await this.#way.request({ type: "topic_close", channel: this.#channel }).catch(() => {});
  }

  /** Messages came for this carrier. @param {readonly string[]} messages in base64 */
  deliver(messages) {
    for (const message of messages) {
      if (this.isClosed) return;
      this.dispatchEvent(Object.assign(new Event("message"), { data: fromBase64(message) }));
    }
  }

  /** It is over. @param {string} reason */
  end(reason) {
    if (this.isClosed) return;
    this.isClosed = true;
    this.dispatchEvent(Object.assign(new Event("close"), { reason }));
  }

  /** One request at a time, so that order holds and the server's answer paces. */
  async #flush() {
    this.#isSending = true;
    while (this.#queue.length > 0 && !this.isClosed) {
      let [count, bytes] = [0, 0];
      while (count < this.#queue.length && count < BATCH.messages && (count === 0 || bytes + this.#queue[count].length <= BATCH.bytes)) bytes += this.#queue[count++].length;
      const messages = this.#queue.splice(0, count);
      this.#queuedBytes -= bytes;
      try {
        await this.#way.request({ type: "topic_send", channel: this.#channel, messages });
      } catch (error) {
        const { code } = /** @type {{code?: string}} */ (error);
        if (code === "unknown_topic" || code === "closed") this.end(code);
      }
      if (this.#queuedBytes < HIGH_WATER / 4) this.dispatchEvent(new Event("drain"));
    }
    this.#isSending = false;
  }
}

/** @param {Uint8Array} bytes */
function toBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8_192) text += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  return btoa(text);
}

/** @param {string} text */
function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at += 1) bytes[at] = binary.charCodeAt(at);
  return bytes.buffer;
}
