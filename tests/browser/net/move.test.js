/** A browser whose address changes in the middle of a call: the call comes back by itself. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { ADDRESS, direct } from '../../net/net.js';
import { launch } from '../lib/browser.js';
import { join } from '../lib/participant.js';
import { program, start } from '../lib/server.js';
import { figure, until } from '../lib/until.js';

const URL = `http://${ADDRESS.a}:8080`;
let network, server, browser;

before(async () => {
  network = direct('moving');
  const [command, ...args] = network.at('a', program('patchbay'), 'serve', '--listen', `${ADDRESS.a}:8080`, '--insecure-open', '--media-port', '0');
  server = start('server-moving', command, args, { env: { RUST_LOG: 'info' } });
  await until(20_000, 'the server behind the network', () => {
    const [curl, ...rest] = network.at('b', 'curl', '--silent', '--fail', '--max-time', '5', `${URL}/readyz`);
    try {
      execFileSync(curl, rest);
      return true;
    } catch {
      return false;
    }
  });
  browser = await launch('chromium', {
    executable: network.wrapper('b', '/usr/bin/chromium'),
    args: [`--unsafely-treat-insecure-origin-as-secure=${URL}`],
  });
});

after(async () => {
  await browser?.close();
  await server?.stop();
  network?.takeDown();
});

test('a call survives a new address', { timeout: 120_000 }, async () => {
  const slots = { audio: 1, video: 1 };
  const ada = await join(browser, { server: URL, room: 'moving', name: 'ada', colour: '#c03030', slots });
  const ben = await join(browser, { server: URL, room: 'moving', name: 'ben', colour: '#3050c0', slots });
  await Promise.all([ada.watch('ben'), ben.watch('ada')]);
  await Promise.all([ada.flows(), ben.flows()]);

  network.address('b', '198.51.100.77');
  const began = Date.now();
  await until(60_000, async () => `both to be connected again: ${await ada.state()}, ${await ben.state()}`, async () => {
    const [one, other] = await Promise.all([ada.state(), ben.state()]);
    return one === 'connected' && other === 'connected';
  });
  await Promise.all([ada.flows(40_000), ben.flows(40_000)]);
  figure('address_change_recovery_s', ((Date.now() - began) / 1_000).toFixed(1), 's');
  const roster = await ada.roster();
  assert.deepEqual(roster.map(({ identity }) => identity), ['ben'], 'nobody is there twice');
  await ada.leave();
  await ben.leave();
});
