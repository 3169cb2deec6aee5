/**
 * Clients that nobody here wrote: aiortc and GStreamer publish by WHIP into a room that a browser watches, and play by
 * WHEP what a browser publishes.
 */
import assert from 'node:assert/strict';
import { join as path } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from '../browser/lib/browser.js';
import { isColour, join } from '../browser/lib/participant.js';
import { ROOT, start, startServer } from '../browser/lib/server.js';
import { until } from '../browser/lib/until.js';

const CLIENTS = {
  aiortc: [path(ROOT, 'tests/.provision/venv/bin/python'), path(ROOT, 'tests/strangers/aiortc_client.py')],
  gstreamer: ['/usr/bin/python3', path(ROOT, 'tests/strangers/gstreamer_client.py')],
};
const COLOUR = '#30a040';
let server, browser;

before(async () => {
  server = await startServer('strangers');
  browser = await launch('chromium');
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Starts a client; `said` is what it told so far. */
function client(name, ...args) {
  const [command, script] = CLIENTS[name];
  const said = [];
  const process = start(`stranger-${name}-${args[0]}`, command, [script, ...args], { onLine: (line) => said.push(JSON.parse(line)) });
  return { ...process, said, stop: () => process.stop(), get isRunning() { return process.isRunning; } };
}

for (const name of Object.keys(CLIENTS)) {
  test(`${name} publishes by WHIP, Chromium watches`, { timeout: 90_000 }, async () => {
    const room = `whip-${name}`;
    const watcher = await join(browser, { server: server.url, room, name: 'watcher', colour: null, audio: false, slots: { audio: 1, video: 1 } });
    const publisher = client(name, 'publish', `${server.url}/whip/${room}?identity=stranger`, '60', COLOUR.slice(1));
    await until(30_000, `${name} to connect; see tests/artifacts/stranger-${name}-publish.log`, () => {
      assert.ok(publisher.isRunning, `${name} ended`);
      return publisher.said.some(({ state }) => state === 'connected');
    });
    await watcher.watch('stranger');
    await watcher.flows(20_000, { frames: 40, samples: 48_000 });
    let pixel;
    await until(10_000, () => `the colour, saw ${JSON.stringify(pixel)}`, async () => isColour((pixel = await watcher.pixel('stranger')), COLOUR));
    await publisher.stop();
    await watcher.leave();
  });

  test(`${name} plays by WHEP what Chromium publishes`, { timeout: 90_000 }, async () => {
    const room = `whep-${name}`;
    const publisher = await join(browser, { server: server.url, room, name: 'publisher', colour: COLOUR, slots: { audio: 0, video: 0 } });
    const player = client(name, 'play', `${server.url}/whep/${room}?source=participant:publisher&identity=stranger`, '40');
    const code = await player.ended;
    const result = player.said.at(-1);
    assert.equal(code, 0, `${JSON.stringify(player.said)}; see tests/artifacts/stranger-${name}-play.log`);
    const [red, green, blue] = result.colour;
    assert.ok(isColour({ red, green, blue }, COLOUR), `saw ${result.colour}`);
    await publisher.leave();
  });
}
