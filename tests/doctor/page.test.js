/**
 * The page when media can't get through: Chromium behind a firewall that lets nothing but signaling pass, and a TURN
 * server with another secret. The page says so within seconds, and the timeline knows what TURN said to the browser.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from '../browser/lib/browser.js';
import { program, start } from '../browser/lib/server.js';
import { figure, until } from '../browser/lib/until.js';
import { ADDRESS, direct } from '../net/net.js';

const URL = `http://${ADDRESS.b}:8080`;
const directory = mkdtempSync(join(tmpdir(), 'patchbay-page-'));
const started = [];
let network, browser;

before(async () => {
  network = direct('trble');
  const run = (name, side, ...words) => {
    const [command, ...args] = network.at(side, ...words);
    started.push(start(name, command, args, { env: { RUST_LOG: 'info' } }));
  };
  run('trouble-turn', 'b', 'turnserver', '-n', '--listening-ip', ADDRESS.b, '--relay-ip', ADDRESS.b, '--use-auth-secret',
    '--static-auth-secret=another0123456789', '--realm=doctor', '--no-tls', '--no-dtls', '--no-cli', '--pidfile', join(directory, 'pid'),
    '--log-file', 'stdout', '--userdb', join(directory, 'db'));
  run('trouble', 'b', program('patchbay'), 'serve', '--listen', `${ADDRESS.b}:8080`, '--insecure-open', '--workers', '1', '--media-port', '7100',
    '--turn-server', `turn:${ADDRESS.b}:3478?transport=udp`, '--turn-secret', 'one0123456789abcdef');
  network.block('b', 'udp dport 7100');
  network.block('b', 'tcp dport 7100');
  await until(20_000, 'the server', () => {
    const [command, ...args] = network.at('a', 'curl', '--silent', '--fail', '--max-time', '5', `${URL}/readyz`);
    try { return execFileSync(command, args, { encoding: 'utf8' }); } catch { return false; }
  });
  // An address that becomes valid while the page loads is a change of network, at which Chromium drops what it fetches.
  const settled = (side) => {
    const [command, ...args] = network.at(side, 'ip', '-6', 'address', 'show');
    const shown = execFileSync(command, args, { encoding: 'utf8' });
    return shown.includes('fe80::') && !shown.includes('tentative');
  };
  await until(10_000, 'addresses to be settled', () => settled('a') && settled('b'));
  browser = await launch('chromium', {
    executable: network.wrapper('a', '/usr/bin/chromium'),
    args: [`--unsafely-treat-insecure-origin-as-secure=${URL}`],
  });
});

after(async () => {
  await browser?.close();
  for (const child of started) await child.stop();
  network?.takeDown();
  rmSync(directory, { recursive: true, force: true });
});

test('the page says what is wrong, and what to do', async () => {
  const page = await browser.page(`${URL}/r/trouble?name=Ada&join=1`);
  await until(30_000, () => `the page to join; ${page.problems.join('; ')}`, () => page.evaluate(() => globalThis.patchbay?.room?.state === 'connecting'));
  const joinedAt = Date.now();
  const button = () => page.evaluate(() => {
    const found = [...document.querySelectorAll('button')].find((it) => it.textContent === 'Trouble connecting?' && !it.hidden);
    found?.click();
    return Boolean(found);
  });
  await until(15_000, () => `the offer to explain; ${page.problems.join('; ')}`, button);
  figure('trouble_shown_ms', Date.now() - joinedAt, 'ms');
  // The panel is fetched when it is first opened.
  const words = () => page.evaluate(() => document.body.innerText);
  await until(10_000, () => 'what to do', async () => /static-auth-secret differ/.test(await words()));
  const text = await words();
  assert.match(text, /A TURN server refused the credentials \(turn:198\.51\.100\.2:3478\?transport=udp: 401/);
  assert.match(text, /the offer was answered; media is expected on 198\.51\.100\.2:7100/);
  const timeline = await page.evaluate(() => globalThis.patchbay.room.timeline());
  assert.equal(timeline.diagnosis.cause, 'turn_refused');
  assert.equal(timeline.connected, false);
});
