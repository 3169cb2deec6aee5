/** The network library does to packets what it says. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { afterEach, test } from 'node:test';
import { ADDRESS, direct, shimmed } from './net.js';

let network;
afterEach(() => network?.takeDown());

/** Counts numbered datagrams at a side: `done` resolves with [number, milliseconds of arrival]. */
function receiver(quietMs) {
  const [command, ...args] = network.at('b', process.execPath, '-e', `
    const socket = require('node:dgram').createSocket('udp4');
    const seen = [];
    let quiet;
    const end = () => { console.log(JSON.stringify(seen)); process.exit(0); };
    socket.on('message', (message) => {
      seen.push([message.readUInt32BE(0), Number(process.hrtime.bigint() / 1000n) / 1000]);
      clearTimeout(quiet);
      quiet = setTimeout(end, ${quietMs});
    });
    socket.bind(5000, '${ADDRESS.b}', () => console.log('ready'));
  `);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ready = lines.next();
  return {
    ready,
    done: ready.then(async () => JSON.parse((await lines.next()).value)),
  };
}

/** Sends numbered datagrams of 1,000 bytes from side a; resolves with the times of sending. */
function send(count, everyMs) {
  const [command, ...args] = network.at('a', process.execPath, '-e', `
    const socket = require('node:dgram').createSocket('udp4');
    const times = [];
    const next = () => {
      if (times.length === ${count}) { socket.close(); console.log(JSON.stringify(times)); return; }
      const message = Buffer.alloc(1000);
      message.writeUInt32BE(times.length, 0);
      times.push(Number(process.hrtime.bigint() / 1000n) / 1000);
      socket.send(message, 5000, '${ADDRESS.b}', () => setTimeout(next, ${everyMs}));
    };
    next();
  `);
  return JSON.parse(execFileSync(command, args, { encoding: 'utf8' }));
}

/** Sends through the network; what arrived, with the delay of each. */
async function through(count, everyMs) {
  const { ready, done } = receiver(1_000);
  await ready;
  const sent = send(count, everyMs);
  return (await done).map(([number, at]) => ({ number, delay: at - sent[number] }));
}

test('delay and jitter', { timeout: 30_000 }, async () => {
  network = await shimmed('delay', { delay: 50, jitter: 10, seed: 3 });
  const arrived = await through(200, 4);
  assert.equal(arrived.length, 200);
  const delays = arrived.map(({ delay }) => delay).sort((x, y) => x - y);
  assert.ok(delays[0] > 38, `least ${delays[0]}`);
  assert.ok(delays[100] > 48 && delays[100] < 75, `median ${delays[100]}`);
  assert.deepEqual(arrived.map(({ number }) => number), [...Array(200).keys()], 'jitter alone keeps the order');
});

test('loss, duplicates and reordering, the same for the same seed', { timeout: 60_000 }, async () => {
  const fates = [];
  for (let round = 0; round < 2; round += 1) {
    network = await shimmed('fate', { delay: 20, loss: 10, duplicate: 5, reorder: 5, seed: 9 });
    // No other packet may come between: the neighbours are known beforehand.
    const arrived = await through(400, 2);
    fates.push(new Set(arrived.map(({ number }) => number)).size);
    const counters = await network.set({});
    assert.ok(counters.a.lost > 20 && counters.a.lost < 70, JSON.stringify(counters));
    assert.ok(counters.a.duplicated > 5 && counters.a.reordered > 5, JSON.stringify(counters));
    network.takeDown();
  }
  assert.ok(Math.abs(fates[0] - fates[1]) <= 2, `${fates}`);
});

test('a rate by the shim', { timeout: 30_000 }, async () => {
  network = await shimmed('slow', { rate: 800, queue: 10_000 });
  const arrived = await through(100, 0);
  const took = arrived.at(-1).delay;
  // 100 packets of 1,028 bytes at 800 kbit/s take a little more than a second.
  assert.ok(took > 700 && took < 1_400, `${took} ms`);
});

test('loss and rate by the kernel', { timeout: 30_000 }, async () => {
  network = direct('veth');
  network.loss('b', 20);
  const arrived = await through(500, 1);
  assert.ok(arrived.length > 340 && arrived.length < 460, `${arrived.length} of 500`);
  network.loss('b', 0);
  assert.equal((await through(200, 1)).length, 200);
  network.rate('a', 400);
  const slow = await through(100, 0);
  assert.ok(slow.length < 60, `${slow.length} of 100 got through the queue of 50 ms`);
});

test('another address', { timeout: 30_000 }, async () => {
  network = direct('moved');
  network.address('a', '198.51.100.77');
  const [command, ...args] = network.at('a', 'ip', '-o', '-4', 'address');
  const text = execFileSync(command, args, { encoding: 'utf8' });
  assert.match(text, /198\.51\.100\.77/);
  assert.doesNotMatch(text, /198\.51\.100\.1\//);
  assert.equal((await through(20, 1)).length, 20);
});
