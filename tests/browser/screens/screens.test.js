/** Pictures of the page for people to look at, and what can be checked about them without eyes. */
import assert from 'node:assert/strict';
import { join as path } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from '../lib/browser.js';
import { ARTIFACTS, startServer } from '../lib/server.js';
import { until } from '../lib/until.js';

const SIZES = [['desktop', 1440, 900], ['tablet', 820, 1180], ['phone', 390, 844]];
/** Short, long, from right to left, and with an emoji. */
const NAMES = ['Grace', 'Ada Lovelace', 'محمد بن موسى', 'Maximiliane-Charlotte von Hohenstaufen-Lichtenberg', 'Олена', 'Noor 🎧', 'Bo', 'Kofi', 'Ying', 'Zoë', 'Sam'];
let server, browser;

before(async () => {
  server = await startServer('screens');
  browser = await launch('chromium');
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Nothing may stick out of the window. */
async function fits(page, what) {
  const { wide, width } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, width: innerWidth }));
  assert.ok(wide <= width, `${what} is ${wide} px wide in a window of ${width}`);
}

async function pictures(page, name) {
  for (const [size, width, height] of SIZES) {
    await page.resize(width, height);
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve, 300)))));
    await page.screenshot(path(ARTIFACTS, `${name}-${size}.png`));
    await fits(page, `${name} ${size}`);
  }
}

test('before the call', { timeout: 60_000 }, async () => {
  const page = await browser.page(`${server.url}/r/pictures`);
  await until(15_000, 'the own picture', () => page.evaluate(() => [...document.querySelectorAll('video')].some((video) => video.videoWidth > 0)));
  await pictures(page, 'before');
  await page.close();
});

for (const count of [2, 5, 12]) {
  test(`a call of ${count}`, { timeout: 120_000 }, async () => {
    const others = count - 1;
    const room = ['--room', `of-${count}`, '--audio', 'tone', '--video', 'each'];
    const speaker = server.peers(`pictures-${count}-speaker`, [...room, '--identity', 'speaker', '--names', NAMES[0], '--loudness', '0:30']);
    const audience = server.peers(`pictures-${count}-audience`, [...room, '--identity', 'guest', '--count', String(others - 1), '--names', NAMES.slice(1).join(','), '--loudness', '0:127']);
    await until(60_000, `${others} peers`, () => [speaker, audience].flatMap(({ last }) => [...last.values()]).filter(({ state }) => state === 'connected').length === others);
    const page = await browser.page(`${server.url}/r/of-${count}?name=Ada&join=1`);
    const shown = Math.min(others, 9);
    let playing = 0;
    await until(40_000, () => `${shown} moving faces, ${playing} so far: ${page.problems.join('; ')}`, async () => {
      playing = await page.evaluate(() => [...document.querySelectorAll('video')].filter((video) => video.videoWidth > 0 && video.currentTime > 0.3).length);
      return playing >= shown;
    });
    await pictures(page, `call-${count}`);
    assert.deepEqual(page.problems, []);
    await page.close();
    await speaker.stop();
    await audience.stop();
  });
}
