/** A call in which nothing is wrong is left alone, in both browsers: no restart, no rejoin, whoever talks or not. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../lib/browser.js';
import { join } from '../lib/participant.js';
import { startServer } from '../lib/server.js';

const QUIET_MS = 8_000;
let server;

before(async () => { server = await startServer('quiet'); });
after(() => server?.stop());

for (const [name, colour] of [['chromium', null], ['chromium', '#c03030'], ['firefox', null], ['firefox', '#c03030']]) {
  test(`${name}, ${colour ? 'publishing' : 'listening'}: a call, and then silence`, { timeout: 120_000 }, async (context) => {
    const browser = await launch(name);
    try {
      const room = `quiet-${name}-${colour ? 1 : 0}`;
      const slots = { audio: 1, video: 1 };
      const listener = await join(browser, { server: server.url, room, name: 'listener', colour, audio: false, slots });
      const talker = server.peers(room, ['--room', room, '--identity', 'talker', '--video', 'ball', '--audio', 'tone']);
      await listener.watch('talker');
      await listener.flows();
      await listener.page.evaluate(() => {
        globalThis.states = [];
        globalThis.patchbay.room.addEventListener('statechange', ({ state, error }) => globalThis.states.push(`${state} ${error?.message ?? ''}`));
      });
      const quiet = () => new Promise((resolve) => setTimeout(resolve, QUIET_MS));
      await quiet();
      assert.equal(await listener.offers(), 1, 'while media flows');
      // Whoever publishes nothing hears nothing more, but its path is well.
      await talker.stop();
      await quiet();
      context.diagnostic(JSON.stringify({ offers: await listener.offers(), states: await listener.page.evaluate(() => globalThis.states) }));
      assert.deepEqual(await listener.page.evaluate(() => globalThis.states.filter((state) => !state.startsWith('connected'))), []);
      assert.ok(await listener.offers() <= 2, 'one restart at most, to be sure');
      await listener.leave();
    } finally {
      await browser.close();
    }
  });
}
