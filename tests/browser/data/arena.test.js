/** The arena: pictures of it, two pages that move and agree on where everybody was, bots by the hundred, and a thumb. */
import assert from 'node:assert/strict';
import { join as path } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { ARTIFACTS, program, start, startServer } from '../lib/server.js';
import { figure, until } from '../lib/until.js';

const SIZES = [['desktop', 1440, 900], ['tablet', 820, 1180], ['phone', 390, 844]];
const BOTS = 100;
let server, browser;

before(async () => {
  server = await startServer('arena');
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args: ['--no-sandbox', '--disable-background-timer-throttling', '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows'] });
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A page in the arena. */
async function enter(room, name, options = {}) {
  const context = await browser.newContext({ viewport: { width: 800, height: 600 }, ...options });
  const page = await context.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  await page.goto(`${server.url}/arena?room=${room}&name=${name}&join=1`);
  await until(20_000, () => `${name} to enter: ${problems.join('; ')}`, () => page.evaluate(() => globalThis.patchbay.game?.state === 'open' && globalThis.patchbay.room.clock.isSynchronised));
  const number = await page.evaluate(() => globalThis.patchbay.room.self.number);
  return { page, number, problems, close: () => context.close() };
}

test('two pages move, and agree on where each was at a moment of the server', { timeout: 90_000 }, async () => {
  const [ada, ben] = [await enter('pair', 'Ada'), await enter('pair', 'Ben')];
  const seen = (page, number) => page.evaluate((who) => globalThis.patchbay.game.shown.some((shown) => shown.number === who), number);
  // Both begin near the middle, in sight of each other.
  await until(10_000, 'both to see each other', async () => (await seen(ada.page, ben.number)) && seen(ben.page, ada.number));
  await ada.page.keyboard.down('ArrowRight');
  await ben.page.keyboard.down('ArrowUp');
  const speed = (page) => page.evaluate(() => Math.hypot(globalThis.patchbay.game.self.vx, globalThis.patchbay.game.self.vy));
  await until(5_000, 'both to move', async () => (await speed(ada.page)) > 300 && (await speed(ben.page)) > 300);
  const errors = [];
  for (let round = 0; round < 10; round += 1) {
    if (round === 4) await ada.page.keyboard.up('ArrowRight').then(() => ada.page.keyboard.down('ArrowLeft'));
    if (round === 6) await ben.page.keyboard.up('ArrowUp').then(() => ben.page.keyboard.down('ArrowDown'));
    const at = await ada.page.evaluate(() => globalThis.patchbay.game.now - 200);
    for (const [watcher, owner] of [[ada, ben], [ben, ada]]) {
      const place = ({ page }) => page.evaluate(({ number, time }) => globalThis.patchbay.game.positionAt(number, time), { number: owner.number, time: at });
      const [shown, real] = [await place(watcher), await place(owner)];
      // In milliseconds of walking.
      errors.push((Math.hypot(shown.x - real.x, shown.y - real.y) / 420) * 1_000);
    }
  }
  const worst = Math.max(...errors);
  figure('arena_position_error_worst_ms', worst.toFixed(1), 'ms');
  const clocks = await Promise.all([ada, ben].map(({ page }) => page.evaluate(() => globalThis.patchbay.room.clock.now() - Date.now())));
  figure('arena_clocks_apart_ms', Math.abs(clocks[0] - clocks[1]).toFixed(1), 'ms');
  assert.ok(worst < 100, `positions disagree by ${worst.toFixed(1)} ms of walking: ${errors.map((error) => error.toFixed(0))}`);
  assert.deepEqual([...ada.problems, ...ben.problems], []);
  await ada.close();
  await ben.close();
});

test(`${BOTS} bots, in pictures, light and dark`, { timeout: 180_000 }, async () => {
  let told = null;
  const bots = start('arena-bots', program('patchbay-peer'), ['--server', server.url, '--room', 'bots', '--arena', String(BOTS), '--duration', '0', '--stats-every', '1'], { onLine: (line) => (told = JSON.parse(line)) });
  await until(90_000, () => `${BOTS} bots: ${JSON.stringify(told)}`, () => told?.bots === BOTS && told.sent > 1_000);
  for (const colorScheme of ['light', 'dark']) {
    const ada = await enter('bots', 'Ada', { colorScheme });
    await until(20_000, 'some of them', () => ada.page.evaluate(() => globalThis.patchbay.game.shown.length > 5 && globalThis.patchbay.game.received > 200));
    assert.ok((await ada.page.evaluate(() => globalThis.patchbay.room.participants.length)) >= BOTS);
    for (const [size, width, height] of SIZES) {
      await ada.page.setViewportSize({ width, height });
      await ada.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve, 300)))));
      await ada.page.screenshot({ path: path(ARTIFACTS, `arena-${size}-${colorScheme}.png`) });
      const { wide, inner } = await ada.page.evaluate(() => ({ wide: document.documentElement.scrollWidth, inner: innerWidth }));
      assert.ok(wide <= inner, `${wide} px wide in a window of ${inner}`);
    }
    assert.deepEqual(ada.problems, []);
    await ada.close();
  }
  await bots.stop();
});

test('on a phone a thumb moves, and a tap rings', { timeout: 60_000 }, async () => {
  const ada = await enter('phone', 'Ada', { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  const ben = await enter('phone', 'Ben');
  const touch = await ada.page.context().newCDPSession(ada.page);
  const send = (type, points) => touch.send('Input.dispatchTouchEvent', { type, touchPoints: points });
  const before = await ada.page.evaluate(() => globalThis.patchbay.game.self.x);
  await send('touchStart', [{ x: 195, y: 500 }]);
  await send('touchMove', [{ x: 250, y: 500 }]);
  await until(10_000, 'Ada to move to the right', () => ada.page.evaluate((from) => globalThis.patchbay.game.self.x > from + 100, before));
  assert.equal(await ada.page.evaluate(() => document.querySelector('.arena-stick').hidden), false);
  await ada.page.screenshot({ path: path(ARTIFACTS, 'arena-phone-touch.png') });
  await send('touchEnd', []);
  await until(5_000, 'Ada to stand', () => ada.page.evaluate(() => globalThis.patchbay.game.self.vx === 0));
  const rung = ben.page.evaluate(() => new Promise((resolve) => {
    const look = () => (globalThis.patchbay.game.rings.length > 0 ? resolve(true) : requestAnimationFrame(look));
    look();
  }));
  await ada.page.touchscreen.tap(195, 500);
  assert.equal(await rung, true);
  await ada.close();
  await ben.close();
});
