/** People, moderation, the waiting room, and the chat's history on the page, with tokens. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from '../lib/browser.js';
import { ARTIFACTS, program, startServer } from '../lib/server.js';
import { until } from '../lib/until.js';

const KEYS = 'main:a-secret-of-this-test-with-enough-bytes';
const ROOM = 'panel';

let server, browser;

before(async () => {
  server = await startServer('people', ['--keys', KEYS]);
  browser = await launch('chromium');
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

function token(name, ...more) {
  return execFileSync(program('patchbay'), ['token', '--keys', KEYS, '--room', ROOM, '--identity', name.toLowerCase(), '--name', name, ...more], { encoding: 'utf8' }).trim();
}

const open = (name, ...more) => browser.page(`${server.url}/r/${ROOM}?join=1#token=${token(name, ...more)}`);

const joined = (page) => until(25_000, () => `the page to join: ${page.problems.join('; ')}`, () =>
  page.evaluate(() => globalThis.patchbay?.room?.state === 'connected'));

const text = (page) => page.evaluate(() => document.body.innerText);
const shows = (page, words) => until(10_000, async () => `"${words}" in: ${await text(page)}`, async () => (await text(page)).includes(words));

/** Presses the button that has this label or text, once it is there. */
async function press(page, label) {
  await until(10_000, async () => `a button "${label}" in: ${await text(page)}`, () => page.evaluate((wanted) => {
    const button = [...document.querySelectorAll('button')].find((one) => one.checkVisibility() && (one.getAttribute('aria-label') ?? one.textContent) === wanted);
    button?.focus();
    button?.click();
    return Boolean(button);
  }, label));
}

/** Pictures of what is shown, small and large, light and dark, for people to look at. */
async function pictures(page, name) {
  for (const [width, height] of [[1440, 900], [390, 844]]) {
    for (const scheme of ['light', 'dark']) {
      await page.resize(width, height);
      await page.scheme(scheme);
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)).then(() =>
        Promise.allSettled(document.getAnimations().filter((one) => one instanceof CSSTransition).map(({ finished }) => finished))));
      await page.screenshot(join(ARTIFACTS, `people-${name}-${width}-${scheme}.png`));
    }
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} fits ${width} pixels`);
  }
  await page.resize(1280, 800);
}

test('a moderator admits, mutes and removes; who comes later reads what was said', { timeout: 180_000 }, async () => {
  const ada = await open('Ada', '--moderate');
  await joined(ada);
  await ada.evaluate(async () => {
    for (let number = 1; number <= 60; number += 1) await globalThis.patchbay.room.sendChat(`line ${number}`);
  });
  await ada.press('p');
  await shows(ada, 'Waiting room');
  await ada.evaluate(() => [...document.querySelectorAll('.people-room input')][1].click());
  await until(10_000, 'the waiting room', () => ada.evaluate(() => globalThis.patchbay.room.info.waiting_room));
  await ada.press('p');

  // Somebody waits: told by a passing word, and listed in the panel.
  const ben = await open('Ben');
  await shows(ben, 'Waiting to be let in');
  await shows(ada, 'waits to be let in');
  await pictures(ada, 'toast');
  await press(ada, 'Room panel, 1 in the call');
  await press(ada, 'Let in: Ben');
  await joined(ben);
  const benInPanel = () => ada.evaluate(() => [...document.querySelectorAll('.person')].find((row) => row.textContent.includes('Ben'))?.innerText ?? '');

  // What was said before, the older part on demand, and who types.
  await ben.press('c');
  await shows(ben, 'line 60');
  assert.equal(await ben.evaluate(() => document.querySelectorAll('.chat-line').length), 50);
  await press(ben, 'Older messages');
  await until(10_000, 'all lines', () => ben.evaluate(() => document.querySelectorAll('.chat-line').length === 60));
  assert.equal(await ben.evaluate(() => document.querySelector('.chat-line p').textContent), 'line 1');
  await ben.evaluate(() => globalThis.patchbay.room.raiseHand(true));
  await ada.press('c');
  await until(10_000, 'the chat', () => ada.evaluate(() => Boolean(document.querySelector('.chat-typing')?.checkVisibility())));
  await until(10_000, 'the field for a message', () => ben.evaluate(() => document.activeElement?.tagName === 'TEXTAREA'));
  await until(10_000, 'Ada to be told that Ben types', async () => {
    await ben.press('x');
    return (await ada.evaluate(() => document.querySelector('.chat-typing').textContent)) === 'Ben is typing…';
  });
  await pictures(ada, 'chat');
  await ben.press('Enter');
  await until(10_000, 'the typing to end', () => ada.evaluate(() => document.querySelector('.chat-typing').textContent === ''));

  // The hand, the microphone, and what asks first.
  await ada.evaluate(() => document.activeElement.blur());
  await ada.press('p');
  await until(10_000, 'a raised hand', async () => (await benInPanel()).includes('hand raised'));
  await press(ada, 'What to do with Ben');
  await pictures(ada, 'actions');
  await press(ada, 'Lower hand');
  await until(10_000, 'a lowered hand', () => ben.evaluate(() => globalThis.patchbay.room.self.handRaised === false));
  await press(ada, 'Mute');
  await shows(ben, 'Your microphone was muted');
  await until(10_000, 'Ben to be muted here, too', () => ben.evaluate(() => globalThis.patchbay.room.publication('microphone').muted));
  await until(10_000, 'Ben to be shown as muted', async () => !(await benInPanel()).includes('microphone on'));
  await press(ada, 'Stop video');
  await shows(ada, 'Stop the video of Ben?');
  await press(ada, 'Stop video');
  await shows(ben, 'Your camera was turned off');
  await until(10_000, 'Ben without a camera', () => ben.evaluate(() => globalThis.patchbay.room.publication('camera').muted));
  await press(ben, 'Turn camera on');
  await shows(ben, 'You may not do this here');
  await until(10_000, 'the camera to stay off, and to look so', () => ben.evaluate(() =>
    globalThis.patchbay.room.publication('camera').muted && Boolean(document.querySelector('[aria-label="Turn camera on"]'))));
  await press(ada, 'What to do with Ben');
  await press(ada, 'Remove');
  await shows(ada, 'Remove Ben?');
  await pictures(ada, 'confirm');
  assert.equal(await ada.evaluate(() => document.activeElement.textContent), 'Cancel');
  await press(ada, 'Cancel');

  // Locked: nobody else. Then Ben goes for good.
  await ada.evaluate(() => document.querySelector('.people-room input').click());
  await until(10_000, 'a locked room', () => ben.evaluate(() => globalThis.patchbay.room.info.locked));
  await ben.evaluate(() => document.activeElement.blur());
  await ben.press('p');
  await shows(ben, 'The room is locked');
  assert.ok(!(await text(ben)).includes('This room'), 'who is no moderator is offered nothing');
  await press(ada, 'Ban');
  await shows(ada, 'Ban Ben?');
  await press(ada, 'Ban');
  await shows(ben, 'You were removed from this room');
  await until(10_000, 'Ben to be gone', async () => (await benInPanel()) === '');
  assert.deepEqual(ada.problems, []);
  await ada.close();
  await ben.close();
});
