/** The operators' dashboard against the real server: live, through a restart, and behind a token. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { join as path } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from '../lib/browser.js';
import { ARTIFACTS, freePort, program, start, startPeers, startServer } from '../lib/server.js';
import { until } from '../lib/until.js';

const SIZES = [['desktop', 1440, 900], ['tablet', 820, 1180], ['phone', 390, 844]];
const SECRET = 'a-key-of-the-dashboard-tests-0123456789';
let browser;

before(async () => { browser = await launch('chromium'); });
after(async () => { await browser?.close(); });

/** A token of the API, made as its description says: HS256 with the key that `kid` names. */
function mint(api, { secret = SECRET, expiresIn = 600 } = {}) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = `${encode({ alg: 'HS256', typ: 'JWT', kid: 'main' })}.${encode({ api, exp: Math.floor(Date.now() / 1000) + expiresIn })}`;
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
}

/** A server whose port stays when it is started again. */
async function serverThatReturns(name) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let life = 0;
  let running;
  const begin = async () => {
    running = start(`server-${name}-${life += 1}`, program('patchbay'), ['serve', '--listen', `127.0.0.1:${port}`, '--media-port', '0'], { env: { RUST_LOG: 'info' } });
    await until(20_000, `${url}/readyz`, async () => (await fetch(`${url}/readyz`).catch(() => null))?.ok);
  };
  await begin();
  return { url, begin, stop: () => running.stop() };
}

const text = (page, selector) => page.evaluate((it) => document.querySelector(it)?.textContent ?? null, selector);
const words = (page) => text(page, '.state-words');
const sees = (page, selector) => page.evaluate((it) => { const element = document.querySelector(it); return element !== null && element.getClientRects().length > 0; }, selector);
/** What the table of rooms says of a room. */
const participantsOf = (page, room) => page.evaluate((name) => document.querySelector(`[data-room="${name}"]`)?.closest('tr')?.querySelector('[data-title="participants"]')?.textContent ?? null, room);
const events = (page) => page.evaluate(() => [...document.querySelectorAll('.event .event-words')].map((line) => line.textContent));
const click = (page, selector) => page.evaluate((it) => document.querySelector(it).click(), selector);
const tile = (page, name) => page.evaluate((it) => [...document.querySelectorAll(`[data-tile="${it}"] .tile-number`)].map((number) => number.textContent), name);
const give = (page, token) => page.evaluate((value) => {
  document.querySelector('#token').value = value;
  document.querySelector('form').requestSubmit();
}, token);
/** Refusals and absences are in the console by the browser's own doing; a breach of the policy or a fault of the page isn't. */
const faults = (page) => page.problems.filter((problem) => !/Failed to load resource|net::ERR/.test(problem));

async function pictures(page, name) {
  for (const scheme of ['light', 'dark']) {
    await page.scheme(scheme);
    for (const [size, width, height] of SIZES) {
      await page.resize(width, height);
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
      await page.screenshot(path(ARTIFACTS, `${name}-${size}-${scheme}.png`));
      const { wide, inner } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, inner: innerWidth }));
      assert.ok(wide <= inner, `${name} ${size} is ${wide} px wide in a window of ${inner}`);
    }
  }
  await page.scheme('light');
  await page.resize(1440, 900);
}

test('a real room is shown as it is, and whoever comes and goes is seen at once', { timeout: 180_000 }, async () => {
  const server = await startServer('dashboard');
  const ada = server.peers('dashboard-ada', ['--room', 'standup', '--identity', 'ada', '--names', 'Ada Lovelace', '--video', 'ball', '--audio', 'tone']);
  const page = await browser.page(`${server.url}/dashboard`);
  await page.resize(1440, 900);
  await until(20_000, 'the dashboard to be live without a token', async () => /^Live/.test(await words(page) ?? ''));
  await until(20_000, 'the room with one participant', async () => await participantsOf(page, 'standup') === '1');

  // By keyboard: the room's name is a button.
  await page.evaluate(() => document.querySelector('[data-room="standup"]').focus());
  await page.press('Enter');
  await until(10_000, 'ada in the details', () => sees(page, '.person[data-identity="ada"]'));
  assert.equal(await text(page, '#room-title'), 'standup');
  assert.equal(await page.evaluate(() => location.hash), '#room=standup');
  await until(20_000, 'her tracks', async () => JSON.stringify(await page.evaluate(() => [...document.querySelectorAll('.person[data-identity="ada"] .track')].map((track) => track.getAttribute('aria-label')))) === '["Microphone, on","Camera, on"]');

  // He leaves by himself.
  const ben = start('peer-dashboard-ben', program('patchbay-peer'), ['--server', server.url, '--room', 'standup', '--identity', 'ben', '--video', 'ball', '--audio', 'tone', '--video-slot', 'participant:1', '--duration', '20']);
  await until(20_000, 'two participants', async () => await participantsOf(page, 'standup') === '2' && sees(page, '.person[data-identity="ben"]'));
  await until(10_000, async () => `that ben joined: ${await events(page)}`, async () => (await events(page)).some((line) => /^ben joined/.test(line)));
  await until(10_000, 'two in the overview', async () => (await tile(page, 'participants'))[0] === '2');
  await until(30_000, async () => `packets in: ${await tile(page, 'packets')}`, async () => Number.parseFloat((await tile(page, 'packets'))[0]) > 0);
  assert.match(await text(page, '.nodes tbody tr') ?? '', /attached/);
  await pictures(page, 'dashboard-room');
  await until(60_000, 'one participant again', async () => await participantsOf(page, 'standup') === '1' && !await sees(page, '.person[data-identity="ben"]'));
  assert.ok((await events(page)).some((line) => /^ben (left|lost)/.test(line)), String(await events(page)));

  await page.press('Escape');
  assert.equal(await sees(page, '.room-panel'), false);
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('data-room')), 'standup', 'the focus is back where it came from');
  await page.press('/');
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'room-filter');
  await pictures(page, 'dashboard-overview');
  assert.deepEqual(faults(page), []);
  await page.close();
  await ada.stop();
  await ben.stop();
  await server.stop();
});

test('muting, locking, removing and closing ask first, and the server does them', { timeout: 120_000 }, async () => {
  const server = await startServer('dashboard-acts');
  const api = async (it) => (await fetch(`${server.url}/v1${it}`)).json();
  const peers = server.peers('dashboard-acts', ['--room', 'acts', '--identity', 'person', '--count', '2', '--video', 'ball', '--audio', 'tone']);
  const page = await browser.page(`${server.url}/dashboard#room=acts`);
  await page.resize(1440, 900);
  const person = '.person[data-identity="person-1"]';
  await until(30_000, 'two people with tracks', () => page.evaluate(() => document.querySelectorAll('.person [data-act="Mute camera"]').length === 2));

  await click(page, `${person} [data-act="Mute camera"]`);
  assert.match(await text(page, 'dialog h2') ?? '', /^Mute person-1\?$/);
  await page.press('Escape');
  await until(5_000, 'the question to go', async () => !await sees(page, 'dialog'));
  assert.ok((await api('/rooms/acts/participants')).items.every(({ tracks }) => tracks.every(({ muted }) => !muted)), 'nothing was done');

  const confirm = async () => {
    await page.evaluate(() => document.querySelector('dialog form').requestSubmit());
    await until(10_000, async () => `the question to go: ${await text(page, 'dialog')}`, async () => !await sees(page, 'dialog'));
  };
  await click(page, `${person} [data-act="Mute camera"]`);
  await confirm();
  await until(10_000, 'a muted camera', () => sees(page, `${person} .track.is-muted[aria-label="Camera, muted"]`));
  assert.equal((await api('/rooms/acts/participants/person-1')).tracks.find(({ source }) => source === 'camera').muted, true);
  await until(10_000, async () => `who muted what: ${await events(page)}`, async () => (await events(page)).some((line) => /^person-1 muted the camera/.test(line)));

  await click(page, '[data-act="lock"]');
  await confirm();
  await until(10_000, 'a locked room', async () => /Unlock/.test(await text(page, '[data-act="lock"]') ?? ''));
  assert.equal((await api('/rooms/acts')).locked, true);

  await click(page, `${person} [data-act="Remove"]`);
  await page.screenshot(path(ARTIFACTS, 'dashboard-confirm.png'));
  await confirm();
  await until(10_000, 'one to be gone', async () => !await sees(page, person));
  assert.deepEqual((await api('/rooms/acts/participants')).items.map(({ identity }) => identity), ['person-2']);

  await click(page, '[data-act="close"]');
  await confirm();
  await until(10_000, async () => `a room that is closed: ${await text(page, '.room-facts')}`, async () => await text(page, '.room-facts') === 'closed');
  assert.equal((await fetch(`${server.url}/v1/rooms/acts`)).status, 404);
  assert.deepEqual(faults(page), []);
  await page.close();
  await peers.stop();
  await server.stop();
});

test('a server that goes away and comes back is told in words, and followed again by itself', { timeout: 120_000 }, async () => {
  const server = await serverThatReturns('dashboard-restart');
  const page = await browser.page(`${server.url}/dashboard`);
  await page.resize(1440, 900);
  await until(20_000, 'the dashboard to be live', async () => /^Live/.test(await words(page) ?? ''));
  await server.stop();
  await until(20_000, async () => `words: ${await words(page)}`, async () => /^The server doesn't answer since \d+ s, asking/.test(await words(page) ?? ''));
  await page.screenshot(path(ARTIFACTS, 'dashboard-away.png'));
  await server.begin();
  await until(30_000, async () => `words: ${await words(page)}`, async () => /^Live/.test(await words(page) ?? ''));
  const lines = await until(10_000, 'the feed to say so', async () => { const all = await events(page); return all.includes('The server was started anew') && all; });
  assert.ok(lines.includes("The server doesn't answer"), String(lines));
  const peer = startPeers('dashboard-back', ['--server', server.url, '--room', 'back', '--identity', 'eve', '--audio', 'tone']);
  await until(20_000, async () => `a join after the restart: ${await events(page)}`, async () => (await events(page)).some((line) => /^eve joined/.test(line)) && await participantsOf(page, 'back') === '1');
  assert.deepEqual(faults(page), []);
  await page.close();
  await peer.stop();
  await server.stop();
});

test('a server with keys wants a token, refuses a wrong one with words, and the token is in the tab alone', { timeout: 120_000 }, async () => {
  const server = await startServer('dashboard-keys', ['--keys', `main:${SECRET}`]);
  const page = await browser.page(`${server.url}/dashboard`);
  await until(20_000, 'a question for a token', () => sees(page, '#token'));
  assert.equal(await sees(page, '.notice'), false, 'nobody did anything wrong yet');
  await pictures(page, 'dashboard-door');

  const refused = async (token, pattern) => {
    await give(page, token);
    await until(10_000, async () => `${pattern}: ${await text(page, '.notice')}`, async () => pattern.test(await text(page, '.notice') ?? ''));
    assert.equal(await page.evaluate(() => sessionStorage.length), 0, 'what was refused is not kept');
  };
  await refused('nonsense', /token/i);
  await refused(mint(['*'], { secret: 'some-other-key-that-is-long-enough-0123456789' }), /This token is wrong/);
  await refused(mint(['status'], { expiresIn: -600 }), /This token has expired/);
  await refused(mint(['rooms:read', 'events']), /lacks the scope status/);
  await page.screenshot(path(ARTIFACTS, 'dashboard-refused.png'));

  const token = mint(['rooms:read', 'status', 'events']);
  await give(page, token);
  await until(20_000, 'the dashboard to be live', async () => /^Live/.test(await words(page) ?? ''));
  assert.deepEqual(await page.evaluate((it) => [location.href.includes(it), document.cookie, Object.values(localStorage).join().includes(it), Object.values(sessionStorage).includes(it)], token), [false, '', false, true]);
  await page.reload();
  await until(20_000, 'the dashboard to be live after a reload', async () => /^Live/.test(await words(page) ?? ''));

  // It may look, and not touch.
  const made = await fetch(`${server.url}/v1/rooms`, { method: 'POST', headers: { authorization: `Bearer ${mint(['rooms:write'])}`, 'content-type': 'application/json' }, body: '{"room":"planned"}' });
  assert.equal(made.status, 201);
  await until(20_000, 'the room', async () => await participantsOf(page, 'planned') === '0');
  await click(page, '[data-room="planned"]');
  await until(10_000, 'its details', () => sees(page, '.hint-line'));
  assert.deepEqual([await sees(page, '[data-act="lock"]'), await sees(page, '[data-act="close"]')], [false, false]);

  await page.evaluate(() => [...document.querySelectorAll('button')].find((button) => button.textContent === 'Forget token').click());
  await until(10_000, 'a question for a token', () => sees(page, '#token'));
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);

  // What it may not see is said where it would be: the rooms, the one in the address, and the events.
  await give(page, mint(['status']));
  await until(20_000, async () => `words in place of rooms: ${await text(page, '.rooms + .empty')}`, () => page.evaluate(() => [...document.querySelectorAll('.empty')].filter((note) => /lacks the scope (rooms:read|events)/.test(note.textContent ?? '')).length === 3));
  assert.deepEqual(faults(page), []);
  await page.close();
  await server.stop();
});
