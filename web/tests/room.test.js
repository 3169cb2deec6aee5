import assert from "node:assert/strict";
import { test } from "node:test";
import { PatchbayError, Room } from "../sdk/index.js";
import { FakeTrack, fakePlatform, friendlyServer } from "./fakes.js";

const ADA = { number: 7, identity: "ada", name: "Ada", tracks: [
  { id: 1, source: "camera", kind: "video", muted: false },
  { id: 2, source: "microphone", kind: "audio", muted: false },
] };

async function join(options = {}, server = {}) {
  const { platform, world } = fakePlatform(options);
  world.server = friendlyServer(world, { others: [ADA], ...server });
  const room = await Room.join("https://example.org", { room: "demo", name: "Me", platform, ...options });
  await world.settle();
  return { room, world, socket: world.sockets[0], pc: world.connections[0] };
}

const only = (socket, type) => socket.sent.filter((message) => message.type === type);

test("joining is one round trip, and the steps are in the order that lets ICE servers arrive with the answer", async () => {
  const { room, world, socket } = await join({ token: "abc.def.ghi", tracks: [{ track: new FakeTrack("audio"), source: "microphone" }] }, { iceServers: [{ urls: ["stun:192.0.2.1"] }] });
  assert.equal(socket.url, "wss://example.org/v1/ws");
  assert.deepEqual(socket.protocols, ["patchbay.v1", "bearer.abc.def.ghi"]);
  assert.deepEqual(world.log.filter((step) => step !== "candidate").slice(0, 6), ["createOffer", "hello", "join", "setConfiguration", "setLocalDescription", "setRemoteDescription"]);
  assert.deepEqual(world.iceServers, [{ urls: ["stun:192.0.2.1"] }]);
  assert.deepEqual(socket.sent.slice(0, 2).map(({ type }) => type), ["hello", "join"], "sent together");
  const { offer } = only(socket, "join")[0];
  assert.deepEqual(offer.publications, [{ mid: "0", source: "microphone", muted: false }]);
  assert.equal(offer.slots.length, 13);
  assert.deepEqual(offer.slots.slice(0, 5), [
    { mid: "1", source: { speaker: 1 } }, { mid: "2", source: { speaker: 2 } }, { mid: "3", source: { speaker: 3 } }, { mid: "4", source: { speaker: 4 } }, { mid: "5", source: null },
  ]);
  assert.equal(room.publication("microphone").id, 100);
  assert.deepEqual(room.participants.map(({ name }) => name), ["Ada"]);
  assert.equal(room.self.name, "Me");
  assert.equal(room.offers, 1);
});

test("fresh credentials are there for the next ICE restart", async () => {
  const { world, socket, pc } = await join();
  const fresh = [{ urls: ["turn:192.0.2.1"], username: "2:a", credential: "b" }];
  socket.say({ type: "ice_servers", ice_servers: fresh });
  await world.settle();
  assert.deepEqual(pc.getConfiguration().iceServers, fresh);
});

test("what a TURN server says to the browser is told to the server, once each and not without end", async () => {
  const { world, socket, pc } = await join();
  const url = "turn:192.0.2.1?transport=udp";
  pc.onicecandidateerror({ url, errorCode: 401, errorText: "Unauthor\u0000ised" });
  pc.onicecandidateerror({ url, errorCode: 401, errorText: "Unauthor\u0000ised" });
  for (let port = 1; port < 20; port += 1) pc.onicecandidateerror({ url: `turn:192.0.2.1:${port}`, errorCode: 701, errorText: "" });
  await world.settle();
  const told = only(socket, "trouble");
  assert.deepEqual({ kind: told[0].kind, detail: told[0].detail }, { kind: "turn_refused", detail: `${url}: 401 Unauthor?ised` });
  assert.equal(told[1].kind, "turn_unreachable");
  assert.equal(told.length, 8);
});

test("the state follows the media, not the signaling", async () => {
  const { room, pc } = await join();
  assert.equal(room.state, "connecting");
  pc.become("connected");
  assert.equal(room.state, "connected");
});

test("showing somebody is a message without SDP, and resolves when their packets play", async () => {
  const { room, world, socket } = await join();
  const slot = room.videoSlot();
  let isShown = false;
  const shown = slot.show(room.participants[0].camera).then(() => (isShown = true));
  await world.settle();
  assert.deepEqual(only(socket, "slot").map(({ mid, source }) => ({ mid, source })), [{ mid: slot.mid, source: { participant: 7, source: "camera" } }]);
  const transceiver = slot.transceiver;
  transceiver.sources = [{ source: 9, timestamp: 10 }];
  socket.say({ type: "slot", mid: slot.mid, source: { participant: 7, source: "camera" }, participant: 7, track: 1 });
  await world.advance(200);
  assert.equal(isShown, false, "packets of somebody else still play");
  assert.equal(slot.playing, null);
  transceiver.sources = [{ source: 9, timestamp: 10 }, { source: 7, timestamp: 20 }];
  await world.advance(100);
  await shown;
  assert.equal(slot.playing.name, "Ada");
  assert.equal(room.offers, 1);
});

test("a newer request takes an older one's place, and a signal ends the wait", async () => {
  const { room } = await join();
  const slot = room.videoSlot();
  const first = slot.show(room.participants[0].camera);
  const abort = new AbortController();
  const second = slot.show(room.participants[0].camera, { signal: abort.signal });
  await assert.rejects(first, { code: "superseded" });
  abort.abort();
  await assert.rejects(second, { name: "AbortError" });
  await assert.rejects(slot.show(null), { code: "invalid_argument" });
  await assert.rejects(slot.show(room.participants[0].microphone), { code: "invalid_argument" });
});

test("a paused slot says why, and does not play what it showed before", async () => {
  const { room, world, socket } = await join();
  const slot = room.videoSlot();
  slot.show(room.participants[0].camera).catch(() => {});
  await world.settle();
  slot.transceiver.sources = [];
  socket.say({ type: "slot", mid: slot.mid, participant: 7, track: 1, source: null });
  slot.transceiver.sources = [{ source: 7, timestamp: 5 }];
  await world.advance(100);
  assert.equal(slot.playing.name, "Ada");
  socket.say({ type: "slot", mid: slot.mid, participant: 7, track: 1, source: null, paused: "muted" });
  assert.equal(slot.paused, "muted");
  assert.equal(slot.playing, null);
  socket.say({ type: "slot", mid: slot.mid, participant: 7, track: 1, source: null });
  await world.advance(100);
  assert.equal(slot.playing, null, "an old packet is no sign");
  slot.transceiver.sources = [{ source: 7, timestamp: 6 }];
  await world.advance(100);
  assert.equal(slot.playing.name, "Ada");
});

test("more slots than were negotiated are one more offer, however many are asked for together", async () => {
  const { room, world, socket } = await join({ slots: { audio: 1, video: 2 } });
  const slots = [room.videoSlot(), room.videoSlot(), room.videoSlot(), room.videoSlot(), room.videoSlot()];
  slots[4].show(room.participants[0].camera).catch(() => {});
  await world.settle();
  assert.equal(only(socket, "offer").length, 1);
  assert.equal(only(socket, "offer")[0].slots.length, 3);
  assert.equal(new Set(slots.map(({ mid }) => mid)).size, 5);
  slots[0].release();
  assert.equal(room.videoSlot(), slots[0], "released slots are used again");
});

test("publishing renegotiates once, unpublishing frees its section for the next", async () => {
  const { room, world, socket, pc } = await join();
  const [screen, sound] = await Promise.all([
    room.publish(new FakeTrack("video"), { source: "screen" }),
    room.publish(new FakeTrack("audio"), { source: "screen_audio" }),
  ]);
  assert.ok(screen.id !== null && sound.id !== null && screen.id !== sound.id);
  assert.equal(only(socket, "offer").length, 1, "asked for together, offered together");
  await assert.rejects(room.publish(new FakeTrack("video"), { source: "screen" }), { code: "invalid_argument" });
  await assert.rejects(room.publish(new FakeTrack("audio"), { source: "camera" }), { code: "invalid_argument" });
  const sections = pc.getTransceivers().length;
  await screen.unpublish();
  assert.deepEqual(only(socket, "offer").at(-1).publications.map(({ source }) => source), ["screen_audio"]);
  await room.publish(new FakeTrack("video"), { source: "screen" });
  await world.settle();
  assert.equal(pc.getTransceivers().length, sections);
});

test("what the grants do not allow is refused before anything is sent", async () => {
  const { room, socket } = await join({}, { grants: { publish: ["microphone"], subscribe: true, data: true, moderate: false, hidden: false, record: false } });
  await assert.rejects(room.publish(new FakeTrack("video"), { source: "camera" }), { code: "not_allowed" });
  assert.equal(only(socket, "offer").length, 0);
});

test("muting silences the track at once and tells the others", async () => {
  const track = new FakeTrack("audio");
  const { room, socket } = await join({ tracks: [{ track, source: "microphone" }] });
  const publication = room.publication("microphone");
  const muted = publication.mute();
  assert.equal(track.enabled, false);
  await muted;
  await publication.unmute();
  assert.equal(track.enabled, true);
  assert.deepEqual(only(socket, "mute").map(({ track: id, muted: is }) => [id, is]), [[100, true], [100, false]]);
});

test("what is muted or replaced while an offer is under way reaches the server and the others", async () => {
  const { platform, world } = fakePlatform();
  const friendly = friendlyServer(world, { others: [ADA] });
  let release;
  world.server = (message, socket) => {
    if (message.type === "offer") release = () => friendly(message, socket);
    else friendly(message, socket);
  };
  const room = await Room.join("https://example.org", { room: "demo", platform });
  await world.settle();
  const [socket] = world.sockets;
  const publishing = room.publish(new FakeTrack("audio"), { source: "microphone" });
  await world.settle();
  const publication = room.publication("microphone");
  const other = new FakeTrack("audio");
  await publication.mute();
  await publication.replaceTrack(other);
  assert.deepEqual(only(socket, "mute"), [], "it has no id yet");
  release();
  await publishing;
  await world.settle();
  assert.deepEqual(only(socket, "mute").map(({ track, muted }) => ({ track, muted })), [{ track: publication.id, muted: true }]);
  assert.equal(publication.transceiver.sender.track, other);
});

test("a refused offer leaves slots and publications free for the next", async () => {
  const { room, world, socket, pc } = await join();
  const friendly = world.server;
  let isRefusing = true;
  world.server = (message, to) => {
    if (message.type === "offer" && isRefusing) to.say({ type: "error", id: message.id, code: "rate_limited", message: "slow down" });
    else friendly(message, to);
  };
  for (let n = 0; n < 10; n += 1) room.videoSlot();
  const slot = room.slots.at(-1);
  await world.settle();
  assert.equal(slot.mid, null);
  await assert.rejects(room.publish(new FakeTrack("audio"), { source: "microphone" }), { code: "rate_limited" });
  isRefusing = false;
  await room.publish(new FakeTrack("video"), { source: "camera" });
  assert.notEqual(slot.mid, null);
  const offer = only(socket, "offer").at(-1);
  assert.deepEqual(offer.publications.map(({ source }) => source), ["camera"]);
  assert.equal(pc.getTransceivers().filter(({ direction }) => direction === "stopped").length > 0, true);
});

test("the own entry follows what one does, and a raised hand survives a rejoin", async () => {
  const { room, world, socket, pc } = await join({ tracks: [{ track: new FakeTrack("audio"), source: "microphone" }] });
  pc.become("connected");
  let updates = 0;
  room.addEventListener("participantupdated", ({ participant }) => (updates += Number(participant.isSelf)));
  assert.equal(room.self.microphone.muted, false);
  await room.publication("microphone").mute();
  assert.equal(room.self.microphone.muted, true);
  await room.raiseHand(true);
  assert.equal(room.self.handRaised, true);
  await room.update({ name: "Someone" });
  assert.equal(room.self.name, "Someone");
  assert.equal(updates, 3);
  world.sessions.clear();
  socket.drop(1006);
  await world.advance(1_000);
  assert.equal(room.self.handRaised, true);
  const second = world.sockets.at(-1);
  assert.equal(only(second, "update")[0].hand_raised, true);
  assert.equal(only(second, "join")[0].name, "Someone");
  assert.equal(only(second, "join")[0].offer.publications[0].muted, true);
});

test("comings, goings, tracks, speakers and chat are events", async () => {
  const { room, socket } = await join();
  const seen = [];
  for (const type of ["participantjoined", "participantleft", "participantupdated", "trackpublished", "trackunpublished", "trackmuted", "speakerschanged", "chat"]) {
    room.addEventListener(type, (event) => seen.push([type, event.participant?.name ?? event.speakers?.map(({ name }) => name).join()]));
  }
  socket.say({ type: "participant_joined", participant: { number: 9, identity: "ben", name: "Ben" } });
  socket.say({ type: "track_published", participant: 9, track: { id: 5, source: "camera", kind: "video", muted: false } });
  socket.say({ type: "track_muted", participant: 9, track: 5, muted: true });
  socket.say({ type: "speakers", speakers: [9, 7] });
  socket.say({ type: "chat", participant: 9, name: "Ben", text: "<b>hi</b>", sent_at_ms: 0 });
  socket.say({ type: "participant_updated", participant: { number: 9, identity: "ben", name: "Benjamin", tracks: [{ id: 5, source: "camera", kind: "video", muted: true }] } });
  socket.say({ type: "track_unpublished", participant: 9, track: 5 });
  socket.say({ type: "from_the_future", what: 1 });
  socket.say({ type: "participant_left", participant: 9, reason: "left" });
  assert.deepEqual(seen, [
    ["participantjoined", "Ben"], ["trackpublished", "Ben"], ["trackmuted", "Ben"], ["speakerschanged", "Ben,Ada"], ["chat", "Ben"],
    ["participantupdated", "Benjamin"], ["trackunpublished", "Benjamin"], ["participantleft", "Benjamin"], ["speakerschanged", "Ada"],
  ]);
});

test("a session that is gone rejoins with the same identity, publications and slots, and the old media goes on until then", async () => {
  const { room, world, socket, pc } = await join({ tracks: [{ track: new FakeTrack("video"), source: "camera" }] });
  pc.become("connected");
  const slot = room.videoSlot();
  const stream = slot.stream;
  slot.show(room.participants[0].camera).catch(() => {});
  await world.settle();
  const states = [];
  room.addEventListener("statechange", ({ state, retryInMs }) => states.push([state, retryInMs]));
  const ada = room.participants[0];
  let churn = 0;
  room.addEventListener("participantjoined", () => (churn += 1));
  room.addEventListener("participantleft", () => (churn += 1));
  // After the restart Ada has another number.
  world.server = friendlyServer(world, { others: [{ ...ADA, number: 70 }], number: 71 });
  world.sessions.clear();
  socket.drop(1006);
  await world.settle();
  assert.equal(pc.closed, false);
  await world.advance(1_000);
  const second = world.sockets.at(-1);
  assert.deepEqual(world.sockets.map((one) => one.sent[0]?.type), ["hello", "hello", "hello"], "a resume in vain, then a rejoin");
  assert.equal(only(second, "join")[0].identity, "me");
  assert.deepEqual(only(second, "join")[0].offer.publications.map(({ source }) => source), ["camera"]);
  assert.equal(pc.closed, true);
  world.connections[1].become("connected");
  await world.settle();
  assert.deepEqual(only(second, "slot").map(({ source }) => source), [{ participant: 70, source: "camera" }]);
  assert.equal(slot.stream, stream, "the stream stays the same object");
  assert.equal(room.participants[0], ada, "the participant stays the same object");
  assert.equal(churn, 0);
  assert.equal(room.state, "connected");
  assert.deepEqual(states[0], ["reconnecting", 0], "the resume has waited already");
});

test("a server that stays away is tried again and again, and what it asks for wins", async () => {
  const { room, world, socket, pc } = await join();
  pc.become("connected");
  const waits = [];
  room.addEventListener("connectionstate", ({ retryInMs }) => retryInMs !== undefined && waits.push(retryInMs));
  world.refuse = true;
  socket.drop(1006);
  await world.advance(4_000);
  assert.deepEqual(waits.slice(0, 4), [250, 500, 1000, 2000]);
  await world.advance(200_000);
  assert.ok(waits.includes(7_500), "more slowly, once the session is gone for sure");
  assert.equal(room.state, "connected", "media goes on");
  world.refuse = false;
  world.sessions.clear();
  const friendly = world.server;
  let isFull = true;
  world.server = (message, to) => (message.type === "join" && isFull ? to.say({ type: "error", id: message.id, code: "overloaded", message: "busy", retry_after_ms: 7_777 }) : friendly(message, to));
  room.retryNow();
  await world.advance(0);
  assert.equal(waits.at(-1), 7_777);
  isFull = false;
  await world.advance(7_777);
  world.connections.at(-1).become("connected");
  assert.equal(room.state, "connected");
});

test("what cannot get better ends the room with a reason", async () => {
  const { room, world, socket } = await join();
  let closed;
  room.addEventListener("statechange", (event) => (closed = event));
  socket.drop(4409, "joined elsewhere");
  await world.settle();
  assert.equal(closed.state, "closed");
  assert.equal(closed.error.code, "replaced");
  await assert.rejects(room.sendChat("too late"), { code: "closed" });
});

test("a refused join rejects with the server's code and leaves nothing open", async () => {
  const { platform, world } = fakePlatform();
  const friendly = friendlyServer(world);
  world.server = (message, socket) => (message.type === "join" ? socket.say({ type: "error", id: message.id, code: "token_missing", message: "A token is needed." }) : friendly(message, socket));
  await assert.rejects(Room.join("ws://127.0.0.1:8080/v1/ws", { room: "demo", platform }), (error) => error instanceof PatchbayError && error.code === "token_missing");
  assert.equal(world.connections[0].closed, true);
  assert.equal(world.sockets[0].closed, true);
  assert.equal(world.sockets[0].url, "ws://127.0.0.1:8080/v1/ws");
});

test("a signal ends the joining", async () => {
  const { platform, world } = fakePlatform();
  world.server = () => {};
  const abort = new AbortController();
  const joining = Room.join("https://example.org", { room: "demo", platform, signal: abort.signal });
  await world.settle();
  abort.abort();
  await assert.rejects(joining, { name: "AbortError" });
  assert.equal(world.connections[0].closed, true);
});

test("a server that nobody answers for is unreachable, not silence", async () => {
  const { platform, world } = fakePlatform();
  world.refuse = true;
  await assert.rejects(Room.join("https://example.org", { room: "demo", platform }), { code: "connection_failed" });
});

test("a connection on which nothing comes any more is found within fifteen seconds, and media is not touched", async () => {
  const { room, world, socket, pc } = await join();
  pc.become("connected");
  const friendly = world.server;
  const steps = [];
  room.addEventListener("connectionstate", ({ state, words }) => steps.push([state, words, world.now]));
  await world.advance(30_000);
  assert.deepEqual(steps, [], "pings are answered");
  for (const offset of [0, 1_700, 4_900]) {
    await world.advance(offset);
    const since = world.now;
    world.server = () => {};
    while (steps.length === 0) await world.advance(100);
    assert.ok(world.now - since <= 15_000, `after ${world.now - since} ms`);
    assert.equal(steps[0][0], "reconnecting");
    assert.match(steps[0][1], /^Reconnecting to the server.*… you can still hear and see everybody$/);
    assert.equal(room.state, "connected");
    world.server = friendly;
    await world.advance(10_000);
    assert.deepEqual(steps.at(-1).slice(0, 2), ["connected", "Connected to the server."]);
    steps.length = 0;
  }
  assert.equal(world.connections.length, 1, "no other transport was made");
  assert.equal(only(socket, "join").length, 1);
  assert.equal(pc.restarts, 0);
});

test("media that fails gets ICE restarts while signaling answers, and a rejoin when none of them helps", async () => {
  const { room, world, socket, pc } = await join();
  pc.become("connected");
  await world.settle();
  pc.become("disconnected");
  assert.equal(room.state, "reconnecting");
  await world.settle();
  assert.equal(only(socket, "ping").length, 1, "signaling is asked first");
  assert.equal(pc.restarts, 1);
  assert.equal(only(socket, "offer").length, 1);
  await world.advance(1_600);
  assert.equal(pc.restarts, 2);
  await world.advance(3_200);
  assert.equal(pc.restarts, 3);
  pc.become("connected");
  await world.settle();
  assert.equal(room.state, "connected");
  pc.become("failed");
  await world.settle();
  assert.equal(pc.restarts, 4, "a new trouble is met at once");
  assert.equal(world.sockets.length, 1);
  await world.advance(25_000);
  assert.ok(world.sockets.length >= 2);
  world.connections.at(-1).become("connected");
  await world.settle();
  assert.equal(room.state, "connected");
});

/** Packets that come as long as `flows` says so. */
function flowing(world, rate = 50) {
  const flow = { flows: true, packets: 0, answers: 0, at: world.now, last: world.now };
  world.stats = () => {
    if (flow.flows) flow.packets += Math.floor(((world.now - flow.at) * rate) / 1_000);
    flow.at = world.now;
    if (flow.flows) flow.last = world.now;
    return new Map([["pair", {
      type: "candidate-pair", packetsReceived: flow.packets, responsesReceived: flow.answers,
      timestamp: world.now + 1, lastPacketReceivedTimestamp: flow.last + 1,
    }]]);
  };
  return flow;
}

test("a path that falls silent with signaling gets a new connection and an ICE restart within two seconds", async () => {
  const { room, world, socket, pc } = await join({ tracks: [{ track: new FakeTrack("video"), source: "camera" }] });
  const flow = flowing(world);
  pc.become("connected");
  await world.advance(5_000);
  assert.equal(world.sockets.length, 1);
  flow.flows = false;
  const friendly = world.server;
  world.server = (message, to) => to !== socket && friendly(message, to);
  await world.advance(1_000);
  assert.equal(world.sockets.length, 1);
  await world.advance(1_200);
  assert.equal(world.sockets.length, 2);
  const [hello, offer] = world.sockets[1].sent;
  assert.equal(hello.resume.session, "session-1");
  assert.equal(offer.type, "offer");
  assert.equal(pc.restarts, 1);
  assert.equal(pc.closed, false);
  flow.flows = true;
  await world.advance(1_000);
  assert.equal(room.state, "connected");
  assert.equal(world.connections.length, 1);
});

test("a path that falls silent alone gets an ICE restart, before the browser has noticed", async () => {
  const { room, world, socket, pc } = await join({ tracks: [{ track: new FakeTrack("video"), source: "camera" }] });
  const flow = flowing(world);
  pc.become("connected");
  await world.advance(5_000);
  flow.flows = false;
  await world.advance(1_200);
  assert.equal(pc.restarts, 0, "others may be slow");
  assert.equal(room.state, "connected");
  await world.advance(1_000);
  assert.equal(room.state, "reconnecting");
  assert.equal(pc.restarts, 1);
  flow.flows = true;
  await world.advance(500);
  assert.equal(room.state, "connected");
  await world.advance(30_000);
  assert.equal(pc.restarts, 1);
  assert.equal(only(socket, "offer").length, 1);
  assert.equal(world.sockets.length, 1);
});

test("a listener whose others stop is left alone", async () => {
  const { room, world, pc } = await join();
  const flow = flowing(world);
  pc.become("connected");
  await world.advance(5_000);
  flow.flows = false;
  // The browser's checks are answered still.
  for (let second = 0; second < 20; second += 2.5) {
    await world.advance(2_500);
    flow.answers += 1;
  }
  assert.equal(pc.restarts, 0);
  assert.equal(room.state, "connected");
});

test("another network is used at once, and a doubt is only asked about", async () => {
  const { room, world, socket, pc } = await join();
  flowing(world);
  pc.become("connected");
  await world.advance(3_000);
  for (const tell of world.tellNetwork) tell("doubtful");
  await world.settle();
  assert.equal(only(socket, "ping").length, 1);
  assert.equal(pc.restarts, 0);
  for (const tell of world.tellNetwork) tell("moved");
  await world.settle();
  assert.equal(pc.restarts, 1);
  assert.equal(room.state, "connected", "media goes on meanwhile");
  await room.close();
  assert.equal(world.tellNetwork.size, 0);
});

test("a network that came back ends the wait for a retry, and a server that says nothing is tried often", async () => {
  const { room, world, socket, pc } = await join();
  pc.become("connected");
  const waits = [];
  room.addEventListener("statechange", ({ retryInMs }) => retryInMs !== undefined && waits.push(retryInMs));
  world.mute = true;
  socket.drop(1006);
  await world.advance(60_000);
  assert.ok(Math.max(...waits) <= 3_000 / 2, `${waits}`);
  world.mute = false;
  for (const tell of world.tellNetwork) tell("moved");
  await world.advance(10_500);
  world.connections.at(-1).become("connected");
  await world.settle();
  assert.equal(room.state, "connected");
});

test("media that never comes through is said, and tried again", async () => {
  const { room, world } = await join();
  let error;
  room.addEventListener("statechange", (event) => (error = event.error ?? error));
  await world.advance(12_100);
  assert.equal(error.code, "media_failed");
  assert.equal(room.state, "reconnecting");
});

test("closing says so to the server and ends everything that waits", async () => {
  const { room, world, socket, pc } = await join();
  const shown = room.videoSlot().show(room.participants[0].camera);
  await room.close();
  await assert.rejects(shown, { code: "closed" });
  assert.equal(socket.sent.at(-1).type, "leave");
  assert.equal(socket.closed && pc.closed, true);
  await world.advance(60_000);
  assert.equal(world.sockets.length, 1);
  await room.close();
});

test("a camera is fitted to the number of people who watch", async () => {
  const { room, socket } = await join({ tracks: [{ track: new FakeTrack("video"), source: "camera" }] });
  const { encodings } = room.publication("camera").transceiver.sender;
  const before = encodings[0].maxBitrate;
  for (let number = 20; number < 24; number += 1) socket.say({ type: "participant_joined", participant: { number, identity: `p${number}`, name: "P" } });
  assert.ok(room.publication("camera").transceiver.sender.encodings[0].maxBitrate < before);
});
