/** Sessions outlive their connections in a real browser: WebSockets blocked, streams held back, connections cut or frozen. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../lib/browser.js';
import { join, participant } from '../lib/participant.js';
import { startProxy } from '../lib/proxy.js';
import { startServer } from '../lib/server.js';
import { figure, median, until } from '../lib/until.js';

const SLOTS = { audio: 1, video: 2 };
/** How much of the time of an outage a picture may miss: a frame is 50 ms. */
const GAP_MS = 500;

let server, proxy, browser;

before(async () => {
  server = await startServer('connections');
  proxy = await startProxy(server.url);
  browser = await launch('chromium');
});

after(async () => {
  await browser?.close();
  await proxy?.close();
  await server?.stop();
});

/** Two who see each other: the first through the proxy, the second straight. */
async function call(room, options = {}) {
  const ben = await join(browser, { server: server.url, room, name: 'ben', colour: '#3060c0', slots: SLOTS });
  const ada = await join(browser, { server: proxy.url, room, name: 'ada', slots: SLOTS, ...options });
  await Promise.all([ada.page.evaluate(record, 'ben'), ben.page.evaluate(record, 'ada')]);
  await Promise.all([ada.flows(), ben.flows()]);
  return { ada, ben };
}

/** Writes down every painted frame, every step of the connection, who comes and goes, and the chat. */
async function record(other) {
  const { room } = globalThis.patchbay;
  const story = (globalThis.story = { frames: [], steps: [], people: [], lines: [] });
  room.addEventListener('connectionstate', ({ state, transport, words }) => story.steps.push({ at: performance.now(), state, transport, words }));
  for (const type of ['participantjoined', 'participantleft']) room.addEventListener(type, ({ participant: { identity } }) => story.people.push(`${type} ${identity}`));
  room.addEventListener('chat', ({ text }) => story.lines.push(text));
  const end = performance.now() + 20_000;
  while (!room.participants.find(({ identity }) => identity === other)?.camera) {
    if (performance.now() > end) throw new Error(`${other} has no camera`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const slot = room.videoSlot();
  const video = document.createElement('video');
  Object.assign(video, { muted: true, autoplay: true, srcObject: slot.stream });
  document.body.append(video);
  const painted = () => {
    story.frames.push(performance.now());
    video.requestVideoFrameCallback(painted);
  };
  video.requestVideoFrameCallback(painted);
  slot.show(room.participants.find(({ identity }) => identity === other).camera).catch(() => {});
}

const story = (who) => who.page.evaluate(() => globalThis.story);
const connection = (who) => who.page.evaluate(() => globalThis.patchbay.room.connection);
const say = (who, text) => who.page.evaluate((words) => globalThis.patchbay.room.sendChat(words), text);
const now = (who) => who.page.evaluate(() => performance.now());
/** The longest time without a frame since some moment, until now. */
const longestGap = (who, since) => who.page.evaluate((from) => {
  const frames = [from, ...globalThis.story.frames.filter((at) => at > from), performance.now()];
  return Math.max(...frames.slice(1).map((at, index) => at - frames[index]));
}, since);
const connected = (who, since, deadlineMs = 20_000) => until(deadlineMs, async () => `a resume: ${JSON.stringify((await story(who)).steps)}`, async () => (
  (await story(who)).steps.findLast(({ at, state }) => at > since && state === 'connected')
));
const leave = (...people) => Promise.all(people.map((who) => who.leave()));

test('a proxy that refuses WebSockets: the room is joined by SSE, and a WebSocket takes over when it may', { timeout: 120_000 }, async () => {
  proxy.refusesUpgrade = true;
  const { ada, ben } = await call('blocked');
  assert.equal(await connection(ada), 'sse');
  await say(ben, 'one');
  await until(5_000, 'a line', async () => (await story(ada)).lines.includes('one'));
  const since = await now(ada);
  proxy.refusesUpgrade = false;
  await until(70_000, 'the WebSocket to take over', async () => {
    await say(ben, `${Date.now()}`);
    return await connection(ada) === 'websocket';
  });
  await say(ben, 'end');
  await until(5_000, 'the last line', async () => (await story(ada)).lines.includes('end'));
  assert.deepEqual((await story(ada)).lines, (await story(ben)).lines, 'each once and in order');
  assert.ok(await longestGap(ada, since) < GAP_MS);
  assert.deepEqual((await story(ben)).people.filter((event) => event.startsWith('participantleft')), []);
  await leave(ada, ben);
});

test('a proxy that refuses WebSockets and holds streams back: the room is joined by long polling', { timeout: 120_000 }, async () => {
  proxy.refusesUpgrade = proxy.buffers = true;
  try {
    const { ada, ben } = await call('buffered');
    assert.equal(await connection(ada), 'poll');
    const texts = Array.from({ length: 20 }, (_, index) => `line ${index}`);
    for (const text of texts) await say(ben, text);
    await until(10_000, 'all lines', async () => (await story(ada)).lines.length === texts.length);
    assert.deepEqual((await story(ada)).lines, texts);
    await leave(ada, ben);
  } finally {
    proxy.refusesUpgrade = proxy.buffers = false;
  }
});

test('a connection that is cut in the middle of a call is resumed: nobody leaves, and the video never stops', { timeout: 120_000 }, async (context) => {
  const { ada, ben } = await call('cut');
  const times = [];
  for (let round = 0; round < 5; round += 1) {
    const since = await now(ada);
    proxy.cut();
    await say(ben, `round ${round}`);
    const { at } = await connected(ada, since);
    times.push(at - since);
    await until(5_000, 'the line that was missed', async () => (await story(ada)).lines.length === round + 1);
    assert.ok(await longestGap(ada, since) < GAP_MS, 'what ada sees');
    assert.ok(await longestGap(ben, await now(ben) - (at - since)) < GAP_MS, 'what ben sees');
  }
  assert.deepEqual((await story(ada)).lines, Array.from({ length: 5 }, (_, round) => `round ${round}`));
  assert.deepEqual((await story(ben)).people, [], 'nobody came or went');
  assert.equal(await ada.offers(), 1);
  context.diagnostic(JSON.stringify(times.map(Math.round)));
  figure('signaling_resume_browser_ms', Math.round(median(times)), 'ms');
  await leave(ada, ben);
});

test('a connection on which nothing passes any more is found within 15 s', { timeout: 120_000 }, async () => {
  const { ada, ben } = await call('frozen');
  const since = await now(ada);
  proxy.freeze();
  await say(ben, 'through the hole');
  const { at } = await connected(ada, since, 30_000);
  const { steps } = await story(ada);
  const found = steps.find((step) => step.at > since && step.state === 'reconnecting');
  figure('signaling_half_open_found_browser_ms', Math.round(found.at - since), 'ms');
  assert.ok(found.at - since <= 15_500, `found after ${found.at - since} ms`);
  assert.ok(at >= found.at);
  assert.match(found.words, /you can still hear and see everybody/);
  await until(5_000, 'the line that was missed', async () => (await story(ada)).lines.length === 1);
  assert.ok(await longestGap(ada, since) < GAP_MS);
  assert.deepEqual((await story(ben)).people, []);
  await leave(ada, ben);
});

test('twenty cuts at random, over connections at random: every line comes once and in order', { timeout: 180_000 }, async () => {
  const { ada, ben } = await call('random');
  const texts = [];
  for (let cut = 0; cut < 20; cut += 1) {
    proxy.refusesUpgrade = Math.random() < 0.5;
    proxy.buffers = Math.random() < 0.3;
    for (let count = 0; count < 3; count += 1) {
      texts.push(`${cut}.${count}`);
      await say(ben, texts.at(-1));
    }
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 1_500));
    proxy.cut();
  }
  proxy.refusesUpgrade = proxy.buffers = false;
  await until(60_000, async () => `all lines: ${JSON.stringify(await story(ada).then(({ lines, steps }) => ({ lines, steps: steps.slice(-4) })))}`, async () => (await story(ada)).lines.length >= texts.length);
  assert.deepEqual((await story(ada)).lines, texts);
  assert.deepEqual((await story(ben)).people, []);
  assert.equal(await ada.state(), 'connected');
  await leave(ada, ben);
});

test('the room page says that the server is away, and that the call goes on', { timeout: 120_000 }, async () => {
  const peers = server.peers('words', ['--room', 'words', '--identity', 'ball', '--video', 'ball', '--audio', 'tone']);
  const page = await browser.page(`${proxy.url}/r/words?name=Ada&join=1`);
  await until(20_000, 'the room page to be in the call', () => page.evaluate(() => globalThis.patchbay.room?.state === 'connected'));
  const ada = participant(page, 'Ada');
  await ada.flows();
  const words = () => page.evaluate(() => document.querySelector('.state')?.hidden ? '' : document.querySelector('.state span:not(.state-dot)')?.textContent ?? '');
  assert.equal(await words(), '');
  proxy.isDown = true;
  proxy.cut();
  try {
    const said = await until(20_000, async () => `words: "${await words()}"`, async () => {
      const text = await words();
      return /^Reconnecting to the server \(\d+ s\)… you can still hear and see everybody$/.test(text) ? text : null;
    });
    assert.ok(said);
    await ada.flows();
    await page.screenshot(`${process.env.PATCHBAY_ARTIFACTS ?? 'tests/artifacts'}/reconnecting-words.png`);
    assert.equal(await page.evaluate(() => globalThis.patchbay.room.state), 'connected');
  } finally {
    proxy.isDown = false;
  }
  await until(20_000, 'the words to go', async () => await words() === '');
  // The browser's own words about connections that fail, which are sometimes none.
  assert.deepEqual(page.problems.filter((problem) => !/^$|WebSocket|Failed to load resource|net::ERR/.test(problem)), []);
  await page.close();
  await peers.stop();
});
