/** Small parts of the dashboard: numbers, streams, the feed, sorting, people, words, and the page's own rules. */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { scopesOf } from "../../dashboard/api.js";
import { Feed, FEED_LENGTH } from "../../dashboard/feed.js";
import { bitrate, count, duration, percent, perSecond, short } from "../../dashboard/format.js";
import { arrange, readRoom, sortBy } from "../../dashboard/order.js";
import { arrangePeople, readPerson } from "../../dashboard/person.js";
import { StatusReader } from "../../dashboard/status.js";
import { readStream, StreamParser } from "../../dashboard/stream.js";
import { eventWords, kindOf, refusalWords, stateWords } from "../../dashboard/words.js";

test("numbers have three digits that matter, and what isn't known is no zero", () => {
  assert.deepEqual([0, 0.25, 7.4, 12.34, 128, 999.7, 9_640, 1_250_000].map((value) => { const { number, prefix } = short(value); return number + prefix; }), ["0", "0.25", "7.4", "12.3", "128", "1k", "9.64k", "1.25M"]);
  assert.equal(bitrate(12_340_000), "12.3 Mbit/s");
  assert.equal(perSecond(0), "0 /s");
  assert.equal(perSecond(null), "–");
  assert.equal(perSecond(Number.NaN), "–");
  assert.deepEqual([7, 12_345, 1_234_567].map(count), ["7", "12 345", "1.23 M"]);
  assert.deepEqual([0, 0.00001, 0.0042, 0.02, 0.5].map(percent), ["0 %", "< 0.01 %", "0.42 %", "2 %", "50 %"]);
  assert.deepEqual([-5, 59_999, 60_000, 7_200_000, 7_500_000, 90_000_000].map(duration), ["0 s", "59 s", "1 min", "2 h", "2 h 5 min", "1 d 1 h"]);
});

test("a stream may be cut anywhere", () => {
  const text = ":padding\r\n\r\nid: 7-1\nevent: chat\ndata: {\"a\":\ndata: 1}\n\nevent: gap\nid: 7-9\ndata\n\n:\n\ndata:x\r\rid: 8\n\n";
  const whole = new StreamParser().push(text);
  assert.deepEqual(whole, [{ id: "7-1", type: "chat", data: '{"a":\n1}' }, { id: "7-9", type: "gap", data: "" }, { id: "7-9", type: "message", data: "x" }]);
  for (const size of [1, 2, 3, 7]) {
    const parser = new StreamParser();
    const parts = text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
    assert.deepEqual(parts.flatMap((part) => parser.push(part)), whole, `pieces of ${size}`);
  }
});

test("letters that are cut in two are whole again", async () => {
  const bytes = new TextEncoder().encode("data: “Zoë”\n\n");
  const body = new ReadableStream({ start(controller) { for (const byte of bytes) controller.enqueue(Uint8Array.of(byte)); controller.close(); } });
  const events = [];
  for await (const event of readStream(body)) events.push(event.data);
  assert.deepEqual(events, ["“Zoë”"]);
});

const streamed = (number, at, rest = {}) => ({ id: `7-${number}`, type: rest.type ?? "chat", data: JSON.stringify({ id: `7-${number}`, type: "chat", at_ms: at, room: "demo", ...rest }) });

test("the feed has each event once, the newest first, and knows where to go on", () => {
  const feed = new Feed();
  assert.equal(feed.begin("7"), false);
  assert.equal(feed.take({ id: "7-0", type: "ready", data: '{"id":"7-0","type":"ready"}' }), null);
  assert.equal(feed.lastId, "7-0");
  feed.take(streamed(1, 100));
  feed.take(streamed(3, 300));
  assert.ok(feed.take(streamed(2, 200)), "late, and where it belongs");
  assert.equal(feed.take(streamed(3, 300)), null, "a second time");
  assert.deepEqual(feed.entries.map(({ event }) => event.at_ms), [300, 200, 100]);
  for (const data of ["", "null", "[1]", "{", '{"type":"chat"}']) assert.equal(feed.take({ id: "7-4", type: "chat", data }), null, data);
  for (let number = 10; number < 10 + 2 * FEED_LENGTH; number += 1) feed.take(streamed(number, number * 1_000));
  assert.equal(feed.entries.length, FEED_LENGTH);
  assert.equal(new Set(feed.entries.map(({ key }) => key)).size, FEED_LENGTH);
});

test("another life of the server counts its events anew", () => {
  const feed = new Feed();
  feed.begin("7");
  feed.take({ ...streamed(1, 100), id: "1" });
  assert.equal(feed.begin("7"), false);
  assert.equal(feed.lastId, "1");
  assert.equal(feed.begin("8"), true);
  assert.equal(feed.lastId, "8-0", "from its first event on");
  assert.ok(feed.take({ ...streamed(1, 200), id: "1" }), "the same number, and another event");
  feed.note("The server was started anew", 150);
  assert.deepEqual(feed.entries.map(({ event }) => event.type), ["chat", "note", "chat"]);
  feed.take({ id: "8-44", type: "gap", data: '{"id":"8-44","type":"gap"}' });
  assert.equal(feed.lastId, "8-44");
  assert.equal(feed.entries[0].event.type, "gap");
});

test("events that name only ids are told with the names that came before", () => {
  const feed = new Feed();
  feed.begin("7");
  const ada = { number: 1, identity: "ada-1", name: "Ada", presence: "active", hand_raised: false, tracks: [{ id: 4, source: "camera", kind: "video", muted: false }] };
  const say = (number, event) => { const { who, what } = eventWords(feed.take(streamed(number, number, event))); return `${who} ${what}`; };
  assert.equal(say(1, { type: "participant_joined", participant: ada }), "Ada joined");
  assert.equal(say(2, { type: "track_muted", participant: { number: 1, identity: "ada-1" }, track: { id: 4 }, muted: true }), "Ada muted the camera");
  assert.equal(say(3, { type: "track_muted", participant: { number: 1, identity: "ada-1" }, track: { id: 4 }, muted: false }), "Ada unmuted the camera");
  assert.equal(say(4, { type: "track_published", participant: { number: 1, identity: "ada-1" }, track: { id: 5, source: "screen" } }), "Ada publishes a screen");
  assert.equal(say(5, { type: "track_unpublished", participant: { number: 1, identity: "ada-1" }, track: { id: 5 } }), "Ada stopped a screen");
  assert.equal(say(6, { type: "participant_updated", participant: { ...ada, hand_raised: true } }), "Ada raised a hand");
  assert.equal(say(7, { type: "participant_left", participant: { number: 1, identity: "ada-1" }, reason: "removed" }), "Ada was removed");
  assert.equal(say(8, { type: "participant_left", participant: { number: 2, identity: "ben-2" }, reason: "left" }), "ben-2 left");
  assert.equal(say(9, { type: "chat", participant: { number: 1, identity: "ada-1" }, line: { text: "a secret" } }), "Ada wrote in the chat");
  assert.equal(say(10, { type: "node_lost", node: "fra-1", room: undefined }), "fra-1 is lost");
  feed.learn("demo", [{ identity: "eve-3", name: "Eve", tracks: [{ track: 9, source: "microphone" }] }]);
  assert.equal(say(11, { type: "track_muted", participant: { number: 3, identity: "eve-3" }, track: { id: 9 }, muted: true }), "Eve muted the microphone");
  assert.deepEqual(["participant_left", "track_muted", "chat", "room_closed", "node_lost", "note"].map(kindOf), ["people", "tracks", "chat", "rooms", "server", "server"]);
});

const rooms = [
  { room: "room-10", participants: 2, waiting: 0, tracks: 4, node: "fra", locked: false, created_at_ms: 300 },
  { room: "room-9", participants: 12, waiting: 0, tracks: 1, node: "ams", locked: true, created_at_ms: 100 },
  { room: "Äther", participants: 2, waiting: 1, tracks: 0, locked: false, created_at_ms: 200 },
].map(readRoom);
const names = (sorting, filter = "") => arrange(rooms, sorting, filter).map(({ name }) => name);

test("rooms are sorted by any column, and equals by name", () => {
  assert.deepEqual(names({ key: "name", descending: false }), ["Äther", "room-9", "room-10"]);
  assert.deepEqual(names({ key: "participants", descending: true }), ["room-9", "Äther", "room-10"]);
  assert.deepEqual(names({ key: "participants", descending: false }), ["Äther", "room-10", "room-9"]);
  assert.deepEqual(names({ key: "createdAtMs", descending: true }), ["room-10", "Äther", "room-9"]);
  assert.deepEqual(names({ key: "tracks", descending: true }), ["room-10", "room-9", "Äther"]);
  assert.deepEqual(arrange([readRoom({ room: "a" }), readRoom({ room: "b", participants: 0 })], { key: "participants", descending: true }, "").map(({ name }) => name), ["b", "a"], "what isn't known comes last");
  assert.deepEqual(sortBy({ key: "name", descending: false }, "participants"), { key: "participants", descending: true });
  assert.deepEqual(sortBy({ key: "participants", descending: true }, "participants"), { key: "participants", descending: false });
  assert.deepEqual(sortBy({ key: "participants", descending: true }, "node"), { key: "node", descending: false });
});

test("the filter knows names, nodes and what is locked", () => {
  assert.deepEqual(names({ key: "name", descending: false }, "ROOM 9"), ["room-9"]);
  assert.deepEqual(names({ key: "name", descending: false }, " locked "), ["room-9"]);
  assert.deepEqual(names({ key: "name", descending: false }, "fra"), ["room-10"]);
  assert.deepEqual(names({ key: "name", descending: false }, "nowhere"), []);
});

test("those who wait come first, then hands, then who was there first", () => {
  const people = [
    { identity: "a", name: "A", state: "joined", joined_at_ms: 100, connected: true },
    { identity: "b", name: "B", state: "joined", joined_at_ms: 200, hand_raised: true, connected: false },
    { identity: "c", name: "", state: "waiting", joined_at_ms: 300, presence: "away" },
    { identity: "d", name: "D", state: "joined", joined_at_ms: 50, tracks: [{ track: 1, source: "camera", kind: "video", muted: true }] },
  ].map(readPerson);
  assert.deepEqual(arrangePeople(people).map(({ identity }) => identity), ["c", "b", "d", "a"]);
  assert.equal(people[2].name, "c");
  assert.deepEqual(people.map(({ isLost }) => isLost), [false, true, false, false]);
  assert.deepEqual(people[3].tracks, [{ source: "camera", kind: "video", muted: true }]);
});

const status = (at, { epoch = 1, joins = 0, nodes = [] } = {}) => ({ server: "patchbay/1", epoch, at_ms: at, uptime_ms: at, draining: false, sessions: 3, connections: { websocket: 2, sse: 1, poll: 0 }, rooms: 1, participants: 2, joins, errors: 0, messages_in: joins * 3, messages_out: joins * 4, nodes });
const node = (reported, counters, rest = {}) => ({ name: "fra", attached: true, draining: false, rooms: 1, transports: 2, reported_at_ms: reported, counters, ...rest });

test("nodes' rates are made between their reports, however often somebody looks", () => {
  const reader = new StatusReader();
  const counted = (packets) => ({ datagrams_in: packets, bytes_in: packets * 100, transports_on_tcp: 1, transports: 3, dropped_bad_tag: packets / 10, udp_send_dropped_total: 0, rtp_in: packets, nack_sent: packets / 50 });
  let figures = reader.read(status(10_000, { nodes: [node(9_000, counted(1_000))] }), 10_000);
  assert.equal(figures.overview.packetsIn, null, "nothing to compare with");
  assert.equal(figures.nodes[0].onTcp, 1);
  figures = reader.read(status(12_000, { nodes: [node(9_000, counted(1_000))] }), 12_000);
  assert.equal(figures.overview.packetsIn, null);
  figures = reader.read(status(14_100, { nodes: [node(14_000, { ...counted(2_000), transports: 1 })] }), 14_100);
  assert.equal(figures.overview.packetsIn, 200, "though a number that isn't a total fell");
  assert.equal(figures.overview.bitsIn, 160_000);
  assert.equal(figures.overview.packetsOut, null, "not reported");
  assert.equal(figures.overview.missing, 0.02);
  assert.equal(figures.nodes[0].drops, 20);
  assert.deepEqual(figures.nodes[0].dropReasons, [["bad tag", 20]]);
  figures = reader.read(status(16_000, { nodes: [node(14_000, counted(2_000))] }), 16_000);
  assert.equal(figures.overview.packetsIn, 200, "until the next report");
  figures = reader.read(status(60_000, { nodes: [node(14_000, counted(2_000))] }), 60_000);
  assert.equal(figures.overview.packetsIn, null, "a report from long ago says nothing of now");
  figures = reader.read(status(62_000, { nodes: [node(61_000, counted(10))] }), 62_000);
  assert.equal(figures.overview.packetsIn, null, "the node was started anew");
  figures = reader.read(status(67_000, { nodes: [node(66_000, counted(510), { attached: false })] }), 67_000);
  assert.equal(figures.overview.packetsIn, null, "away");
});

test("a server that was started anew has no rates until it was looked at twice", () => {
  const reader = new StatusReader();
  reader.read(status(0, { joins: 100 }), 0);
  assert.equal(reader.read(status(2_000, { joins: 120 }), 2_000).overview.joins, 10);
  // More than before, and yet another process.
  assert.equal(reader.read(status(4_000, { epoch: 2, joins: 500 }), 4_000).overview.joins, null);
  const { overview } = reader.read(status(6_000, { epoch: 2, joins: 502 }), 6_000);
  assert.equal(overview.joins, 1);
  assert.deepEqual(overview.connections, { websocket: 2, sse: 1, poll: 0 });
});

test("states and refusals have words", () => {
  const away = { kind: "away", sinceMs: 1_000, retryAtMs: 16_500, code: "unreachable" };
  assert.equal(stateWords(away, 15_000, null), "The server doesn't answer since 14 s, asking again in 2 s");
  assert.equal(stateWords({ ...away, kind: "live" }, 15_000, { uptimeMs: 7_500_000, draining: false }), "Live, up for 2 h 5 min");
  assert.match(stateWords({ ...away, kind: "live" }, 15_000, { uptimeMs: 1, draining: true }), /Going away/);
  for (const code of ["token_missing", "token_invalid", "token_expired", "token_revoked", "token_unknown_key", "token_wrong_algorithm", "token_not_yet_valid"]) {
    assert.ok(refusalWords({ status: 401, code, message: "" }).text.length > 10, code);
  }
  assert.equal(refusalWords({ status: 403, code: "not_allowed", message: "the token lacks the scope status" }).text, "The token lacks the scope status.");
});

test("a token's own words say what to offer", () => {
  const token = (claims) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;
  assert.deepEqual(scopesOf(token({ api: ["rooms:read", "rooms:write"] })), ["rooms:read", "rooms:write"]);
  assert.deepEqual(scopesOf(token({ room: "ü?" })), []);
  assert.equal(scopesOf("no token"), null);
});

test("no markup is parsed, nothing is inline, nothing comes from elsewhere, and no token is put into an address", async () => {
  const root = new URL("../../dashboard/", import.meta.url);
  for (const name of (await readdir(root, { recursive: true })).filter((it) => it.endsWith(".js"))) {
    const text = await readFile(new URL(name, root), "utf8");
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\("style"|localStorage/, name);
    assert.doesNotMatch(text.replaceAll("http://www.w3.org/2000/svg", "").replaceAll("https://example.org", ""), /https?:\/\//, name);
  }
  const page = await readFile(new URL("../../dashboard.html", import.meta.url), "utf8");
  assert.doesNotMatch(page, /<style|style="|<script(?![^>]*src=)|https?:\/\//);
});
