/**
 * Signaling is killed in a call of four in Chromium, while the SFU runs on as a process of its own: nobody sees it but by
 * the words on the page.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../browser/lib/browser.js';
import { join } from '../browser/lib/participant.js';
import { figure, until } from '../browser/lib/until.js';
import { startProcesses } from './processes.js';

const PEOPLE = { ada: '#c03030', ben: '#3060c0', cleo: '#30a040', dora: '#a030a0' };
const NAMES = Object.keys(PEOPLE);
/** Decoded frames are looked at so often, and must have advanced each time. */
const LOOK_EVERY_MS = 500;
const AWAY_MS = 3_000;
const BACK_WITHIN_MS = 5_000;
const LIVES = 2;

let processes, browser;

before(async () => {
  processes = await startProcesses('restart');
  browser = await launch('chromium');
});

after(async () => {
  await browser?.close();
  await processes?.stop();
});

/** Writes down the decoded frames of each video, steps of the connection, who comes and goes, and the chat. */
async function record({ others, everyMs }) {
  const { room } = globalThis.patchbay;
  const story = (globalThis.story = { frames: [], steps: [], people: [], lines: [] });
  room.addEventListener('connectionstate', ({ state }) => story.steps.push({ at: Date.now(), state }));
  for (const type of ['participantjoined', 'participantleft']) room.addEventListener(type, ({ participant: { identity } }) => story.people.push(`${type} ${identity}`));
  room.addEventListener('chat', ({ text }) => story.lines.push(text));
  const videos = others.map((identity) => globalThis.patchbay.videos[identity]);
  // What the browser has decoded for each element, whatever it paints.
  const look = () => story.frames.push({ at: Date.now(), counts: videos.map((video) => video.getVideoPlaybackQuality().totalVideoFrames) });
  look();
  setInterval(look, everyMs);
}

const story = (who) => who.page.evaluate(() => globalThis.story);
const say = (who, text) => who.page.evaluate((words) => globalThis.patchbay.room.sendChat(words), text);
const history = (who) => who.page.evaluate(async () => (await globalThis.patchbay.room.chatHistory()).lines.map(({ text }) => text));
const shown = (who) => who.page.evaluate(() => globalThis.patchbay.room.chat.map(({ text }) => text));
const numbers = async (who) => (await who.roster()).map(({ number, identity }) => `${number} ${identity}`).sort();

/** The looks between two times, and that every video had new frames at each. */
async function assertNeverStopped(who, from, to) {
  const looks = (await story(who)).frames.filter(({ at }) => at >= from - LOOK_EVERY_MS && at <= to + LOOK_EVERY_MS);
  assert.ok(looks.length >= (to - from) / LOOK_EVERY_MS - 2, `${who.name} looked ${looks.length} times within ${to - from} ms`);
  for (const [index, { at, counts }] of looks.entries()) {
    if (index === 0) continue;
    const news = counts.map((count, video) => count - looks[index - 1].counts[video]);
    assert.ok(news.every((frames) => frames > 0), `${who.name} saw ${news} new frames before ${at - from} ms of the outage`);
  }
  return looks.length - 1;
}

test('signaling is killed in a call of four: the video never stops, and all are back at once', { timeout: 180_000 }, async (context) => {
  const people = [];
  for (const name of NAMES) people.push(await join(browser, { server: processes.url, room: 'kill', name, colour: PEOPLE[name], slots: { audio: 1, video: 3 } }));
  const others = (who) => NAMES.filter((name) => name !== who.name);
  await Promise.all(people.map(async (who) => {
    for (const name of others(who)) await who.watch(name);
    await who.page.evaluate(record, { others: others(who), everyMs: LOOK_EVERY_MS });
  }));
  await Promise.all(people.map((who) => who.flows()));
  const rosters = await Promise.all(people.map(numbers));
  assert.deepEqual(rosters.map((roster) => roster.length), [3, 3, 3, 3]);

  const said = [];
  const line = async (who, text) => {
    said.push(text);
    await say(who, text);
  };
  const worst = [];
  let looks = 0;
  for (let life = 1; life <= LIVES; life += 1) {
    for (const who of people) await line(who, `${who.name} before kill ${life}`);
    await until(5_000, 'everybody to have every line', async () => (await Promise.all(people.map(story))).every(({ lines }) => lines.length === said.length));
    const killed = Date.now();
    await processes.kill();
    await new Promise((resolve) => setTimeout(resolve, AWAY_MS));
    const returned = Date.now();
    processes.restart();
    const back = await Promise.all(people.map((who) => until(BACK_WITHIN_MS, async () => `${who.name} to be back: ${JSON.stringify((await story(who)).steps)}`, async () => (
      (await story(who)).steps.find(({ at, state }) => at > returned && state === 'connected')
    ))));
    worst.push(Math.max(...back.map(({ at }) => at - returned)));
    for (const who of people) {
      const { steps } = await story(who);
      assert.ok(steps.some(({ at, state }) => at > killed && at < returned && state === 'reconnecting'), `${who.name} has noticed`);
    }

    for (const who of people) assert.deepEqual(await history(who), said, `what ${who.name} is told of the chat`);
    for (const who of people) await line(who, `${who.name} after kill ${life}`);
    await until(5_000, async () => `everybody to have every line: ${JSON.stringify((await Promise.all(people.map(story))).map(({ lines }) => lines.length))} of ${said.length}`,
      async () => (await Promise.all(people.map(story))).every(({ lines }) => lines.length >= said.length));
    for (const who of people) {
      assert.deepEqual((await story(who)).lines, said, `what ${who.name} heard, each once and in order`);
      assert.deepEqual(await shown(who), said, `what ${who.name} has on the page`);
    }
    await Promise.all(people.map((who) => who.flows()));
    for (const who of people) looks += await assertNeverStopped(who, killed, Date.now());
    for (const [index, who] of people.entries()) {
      assert.deepEqual((await story(who)).people, [], 'nobody came or went');
      assert.deepEqual(await numbers(who), rosters[index]);
      assert.equal(await who.offers(), 1);
      assert.equal(await who.state(), 'connected');
    }
  }
  context.diagnostic(`back after ${worst} ms; ${looks} looks at three videos each, and every one had new frames`);
  figure('signaling_kill_back_ms', Math.max(...worst), 'ms');
  await Promise.all(people.map((who) => who.leave()));
});
