/** Two browsers in one room, in every order and every codec: decoded frames, audio samples, and the right colour. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../lib/browser.js';
import { isColour, join, total } from '../lib/participant.js';
import { startServer } from '../lib/server.js';
import { until } from '../lib/until.js';

const RED = '#c03030';
const BLUE = '#3050c0';
const CODECS = ['VP8', 'VP9', 'AV1', 'H264'];
let server, browsers;

before(async () => {
  server = await startServer('pairs');
  browsers = { chromium: await launch('chromium'), firefox: await launch('firefox') };
});

after(async () => {
  await browsers?.chromium?.close();
  await browsers?.firefox?.close();
  await server?.stop();
});

/** The codecs that a browser can send or receive, by short name. */
async function codecs(browser, side) {
  const page = await browser.page(`${server.url}/healthz`);
  const found = await page.evaluate((which) => {
    const of = which === 'send' ? RTCRtpSender : RTCRtpReceiver;
    return of.getCapabilities('video').codecs.map(({ mimeType }) => mimeType.split('/')[1].toUpperCase());
  }, side);
  await page.close();
  return new Set(found);
}

async function call(first, second, codec) {
  const room = `${first}-${second}-${codec}`.toLowerCase();
  const slots = { audio: 1, video: 1 };
  const ada = await join(browsers[first], { server: server.url, room, name: 'ada', colour: RED, codec: codec.toLowerCase(), slots });
  const ben = await join(browsers[second], { server: server.url, room, name: 'ben', colour: BLUE, codec: codec.toLowerCase(), slots });
  try {
    await Promise.all([ada.watch('ben'), ben.watch('ada')]);
    await Promise.all([ada.flows(), ben.flows()]);
    for (const [who, other, colour] of [[ada, 'ben', BLUE], [ben, 'ada', RED]]) {
      let pixel;
      await until(10_000, () => `${who.name} to see ${colour}, saw ${JSON.stringify(pixel)}`, async () => {
        pixel = await who.pixel(other);
        return isColour(pixel, colour);
      });
      const stats = await who.stats();
      assert.deepEqual(total(stats).codecs, [codec], 'the codec that was asked for');
      assert.equal(await who.offers(), 1);
    }
    if (first === 'chromium') {
      const { path } = await ada.stats();
      assert.match(path.srtpCipher ?? '', /AEAD_AES_128_GCM/, 'Chromium ends up on AES-GCM');
    }
  } finally {
    await ada.leave();
    await ben.leave();
  }
}

for (const [first, second] of [['chromium', 'chromium'], ['chromium', 'firefox'], ['firefox', 'chromium']]) {
  for (const codec of CODECS) {
    test(`${first} and ${second} in ${codec} and Opus`, { timeout: 90_000 }, async (context) => {
      for (const name of [first, second]) {
        for (const side of ['send', 'receive']) {
          if (!(await codecs(browsers[name], side)).has(codec)) {
            context.diagnostic(`${name} does not ${side} ${codec}`);
            assert.notEqual(codec, 'VP8', 'every browser has VP8');
            return;
          }
        }
      }
      await call(first, second, codec);
    });
  }
}
