/** The room page behind a real nginx: whatever it does to WebSockets and streams, the call comes about. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { launch } from '../browser/lib/browser.js';
import { participant } from '../browser/lib/participant.js';
import { startServer } from '../browser/lib/server.js';
import { figure, until } from '../browser/lib/until.js';
import { MANNERS, startNginx } from './nginx.js';

let server, browser, peers;

before(async () => {
  server = await startServer('nginx', ['--trusted-proxy', '127.0.0.1']);
  browser = await launch('chromium');
  peers = server.peers('nginx', ['--room', 'proxied', '--identity', 'ball', '--video', 'ball', '--audio', 'tone']);
});

after(async () => {
  await peers?.stop();
  await browser?.close();
  await server?.stop();
});

/** Joins on the room page, and sees, hears and says something. Returns how it is connected. */
async function callBehind(manner) {
  const nginx = await startNginx(manner, server.url, MANNERS[manner]);
  try {
    const began = Date.now();
    const page = await browser.page(`${nginx.url}/r/proxied?name=Ada&join=1`);
    await until(30_000, () => `the page to join: ${page.problems.join('; ')}`, () => page.evaluate(() => globalThis.patchbay?.room?.state === 'connected'));
    const took = Date.now() - began;
    const ada = participant(page, 'Ada');
    await ada.flows();
    const connection = await page.evaluate(() => globalThis.patchbay.room.connection);
    for (let line = 0; line < 5; line += 1) await page.evaluate((text) => globalThis.patchbay.room.sendChat(text), `${manner} ${line}`);
    const expected = Array.from({ length: 5 }, (_, line) => `${manner} ${line}`);
    await until(10_000, 'the lines to come back', () => page.evaluate((text) => globalThis.patchbay.room.chat.some((line) => line.text === text), expected.at(-1)));
    const lines = await page.evaluate(() => globalThis.patchbay.room.chat.map(({ text }) => text));
    assert.deepEqual(lines.filter((text) => text.startsWith(`${manner} `)), expected);
    await ada.flows();
    await page.close();
    return { connection, took };
  } finally {
    await nginx.stop();
  }
}

test('nginx as it should be: a WebSocket', { timeout: 60_000 }, async () => {
  assert.equal((await callBehind('transparent')).connection, 'websocket');
});

test('nginx refuses upgrades: SSE', { timeout: 60_000 }, async () => {
  const { connection, took } = await callBehind('refuses');
  assert.equal(connection, 'sse');
  figure('signaling_nginx_sse_join_ms', took, 'ms');
});

test('nginx forgets upgrades: SSE', { timeout: 60_000 }, async () => {
  assert.equal((await callBehind('forgets')).connection, 'sse');
});

test('nginx holds streams back: long polling', { timeout: 60_000 }, async () => {
  const { connection, took } = await callBehind('holds');
  assert.equal(connection, 'poll');
  figure('signaling_nginx_poll_join_ms', took, 'ms');
});

test('nginx holds streams back by the page: whatever is left, nothing is late', { timeout: 60_000 }, async () => {
  assert.equal((await callBehind('holdsPages')).connection, 'poll');
});

/** Begins a session from an address of loopback; resolves with the status and the code of a refusal. */
function hello(port, { from, forwarded }) {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', ...(forwarded && { 'x-forwarded-for': forwarded }) };
    const asked = request({ host: '127.0.0.1', port, localAddress: from, method: 'POST', path: '/v1/hello', headers, agent: false }, (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('end', () => resolve({ status: response.statusCode, code: JSON.parse(Buffer.concat(pieces).toString()).code }));
    });
    asked.on('error', reject);
    asked.end(JSON.stringify({ id: 1, type: 'hello', version: 1 }));
  });
}

test('who comes through nginx is counted by the own address, and by no other that is claimed', { timeout: 60_000 }, async () => {
  // Three come, and the fourth of the same address is too many for the next half a minute.
  const limits = ['--joins-per-second', '1', '--joins-burst', '3'];
  const strict = await startServer('nginx-strict', ['--trusted-proxy', '127.0.0.1', ...limits]);
  const nginx = await startNginx('strict', strict.url, MANNERS.transparent).catch(async (error) => {
    await strict.stop();
    throw error;
  });
  const direct = Number(new URL(strict.url).port);
  try {
    const burst = async (port, from, forwarded) => {
      const answers = [];
      for (let count = 0; count < 12; count += 1) answers.push(await hello(port, { from, forwarded: forwarded?.(count) }));
      return answers;
    };
    const passed = (answers) => answers.filter(({ status }) => status === 200).length;
    const first = await burst(nginx.port, '127.0.0.2');
    assert.ok(passed(first) >= 3 && passed(first) <= 5, JSON.stringify(first));
    assert.ok(first.filter(({ status }) => status !== 200).every(({ status, code }) => status === 429 && code === 'rate_limited'), JSON.stringify(first));
    // A header of one's own names somebody else each time, and counts for nothing: nginx writes behind it.
    const forged = await burst(nginx.port, '127.0.0.2', (count) => `203.0.113.${count}`);
    assert.ok(passed(forged) <= 2, JSON.stringify(forged));
    // Another one comes through the same proxy unhindered.
    assert.ok(passed(await burst(nginx.port, '127.0.0.3')) >= 3);
    // Whoever is no trusted proxy is not believed.
    assert.ok(passed(await burst(direct, '127.0.0.4', (count) => `203.0.113.${count}`)) <= 5);
  } finally {
    await nginx.stop();
    await strict.stop();
  }
});
