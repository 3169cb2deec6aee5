/** The SDK's data plane in real browsers: modes, late joiners, calls, files, and topics where no media gets through. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../lib/browser.js';
import { startServer } from '../lib/server.js';
import { figure, until } from '../lib/until.js';
import { rust, sdk } from './peers.js';

let server, blocked, chromium, firefox;

before(async () => {
  server = await startServer('data-sdk');
  // What is announced leads nowhere: nobody receives there.
  blocked = await startServer('data-blocked', ['--media-bind', '127.0.0.1', '--public-ip', '127.0.0.2/127.0.0.1']);
  [chromium, firefox] = await Promise.all([launch('chromium'), launch('firefox')]);
});

after(async () => {
  await chromium?.close();
  await firefox?.close();
  await server?.stop();
  await blocked?.stop();
});

const values = (peer) => peer.page.evaluate(() => [...globalThis.patchbay.topic.values].map(({ key, data }) => `${key}=${data}`).sort());

for (const name of ['chromium', 'firefox']) {
  test(`latest in ${name}: the newest, for who comes late, too, and its end`, { timeout: 60_000 }, async () => {
    const browser = name === 'chromium' ? chromium : firefox;
    const options = { mode: 'latest', ordered: false, maxRetransmits: 0 };
    const ada = await sdk(browser, server.url, `latest-${name}`, 'ada', 'board', options);
    await ada.page.evaluate(() => {
      for (let count = 0; count < 100; count += 1) globalThis.patchbay.topic.send({ key: `shape-${count % 3}`, data: String(count) });
    });
    const ben = await sdk(browser, server.url, `latest-${name}`, 'ben', 'board', {});
    await until(10_000, async () => `the snapshot, not ${await values(ben)}`, async () => String(await values(ben)) === 'shape-0=99,shape-1=97,shape-2=98');
    await ada.page.evaluate(() => void globalThis.patchbay.topic.delete('shape-1'));
    await until(10_000, 'the tombstone', async () => String(await values(ben)) === 'shape-0=99,shape-2=98');
    await ada.stop();
    await until(10_000, 'the end of the values of who has left', async () => (await values(ben)).length === 0);
    await ben.stop();
  });
}

test('calls and files between Chromium and Firefox', { timeout: 90_000 }, async () => {
  const ada = await sdk(chromium, server.url, 'files', 'ada', 'small', { ordered: false, maxRetransmits: 0 });
  const ben = await sdk(firefox, server.url, 'files', 'ben', 'small', { ordered: false, maxRetransmits: 0 });
  await ben.page.evaluate(() => {
    const { room } = globalThis.patchbay;
    room.handleRpc('sum', ({ payload }) => String(JSON.parse(payload).reduce((sum, number) => sum + number, 0)));
    room.handleRpc('fails', () => {
      throw new Error('not today');
    });
    globalThis.taken = [];
    room.files.addEventListener('offer', async ({ file }) => {
      if (file.name === 'unwanted') return file.refuse();
      const blob = await file.blob().catch(({ code }) => code);
      globalThis.taken.push(typeof blob === 'string' ? { name: file.name, error: blob } : { name: file.name, type: blob.type, bytes: [...new Uint8Array(await blob.arrayBuffer())].reduce((sum, byte, at) => (sum + byte * (at % 251)) % 1_000_003, 0), size: blob.size });
    });
  });
  const outcome = await ada.page.evaluate(async (to) => {
    const { room, topic } = globalThis.patchbay;
    const code = (promise) => promise.then(() => null, (error) => `${error.code}: ${error.message}`);
    const calls = [await room.rpc(to, 'sum', '[1,2,39]'), await code(room.rpc(to, 'fails')), await code(room.rpc(to, 'nothing'))];
    const content = new Uint8Array(3_000_000).map((_, at) => (at * 31) >> 3);
    const sum = content.reduce((total, byte, at) => (total + byte * (at % 251)) % 1_000_003, 0);
    const began = performance.now();
    const file = room.files.send(new Blob([content], { type: 'image/png' }), { to, name: 'map.png' });
    const progress = [];
    file.addEventListener('progress', ({ transferred }) => progress.push(transferred));
    const beside = setInterval(() => topic.send({ data: String(performance.now()) }), 10);
    await file.done;
    clearInterval(beside);
    const ms = performance.now() - began;
    const refused = await code(room.files.send(new Uint8Array(10), { to, name: 'unwanted' }).done);
    const cancelling = room.files.send(new Uint8Array(2_000_000), { to, name: 'cancelled' });
    cancelling.addEventListener('progress', ({ transferred }) => transferred > 0 && cancelling.cancel());
    const cancelled = await code(cancelling.done);
    return { calls, sum, ms, progress, refused, cancelled };
  }, ben.number);
  assert.equal(outcome.calls[0], '42');
  assert.match(outcome.calls[1], /^rpc_failed: .*not today/);
  assert.match(outcome.calls[2], /^rpc_failed: .*no method nothing/);
  assert.ok(outcome.progress.length > 10 && outcome.progress.at(-1) === 3_000_000, `${outcome.progress}`);
  assert.match(outcome.refused, /^cancelled/);
  assert.match(outcome.cancelled, /^cancelled/);
  const taken = () => ben.page.evaluate(() => globalThis.taken);
  await until(10_000, async () => JSON.stringify(await taken()), async () => (await taken()).length === 2);
  assert.deepEqual(await taken(), [{ name: 'map.png', type: 'image/png', bytes: outcome.sum, size: 3_000_000 }, { name: 'cancelled', error: 'cancelled' }]);
  figure('browser_file_mbit_s', (24_000 / outcome.ms).toFixed(1), 'Mbit/s');
  assert.ok((await ben.heard()).length > 20, 'small messages pass');
  await ada.stop();
  await ben.stop();
});

/** FNV-1a, as the client's example has it. */
const CHECKSUM = `(content) => {
  let sum = 0xcbf29ce484222325n;
  for (const byte of content) sum = ((sum ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return sum.toString(16).padStart(16, '0');
}`;

test('a file from Chromium to the Rust client, and one back, and calls both ways', { timeout: 90_000 }, async () => {
  const ada = await sdk(chromium, server.url, 'mixed', 'ada', 'all');
  const ben = await rust(server.url, 'mixed', 'ben', 'all');
  const sent = await ada.page.evaluate(async ({ to, code }) => {
    const { room } = globalThis.patchbay;
    room.handleRpc('twice', ({ payload }) => payload + payload);
    globalThis.taken = [];
    room.files.addEventListener('offer', async ({ file }) => {
      const content = new Uint8Array(await (await file.blob()).arrayBuffer());
      globalThis.taken.push({ from: file.peer, size: content.length, checksum: new Function(`return ${code}`)()(content) });
    });
    const content = new Uint8Array(700_000).map((_, at) => (at * 7) >> 2);
    await room.files.send(new Blob([content], { type: 'application/x-map' }), { to, name: 'map.bin' }).done;
    return { checksum: new Function(`return ${code}`)()(content), shouted: await room.rpc(to, 'shout', 'hello') };
  }, { to: ben.number, code: CHECKSUM });
  assert.equal(sent.shouted, 'HELLO');
  await until(10_000, () => `the file, not ${JSON.stringify(ben.said)}`, () => ben.said.some(({ file }) => file === 'map.bin'));
  assert.deepEqual(ben.said.find(({ file }) => file === 'map.bin'), { file: 'map.bin', type: 'application/x-map', size: 700_000, checksum: sent.checksum });
  await ben.write(`file ${ada.number} 500000`);
  await until(20_000, () => JSON.stringify(ben.said), () => ben.said.some(({ state }) => state === 'sent'));
  const [taken] = await ada.page.evaluate(() => globalThis.taken);
  assert.deepEqual(taken, { from: ben.number, size: 500_000, checksum: ben.said.find(({ offered }) => offered === 500_000).checksum });
  await ben.write(`call ${ada.number} twice ab`);
  await until(10_000, 'the answer', () => ben.said.some(({ answer }) => answer === 'abab'));
  await ada.stop();
  await ben.stop();
});

test('where no media gets through, topics, calls and files go over signaling', { timeout: 120_000 }, async () => {
  const began = performance.now();
  const ada = await sdk(chromium, blocked.url, 'blocked', 'ada', 'all', { mode: 'latest' });
  figure('browser_topic_over_signaling_after_ms', Math.round(performance.now() - began), 'ms');
  const ben = await sdk(firefox, blocked.url, 'blocked', 'ben', 'all');
  for (const peer of [ada, ben]) assert.equal(await peer.page.evaluate(() => globalThis.patchbay.topic.isFallback), true);
  await ada.sendText('over signaling');
  await ben.sendBytes('00ff10');
  await until(10_000, 'both', async () => (await ben.heard()).some(({ text }) => text === 'over signaling') && (await ada.heard()).some(({ bytes }) => bytes === '00ff10'));
  const got = await ben.page.evaluate(async (to) => {
    const { room } = globalThis.patchbay;
    return room.rpc(to, 'none').catch(({ code }) => code);
  }, ada.number);
  assert.equal(got, 'rpc_failed');
  const done = ada.page.evaluate(async (to) => {
    await globalThis.patchbay.room.files.send(new Uint8Array(300_000).fill(5), { to, name: 'slow.bin' }).done;
    return true;
  }, ben.number);
  const size = await ben.page.evaluate(() => new Promise((resolve) => {
    globalThis.patchbay.room.files.addEventListener('offer', async ({ file }) => resolve((await file.blob()).size));
  }));
  assert.deepEqual([size, await done], [300_000, true]);
  // The server gives the path up, and nobody leaves.
  const numbers = [ada.number, ben.number];
  for (const { page } of [ada, ben]) {
    const timeline = () => page.evaluate(async () => (await globalThis.patchbay.room.timeline())?.steps.map(({ step }) => step) ?? []);
    await until(60_000, async () => `the server to give the path up, after ${await timeline()}`, async () => (await timeline()).some((step) => step === 'failed' || step === 'closed'));
  }
  await ada.sendText('and after it');
  await until(10_000, 'what is sent then', async () => (await ben.heard()).some(({ text }) => text === 'and after it'));
  for (const [index, peer] of [ada, ben].entries()) {
    assert.deepEqual(await peer.page.evaluate(() => [globalThis.patchbay.room.state, globalThis.patchbay.room.self.number]), ['connected', numbers[index]]);
    await peer.stop();
  }
});
