/** Sessions that outlive their connections, over the three kinds of them, in virtual time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Room } from "../sdk/index.js";
import { FakeTrack, fakePlatform, friendlyServer } from "./fakes.js";

const ADA = { number: 7, identity: "ada", name: "Ada", tracks: [{ id: 1, source: "camera", kind: "video", muted: false }] };

/** A room whose media flows, with its steps written down. */
async function join({ world: settings, server, random, ...options } = {}) {
  const { platform, world } = fakePlatform({ random });
  Object.assign(world, settings);
  const steps = [];
  world.server = friendlyServer(world, { others: [ADA], ...server });
  const joining = Room.join("https://example.org", { room: "demo", name: "Me", platform, memory: {}, onConnectionState: (step) => steps.push(step), ...options });
  await world.advance(3_100);
  const room = await joining;
  world.connections[0].become("connected");
  await world.settle();
  const seen = [];
  room.addEventListener("chat", ({ text }) => seen.push(text));
  return { room, world, steps, seen, session: [...world.sessions.values()].at(-1), pc: world.connections[0] };
}

let number = 1_000;
const line = (text) => ({ type: "chat", number: ++number, participant: 7, identity: "ada", name: "Ada", text, sent_at_ms: number });
const only = (sink, type) => sink.sent.filter((message) => message.type === type);
const states = (steps) => steps.map(({ state, transport }) => `${state} ${transport}`);

test("what is said while the connection is away comes once and in order, and nobody rejoins", async () => {
  const { room, world, steps, seen, session, pc } = await join();
  session.say(line("one"));
  world.sockets[0].drop(1006);
  for (const text of ["two", "three"]) session.say(line(text));
  await world.advance(1_000);
  session.say(line("four"));
  assert.deepEqual(seen, ["one", "two", "three", "four"]);
  assert.equal(world.sockets.length, 2);
  const [{ resume }] = world.sockets[1].sent;
  assert.deepEqual({ ...resume, last_seq: undefined }, { session: session.id, secret: "x", last_seq: undefined, epoch: 1 });
  assert.equal(resume.last_seq, session.said.find(({ text }) => text === "one").seq);
  assert.deepEqual(states(steps), ["connecting websocket", "connected websocket", "reconnecting websocket", "reconnecting websocket", "connected websocket"]);
  assert.equal(room.state, "connected");
  assert.equal(world.connections.length, 1);
  assert.equal(pc.restarts, 0);
});

test("every request tells what was taken, and much that is taken is told at once", async () => {
  const { room, world, session } = await join();
  session.say(line("one"));
  await room.sendChat("hi");
  assert.equal(only(world.sockets[0], "chat")[0].ack, session.said.find(({ text }) => text === "one").seq);
  const before = only(world.sockets[0], "ping").length;
  for (let index = 0; index < 300; index += 1) session.say(line("x"));
  await world.settle();
  const pings = only(world.sockets[0], "ping").slice(before);
  assert.equal(pings.length, 1);
  assert.ok(pings[0].ack > 250);
});

test("a request that was not answered goes again with its id, and so does one that is made meanwhile", async () => {
  const { room, world } = await join({ tracks: [{ track: new FakeTrack("audio"), source: "microphone" }] });
  const friendly = world.server;
  world.server = (message, sink) => message.type !== "chat" && friendly(message, sink);
  const sent = room.sendChat("once");
  await world.settle();
  const [socket] = world.sockets;
  socket.drop(1006);
  world.server = friendly;
  const muted = room.publication("microphone").mute();
  await world.advance(1_000);
  await sent;
  await muted;
  const [first] = only(socket, "chat");
  const [again] = only(world.sockets[1], "chat");
  assert.equal(again.id, first.id);
  assert.equal(again.message_id, first.message_id);
  assert.equal(only(world.sockets[1], "mute").length, 1);
  assert.equal(room.self.microphone.muted, true);
});

test("what comes twice is taken once, and what is missing is asked for", async () => {
  const { world, seen, session } = await join();
  const [socket] = world.sockets;
  session.say(line("one"));
  socket.deliver(session.said.at(-1));
  assert.deepEqual(seen, ["one"]);
  session.sink = null;
  session.say(line("two"));
  session.sink = socket;
  session.say(line("three"));
  assert.deepEqual(seen, ["one"], "not before the second");
  await world.advance(1_000);
  assert.deepEqual(seen, ["one", "two", "three"]);
});

test("a session that is gone joins again, with another transport", async () => {
  const { room, world } = await join();
  world.sessions.clear();
  world.sockets[0].drop(1006);
  await world.advance(1_000);
  assert.equal(world.connections.length, 2);
  assert.equal(only(world.sockets.at(-1), "join").length, 1);
  world.connections[1].become("connected");
  await world.settle();
  assert.equal(room.state, "connected");
});

test("a server that takes the resume for a first hello counts as one that knows nothing", async () => {
  const { room, world } = await join();
  const friendly = world.server;
  world.server = ({ resume, ...message }, sink) => friendly(message, sink);
  world.sockets[0].drop(1006);
  await world.advance(1_000);
  world.connections.at(-1).become("connected");
  await world.settle();
  assert.equal(world.connections.length, 2);
  assert.equal(room.state, "connected");
});

test("where WebSockets are blocked the room is joined by SSE, with a token and in as few requests as can be", async () => {
  const { room, world, steps, seen, session } = await join({ world: { blocked: true }, token: "a.b.c" });
  assert.equal(room.connection, "sse");
  assert.deepEqual(states(steps), ["connecting websocket", "connecting sse", "connected sse"]);
  assert.match(steps.at(-1).words, /plain HTTP/);
  const [hello, send, sse] = world.fetched;
  assert.deepEqual([hello.path, hello.headers.authorization], ["hello", "Bearer a.b.c"]);
  assert.deepEqual([send.path, send.headers.authorization], ["send", `Bearer ${session.id}.x`]);
  assert.deepEqual([sse.path, sse.headers["last-event-id"]], ["sse", "1"]);
  session.say(line("one"));
  session.say(line("two"));
  await world.settle();
  assert.deepEqual(seen, ["one", "two"]);
  await room.sendChat("hi");
  assert.equal(only(world.https[0], "chat").length, 1);
});

test("a WebSocket that opens and is closed at once counts as blocked", async () => {
  const { platform, world } = fakePlatform();
  const friendly = friendlyServer(world, { others: [ADA] });
  world.server = (message, sink) => (world.sockets.includes(sink) ? sink.drop(1002) : friendly(message, sink));
  const room = await Room.join("https://example.org", { room: "demo", platform });
  assert.equal(room.connection, "sse");
  assert.equal(only(world.https[0], "join").length, 1);
});

test("an SSE stream that is held back gives way to long polling, in the middle of the join", async () => {
  const { room, world, steps, seen, session } = await join({ world: { blocked: true, buffered: true } });
  assert.equal(room.connection, "poll");
  assert.deepEqual(states(steps).at(-1), "connected poll");
  const joins = world.https.flatMap((http) => only(http, "join"));
  assert.equal(new Set(joins.map(({ id }) => id)).size, 1, "the join goes again with its id, if at all");
  session.say(line("one"));
  await world.settle();
  session.say(line("two"));
  await world.settle();
  assert.deepEqual(seen, ["one", "two"]);
  await room.sendChat("hi");
  const polls = world.fetched.filter(({ path }) => path === "poll").length;
  assert.ok(polls >= 3);
  await world.advance(60_000);
  assert.equal(room.connection, "poll");
  assert.ok(world.fetched.filter(({ path }) => path === "poll").length > polls, "a poll that brings nothing is followed by another");
});

test("a stream that stops without an end gives way to long polling", async () => {
  const { room, world, seen, session } = await join({ world: { blocked: true } });
  world.buffered = true;
  session.say(line("one"));
  await world.advance(20_000);
  assert.equal(room.connection, "poll");
  assert.deepEqual(seen, ["one"]);
});

test("a stream that is held back within an event gives way to long polling long before silence would tell", async () => {
  const { room, world, seen, session } = await join({ world: { blocked: true } });
  const [http] = world.https;
  // A page of a proxy's buffers is full, and the rest waits for the next.
  http.write('id: 99\ndata: {"seq":99,"ty');
  world.buffered = true;
  session.say(line("one"));
  await world.advance(3_500);
  assert.equal(room.connection, "poll");
  assert.deepEqual(seen, ["one"]);
});

test("a stream that a proxy ends is asked for again, and nothing is lost", async () => {
  const { room, world, steps, seen, session } = await join({ world: { blocked: true } });
  const [http] = world.https;
  session.say(line("one"));
  await world.settle();
  http.endStream();
  session.say(line("two"));
  await world.settle();
  session.say(line("three"));
  await world.settle();
  assert.deepEqual(seen, ["one", "two", "three"]);
  assert.equal(room.connection, "sse");
  assert.equal(steps.filter(({ state }) => state === "reconnecting").length, 0);
});

test("SSE and long polling climb back to a WebSocket when one works, more and more seldom, and without loss", async () => {
  for (const buffered of [false, true]) {
    const { room, world, seen, session } = await join({ world: { blocked: true, buffered } });
    await world.advance(300_000);
    const tries = world.sockets.length;
    assert.ok(tries >= 6 && tries <= 14, `${tries} tries in five minutes`);
    session.say(line("one"));
    await world.settle();
    world.blocked = false;
    session.say(line("two"));
    const before = room.offers;
    for (let second = 0; second < 61 && room.connection !== "websocket"; second += 1) {
      session.say(line(String(second)));
      await world.advance(1_000);
    }
    assert.equal(room.connection, "websocket");
    session.say(line("end"));
    assert.equal(seen.at(-1), "end");
    assert.equal(new Set(seen).size, seen.length);
    assert.equal(seen.length, session.said.filter(({ type }) => type === "chat").length, "each once");
    assert.equal(room.offers, before);
    const polls = world.fetched.length;
    await world.advance(60_000);
    assert.equal(world.fetched.length, polls, "nothing is asked for over HTTP any more");
  }
});

test("a WebSocket that stops working in the middle of a call gives way too, and the session goes on", async () => {
  const { room, world, seen, session } = await join();
  world.blocked = true;
  world.sockets[0].drop(1006);
  session.say(line("one"));
  await world.advance(5_000);
  assert.equal(room.connection, "sse");
  assert.deepEqual(seen, ["one"]);
  assert.equal(world.connections.length, 1);
});

test("what worked last is tried first, and remembered", async () => {
  const memory = { connection: "sse" };
  const { room, world } = await join({ memory });
  assert.equal(world.fetched[0].path, "hello");
  assert.equal(room.connection, "sse");
  assert.equal(world.sockets.length, 0);
  await world.advance(6_000);
  assert.deepEqual(memory, { connection: "websocket" });
});

test("a close told in the stream ends the room as a WebSocket's does", async () => {
  const { room, world } = await join({ world: { blocked: true } });
  let closed;
  room.addEventListener("statechange", (event) => (closed = event));
  world.https[0].write("event: close\ndata: {\"code\":4409}\n\n");
  await world.settle();
  assert.equal(closed.state, "closed");
  assert.equal(closed.error.code, "replaced");
});

test("leaving over HTTP is told though the page goes away", async () => {
  const { room, world } = await join({ world: { blocked: true } });
  await room.close();
  await world.settle();
  assert.equal(world.https[0].sent.at(-1).type, "leave");
  assert.equal(world.fetched.at(-1).keepalive, true);
});

test("a server that goes away is left at the time that it gave, and not sooner when it closes", async () => {
  for (const isClosing of [false, true]) {
    const { room, world, session, steps } = await join();
    session.say({ type: "going_away", reconnect_in_ms: 4_000 });
    await world.advance(1_000);
    if (isClosing) world.sockets[0].drop(1001);
    await world.advance(2_900);
    assert.equal(world.sockets.length, 1);
    if (isClosing) assert.ok(steps.at(-1).retryInMs >= 2_900);
    await world.advance(200);
    assert.equal(world.sockets.length, 2);
    assert.equal(steps.at(-1).state, "connected");
    assert.equal(room.state, "connected");
  }
});

test("a server that drains says when to come back, and that wins", async () => {
  const { world, steps } = await join();
  const friendly = world.server;
  world.server = (message, sink) => sink.say({ seq: 0, type: "error", id: message.id, code: "draining", message: "moving", retry_after_ms: 12_345 });
  world.sockets[0].drop(1001);
  await world.advance(600);
  assert.equal(steps.at(-1).retryInMs, 12_345);
  world.server = friendly;
  await world.advance(12_400);
  assert.equal(steps.at(-1).state, "connected");
});

test("a network that came back ends the wait, and what hangs on the one before is given up", async () => {
  const { world, steps } = await join();
  world.mute = world.httpDown = true;
  world.sockets[0].drop(1006);
  await world.advance(30_000);
  assert.equal(steps.at(-1).state, "reconnecting");
  world.mute = world.httpDown = false;
  for (const tell of world.tellNetwork) tell("moved");
  await world.advance(1);
  assert.equal(steps.at(-1).state, "connected", "at once");
});

test("after another network, ICE restarts once signaling is back", async () => {
  const { world, pc } = await join();
  const friendly = world.server;
  const [old] = world.sockets;
  world.server = (message, sink) => sink !== old && friendly(message, sink);
  for (const tell of world.tellNetwork) tell("moved");
  await world.advance(1_900);
  assert.equal(pc.restarts, 0, "nobody could be told");
  await world.advance(1_000);
  assert.equal(world.sockets.length, 2);
  assert.equal(pc.restarts, 1);
  assert.equal(only(world.sockets[1], "offer").length, 1);
  assert.equal(world.connections.length, 1);
});

test("after a restart of the server only what really changed is told, and media is left alone", async () => {
  const ben = { number: 8, identity: "ben", name: "Ben" };
  const cyd = { number: 9, identity: "cyd", name: "Cyd", hand_raised: false };
  const old = line("old");
  const { room, world, seen, pc } = await join({ server: { others: [ADA, ben, cyd], chat: [old] }, tracks: [{ track: new FakeTrack("audio"), source: "microphone" }] });
  const slot = room.videoSlot();
  slot.show(room.participants[0].camera).catch(() => {});
  await world.settle();
  world.sockets[0].say({ type: "slot", mid: slot.mid, source: null, participant: 7, track: 1 });
  const told = [];
  for (const type of ["participantjoined", "participantleft", "participantupdated", "trackpublished", "trackunpublished", "trackmuted"]) {
    room.addEventListener(type, ({ participant, track }) => told.push(`${type} ${participant.name} ${track?.source ?? ""}`.trim()));
  }
  const snapshot = {
    session: "session-1", secret: "x", room: "demo", participant: { number: 1, identity: "me", name: "Me", tracks: [{ id: 100, source: "microphone", kind: "audio", muted: false }] },
    grants: room.grants, ice_servers: [], room_info: { locked: true, waiting_room: false, max_participants: 5, created_at_ms: 1 },
    participants: [{ ...ADA, tracks: [{ ...ADA.tracks[0], muted: true }] }, { ...cyd, hand_raised: true }, { number: 10, identity: "dan", name: "Dan" }],
    chat: [old, line("missed")].map(({ type, ...rest }) => rest),
  };
  world.server = friendlyServer(world, { epoch: 2, snapshot });
  world.sockets[0].drop(1006);
  await world.advance(1_000);
  assert.deepEqual(told, ["trackmuted Ada camera", "participantleft Ben", "participantjoined Dan", "participantupdated Cyd"]);
  assert.deepEqual(seen, ["missed"]);
  assert.deepEqual(room.chat.map(({ text }) => text), ["old", "missed"]);
  assert.equal(room.info.locked, true);
  assert.equal(room.offers, 1, "no offer was made");
  assert.equal(world.connections.length, 1);
  assert.equal(pc.restarts, 0);
  assert.equal(slot.currentNumber, 7);
  // Numbered anew from here on.
  [...world.sessions.values()][0].say(line("after"));
  assert.equal(seen.at(-1), "after");
  assert.equal(world.sockets.length, 2);
});

test("what a restarted server forgot of oneself is offered again, and what it has wrong is put right", async () => {
  const { room, world } = await join({ tracks: [{ track: new FakeTrack("audio"), source: "microphone" }, { track: new FakeTrack("video"), source: "camera" }] });
  const slot = room.videoSlot();
  slot.show(room.participants[0].camera).catch(() => {});
  await world.settle();
  world.sockets[0].say({ type: "slot", mid: slot.mid, source: null, participant: 7, track: 1 });
  await room.publication("microphone").mute();
  const { id } = room.publication("microphone");
  world.server = friendlyServer(world, { epoch: 2, snapshot: {
    session: "session-1", secret: "x", room: "demo", grants: room.grants, ice_servers: [], participants: [],
    participant: { number: 1, identity: "me", name: "Me", tracks: [{ id, source: "microphone", kind: "audio", muted: false }] },
  } });
  world.sockets[0].drop(1006);
  await world.advance(1_000);
  const socket = world.sockets[1];
  assert.deepEqual(only(socket, "mute").map(({ track, muted }) => ({ track, muted })), [{ track: id, muted: true }]);
  assert.deepEqual(only(socket, "offer").map(({ publications }) => publications.map(({ source }) => source)), [["microphone", "camera"]]);
  assert.equal(slot.paused, "no_source", "Ada is gone");
});

test("a chat line that was on its way when the session went arrives once with the next one", async () => {
  const { room, world } = await join();
  const friendly = world.server;
  world.server = (message, sink) => message.type !== "chat" && friendly(message, sink);
  const sent = room.sendChat("once");
  await world.settle();
  world.sessions.clear();
  world.sockets[0].drop(1006);
  world.server = friendly;
  await world.advance(1_000);
  await sent;
  const [first] = only(world.sockets[0], "chat");
  const [again] = only(world.sockets.at(-1), "chat");
  assert.ok(first.message_id);
  assert.equal(again.message_id, first.message_id);
});

test("what belongs to the room, to grants and to those who wait is told", async () => {
  const places = [];
  const { platform, world } = fakePlatform();
  const friendly = friendlyServer(world, { others: [ADA] });
  let admit;
  world.server = (message, sink) => {
    if (message.type !== "join") return friendly(message, sink);
    sink.say({ type: "waiting", position: 2 });
    admit = () => friendly(message, sink);
  };
  const joining = Room.join("https://example.org", { room: "demo", platform, onWaiting: (position) => places.push(position) });
  await world.settle();
  assert.deepEqual(places, [2]);
  // The wait outlives a connection.
  world.sockets[0].drop(1006);
  await world.advance(1_000);
  admit();
  const room = await joining;
  const told = [];
  for (const type of ["roomupdated", "grantschanged", "tokenexpiring", "waitingchanged", "presence"]) room.addEventListener(type, (event) => told.push([type, event]));
  const session = [...world.sessions.values()][0];
  session.say({ type: "room_updated", room: { locked: true, waiting_room: true, max_participants: 9, created_at_ms: 1 } });
  session.say({ type: "grants_changed", grants: { ...room.grants, moderate: true } });
  session.say({ type: "token_expiring", expires_at_ms: 5_000 });
  session.say({ type: "participant_waiting", participant: 5, identity: "eve", name: "Eve" });
  session.say({ type: "presence", participant: 7, state: "away", typing: true });
  await world.settle();
  assert.deepEqual(told.map(([type]) => type), ["roomupdated", "grantschanged", "tokenexpiring", "waitingchanged", "presence"]);
  assert.equal(room.info.max_participants, 9);
  assert.equal(room.grants.moderate, true);
  assert.equal(told[2][1].expiresAt.getTime(), 5_000);
  assert.equal(room.waiting[0].name, "Eve");
  assert.equal(room.participants[0].presence, "away");
  assert.equal(told[4][1].typing, true);
  await room.moderate.admit(room.waiting[0]);
  session.say({ type: "participant_waiting_ended", participant: 5 });
  assert.deepEqual(room.waiting, []);
  session.say({ type: "left", reason: "removed" });
  await world.settle();
  assert.equal(room.state, "closed");
});

test("two hundred cuts at random, over connections at random, and every message comes once and in order", async () => {
  for (const seed of [1, 2, 3]) {
    let state = seed;
    const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    const { room, world, seen, session } = await join({ random });
    let said = 0;
    for (let cut = 0; cut < 200; cut += 1) {
      world.blocked = random() < 0.5;
      world.buffered = random() < 0.3;
      for (let count = Math.floor(random() * 5); count > 0; count -= 1) session.say(line(String(said++)));
      await world.advance(random() * 2_000);
      if (random() < 0.5) session.say(line(String(said++)));
      world.cut();
    }
    world.blocked = world.buffered = false;
    await world.advance(120_000);
    assert.deepEqual(seen, Array.from({ length: said }, (_, index) => String(index)), `seed ${seed}`);
    assert.equal(world.connections.length, 1, "one join alone");
    assert.equal(room.state, "connected");
  }
});
