import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff } from "../sdk/policy/backoff.js";
import { codecPreferences } from "../sdk/policy/codec.js";
import { encodingFor } from "../sdk/policy/encoding.js";

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
