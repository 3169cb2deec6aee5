/**
 * The same game over the same bad path, by data channels and by a plain WebSocket: how long messages take.
 *
 *   node tests/load/compare.js [SECONDS]
 *
 * 6 players send 30 messages of 100 bytes a second, each to all others, through a link that loses 2 % of the packets in each
 * direction and delays the rest by 20 or by 50 ms one way. Server and relay are at one end, all players at the other, so
 * one clock measures. Needs a release build of `patchbay` and `patchbay-load`. Prints FIGUREs.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { ADDRESS, shimmed } from '../net/net.js';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
const BUILT = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'release');
const SECONDS = process.argv[2] ?? '8';
const HTTP = `${ADDRESS.a}:8080`;
const RELAY = `${ADDRESS.a}:8081`;
/** How long a server may take to start, in ms. */
const PATIENCE_MS = 20_000;

const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill();
});

/** Starts a program at a side. */
function start([command, ...args], stdio) {
  const child = spawn(command, args, { stdio });
  children.add(child);
  child.on('exit', () => children.delete(child));
  return child;
}

/** Runs a program to its end, and resolves with its lines. */
async function run(command) {
  const child = start(command, ['ignore', 'pipe', 'inherit']);
  const ended = new Promise((resolve) => { child.on('exit', resolve); });
  const lines = [];
  for await (const line of createInterface({ input: child.stdout })) lines.push(line);
  assert.equal(await ended, 0, command.join(' '));
  return lines;
}

/** Waits until a server at side a answers from there. */
async function ready(network) {
  const began = Date.now();
  for (;;) {
    const probe = start(network.at('a', 'curl', '--silent', '--fail', '--retry', '20', '--retry-connrefused',
      '--retry-delay', '1', '--max-time', '20', '--output', '/dev/null', `http://${HTTP}/readyz`), 'ignore');
    const code = await new Promise((resolve) => { probe.on('exit', resolve); });
    if (code === 0) return;
    assert.ok(Date.now() - began < PATIENCE_MS, 'the server does not start');
  }
}

/** @param {number} delay one way, in ms */
async function compare(delay) {
  const network = await shimmed(`cmp${delay}`, { delay, loss: 2, seed: 7 });
  const server = start(network.at('a', join(BUILT, 'patchbay'), 'serve', '--listen', HTTP, '--media-port', '0', '--insecure-open',
    '--log', 'error'), ['ignore', 'ignore', 'inherit']);
  const relay = start(network.at('a', join(BUILT, 'patchbay-load'), '--websocket-relay', RELAY),
    ['ignore', 'pipe', 'inherit']);
  await new Promise((resolve) => { relay.stdout.once('data', resolve); });
  await ready(network);
  const load = (...args) => run(network.at('b', join(BUILT, 'patchbay-load'), '--address', ADDRESS.b,
    '--seconds', SECONDS, '--prefix', `data_path_${delay}_ms`, ...args));
  const lines = [
    ...await load('--scenario', 'path', '--url', `http://${HTTP}`, '--pid', String(server.pid)),
    ...await load('--scenario', 'websocket', '--relay-at', RELAY),
  ];
  const counters = await network.set({});
  server.kill();
  relay.kill();
  network.takeDown();
  const lost = counters.a.lost / counters.a.packets;
  assert.ok(lost > 0.01 && lost < 0.03, `the link lost ${lost * 100} % of ${counters.a.packets} packets`);
  return lines.filter((line) => line.startsWith('FIGURE '));
}

const figures = (await Promise.all([compare(20), compare(50)])).flat();
for (const line of figures) console.log(line);

const value = (name) => {
  const line = figures.find((it) => it.startsWith(`FIGURE ${name} `));
  assert.ok(line, `${name} is missing`);
  return Number(line.split(' ')[2]);
};
for (const delay of [20, 50]) {
  const row = (how) => ['p50', 'p95', 'p99', 'max'].map((at) => value(`data_path_${delay}_ms_${how}_${at}_ms`));
  for (const how of ['unreliable', 'reliable', 'websocket']) {
    console.log(`${delay} ms, ${how}: p50 / p95 / p99 / max ${row(how).map((ms) => ms.toFixed(1)).join(' / ')} ms`);
  }
  // Every message takes two ways of the link.
  assert.ok(row('unreliable')[0] >= 2 * delay, 'faster than the link');
  // Two links of 2 % lose 4 %. An unreliable message is given up, and more than twice that would be something else.
  assert.ok(value(`data_path_${delay}_ms_unreliable_loss_percent`) < 10, 'more is lost than the link loses');
}
process.exit(0);
