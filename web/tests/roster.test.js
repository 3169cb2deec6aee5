import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_ROSTER, reduce, rosterOf } from "../sdk/roster.js";

const ada = { number: 1, identity: "ada", name: "Ada", tracks: [{ id: 7, source: "camera", kind: "video", muted: false }] };
const ben = { number: 2, identity: "ben", name: "Ben", hand_raised: true };

test("a joined reply is a roster", () => {
  const roster = rosterOf({ participant: ben, participants: [ada] });
  assert.equal(roster.self, 2);
  assert.deepEqual([...roster.entries.keys()].sort(), [1, 2]);
  assert.equal(roster.entries.get(2).handRaised, true);
  assert.deepEqual(roster.entries.get(2).tracks, []);
});

test("events change a copy", () => {
  const first = rosterOf({ participant: ben, participants: [] });
  const second = reduce(first, { type: "participant_joined", participant: ada });
  assert.equal(first.entries.size, 1);
  assert.equal(second.entries.size, 2);
  const muted = reduce(second, { type: "track_muted", participant: 1, track: 7, muted: true });
  assert.equal(second.entries.get(1).tracks[0].muted, false);
  assert.equal(muted.entries.get(1).tracks[0].muted, true);
  const published = reduce(muted, { type: "track_published", participant: 1, track: { id: 9, source: "microphone", kind: "audio", muted: false } });
  assert.deepEqual(published.entries.get(1).tracks.map(({ id }) => id), [7, 9]);
  const again = reduce(published, { type: "track_published", participant: 1, track: { id: 12, source: "camera", kind: "video", muted: false } });
  assert.deepEqual(again.entries.get(1).tracks.map(({ id }) => id), [9, 12], "one track of each source");
  const unpublished = reduce(again, { type: "track_unpublished", participant: 1, track: 9 });
  assert.deepEqual(unpublished.entries.get(1).tracks.map(({ id }) => id), [12]);
});

test("whoever leaves no longer speaks", () => {
  let roster = rosterOf({ participant: ben, participants: [ada] });
  roster = reduce(roster, { type: "speakers", speakers: [1, 2] });
  roster = reduce(roster, { type: "participant_left", participant: 1, reason: "left" });
  assert.deepEqual(roster.speakers, [2]);
  assert.equal(roster.entries.has(1), false);
});

test("what names somebody unknown, or is unknown itself, changes nothing", () => {
  const roster = rosterOf({ participant: ben, participants: [] });
  for (const event of [
    { type: "track_published", participant: 99, track: { id: 1, source: "camera", kind: "video", muted: false } },
    { type: "participant_left", participant: 99, reason: "left" },
    { type: "track_muted", participant: 99, track: 1, muted: true },
    { type: "from_the_future", anything: 1 },
  ]) {
    assert.equal(reduce(roster, event), roster);
  }
  assert.equal(reduce(EMPTY_ROSTER, { type: "slot", mid: "1" }), EMPTY_ROSTER);
});
