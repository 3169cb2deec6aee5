/**
 * The binary frames of framed mode: what data channels carry whose protocol is `patchbay`. The written form is
 * `docs/protocol.md`; the files under `protocol/frame/golden` hold both to it.
 *
 * A message is one or more frames back to back; a frame is a type, a length (RFC 9000 §16, up to 30 bits) and a body.
 */

/** The subprotocol of channels in framed mode. */
export const FRAMED_PROTOCOL = "patchbay";
/** Longest payload in bytes. */
export const PAYLOAD_BYTES = 256 * 1024 - 1024;
/** Longest key in bytes of UTF-8. */
export const KEY_BYTES = 64;
/** Most participants that one message is addressed to. */
export const TARGETS = 128;
/** Most filters of one subscription. */
export const FILTERS = 64;

const PUBLISH = 0x01;
const SUBSCRIBE = 0x02;
const UNSUBSCRIBE = 0x03;
const PING = 0x04;
const WELCOME = 0x81;
const MESSAGE = 0x82;
const SNAPSHOT_BEGIN = 0x83;
const SNAPSHOT_END = 0x84;
const ERROR = 0x85;
const PONG = 0x86;

const IS_TEXT = 0x01;
const IS_TOMBSTONE = 0x02;
const HAS_KEY = 0x04;
const HAS_CELL = 0x08;
const HAS_TARGETS = 0x10;
const HAS_LEFT = 0x20;

const MODES = /** @type {const} */ (["relay", "latest", "interest"]);
const ERRORS = /** @type {Record<number, string>} */ ({
  1: "bad_frame", 2: "too_large", 3: "rate_limited", 4: "topic_mismatch", 5: "not_allowed", 6: "too_many_values",
  7: "too_slow", 8: "bad_settings", 9: "too_many_filters",
});

/**
 * @typedef {{x: number, y: number}} Cell a cell of the application's own grid: 16-bit numbers
 * @typedef {{key: string} | {prefix: string} | {area: {from: Cell, to: Cell}}} Filter
 * @typedef {"relay" | "latest" | "interest"} Mode
 *
 * @typedef {object} PublishFrame
 * @property {Uint8Array} payload
 * @property {boolean} [isText]
 * @property {boolean} [isTombstone]
 * @property {readonly number[]} [targets]
 * @property {string} [key]
 * @property {Cell} [cell]
 *
 * @typedef {object} MessageFrame
 * @property {"message"} type
 * @property {number} sender
 * @property {number} sequence
 * @property {number} time server time, microseconds since the Unix epoch
 * @property {boolean} isText
 * @property {boolean} isTombstone
 * @property {boolean} isTargeted
 * @property {boolean} hasLeft
 * @property {string | null} key
 * @property {Cell | null} cell
 * @property {Uint8Array} payload
 *
 * @typedef {{type: "welcome", version: number, participant: number, time: number, mode: Mode, rate: number, ttlMs: number,
 *   mayPublish: boolean, maySubscribe: boolean, waits: boolean, keeps: boolean}} WelcomeFrame
 * @typedef {WelcomeFrame | MessageFrame | {type: "snapshotbegin", count: number} | {type: "snapshotend"}
 *   | {type: "error", code: string, text: string} | {type: "pong", token: number, time: number}} ServerFrame
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Something for others.
 * @param {PublishFrame} publish
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodePublish({ payload, isText = false, isTombstone = false, targets, key, cell }) {
  const keyBytes = key === undefined ? null : encoder.encode(key);
  if (keyBytes && keyBytes.length > KEY_BYTES) throw new RangeError(`A key has at most ${KEY_BYTES} bytes.`);
  if (targets && (targets.length === 0 || targets.length > TARGETS)) throw new RangeError(`A message is for 1 to ${TARGETS} participants.`);
  if (payload.length > PAYLOAD_BYTES) throw new RangeError(`A payload has at most ${PAYLOAD_BYTES} bytes.`);
  const length = 1 + (targets ? 1 + 4 * targets.length : 0) + (keyBytes ? 1 + keyBytes.length : 0) + (cell ? 4 : 0) + payload.length;
  const { bytes, view, at } = frame(PUBLISH, length);
  let offset = at;
  view.setUint8(offset++, (isText ? IS_TEXT : 0) | (isTombstone ? IS_TOMBSTONE : 0) | (keyBytes ? HAS_KEY : 0) | (cell ? HAS_CELL : 0) | (targets ? HAS_TARGETS : 0));
  if (targets) {
    view.setUint8(offset++, targets.length);
    for (const target of targets) {
      view.setUint32(offset, target);
      offset += 4;
    }
  }
  if (keyBytes) {
    view.setUint8(offset++, keyBytes.length);
    bytes.set(keyBytes, offset);
    offset += keyBytes.length;
  }
  if (cell) {
    view.setInt16(offset, cell.x);
    view.setInt16(offset + 2, cell.y);
    offset += 4;
  }
  bytes.set(payload, offset);
  return bytes;
}

/**
 * What is wanted, in *interest* mode.
 * @param {readonly Filter[]} filters
 * @param {{replace?: boolean}} [options] `replace`: and nothing that was wanted before
 */
export function encodeSubscribe(filters, { replace = false } = {}) {
  return encodeFilters(SUBSCRIBE, [replace ? 1 : 0], filters);
}

/**
 * What is no longer wanted; without filters, everything.
 * @param {readonly Filter[]} filters as they were subscribed to
 */
export function encodeUnsubscribe(filters) {
  return encodeFilters(UNSUBSCRIBE, [], filters);
}

/**
 * Asks for the server's time.
 * @param {number} token comes back with it: a whole number below 2^53
 */
export function encodePing(token) {
  const { bytes, view, at } = frame(PING, 8);
  view.setBigUint64(at, BigInt(token));
  return bytes;
}

/**
 * The frames of one message from the server. Frames of unknown types are passed over; the rest of a message that cannot be
 * read is, too.
 * @param {ArrayBuffer} message
 * @returns {Generator<ServerFrame>}
 */
export function* serverFrames(message) {
  const view = new DataView(message);
  let at = 0;
  while (at + 2 <= view.byteLength) {
    const type = view.getUint8(at);
    const head = readLength(view, at + 1);
    if (!head) return;
    const start = at + 1 + head.size;
    if (start + head.length > view.byteLength) return;
    at = start + head.length;
    try {
      const read = readFrame(type, new Body(message, start, at));
      if (read) yield read;
    } catch {
      return;
    }
  }
}

/** Takes fields from the front of a frame's body; throws a `RangeError` when it ends within one. */
class Body {
  #view;
  #at = 0;
  /**
   * @param {ArrayBuffer} message
   * @param {number} from
   * @param {number} to
   */
  constructor(message, from, to) {
    this.#view = new DataView(message, from, to - from);
  }
  u8() {
    return this.#view.getUint8(this.#at++);
  }
  i16() {
    return this.#view.getInt16((this.#at += 2) - 2);
  }
  u32() {
    return this.#view.getUint32((this.#at += 4) - 4);
  }
  /** Server times stay below 2^53 until the year 2255. */
  u64() {
    return Number(this.#view.getBigUint64((this.#at += 8) - 8));
  }
  /** @param {number} [length] the rest, unless told */
  bytes(length = this.#view.byteLength - this.#at) {
    const { buffer, byteOffset, byteLength } = this.#view;
    if (this.#at + length > byteLength) throw new RangeError("The frame ends within a field.");
    this.#at += length;
    return new Uint8Array(/** @type {ArrayBuffer} */ (buffer), byteOffset + this.#at - length, length);
  }
  /** @param {number} [length] */
  text(length) {
    return decoder.decode(this.bytes(length));
  }
}

/**
 * @param {number} type
 * @param {Body} body
 * @returns {ServerFrame | null}
 */
function readFrame(type, body) {
  switch (type) {
    case MESSAGE: {
      const flags = body.u8();
      const has = (/** @type {number} */ flag) => (flags & flag) !== 0;
      return {
        type: "message", isText: has(IS_TEXT), isTombstone: has(IS_TOMBSTONE), isTargeted: has(HAS_TARGETS), hasLeft: has(HAS_LEFT),
        sender: body.u32(), sequence: body.u32(), time: body.u64(),
        key: has(HAS_KEY) ? body.text(body.u8()) : null,
        cell: has(HAS_CELL) ? { x: body.i16(), y: body.i16() } : null,
        payload: body.bytes(),
      };
    }
    case WELCOME: {
      const [version, participant, time, mode, flags] = [body.u8(), body.u32(), body.u64(), body.u8(), body.u8()];
      return {
        type: "welcome", version, participant, time, mode: modeOf(mode), rate: body.u32(), ttlMs: body.u32(),
        mayPublish: (flags & 1) !== 0, maySubscribe: (flags & 2) !== 0, waits: (flags & 4) !== 0, keeps: (flags & 8) !== 0,
      };
    }
    case SNAPSHOT_BEGIN:
      return { type: "snapshotbegin", count: body.u32() };
    case SNAPSHOT_END:
      return { type: "snapshotend" };
    case ERROR:
      return { type: "error", code: ERRORS[body.u8()] ?? "unknown", text: body.text() };
    case PONG:
      return { type: "pong", token: body.u64(), time: body.u64() };
    default:
      return null;
  }
}

/** @param {number} code */
function modeOf(code) {
  const mode = MODES[code];
  if (!mode) throw new RangeError("This mode is not defined.");
  return mode;
}

/**
 * @param {number} type
 * @param {readonly number[]} head
 * @param {readonly Filter[]} filters
 */
function encodeFilters(type, head, filters) {
  if (filters.length > FILTERS) throw new RangeError(`A subscription has at most ${FILTERS} filters.`);
  const parts = filters.map(encodeFilter);
  const { bytes, at } = frame(type, head.length + parts.reduce((sum, part) => sum + part.length, 0));
  bytes.set(head, at);
  let offset = at + head.length;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/**
 * @param {Filter} filter
 * @returns {Uint8Array}
 */
function encodeFilter(filter) {
  if ("area" in filter) {
    const { from, to } = filter.area;
    if (from.x > to.x || from.y > to.y) throw new RangeError("An area goes from its lowest to its highest cell.");
    const bytes = new Uint8Array(9);
    const view = new DataView(bytes.buffer);
    bytes[0] = 3;
    [from.x, from.y, to.x, to.y].forEach((number, index) => view.setInt16(1 + 2 * index, number));
    return bytes;
  }
  const [kind, text] = "key" in filter ? [1, filter.key] : [2, filter.prefix];
  const key = encoder.encode(text);
  if (key.length > KEY_BYTES) throw new RangeError(`A key has at most ${KEY_BYTES} bytes.`);
  return Uint8Array.of(kind, key.length, ...key);
}

/**
 * Room for a frame, with its head written.
 * @param {number} type
 * @param {number} length of the body
 */
function frame(type, length) {
  const size = length < 0x40 ? 1 : length < 0x4000 ? 2 : 4;
  const bytes = new Uint8Array(1 + size + length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, type);
  if (size === 1) view.setUint8(1, length);
  else if (size === 2) view.setUint16(1, length | 0x4000);
  else view.setUint32(1, (length | 0x80000000) >>> 0);
  return { bytes, view, at: 1 + size };
}

/**
 * @param {DataView} view
 * @param {number} at
 */
function readLength(view, at) {
  const size = [1, 2, 4, 0][view.getUint8(at) >> 6];
  if (!size || at + size > view.byteLength) return null;
  const length = size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at) & 0x3fff : view.getUint32(at) & 0x3fffffff;
  return { size, length };
}
