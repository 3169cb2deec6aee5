import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff } from "../sdk/policy/backoff.js";
import { codecPreferences } from "../sdk/policy/codec.js";
import { encodingFor } from "../sdk/policy/encoding.js";
import { answerTimeout, isDead, isTroubled, nextStep, restartInterval } from "../sdk/policy/recovery.js";
import { climbDelay, connectionsToTry, resumeDelay } from "../sdk/policy/connection.js";
import { isConnectionDead, openTimeout } from "../sdk/policy/retry.js";
import { connectionWords } from "../sdk/policy/words.js";

test("a retry waits anywhere between nothing and a ceiling that doubles up to a cap", () => {
  for (let attempt = 0; attempt < 60; attempt += 1) {
    const ceiling = Math.min(15_000, 500 * 2 ** attempt);
    assert.equal(backoff(attempt, { random: () => 0 }), 0);
    const longest = backoff(attempt, { random: () => 0.999999 });
    assert.ok(longest <= ceiling && longest >= ceiling * 0.999, `${attempt}: ${longest}`);
  }
});

test("what the server asks for wins over the backoff", () => {
  assert.equal(backoff(9, { random: () => 0.5, retryAfterMs: 1_234 }), 1_234);
  assert.equal(backoff(0, { random: () => 0.5, retryAfterMs: 0 }), 0);
  assert.equal(backoff(0, { random: () => 0.5, retryAfterMs: Number.NaN }), 250);
});

const CHROMIUM = [
  { mimeType: "video/VP8", clockRate: 90000 },
  { mimeType: "video/rtx", clockRate: 90000 },
  { mimeType: "video/VP9", clockRate: 90000, sdpFmtpLine: "profile-id=0" },
  { mimeType: "video/VP9", clockRate: 90000, sdpFmtpLine: "profile-id=2" },
  { mimeType: "video/H264", clockRate: 90000, sdpFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f" },
  { mimeType: "video/H264", clockRate: 90000, sdpFmtpLine: "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f" },
  { mimeType: "video/AV1", clockRate: 90000, sdpFmtpLine: "level-idx=5;profile=0;tier=0" },
  { mimeType: "video/AV1", clockRate: 90000, sdpFmtpLine: "level-idx=5;profile=1;tier=0" },
  { mimeType: "video/red", clockRate: 90000 },
  { mimeType: "video/ulpfec", clockRate: 90000 },
];

test("a section offers what others may send, VP8 first, and leaves the rest out", () => {
  assert.deepEqual(codecPreferences(CHROMIUM, "video").map(({ mimeType }) => mimeType), ["video/VP8", "video/VP9", "video/AV1", "video/H264", "video/rtx"]);
});

test("one codec alone keeps its retransmissions", () => {
  assert.deepEqual(codecPreferences(CHROMIUM, "video", "vp9").map(({ mimeType, sdpFmtpLine }) => [mimeType, sdpFmtpLine]), [
    ["video/VP9", "profile-id=0"],
    ["video/rtx", undefined],
  ]);
  assert.deepEqual(codecPreferences(CHROMIUM, "video", "h265"), []);
});

test("a camera sends less when more people share the screens it is shown on", () => {
  const two = encodingFor("camera", { others: 1, height: 720 });
  const five = encodingFor("camera", { others: 4, height: 720 });
  const many = encodingFor("camera", { others: 30, height: 720 });
  assert.equal(two.scaleResolutionDownBy, 1);
  assert.equal(five.scaleResolutionDownBy, 2);
  assert.ok(two.maxBitrate > five.maxBitrate && five.maxBitrate > many.maxBitrate);
  assert.equal(encodingFor("camera", { others: 30, height: 240 }).scaleResolutionDownBy, 1, "never scaled up");
});

/** A path on which packets come every 20 ms, in its tenth second. */
const WELL = { now: 10_000, isBroken: false, hasMoved: false, isPublishing: true, answerGapMs: 2_500, silentMs: 20, usualGapMs: 20, troubledSince: null, answeredAt: null, restarts: 0, restartedAt: 0 };

test("silence is judged by what was usual", () => {
  assert.equal(isTroubled(WELL), false);
  assert.equal(isTroubled({ ...WELL, silentMs: 700 }), true);
  assert.equal(isTroubled({ ...WELL, silentMs: 1_500, usualGapMs: 1_000 }), false, "only reports, once a second");
  assert.equal(isTroubled({ ...WELL, silentMs: 60_000, usualGapMs: null }), false, "nothing ever came");
  assert.equal(isDead({ ...WELL, silentMs: 1_100 }), false);
  assert.equal(isDead({ ...WELL, silentMs: 1_200 }), true);
  assert.equal(isDead({ ...WELL, silentMs: 2_600, isPublishing: false }), false, "the others may just have stopped");
  assert.equal(isDead({ ...WELL, silentMs: 60_000, isPublishing: false, answerGapMs: null }), false, "a browser that tells too little");
  assert.equal(isDead({ ...WELL, silentMs: 7_000, isPublishing: false, answerGapMs: 5_500 }), false, "checks as seldom as Firefox's");
  assert.equal(isDead({ ...WELL, silentMs: 3_600, isPublishing: false }), true);
  assert.equal(isDead({ ...WELL, isBroken: true }), true);
});

test("signaling is asked before anything is done, and again before every further restart", () => {
  assert.equal(nextStep(WELL), "nothing");
  const troubled = { ...WELL, silentMs: 2_000, troubledSince: 9_000 };
  assert.equal(nextStep(troubled), "ask");
  assert.equal(nextStep({ ...troubled, silentMs: 900, answeredAt: 9_100 }), "nothing", "not yet dead");
  assert.equal(nextStep({ ...troubled, answeredAt: 9_100 }), "restart");
  const restarted = { ...troubled, now: 11_000, answeredAt: 9_100, restarts: 1, restartedAt: 10_000 };
  assert.equal(nextStep(restarted), "nothing");
  assert.equal(nextStep({ ...restarted, now: 11_500 }), "ask");
  assert.equal(nextStep({ ...restarted, now: 11_500, answeredAt: 11_500 }), "restart");
  assert.equal(nextStep({ ...restarted, now: 29_000, answeredAt: 28_900, restarts: 4 }), "give_up");
});

test("restarts grow rare, and nothing waits for ever", () => {
  assert.deepEqual([1, 2, 3, 4, 50].map(restartInterval), [1_500, 3_000, 6_000, 6_000, 6_000]);
  assert.deepEqual([0, 1, 2, 3, 50].map(openTimeout), [4_000, 6_000, 8_000, 10_000, 10_000]);
  assert.equal(answerTimeout(20, true), 800);
  assert.equal(answerTimeout(20, false), 2_000);
  assert.equal(answerTimeout(undefined, true), 2_000);
  assert.equal(answerTimeout(1_500, true), 6_300, "a network this slow is not a dead one");
});

test("a WebSocket is tried first, what worked last before it, and what was held back no more", () => {
  assert.deepEqual(connectionsToTry({}), ["websocket", "sse"]);
  assert.deepEqual(connectionsToTry({ last: "websocket", hasWebSocketWorked: true, attempt: 0 }), ["websocket"], "a server that restarts is not asked twice");
  assert.deepEqual(connectionsToTry({ last: "websocket", hasWebSocketWorked: true, attempt: 2 }), ["websocket", "sse"]);
  assert.deepEqual(connectionsToTry({ last: "sse" }), ["sse", "websocket"]);
  assert.deepEqual(connectionsToTry({ last: "sse", isBuffered: true }), ["poll", "websocket"]);
  assert.deepEqual(connectionsToTry({ last: "poll" }), ["poll", "websocket"]);
  assert.deepEqual(connectionsToTry({ isBuffered: true }), ["websocket", "poll"]);
});

test("a resume waits with full jitter, at most 4 s while the session may be kept, and never less than the server says", () => {
  const longest = (view) => resumeDelay({ code: "connection_lost", random: () => 0.999999, ...view });
  assert.deepEqual([0, 1, 2, 3, 4, 20].map((attempt) => longest({ attempt })), [500, 1_000, 2_000, 4_000, 4_000, 4_000]);
  assert.equal(longest({ attempt: 20, isKept: false }), 15_000);
  assert.equal(resumeDelay({ attempt: 20, code: "connection_lost", random: () => 0 }), 0);
  assert.equal(longest({ attempt: 20, code: "timeout" }), 3_000, "silence is the network of one client");
  assert.equal(longest({ attempt: 0, retryAfterMs: 9_000 }), 9_000);
  assert.equal(longest({ attempt: 0, notBeforeMs: 9_000 }), 9_000);
  assert.equal(longest({ attempt: 3, code: "buffered" }), 0);
});

test("a better connection is looked for more and more seldom", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 50].map((attempt) => climbDelay(attempt, () => 0)), [2_500, 5_000, 10_000, 20_000, 30_000, 30_000]);
  assert.equal(climbDelay(50, () => 1), 60_000);
});

test("a silence is judged by the heartbeat", () => {
  assert.equal(isConnectionDead(10_000, 5_000), false);
  assert.equal(isConnectionDead(14_900, 5_000), true);
});

test("every step of the connection has words", () => {
  assert.equal(connectionWords({ state: "reconnecting", retryInMs: 1_600, isMediaFlowing: true }), "Reconnecting to the server (2 s)… you can still hear and see everybody");
  assert.equal(connectionWords({ state: "reconnecting" }), "Reconnecting to the server…");
  assert.equal(connectionWords({ state: "connected", transport: "sse" }), "Connected to the server over plain HTTP, as this network blocks WebSockets.");
  assert.match(connectionWords({ state: "connecting", transport: "poll" }), /^Connecting.*long polling/);
  assert.ok(connectionWords({ state: "closed" }).length > 10);
});
