/** The golden files of the protocol, which the Rust types are held to as well. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { wordsFor } from "../app/words.js";
import { PatchbayError } from "../sdk/errors.js";
import { FINAL_CLOSE_CODES, encodeClientMessage, parseServerMessage } from "../sdk/protocol.js";
import { reduce, rosterOf } from "../sdk/roster.js";
import { FakeTrack, fakePlatform, friendlyServer } from "./fakes.js";
import { Room } from "../sdk/index.js";

const golden = async (name) => JSON.parse(await readFile(new URL(`../../protocol/golden/${name}.json`, import.meta.url), "utf8"));

test("every client message is written as the golden file has it", async () => {
  for (const { name, message } of await golden("client")) {
    const { id, ack, ...request } = message;
    assert.deepEqual(JSON.parse(encodeClientMessage(id, request, ack)), message, name);
  }
});

test("what the SDK sends has the shape of a golden message", async () => {
  const shapes = new Map();
  for (const { message } of await golden("client")) {
    const known = shapes.get(message.type) ?? new Set(["ack"]);
    Object.keys(message).forEach((key) => known.add(key));
    shapes.set(message.type, known);
  }
  const { platform, world } = fakePlatform();
  world.server = friendlyServer(world, { others: [{ number: 2, identity: "ada", name: "Ada", tracks: [{ id: 1, source: "camera", kind: "video", muted: false }] }] });
  const room = await Room.join("https://example.org", { room: "demo", name: "Me", identity: "me", metadata: { a: 1 }, platform, tracks: [{ track: new FakeTrack("audio"), source: "microphone" }] });
  room.videoSlot().show(room.participants[0].camera).catch(() => {});
  await room.publish(new FakeTrack("video"), { source: "camera" });
  await room.publication("camera").mute();
  await room.sendChat("hi");
  await room.raiseHand(true);
  await room.update({ name: "You", attributes: { seat: "4" } });
  await room.presence.set("away");
  await room.presence.typing(true);
  await room.chatHistory({ before: 20, limit: 10 });
  await room.refreshToken("eyJh.eyJy.c2ln");
  const [ada] = room.participants;
  await room.moderate.mute(ada.camera);
  await room.moderate.stopVideo(ada);
  await room.moderate.admit({ participant: 5 });
  await room.moderate.unban("mallory");
  await room.moderate.promote(ada, room.grants);
  await room.moderate.updateRoom({ locked: true, waitingRoom: true, maxParticipants: 5, attributes: { old: null }, metadata: { topic: "x" } });
  await room.moderate.closeRoom();
  await world.advance(6_000);
  await room.close();
  const sent = world.sockets[0].sent;
  assert.deepEqual(new Set(sent.map(({ type }) => type)), new Set(["hello", "join", "candidate", "slot", "offer", "mute", "chat", "update", "ping", "leave",
    "presence", "chat_history", "refresh", "moderate"]));
  for (const message of sent) {
    for (const key of Object.keys(message)) assert.ok(shapes.get(message.type)?.has(key), `${message.type} has no ${key}`);
  }
});

test("every server message is read, and the roster takes every event", async () => {
  let roster = rosterOf({ participant: { number: 1, identity: "me", name: "Me" }, participants: [] });
  for (const { name, message } of [...(await golden("event")), ...(await golden("reply"))]) {
    assert.deepEqual(parseServerMessage(JSON.stringify(message)), message, name);
    roster = reduce(roster, message);
  }
  assert.ok(roster.entries.size >= 1);
});

test("a joined reply is a roster", async () => {
  const { message } = (await golden("reply")).find(({ name }) => name === "joined");
  const roster = rosterOf(message.result);
  assert.equal(roster.self, message.result.participant.number);
  assert.equal(roster.entries.size, message.result.participants.length + 1);
});

test("nonsense is refused", () => {
  for (const text of ["", "{", "null", "[]", "7", '"x"', '{"type":"ok"}', '{"seq":1}', '{"seq":"1","type":"ok"}']) {
    assert.throws(() => parseServerMessage(text), { code: "malformed_message" }, text);
  }
  assert.throws(() => parseServerMessage(new ArrayBuffer(1)), { code: "malformed_message" });
});

test("close codes that end a room are the protocol's, and errors a person can meet have words", async () => {
  const { errors, closes } = await golden("codes");
  for (const [code, meaning] of Object.entries(FINAL_CLOSE_CODES)) {
    assert.ok(Object.values(closes).includes(Number(code)), code);
    assert.ok(errors.includes(meaning) || meaning === "replaced", meaning);
  }
  const inner = new Set(["malformed_message", "unknown_type", "message_too_large", "hello_expected", "not_joined", "already_joined", "unknown_track", "unknown_slot", "unknown_participant", "stale_epoch", "unknown_room", "unknown_transport", "internal",
    "session_gone", "unknown_call", "rpc_timeout", "rpc_failed", "unknown_topic", "topic_mismatch"]);
  for (const code of errors) {
    if (!inner.has(code)) assert.notEqual(wordsFor(new PatchbayError(code, "raw")).title, "Something went wrong", code);
  }
});
