/** How soon a browser that joins late sees the first frame, and what a slot costs to switch. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../lib/browser.js';
import { startServer } from '../lib/server.js';
import { figure, median, until } from '../lib/until.js';

let server, browser, peers;

before(async () => {
  server = await startServer('late');
  peers = server.peers('late', ['--room', 'late', '--identity', 'early', '--audio', 'tone', '--video', 'ball']);
  await until(20_000, 'a publisher', () => peers.last.get('early')?.state === 'connected');
  browser = await launch('chromium');
});

after(async () => {
  await browser?.close();
  await peers?.stop();
  await server?.stop();
});

test('the first frame of a late joiner in Chromium', { timeout: 90_000 }, async () => {
  const times = [];
  for (let round = 0; round < 5; round += 1) {
    const page = await browser.page(`${server.url}/healthz`);
    times.push(await page.evaluate(firstFrame, `late-${round}`));
    await page.close();
  }
  figure('late_join_first_frame_chromium_ms', Math.round(median(times)), 'ms');
  assert.ok(median(times) < 2_000, `first frames after ${times} ms`);
});

/** From before the join to the first painted frame, in the page. */
async function firstFrame(name) {
  const { Room } = await import('/sdk/index.js');
  const began = performance.now();
  const room = await Room.join(location.origin, { room: 'late', name, slots: { audio: 1, video: 1 } });
  const video = document.createElement('video');
  video.muted = true;
  video.autoplay = true;
  const slot = room.videoSlot();
  video.srcObject = slot.stream;
  document.body.append(video);
  const painted = new Promise((resolve, reject) => {
    video.requestVideoFrameCallback(() => resolve(performance.now() - began));
    setTimeout(() => reject(new Error('no frame in 15 s')), 15_000);
  });
  slot.show(room.participants[0].camera).catch(() => {});
  video.play().catch(() => {});
  const time = await painted;
  await room.close();
  return time;
}

test('a browser switches a slot among many without another offer', { timeout: 60_000 }, async () => {
  const crowd = server.peers('crowd', ['--room', 'crowd', '--identity', 'face', '--count', '8', '--video', 'each', '--audio', 'tone']);
  await until(30_000, 'eight peers', () => [...crowd.last.values()].filter(({ state }) => state === 'connected').length === 8);
  const page = await browser.page(`${server.url}/healthz`);
  const result = await page.evaluate(switchFaces);
  await page.close();
  await crowd.stop();
  assert.equal(result.offers, 1);
  assert.equal(result.times.length, 16);
  assert.equal(result.freezes, 0);
  figure('slot_switch_chromium_ms', Math.round(median(result.times)), 'ms');
});

/** Shows eight participants one after the other in one slot, twice. */
async function switchFaces() {
  const { Room } = await import('/sdk/index.js');
  const room = await Room.join(location.origin, { room: 'crowd', name: 'watcher', slots: { audio: 3, video: 1 } });
  const slot = room.videoSlot();
  const video = document.createElement('video');
  video.muted = true;
  video.autoplay = true;
  video.srcObject = slot.stream;
  document.body.append(video);
  video.play().catch(() => {});
  const times = [];
  for (let round = 0; round < 2; round += 1) {
    for (const participant of room.participants) {
      const began = performance.now();
      await slot.show(participant.camera, { signal: AbortSignal.timeout(10_000) });
      times.push(performance.now() - began);
    }
  }
  const stats = await room.stats();
  const freezes = stats.slots.reduce((sum, flow) => sum + (flow.freezes ?? 0), 0);
  const result = { times, offers: room.offers, freezes };
  await room.close();
  return result;
}
