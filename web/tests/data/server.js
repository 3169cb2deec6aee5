/** A relay of framed mode, as small as the tests of the SDK's data plane need it: topics by label, every message to all others. */

const MESSAGE = 0x82;

function length(bytes) {
  if (bytes < 0x40) return [bytes];
  if (bytes < 0x4000) return [0x40 | (bytes >> 8), bytes & 0xff];
  return [0x80 | (bytes >> 24), (bytes >> 16) & 0xff, (bytes >> 8) & 0xff, bytes & 0xff];
}

const u32 = (number) => [(number >>> 24) & 0xff, (number >>> 16) & 0xff, (number >>> 8) & 0xff, number & 0xff];
const u64 = (number) => [...u32(Math.floor(number / 2 ** 32)), ...u32(number % 2 ** 32)];

export function frame(type, body) {
  return Uint8Array.from([type, ...length(body.length), ...body]);
}

export function welcome(participant, { mode = 0, time = 1e15 } = {}) {
  return frame(0x81, [1, ...u32(participant), ...u64(time), mode, 3, ...u32(0), ...u32(0)]);
}

export function message({ sender, sequence, time = 1e15, flags = 0, key, payload = [] }) {
  const name = key === undefined ? [] : [...Buffer.from(key)];
  const head = [flags | (key === undefined ? 0 : 4), ...u32(sender), ...u32(sequence), ...u64(time)];
  return frame(MESSAGE, [...head, ...(key === undefined ? [] : [name.length, ...name]), ...payload]);
}

export const snapshotEnd = frame(0x84, []);

/** The frames of a client's message: type, targets and payload of publishes, the token of pings. */
export function* clientFrames(bytes) {
  let at = 0;
  while (at < bytes.length) {
    const type = bytes[at];
    const form = bytes[at + 1] >> 6;
    const size = [1, 2, 4][form];
    let count = bytes[at + 1] & 0x3f;
    for (let index = 1; index < size; index += 1) count = count * 256 + bytes[at + 1 + index];
    const body = bytes.slice(at + 1 + size, at + 1 + size + count);
    at += 1 + size + count;
    if (type !== 1) {
      yield { type, body };
      continue;
    }
    const flags = body[0];
    let rest = 1;
    let targets = null;
    if (flags & 0x10) {
      const view = new DataView(body.buffer, body.byteOffset);
      targets = Array.from({ length: body[1] }, (_, index) => view.getUint32(2 + 4 * index));
      rest += 1 + 4 * body[1];
    }
    let key;
    if (flags & 4) {
      key = Buffer.from(body.slice(rest + 1, rest + 1 + body[rest])).toString();
      rest += 1 + body[rest];
    }
    yield { type, flags, targets, key, payload: body.slice(rest) };
  }
}

/** A data channel as a browser has it, as far as the SDK uses it. */
export class FakeChannel {
  readyState = "connecting";
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  binaryType = "blob";
  sent = [];
  onopen = null;
  onmessage = null;
  onclose = null;
  onbufferedamountlow = null;
  constructor(label, init) {
    this.label = label;
    this.init = init;
  }
  send(bytes) {
    this.sent.push(bytes);
    this.onsent?.(bytes);
  }
  close() {
    this.readyState = "closed";
  }
  /** For tests. */
  open() {
    this.readyState = "open";
    this.onopen?.();
  }
  receive(bytes) {
    this.onmessage?.({ data: bytes.slice().buffer });
  }
  lose() {
    this.readyState = "closed";
    this.onclose?.();
  }
}

/** Relays between the channels of participants; each message arrives in a turn of its own. */
export class Relay {
  #members = [];
  #sequences = new Map();

  join(number, channel) {
    this.#members.push({ number, channel });
    channel.onsent = (bytes) => setImmediate(() => this.#take(number, bytes));
    channel.open();
    channel.receive(welcome(number));
  }

  #take(sender, bytes) {
    for (const { type, flags, targets, key, payload } of clientFrames(bytes)) {
      if (type !== 1) continue;
      const sequence = (this.#sequences.get(sender) ?? 0) + 1;
      this.#sequences.set(sender, sequence);
      for (const { number, channel } of this.#members) {
        if (number === sender || (targets && !targets.includes(number))) continue;
        channel.receive(message({ sender, sequence, flags: flags & 0x13, key, payload }));
      }
    }
  }
}
