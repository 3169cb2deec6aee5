/** Connections through which nothing passes any more, packets being dropped without a word: both ends find out. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { program, start } from '../browser/lib/server.js';
import { figure, until } from '../browser/lib/until.js';
import { ADDRESS, direct } from '../net/net.js';

const HERE = dirname(fileURLToPath(import.meta.url));
const KINDS = ['websocket', 'sse', 'poll'];
const PORT = 8080;
/** How late an end may be found, with what it takes to look. */
const FOUND_WITHIN_MS = 15_000;
const LOOK_MS = 500;

let network, server;

before(async () => {
  network = direct('half');
  server = start('server-half-open', ...command('a', program('patchbay'),
    'serve', '--listen', `${ADDRESS.a}:${PORT}`, '--insecure-open', '--media-port', '0', '--resume-window', '20s'));
  await until(20_000, 'the server', () => metrics().includes('patchbay_connections '));
});

after(async () => {
  await server?.stop();
  network?.takeDown();
});

/** A command line at a side, as `start` takes it. @returns {[string, string[]]} */
function command(side, ...line) {
  const [first, ...rest] = network.at(side, ...line);
  return [first, rest];
}

/** From the server's own side, where nothing is dropped. */
function metrics() {
  try {
    return execFileSync(...command('a', 'curl', '--silent', '--max-time', '2', `http://${ADDRESS.a}:${PORT}/metrics`), { encoding: 'utf8' });
  } catch {
    return '';
  }
}

function connections(kind) {
  const found = new RegExp(`^patchbay_connections_by_kind\\{kind="${kind}"\\} (\\d+)$`, 'm').exec(metrics());
  return found ? Number(found[1]) : null;
}

test('a connection on which packets vanish is found by both sides, whatever it is', { timeout: 120_000 }, async () => {
  const clients = KINDS.map((kind) => {
    /** @type {any[]} */
    const steps = [];
    const line = command('b', process.execPath, '--experimental-websocket', join(HERE, 'half-open-client.js'), kind, `http://${ADDRESS.a}:${PORT}`, `half-open-${kind}`);
    const client = start(`half-open-${kind}`, ...line, { onLine: (text) => text.startsWith('{') && steps.push(JSON.parse(text)) });
    return { kind, steps, stop: () => client.stop() };
  });
  for (const { kind, steps } of clients) {
    await until(20_000, () => `${kind} to join: ${JSON.stringify(steps)}`, () => steps.some(({ state, transport }) => state === 'joined' && transport === kind));
    await until(5_000, `the server to count one over ${kind}`, () => connections(kind) === 1);
  }
  // Nothing is lost while all is well: longer than a silence may last.
  const calm = Date.now() + FOUND_WITHIN_MS + 2_000;
  await until(FOUND_WITHIN_MS + 5_000, 'time to pass', () => Date.now() > calm);
  for (const { kind, steps } of clients) assert.ok(!steps.some(({ state }) => state === 'reconnecting'), `${kind}: ${JSON.stringify(steps)}`);

  network.block('a', `iifname != lo tcp dport ${PORT}`);
  network.block('b', `tcp sport ${PORT}`);
  const cut = Date.now();
  const found = {};
  await until(FOUND_WITHIN_MS + LOOK_MS, () => `the server to find every end: ${JSON.stringify(found)}`, () => {
    for (const kind of KINDS) if (!(kind in found) && connections(kind) === 0) found[kind] = Date.now() - cut;
    return KINDS.every((kind) => kind in found);
  });
  for (const { kind, steps } of clients) {
    const step = await until(FOUND_WITHIN_MS, () => `${kind} to find the end: ${JSON.stringify(steps)}`, () => steps.find(({ at, state }) => at > cut && state === 'reconnecting'));
    assert.ok(step.at - cut <= FOUND_WITHIN_MS + LOOK_MS, `${kind} found it after ${step.at - cut} ms`);
    figure(`signaling_half_open_${kind}_client_ms`, step.at - cut, 'ms');
    figure(`signaling_half_open_${kind}_server_ms`, found[kind], 'ms');
  }

  // What was only away comes back.
  for (const [side, table] of [['a', 'block'], ['b', 'block']]) execFileSync(...command(side, 'nft', 'flush', 'chain', 'inet', 'patchbay', table));
  // Nothing gets through before, and it may be quicker than the command that lets it through: whoever is connected since the cut is back.
  for (const { kind, steps } of clients) {
    await until(15_000, () => `${kind} to be back: ${JSON.stringify(steps)}`, () => steps.find(({ at, state }) => at > cut && state === 'connected'));
    assert.ok(!steps.some(({ state }) => state === 'over'), `${kind}: ${JSON.stringify(steps)}`);
  }
  await Promise.all(clients.map((client) => client.stop()));
});
