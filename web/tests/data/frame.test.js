/** The golden files of framed mode, as the SDK reads and writes them. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { PAYLOAD_BYTES, encodePing, encodePublish, encodeSubscribe, encodeUnsubscribe, serverFrames } from "../../sdk/data/frame.js";

const golden = new URL("../../../protocol/frame/golden/", import.meta.url);
const entries = JSON.parse(await readFile(new URL("frames.json", golden), "utf8"));

async function bytesOf({ file }) {
  const bytes = await readFile(new URL(file, golden));
  return new Uint8Array(bytes).buffer;
}

function payloadOf({ payload, payload_text: text, payload_repeat: repeat }) {
  if (repeat) return new Uint8Array(repeat.count).fill(repeat.byte);
  return text === undefined ? Uint8Array.from(Buffer.from(payload ?? "", "hex")) : new TextEncoder().encode(text);
}

const cellOf = (cell) => (cell ? { x: cell[0], y: cell[1] } : undefined);

function filterOf(filter) {
  if (!filter.area) return filter;
  const [x, y, toX, toY] = filter.area;
  return { area: { from: { x, y }, to: { x: toX, y: toY } } };
}

function encode(frame) {
  switch (frame.type) {
    case "publish":
      return encodePublish({ payload: payloadOf(frame), isText: frame.text, isTombstone: frame.tombstone, targets: frame.targets, key: frame.key, cell: cellOf(frame.cell) });
    case "subscribe":
      return encodeSubscribe(frame.filters.map(filterOf), { replace: frame.replace });
    case "unsubscribe":
      return encodeUnsubscribe(frame.filters.map(filterOf));
    case "ping":
      return encodePing(frame.token);
    default:
      throw new Error(frame.type);
  }
}

function expected(frame) {
  switch (frame.type) {
    case "welcome":
      return { type: "welcome", version: frame.version, participant: frame.participant, time: frame.time, mode: frame.mode, rate: frame.rate, ttlMs: frame.ttl_ms, mayPublish: frame.may_publish, maySubscribe: frame.may_subscribe, waits: frame.slow === "wait", keeps: frame.leave === "keep" };
    case "message":
      return {
        type: "message", isText: frame.text ?? false, isTombstone: frame.tombstone ?? false, isTargeted: frame.targeted ?? false, hasLeft: frame.left ?? false,
        sender: frame.sender, sequence: frame.sequence, time: frame.time, key: frame.key ?? null, cell: cellOf(frame.cell) ?? null, payload: payloadOf(frame),
      };
    case "snapshot_begin":
      return { type: "snapshotbegin", count: frame.count };
    case "snapshot_end":
      return { type: "snapshotend" };
    case "error":
      return { type: "error", code: frame.error, text: frame.text };
    default:
      return frame;
  }
}

test("what the client says is written byte for byte", async () => {
  const written = entries.filter(({ from, only_read: onlyRead }) => from === "client" && !onlyRead);
  assert.ok(written.length > 10);
  for (const entry of written) {
    const message = Buffer.concat(entry.frames.map(encode));
    assert.deepEqual(message, Buffer.from(await bytesOf(entry)), entry.name);
  }
});

test("what the server says is read, also when its end is broken", async () => {
  const read = entries.filter(({ from }) => from === "server");
  assert.ok(read.length > 15);
  for (const entry of read) {
    assert.deepEqual([...serverFrames(await bytesOf(entry))], entry.frames.map(expected), entry.name);
  }
});

test("no bytes break the reader", async () => {
  let seed = 7;
  const next = () => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff);
  const sources = await Promise.all(entries.map(bytesOf));
  for (let round = 0; round < 20_000; round += 1) {
    const bytes = new Uint8Array(sources[next() % sources.length].slice(0));
    for (let change = next() % 4; change > 0 && bytes.length > 0; change -= 1) bytes[next() % bytes.length] = next();
    const cut = next() % 3 === 0 ? bytes.slice(0, next() % (bytes.length + 1)) : bytes;
    for (const frame of serverFrames(cut.buffer)) assert.equal(typeof frame.type, "string");
  }
});

test("what no server takes is refused here", () => {
  assert.throws(() => encodePublish({ payload: new Uint8Array(PAYLOAD_BYTES + 1) }), RangeError);
  assert.throws(() => encodePublish({ payload: new Uint8Array(), key: "é".repeat(33) }), RangeError);
  assert.throws(() => encodePublish({ payload: new Uint8Array(), targets: [] }), RangeError);
  assert.throws(() => encodeSubscribe(Array(65).fill({ key: "a" })), RangeError);
  assert.throws(() => encodeSubscribe([{ area: { from: { x: 1, y: 0 }, to: { x: 0, y: 0 } } }]), RangeError);
});
