/** Small pure parts of the page, and the boundaries between SDK and page. */
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { hueOf, initials } from "../app/person.js";
import { figuresOf, formatBitrate } from "../app/figures.js";
import { qualityOf } from "../app/quality.js";
import { isRoomName, proposeRoomName, roomOfPath, toRoomName } from "../app/room-name.js";
import { typingWords } from "../app/view/chat.js";
import { graphPath } from "../app/view/more.js";
import { deviceFault, deviceWords, wordsFor } from "../app/words.js";
import { PatchbayError } from "../sdk/errors.js";

test("initials are whole letters, whatever the script", () => {
  assert.equal(initials("Ada Lovelace"), "AL");
  assert.equal(initials("  plato "), "P");
  assert.equal(initials("Jean-Luc Picard"), "JP");
  assert.equal(initials("李明"), "李");
  assert.equal(initials("محمد عبد الرحمن"), "ما");
  assert.equal(initials("🦊🦊"), "🦊");
  assert.equal(initials("<script>"), "S");
  assert.equal(initials("***"), "?");
  assert.equal(initials(""), "?");
});

test("a person's colour is theirs", () => {
  assert.equal(hueOf("ada"), hueOf("ada"));
  const hues = new Set(Array.from({ length: 50 }, (_, index) => hueOf(`person-${index}`)));
  assert.ok(hues.size > 35, `${hues.size} colours for 50 people`);
  for (const hue of hues) assert.ok(hue >= 0 && hue < 360);
});

test("room names", () => {
  for (let index = 0; index < 100; index += 1) assert.ok(isRoomName(proposeRoomName()));
  assert.equal(isRoomName(""), false);
  assert.equal(isRoomName(".hidden"), false);
  assert.equal(isRoomName("a/b"), false);
  assert.equal(isRoomName("x".repeat(65)), false);
  assert.equal(toRoomName("  Café du Nord! "), "Cafe-du-Nord");
  assert.equal(toRoomName("../../etc"), "etc");
  assert.equal(roomOfPath("/r/calm-otter-417"), "calm-otter-417");
  assert.equal(roomOfPath("/r/a/b"), null);
  assert.equal(roomOfPath("/r/%"), null);
  assert.equal(roomOfPath("/"), null);
});

test("every failure has words that say what to do next", () => {
  for (const code of ["token_missing", "token_expired", "wrong_room", "room_full", "not_allowed", "connection_failed", "media_failed", "replaced", "no_node", "rate_limited", "unsupported_version"]) {
    const { title, text } = wordsFor(new PatchbayError(code, "raw"));
    assert.notEqual(title, "Something went wrong", code);
    assert.ok(text.length > 10, code);
  }
  assert.equal(wordsFor(new Error("odd")).text, "odd");
  assert.equal(wordsFor(undefined).title, "Something went wrong");
  assert.equal(deviceFault({ name: "NotReadableError" }), "in_use");
  assert.match(deviceWords("camera", "in_use").title, /used by another program/);
  assert.match(deviceWords("microphone", "insecure").text, /https/);
});

test("quality in three steps", () => {
  assert.equal(qualityOf({ lossFraction: 0 }), 3);
  assert.equal(qualityOf({ lossFraction: 0.05 }), 2);
  assert.equal(qualityOf({ lossFraction: 0.2 }), 1);
  assert.equal(qualityOf({ lossFraction: 0, freezes: 2 }, 1), 2);
  assert.equal(qualityOf({ lossFraction: 0 }, undefined, 1_000), 1);
  assert.equal(formatBitrate(1_250_000), "1.3 Mbit/s");
  assert.equal(formatBitrate(840_400), "840 kbit/s");
});

test("figures name whose they are, and leave idle slots out", () => {
  const flow = { mid: "3", kind: "video", bitrateBps: 5e5, lossFraction: 0, packets: 1, packetsLost: 0, frameWidth: 640, frameHeight: 360, framesPerSecond: 24, frames: 9, freezes: 0, samples: 0, concealedSamples: 0, jitterMs: 4, codec: "VP8", nacks: 0, plis: 0 };
  const path = { rttMs: 5, protocol: "udp", localType: "prflx", availableOutgoingBps: null, srtpCipher: "AES_CM_128", signalingRttMs: 2 };
  const figures = figuresOf({ path, publications: [], slots: [{ ...flow, participant: 2 }, { ...flow, participant: null }] }, (number) => (number === 2 ? "Ada" : null));
  assert.deepEqual(figures.map(({ title }) => title), ["To the server", "Ada, picture"]);
  assert.ok(figures[1].rows.some(([name, text]) => name === "Picture" && text === "640 × 360, 24 fps"));
  assert.match(graphPath([1, 2, 3]), /^M[\d.]+ [\d.]+L/);
});

test("who types is said in a few words, however many do", () => {
  assert.equal(typingWords([]), "");
  assert.equal(typingWords(["Ada"]), "Ada is typing…");
  assert.equal(typingWords(["Ada", "Ben"]), "Ada and Ben are typing…");
  assert.equal(typingWords(["Ada", "Ben", "Cy"]), "Several people are typing…");
});

async function sources(folder) {
  const root = new URL(`../${folder}/`, import.meta.url);
  const files = (await readdir(root, { recursive: true })).filter((name) => name.endsWith(".js"));
  return Promise.all(files.map(async (name) => ({ name: `${folder}/${name}`, text: await readFile(new URL(name, root), "utf8") })));
}

const withoutComments = (text) => text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");

test("the SDK knows no document, and the page no peer connection", async () => {
  for (const { name, text } of await sources("sdk")) {
    assert.doesNotMatch(withoutComments(text), /\b(document|window|localStorage|HTMLElement)\b/, name);
  }
  for (const { name, text } of await sources("app")) {
    assert.doesNotMatch(withoutComments(text), /\b(RTCPeerConnection|WebSocket)\b/, name);
  }
});

test("no markup is ever parsed, and no inline style or script is written", async () => {
  for (const { name, text } of [...(await sources("sdk")), ...(await sources("app"))]) {
    assert.doesNotMatch(withoutComments(text), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\("style"/, name);
  }
  const page = await readFile(new URL("../index.html", import.meta.url), "utf8");
  assert.doesNotMatch(page, /<style|style="|<script(?![^>]*src=)|https?:\/\//);
});

/** The modules that a module loads by itself, and those they load. */
async function graphOf(path, seen = new Set()) {
  if (seen.has(path)) return seen;
  seen.add(path);
  const text = withoutComments(await readFile(new URL(`..${path}`, import.meta.url), "utf8"));
  for (const [, target] of text.matchAll(/^(?:import|export)[^;]*?from "([^"]+)"/gm)) await graphOf(new URL(target, `http://x${path}`).pathname, seen);
  return seen;
}

/** Bytes of script without comments, and packed. */
async function weight(paths) {
  const texts = await Promise.all([...paths].map((path) => readFile(new URL(`..${path}`, import.meta.url), "utf8")));
  return {
    code: texts.reduce((sum, text) => sum + withoutComments(text).length, 0),
    packed: texts.reduce((sum, text) => sum + gzipSync(text).length, 0),
  };
}

/** What every call fetches behind itself: it is not needed to see and hear each other, but when something goes wrong. */
const QUIET = ["/sdk/connection/sse.js", "/sdk/connection/poll.js", "/sdk/keeper.js", "/sdk/path-watch.js", "/sdk/rejoin.js", "/sdk/stats.js",
  "/app/after.js", "/app/beside.js", "/app/figures.js", "/app/keyboard.js"];

test("an ordinary call stays light, and what comes quietly behind it, too", async () => {
  // The lobby fetches the call by itself, while somebody is still in front of it.
  const call = await graphOf("/app/call.js", await graphOf("/app/main.js"));
  const { code, packed } = await weight(call);
  assert.ok(code < 150_000, `${code} bytes of script without comments`);
  assert.ok(packed < 80_000, `${packed} bytes packed`);
  // Fetched in every call, once it works.
  const later = new Set(call);
  for (const path of QUIET) await graphOf(path, later);
  const quiet = await weight([...later].filter((path) => !call.has(path)));
  assert.ok(quiet.code < 40_000, `${quiet.code} bytes behind it`);
  console.log(`FIGURE page_call_script_bytes ${code} B\nFIGURE page_call_packed_bytes ${packed} B\nFIGURE page_quiet_script_bytes ${quiet.code} B`);
});

test("what few calls need is fetched when it is needed", async () => {
  const call = await graphOf("/app/call.js", await graphOf("/app/main.js"));
  for (const path of ["/sdk/connection/sse.js", "/sdk/connection/poll.js", "/sdk/moderation.js", "/sdk/presence.js", "/app/view/more.js", "/app/view/chat.js", "/app/view/people.js", "/app/talk.js", "/app/people.js", "/app/share.js", ...QUIET]) assert.ok(!call.has(path), path);
});

test("the page asks at once for every module that its first moment needs, and for no other", async () => {
  const page = await readFile(new URL("../index.html", import.meta.url), "utf8");
  const preloaded = [...page.matchAll(/modulepreload" href="([^"]+)"/g)].map(([, href]) => href);
  assert.deepEqual([...preloaded, "/app/main.js"].sort(), [...(await graphOf("/app/main.js"))].sort());
});
