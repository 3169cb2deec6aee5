/** Topics, clock, calls and files of the SDK, with channels that a test opens, fills and breaks. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DataPlane } from "../../sdk/data/plane.js";
import { FakeChannel, Relay, clientFrames, frame, message, snapshotEnd, welcome } from "./server.js";

/** A room as the data plane sees it; time stands still until `advance`. */
function fakeHost({ hasMedia = true } = {}) {
  const world = { now: 0, timers: [], channels: [], requests: [], answer: () => ({}), media: hasMedia, transport: hasMedia };
  const host = {
    now: () => world.now,
    setTimeout: (callback, ms) => {
      const timer = { callback, at: world.now + ms };
      world.timers.push(timer);
      return timer;
    },
    clearTimeout: (timer) => (world.timers = world.timers.filter((other) => other !== timer)),
    request: async (request) => {
      world.requests.push(request);
      return world.answer(request);
    },
    openChannel: (label, init) => {
      if (!world.transport) return null;
      const channel = new FakeChannel(label, init);
      world.channels.push(channel);
      return channel;
    },
    hasMedia: () => world.media,
  };
  world.advance = async (ms) => {
    const end = world.now + ms;
    for (;;) {
      await settle();
      const due = world.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      world.timers = world.timers.filter((timer) => timer !== due);
      world.now = Math.max(world.now, due.at);
      due.callback();
    }
    world.now = end;
    await settle();
  };
  return { host, world };
}

async function settle() {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Lets time pass, a little at a time, until the test ends. */
function passTime(context, ...worlds) {
  const timer = setInterval(() => worlds.forEach((world) => void world.advance(20)), 1);
  context.after(() => clearInterval(timer));
}

const text = (bytes) => new TextDecoder().decode(bytes);
const published = (channel) => channel.sent.flatMap((bytes) => [...clientFrames(bytes)]).filter(({ type }) => type === 1);

test("a topic opens a channel with what was asked for, and sends when it is open", async () => {
  const { host, world } = fakeHost();
  const plane = new DataPlane(host);
  const topic = plane.topic("game", { mode: "latest", rate: 20, ttlMs: 500, slow: "wait", ordered: false, maxRetransmits: 0 });
  assert.equal(plane.topic("game", {}), topic);
  const [channel] = world.channels;
  assert.deepEqual(channel.init, { ordered: false, maxRetransmits: 0, maxPacketLifeTime: undefined, protocol: "patchbay?mode=latest&rate=20&ttl=500&slow=wait" });
  assert.equal(topic.state, "opening");
  topic.send({ key: "a", data: "one" });
  topic.send({ key: "a", data: "two" });
  topic.send({ key: "b", data: new Uint8Array([7]) });
  channel.open();
  channel.receive(welcome(3, { mode: 1 }));
  assert.equal(topic.state, "open");
  assert.deepEqual(published(channel).map(({ key, payload }) => [key, [...payload]]), [["a", [...Buffer.from("two")]], ["b", [7]]]);
  assert.equal(topic.counters.conflated, 1);
  topic.close();
  assert.equal(topic.state, "closed");
  assert.throws(() => topic.send({ data: "late" }), { code: "closed" });
  assert.notEqual(plane.topic("game", {}), topic);
  plane.close();
});

test("a slow path drops on unreliable topics, keeps the newest where that is what counts, and pushes back on reliable ones", async () => {
  const { host, world } = fakeHost();
  const plane = new DataPlane(host);
  const [lossy, newest, reliable] = [plane.topic("lossy", { maxRetransmits: 0 }), plane.topic("newest", { mode: "latest" }), plane.topic("reliable", {})];
  for (const [index, channel] of world.channels.entries()) {
    channel.open();
    channel.receive(welcome(1, { mode: index === 1 ? 1 : 0 }));
    channel.bufferedAmount = 1e6;
  }
  assert.equal(lossy.send({ data: "x" }), false);
  assert.equal(lossy.counters.dropped, 1);
  for (let value = 0; value < 100; value += 1) newest.send({ key: "k", data: String(value) });
  for (let value = 0; value < 1_024; value += 1) reliable.send({ data: String(value) });
  assert.throws(() => reliable.send({ data: "too many" }), { code: "too_many" });
  let isReady = false;
  reliable.ready.then(() => (isReady = true));
  await settle();
  assert.equal(isReady, false);
  for (const channel of world.channels) {
    channel.bufferedAmount = 0;
    channel.onbufferedamountlow();
  }
  await settle();
  assert.equal(isReady, true);
  assert.deepEqual(published(world.channels[1]).map(({ payload }) => text(payload)), ["99"]);
  assert.deepEqual(published(world.channels[2]).map(({ payload }) => text(payload)), Array.from({ length: 1_024 }, (_, value) => String(value)));
  plane.close();
});

test("messages come as events and to those who iterate; values are kept, newer ones only, until they end", async () => {
  const { host, world } = fakeHost();
  const plane = new DataPlane(host);
  const topic = plane.topic("state", { mode: "latest", ordered: false });
  const heard = [];
  topic.addEventListener("message", ({ sender, key, data, isDeleted }) => heard.push([sender, key, isDeleted ? null : text(data)]));
  const read = [];
  const reading = (async () => {
    for await (const { data } of topic) read.push(text(data));
  })();
  const [channel] = world.channels;
  channel.open();
  const say = (sequence, payload, flags = 0) => channel.receive(message({ sender: 2, sequence, key: "k", flags, payload: Buffer.from(payload) }));
  channel.receive(welcome(1, { mode: 1 }));
  say(5, "new");
  say(4, "late");
  assert.deepEqual([...topic.values].map(({ data }) => text(data)), ["new"]);
  say(6, "", 2);
  say(5, "new again");
  assert.deepEqual([...topic.values], []);
  assert.deepEqual(heard, [[2, "k", "new"], [2, "k", null]]);
  await settle();
  topic.close();
  await reading;
  assert.deepEqual(read, ["new", ""]);
  plane.close();
});

test("a new transport takes the topics over: what is wanted is said again, and what ended meanwhile is forgotten", async () => {
  const { host, world } = fakeHost();
  const plane = new DataPlane(host);
  const topic = plane.topic("world", { mode: "interest" });
  topic.want([{ prefix: "" }]);
  const first = world.channels[0];
  first.open();
  first.receive(welcome(1, { mode: 2 }));
  first.receive(message({ sender: 2, sequence: 1, key: "gone", payload: [1] }));
  first.receive(message({ sender: 3, sequence: 1, key: "there", payload: [1] }));
  first.receive(snapshotEnd);
  assert.equal([...topic.values].length, 2);
  first.lose();
  assert.equal(topic.state, "opening");
  plane.restart();
  const second = world.channels.at(-1);
  second.open();
  second.receive(welcome(1, { mode: 2 }));
  assert.deepEqual([...clientFrames(second.sent[0])].map(({ type, body }) => [type, body[0]]), [[2, 1]]);
  second.receive(message({ sender: 3, sequence: 9, key: "there", payload: [2] }));
  second.receive(snapshotEnd);
  assert.deepEqual([...topic.values].map(({ key }) => key), ["there"]);
  // The next subscription has a snapshot of its own, of what is new.
  topic.want([{ key: "there" }, { key: "more" }]);
  second.receive(message({ sender: 3, sequence: 10, key: "more", payload: [2] }));
  second.receive(snapshotEnd);
  assert.deepEqual([...topic.values].map(({ key }) => key), ["there", "more"]);
  topic.want([{ key: "more" }]);
  assert.deepEqual([...topic.values].map(({ key }) => key), ["more"]);
  plane.close();
});

test("a subscription that may be lost is said again until a snapshot answers it", async () => {
  const { host, world } = fakeHost();
  const plane = new DataPlane(host);
  const topic = plane.topic("world", { mode: "interest", ordered: false, maxRetransmits: 0 });
  const [channel] = world.channels;
  channel.open();
  channel.receive(welcome(1, { mode: 2 }));
  topic.want([{ prefix: "a" }]);
  topic.want([{ prefix: "b" }]);
  const subscriptions = () => channel.sent.flatMap((bytes) => [...clientFrames(bytes)]).filter(({ type }) => type === 2).length;
  assert.equal(subscriptions(), 2);
  // The first one was answered.
  channel.receive(snapshotEnd);
  await world.advance(310);
  assert.equal(subscriptions(), 3, "what is wanted now is said again, and what was wanted before is not");
  channel.receive(snapshotEnd);
  await world.advance(20_000);
  assert.equal(subscriptions(), 3);
  plane.close();
});

test("without a path for media a topic goes over signaling, and back once there is one, without saying anything twice", async () => {
  const { host, world } = fakeHost({ hasMedia: false });
  let closed;
  const closing = new Promise((resolve) => (closed = resolve));
  world.answer = ({ type }) => (type === "topic_open" ? { channel: 4 } : type === "topic_close" ? closing : {});
  const plane = new DataPlane(host);
  const topic = plane.topic("game", {});
  const heard = [];
  topic.addEventListener("message", ({ data }) => heard.push(data[0]));
  topic.send({ data: "early" });
  await world.advance(10);
  assert.equal(world.requests[0].label, "game");
  const b64 = (bytes) => Buffer.from(bytes).toString("base64");
  assert.equal(plane.handle({ type: "topic", channel: 4, messages: [b64(welcome(1)), b64(message({ sender: 2, sequence: 1, payload: [1] }))] }), true);
  assert.equal(topic.state, "open");
  assert.equal(topic.isFallback, true);
  await world.advance(10);
  const [sent] = world.requests.filter(({ type }) => type === "topic_send");
  assert.equal(sent.channel, 4);
  assert.equal(text([...clientFrames(Buffer.from(sent.messages[0], "base64"))][0].payload), "early");
  world.transport = world.media = true;
  plane.changeMedia();
  const [channel] = world.channels;
  channel.open();
  channel.receive(welcome(1));
  channel.receive(message({ sender: 2, sequence: 3, payload: [3] }));
  channel.receive(message({ sender: 2, sequence: 4, payload: [4] }));
  await settle();
  assert.equal(world.requests.at(-1).type, "topic_close");
  assert.deepEqual(heard, [1], "what is on its way over signaling comes first");
  plane.handle({ type: "topic", channel: 4, messages: [b64(message({ sender: 2, sequence: 2, payload: [2] })), b64(message({ sender: 2, sequence: 3, payload: [3] }))] });
  closed({});
  await settle();
  assert.equal(topic.isFallback, false);
  assert.deepEqual(heard, [1, 2, 3, 4], "each once, in order");
  plane.close();
});

test("a channel that does not open is helped out by signaling", async () => {
  const { host, world } = fakeHost();
  world.media = false;
  world.answer = ({ type }) => (type === "topic_open" ? { channel: 1 } : {});
  const plane = new DataPlane(host);
  plane.topic("game", {});
  await world.advance(2_900);
  assert.equal(world.requests.length, 0);
  await world.advance(200);
  assert.equal(world.requests[0].type, "topic_open");
  plane.close();
});

test("the server's clock is that of the shortest round trip", async () => {
  const { host, world } = fakeHost();
  const plane = new DataPlane(host);
  plane.topic("clock", { maxRetransmits: 0 });
  const [channel] = world.channels;
  channel.open();
  channel.receive(welcome(1, { time: 5_000_000_000 }));
  assert.equal(plane.clock.now(), 5_000_000);
  assert.equal(plane.clock.isSynchronised, false);
  for (const [there, back] of [[80, 5], [10, 10], [5, 90]]) {
    const before = channel.sent.length;
    while (channel.sent.length === before) await world.advance(1);
    const [{ body }] = clientFrames(channel.sent.at(-1));
    const token = new DataView(body.buffer, body.byteOffset).getBigUint64(0);
    // Server time is 1,000,000 ms ahead of the own clock.
    world.now += there;
    const time = BigInt(Math.round((world.now + 1_000_000) * 1_000));
    world.now += back;
    const pong = new DataView(new ArrayBuffer(16));
    pong.setBigUint64(0, token);
    pong.setBigUint64(8, time);
    channel.receive(frame(0x86, [...new Uint8Array(pong.buffer)]));
  }
  assert.ok(Math.abs(plane.clock.now() - (world.now + 1_000_000)) < 1.1, `${plane.clock.now()} for ${world.now + 1_000_000}`);
  assert.ok(plane.clock.rttMs >= 20 && plane.clock.rttMs <= 21, `${plane.clock.rttMs}`);
  plane.close();
});

test("a call is answered once, with what the method brings or throws", async () => {
  const { host, world } = fakeHost();
  const plane = new DataPlane(host);
  plane.calls.register("roll", async ({ from, payload }) => `${from} ${payload}`);
  plane.calls.register("fail", () => {
    throw new Error("no dice");
  });
  const ask = async (method, from) => {
    plane.handle({ type: "rpc_request", call: 9, from, method, payload: "6", timeout_ms: 1_000 });
    await settle();
    return world.requests.at(-1);
  };
  assert.deepEqual(await ask("roll", 3), { type: "rpc_reply", call: 9, payload: "3 6" });
  assert.deepEqual(await ask("roll"), { type: "rpc_reply", call: 9, payload: "null 6" });
  assert.deepEqual(await ask("fail", 3), { type: "rpc_reply", call: 9, error: "no dice" });
  assert.deepEqual(await ask("none", 3), { type: "rpc_reply", call: 9, error: "there is no method none here" });
  world.answer = () => ({ type: "rpc_done", payload: "4" });
  assert.equal(await plane.calls.call(2, "roll", "6"), "4");
  await assert.rejects(plane.calls.call(2, "roll", "x".repeat(16_000)), { code: "too_large" });
  await assert.rejects(plane.calls.call(2, "roll", "", { signal: AbortSignal.abort(new Error("given up")) }), /given up/);
  plane.close();
});

function twoPeople() {
  const relay = new Relay();
  const people = [1, 2].map((number) => {
    const { host, world } = fakeHost();
    const plane = new DataPlane(host);
    const { files } = plane;
    relay.join(number, world.channels[0]);
    return { plane, files, world };
  });
  return people;
}

const offered = (files) => new Promise((resolve) => files.addEventListener("offer", ({ file }) => resolve(file), { once: true }));

test("a file arrives whole, in chunks below 16 KiB, with progress at both ends", async (context) => {
  const [ada, ben] = twoPeople();
  passTime(context, ada.world, ben.world);
  const bytes = Uint8Array.from({ length: 1_000_000 }, (_, index) => (index * 31) & 0xff);
  const coming = offered(ben.files);
  const sent = ada.files.send(bytes, { to: 2, name: "noise.bin", type: "application/x-noise" });
  let steps = 0;
  sent.addEventListener("progress", () => (steps += 1));
  const file = await coming;
  assert.deepEqual([file.peer, file.name, file.size, file.type], [1, "noise.bin", 1_000_000, "application/x-noise"]);
  const blob = await file.blob();
  await Promise.all([sent.done, file.done]);
  assert.deepEqual(new Uint8Array(await blob.arrayBuffer()), bytes);
  assert.ok(steps > 5);
  for (const message of ada.world.channels[0].sent) assert.ok(message.length <= 16 * 1024, `${message.length} bytes`);
});

test("a receiver that does not read holds the sender, and nothing else", async (context) => {
  const [ada, ben] = twoPeople();
  passTime(context, ada.world, ben.world);
  const coming = offered(ben.files);
  const sent = ada.files.send(new Uint8Array(3_000_000), { to: 2 });
  const reader = (await coming).stream().getReader();
  for (let turn = 0; turn < 300; turn += 1) await settle();
  // Of the file alone: the clock asks for the time meanwhile, in ten bytes.
  const bytesSent = () => ada.world.channels[0].sent.filter(({ length }) => length > 1_000).reduce((sum, { length }) => sum + length, 0);
  const held = bytesSent();
  assert.ok(held < 700_000, `${held} bytes were sent to somebody who reads nothing`);
  for (let turn = 0; turn < 50; turn += 1) await settle();
  assert.equal(bytesSent(), held);
  let read = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    read += value.length;
  }
  assert.equal(read, 3_000_000);
  await sent.done;
});

test("either side may end a transfer; an empty file is one, too", async (context) => {
  const [ada, ben] = twoPeople();
  passTime(context, ada.world, ben.world);
  let coming = offered(ben.files);
  let sent = ada.files.send(new Uint8Array(1_000_000), { to: 2 });
  (await coming).refuse();
  await assert.rejects(sent.done, { code: "cancelled" });
  coming = offered(ben.files);
  const stop = new AbortController();
  sent = ada.files.send(new Uint8Array(1_000_000), { to: 2, signal: stop.signal });
  const file = await coming;
  const reader = file.stream().getReader();
  await reader.read();
  stop.abort();
  await assert.rejects(file.done, { code: "cancelled" });
  coming = offered(ben.files);
  sent = ada.files.send(new Blob([]), { to: 2, name: "empty" });
  assert.equal((await (await coming).blob()).size, 0);
  await sent.done;
  coming = offered(ben.files);
  sent = ada.files.send(new Uint8Array(1_000_000), { to: 2 });
  await coming;
  ada.plane.handle({ type: "participant_left", participant: 2, reason: "left" });
  await assert.rejects(sent.done, { code: "unknown_participant" });
});
