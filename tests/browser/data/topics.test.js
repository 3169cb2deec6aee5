/** Chromium, Firefox, aiortc and the Rust client on one topic, in framed and in plain mode: each hears each, byte for byte. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../lib/browser.js';
import { startServer } from '../lib/server.js';
import { until } from '../lib/until.js';
import { aiortc, bare, rust, sdk } from './peers.js';

let server, chromium, firefox;

before(async () => {
  server = await startServer('data');
  [chromium, firefox] = await Promise.all([launch('chromium'), launch('firefox')]);
});

after(async () => {
  await chromium?.close();
  await firefox?.close();
  await server?.stop();
});

/** Every byte there is, a long one, and one byte. */
function payloads(index) {
  const all = Array.from({ length: 256 }, (_, byte) => (byte ^ index).toString(16).padStart(2, '0')).join('');
  return [all, all.repeat(60), index.toString(16).padStart(2, '0')];
}

/** Everybody sends text and bytes, and everybody else hears all of it, in order. */
async function talk(peers) {
  const names = Object.keys(peers);
  const wanted = (name, index) => [{ text: `${name} says grüß dich ✓` }, ...payloads(index).map((bytes) => ({ bytes }))];
  await Promise.all(names.map(async (name, index) => {
    await peers[name].sendText(`${name} says grüß dich ✓`);
    for (const bytes of payloads(index)) await peers[name].sendBytes(bytes);
  }));
  for (const name of names) {
    let heard = [];
    await until(30_000, () => `${name} to hear everybody, heard ${heard.length} messages`, async () => (heard = await peers[name].heard()).length >= (names.length - 1) * 4);
    assert.equal(heard.length, (names.length - 1) * 4, `${name} hears itself or somebody twice`);
    for (const [index, other] of names.entries()) {
      if (other === name) continue;
      const isFrom = (message) => wanted(other, index).some(({ text, bytes }) => message.text === text && message.bytes === bytes);
      const from = heard.filter(isFrom).map(({ text, bytes }) => (text === undefined ? { bytes } : { text }));
      assert.deepEqual(from, wanted(other, index), `${name} hears ${other}`);
      for (const { sender } of heard.filter(isFrom)) if (sender !== undefined) assert.equal(sender, peers[other].number);
    }
  }
  await Promise.all(names.map((name) => peers[name].stop()));
}

test('framed mode: Chromium, Firefox, aiortc and the Rust client hear each other', { timeout: 120_000 }, async () => {
  const [room, label] = ['framed', 'all'];
  await talk({
    chromium: await sdk(chromium, server.url, room, 'chromium', label),
    firefox: await sdk(firefox, server.url, room, 'firefox', label),
    rust: await rust(server.url, room, 'rust', label),
    aiortc: await aiortc(server.url, room, 'aiortc', label, 'patchbay'),
  });
});

test('plain mode: two browsers and aiortc, none of them with an SDK', { timeout: 120_000 }, async () => {
  const [room, label] = ['plain', 'all'];
  await talk({
    chromium: await bare(chromium, server.url, room, 'chromium', label),
    firefox: await bare(firefox, server.url, room, 'firefox', label),
    aiortc: await aiortc(server.url, room, 'aiortc', label),
  });
});

test('channels that were negotiated out of band, with others that were not', { timeout: 120_000 }, async () => {
  const [room, label] = ['negotiated', 'all'];
  await talk({
    chromium: await bare(chromium, server.url, room, 'chromium', label, { negotiated: true, id: 7 }),
    firefox: await bare(firefox, server.url, room, 'firefox', label, { negotiated: true, id: 40, ordered: false, maxPacketLifeTime: 5_000 }),
    aiortc: await aiortc(server.url, room, 'aiortc', label, '', [12]),
    inBand: await bare(chromium, server.url, room, 'in-band', label),
  });
});

for (const [what, init] of [['maxPacketLifeTime', { ordered: false, maxPacketLifeTime: 2_000 }], ['maxRetransmits', { ordered: false, maxRetransmits: 3 }]]) {
  test(`channels with ${what} in both browsers`, { timeout: 60_000 }, async () => {
    const room = what.toLowerCase();
    const peers = { chromium: await bare(chromium, server.url, room, 'chromium', 'lossy', init), firefox: await bare(firefox, server.url, room, 'firefox', 'lossy', init) };
    for (const { page } of Object.values(peers)) assert.equal(await page.evaluate((name) => globalThis.bare.channel[name], what), init[what]);
    await talk(peers);
  });
}

test('a message that is too long is refused in words, and its channel lives', { timeout: 60_000 }, async () => {
  const ada = await sdk(chromium, server.url, 'large', 'ada', 'all');
  const ben = await sdk(firefox, server.url, 'large', 'ben', 'all');
  const largest = await ada.page.evaluate(() => {
    const { topic } = globalThis.patchbay;
    let refused = null;
    try {
      topic.send({ data: new Uint8Array(261_121) });
    } catch (error) {
      refused = error.code;
    }
    topic.send({ data: new Uint8Array(261_120).fill(9) });
    return refused;
  });
  assert.equal(largest, 'too_large');
  await until(20_000, 'the largest message', async () => (await ben.heard()).some(({ bytes }) => bytes.length === 2 * 261_120));
  await ada.sendText('still there');
  await until(20_000, 'what comes after it', async () => (await ben.heard()).some(({ text }) => text === 'still there'));
  await ada.stop();
  await ben.stop();
});
