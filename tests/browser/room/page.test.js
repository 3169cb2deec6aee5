/** The room page itself: joins, reloads, and text that stays text. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../lib/browser.js';
import { participant } from '../lib/participant.js';
import { startServer } from '../lib/server.js';
import { until } from '../lib/until.js';

let server, browsers;

before(async () => {
  server = await startServer('page');
  browsers = { chromium: await launch('chromium'), firefox: await launch('firefox') };
});

after(async () => {
  await browsers?.chromium?.close();
  await browsers?.firefox?.close();
  await server?.stop();
});

/** Opens the room page and lets it join by itself. */
async function enter(browser, room, name) {
  const page = await browser.page(`${server.url}/r/${room}?name=${encodeURIComponent(name)}&join=1`);
  await joined(page);
  return participant(page, name);
}

function joined(page) {
  return until(25_000, () => `the page to join: ${page.problems.join('; ')}`, () =>
    page.evaluate(() => globalThis.patchbay?.room?.state === 'connected'));
}

test('two tabs see and hear each other, and a reload comes back', { timeout: 120_000 }, async () => {
  const ada = await enter(browsers.chromium, 'tabs', 'Ada');
  const ben = await enter(browsers.chromium, 'tabs', 'Ben');
  await Promise.all([ada.flows(), ben.flows()]);
  await ben.page.reload();
  await joined(ben.page);
  await Promise.all([ada.flows(), ben.flows()]);
  await until(25_000, 'one Ben in the roster', async () => (await ada.roster()).filter(({ name }) => name === 'Ben').length === 1);
  assert.equal(await ada.offers(), 1, 'a reload of another does not renegotiate');
  assert.deepEqual(ada.page.problems, []);
  await ada.leave();
  await ben.leave();
});

test('Firefox and Chromium on the page', { timeout: 120_000 }, async () => {
  const ada = await enter(browsers.firefox, 'mixed', 'Ada');
  const ben = await enter(browsers.chromium, 'mixed', 'Ben');
  await Promise.all([ada.flows(), ben.flows()]);
  await ada.leave();
  await ben.leave();
});

test('script in a name, a chat line, or a room stays text', { timeout: 120_000 }, async () => {
  const attack = '<img src=x onerror="globalThis.hacked=1"><script>globalThis.hacked=2</script>';
  const ada = await enter(browsers.chromium, 'text', 'Ada');
  const eve = await enter(browsers.chromium, 'text', attack);
  await eve.page.evaluate((text) => globalThis.patchbay.room.sendChat(text), `${attack} https://example.org/"onmouseover="globalThis.hacked=3`);
  await eve.page.evaluate((text) => globalThis.patchbay.room.update({ metadata: { note: text } }), attack);
  await until(10_000, 'Eve to be shown', () => ada.page.evaluate(() => document.body.textContent.includes('onerror=')));
  await ada.page.press('c');
  await ada.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  for (const who of [ada, eve]) {
    const found = await who.page.evaluate(() => ({
      hacked: globalThis.hacked ?? null,
      images: [...document.querySelectorAll('img')].filter((image) => image.getAttribute('onerror')).length,
      scripts: [...document.scripts].filter((script) => !script.src).length,
    }));
    assert.deepEqual(found, { hacked: null, images: 0, scripts: 0 });
  }
  await ada.leave();
  await eve.leave();
});

test('the page says plainly when the server is gone, and comes back with it', { timeout: 120_000 }, async () => {
  const other = await startServer('page-gone');
  const page = await browsers.chromium.page(`${other.url}/r/gone?name=Ada&join=1`);
  await joined(page);
  await other.stop();
  await until(40_000, 'the page to notice', () => page.evaluate(() => globalThis.patchbay.room.state !== 'connected'));
  await until(5_000, 'words about it', () => page.evaluate(() => /connect|server|reach/i.test(document.body.innerText)));
  await page.close();
});
