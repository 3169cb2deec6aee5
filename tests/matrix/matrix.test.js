/**
 * Networks, the path that media takes through each, and the time from the start of a join to the first frame: with headless
 * peers and with Chromium. The table is docs/networks.md; UPDATE_DOCS=1 writes it.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from '../browser/lib/browser.js';
import { ROOT, program } from '../browser/lib/server.js';
import { figure, until } from '../browser/lib/until.js';
import { trust } from '../turn/world.js';
import { CLOSING, FRONT, NETWORKS, SFU } from './networks.js';
import { CLIENT, NEIGHBOUR, ROUTER, TURN, open } from './world.js';

const DOCUMENT = join(ROOT, 'docs/networks.md');
const ROOM = 'matrix';
const FRAMES = 20;
/** How long Chromium may take until it and the server agree on the path. */
const SETTLED_MS = 20_000;
/** What was measured, by network. */
const measured = new Map();
let world, browser, publisher;

before(async () => {
  world = await open();
  const home = world.file('home');
  trust(home, world.file('ca.pem'));
  let last = {};
  world.start('publisher', 'servers', peer('publisher', NEIGHBOUR, ['--video', 'ball', '--audio', 'tone', '--duration', '0', '--stats-every', '0.2']), { onLine: (line) => { last = JSON.parse(line); } });
  await until(30_000, () => `the publisher, ${JSON.stringify(last)}`, () => last.state === 'connected');
  publisher = last.participant;
  world.start('echo', 'servers', [process.execPath, '-e', ECHO]);
  askedByClient(ASK);
  browser = await launch('chromium', { executable: world.wrapper('client', '/usr/bin/chromium'), env: { HOME: home } });
});

after(async () => {
  await browser?.close();
  await world?.close();
});

const peer = (identity, address, args) => [program('patchbay-peer'), '--server', `http://${FRONT}:443`, '--room', ROOM, '--identity', identity, '--bind', address, ...args];

/** Answers datagrams at two addresses with where they came from; before each answer a third address sends there, too. */
const ECHO = `
  const { createSocket } = require('node:dgram');
  const stranger = createSocket('udp4');
  stranger.bind(7000, '${NEIGHBOUR}');
  for (const address of ['${TURN}', '${SFU}']) {
    const socket = createSocket('udp4');
    socket.on('message', (_, { address, port }) => {
      stranger.send('stranger', port, address, () => socket.send(JSON.stringify({ address, port }), port, address));
    });
    socket.bind(7000, address);
  }`;

/** What two servers see of one socket of the client's, and whether a third can answer in their place. */
const ASK = `
  const socket = require('node:dgram').createSocket('udp4');
  const answers = new Map();
  let strangers = 0;
  socket.on('message', (message, { address }) => {
    if (String(message) === 'stranger') strangers += 1;
    else answers.set(address, JSON.parse(message));
    if (answers.size < 2) return;
    console.log(JSON.stringify({ seen: [...answers.values()], strangers }));
    process.exit(0);
  });
  const ask = () => ['${TURN}', '${SFU}'].forEach((address) => answers.has(address) || socket.send('?', 7000, address));
  socket.bind(0, () => { ask(); setInterval(ask, 100); });
  setTimeout(() => process.exit(1), 10000);`;

/** What gets an answer: within ten seconds if that is expected, else within one. */
const PROBE = `
  const expected = process.argv.slice(1);
  const { connect } = require('node:net');
  const tls = require('node:tls');
  const { createSocket } = require('node:dgram');
  const passes = [];
  const probe = (name, begin) => new Promise((resolve) => {
    const timer = setTimeout(resolve, expected.includes(name) ? 10000 : 1000);
    begin((works) => { if (works) passes.push(name); clearTimeout(timer); resolve(); });
  });
  const stream = (socket, event) => (done) => socket.on(event, () => done(true)).on('error', () => done(false));
  const plain = connect(443, '${FRONT}', () => plain.write('GET /healthz HTTP/1.1\\r\\nHost: ${FRONT}\\r\\n\\r\\n'));
  const datagram = createSocket('udp4');
  Promise.all([
    probe('udp', (done) => { datagram.on('message', () => done(true)); setInterval(() => datagram.send('?', 7000, '${SFU}'), 100); }),
    probe('tcp', stream(connect(7882, '${SFU}'), 'connect')),
    probe('443', stream(plain, 'data')),
    probe('tls', stream(tls.connect({ host: '${FRONT}', port: 443, rejectUnauthorized: false }), 'secureConnect')),
  ]).then(() => { console.log(JSON.stringify(passes)); process.exit(0); });`;

const askedByClient = (script, ...args) => JSON.parse(world.run('client', process.execPath, '-e', script, ...args));

function timeline(identity) {
  const session = world.asked('/v1/timelines').find((join) => join.identity === identity)?.session;
  return session && world.asked(`/v1/timelines/${session}`);
}

/** The path of a join, as the server's timeline of it tells. */
async function serverSees(identity) {
  const { steps } = await until(5_000, `a timeline of ${identity}`, () => timeline(identity));
  const from = steps.flatMap((step) => step.step === 'nominated' ? [step.from] : step.step === 'path_changed' ? [step.to] : []).at(-1);
  const isTcp = steps.some((step) => step.step === 'path' && step.from === from && step.tcp);
  const address = from?.split(':')[0];
  if (address === TURN) return 'TURN';
  if (isTcp) return 'TCP';
  return { [CLIENT]: 'UDP host', [ROUTER]: 'UDP prflx' }[address] ?? `${from} in ${JSON.stringify(steps)}`;
}

async function headless({ key, flags = [] }) {
  const identity = `headless-${key}`;
  let last;
  const watching = world.start(identity, 'client', peer(identity, CLIENT, ['--video-slot', `participant:${publisher}`, '--duration', '0', '--stats-every', '0.2', ...flags]), { onLine: (line) => { last = JSON.parse(line); } });
  await until(30_000, () => `frames for ${identity}: ${JSON.stringify(last)}`, () => {
    assert.ok(watching.isRunning, `${identity} ended; see tests/artifacts/matrix-${identity}.log`);
    return last?.slots[0].frames >= FRAMES;
  });
  const path = await serverSees(identity);
  await watching.stop();
  // The webrtc crate speaks TURN over UDP only.
  return { path: path === 'TURN' ? 'TURN-UDP' : path, time: last.slots[0].first_frame_ms };
}

async function chromium({ key, chromium: expected }) {
  const identity = `chromium-${key}`;
  const page = await browser.page(`https://${FRONT}/healthz`);
  try {
    const time = Math.round(await page.evaluate(watch, { roomName: ROOM, identity, frames: FRAMES }));
    let path;
    await until(SETTLED_MS, async () => `${expected.join(' or ')}; it is ${path}, of ${JSON.stringify(await page.evaluate(candidatePairs))}, ${JSON.stringify(timeline(identity).steps)}`, async () => {
      const local = await page.evaluate(localCandidate);
      const seen = await serverSees(identity);
      path = seen === 'TURN' ? `TURN-${local?.relayProtocol?.toUpperCase()}` : seen;
      return expected.includes(path) && (local?.candidateType === 'relay') === (seen === 'TURN');
    });
    return { path, time };
  } finally {
    await page.evaluate(() => globalThis.matrix?.room.close()).catch(() => {});
    await page.close();
  }
}

/** In the page: the near end of the path in use. */
async function localCandidate() {
  const stats = await globalThis.matrix.connections.at(-1).getStats();
  const transport = [...stats.values()].find(({ type }) => type === 'transport');
  const chosen = stats.get(transport?.selectedCandidatePairId);
  if (!chosen) return null;
  const { candidateType, relayProtocol } = stats.get(chosen.localCandidateId);
  return { candidateType, relayProtocol };
}

/** In the page: the path in use, as the browser names it. */
async function pathInUse() {
  const stats = await globalThis.matrix.connections.at(-1).getStats();
  const transport = [...stats.values()].find(({ type }) => type === 'transport');
  const chosen = stats.get(transport?.selectedCandidatePairId);
  if (!chosen) return null;
  const { candidateType, protocol, relayProtocol } = stats.get(chosen.localCandidateId);
  return candidateType === 'relay' ? `TURN-${relayProtocol.toUpperCase()}` : protocol.toUpperCase();
}

/** In the page: waits for so many frames from now on. */
function moreFrames(count) {
  return new Promise((resolve, reject) => {
    const video = document.querySelector('video');
    let left = count;
    const next = () => {
      left -= 1;
      if (left === 0) resolve();
      else video.requestVideoFrameCallback(next);
    };
    video.requestVideoFrameCallback(next);
    setTimeout(() => reject(new Error(`${left} of ${count} frames missing after 30 s`)), 30_000);
  });
}

/** In the page: every pair of candidates, for an error. */
async function candidatePairs() {
  const stats = await globalThis.matrix.connections.at(-1).getStats();
  return [...stats.values()].filter(({ type }) => type === 'candidate-pair').map((pair) => {
    const [local, remote] = [stats.get(pair.localCandidateId), stats.get(pair.remoteCandidateId)];
    const { state, nominated, requestsSent, responsesReceived } = pair;
    return { local: [local?.candidateType, local?.protocol, local?.relayProtocol], remote: [remote?.address, remote?.port, remote?.protocol], state, nominated, requestsSent, responsesReceived };
  });
}

/** In the page: joins, waits for so many frames of the publisher, tells how long the first one took. */
async function watch({ roomName, identity, frames }) {
  const connections = [];
  const Plain = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Plain {
    constructor(...given) {
      super(...given);
      connections.push(this);
    }
  };
  const { Room } = await import('/sdk/index.js');
  const began = performance.now();
  const room = await Room.join(location.origin, { room: roomName, name: identity, identity, slots: { audio: 1, video: 1 } });
  const video = document.createElement('video');
  video.muted = true;
  video.autoplay = true;
  const slot = room.videoSlot();
  video.srcObject = slot.stream;
  document.body.append(video);
  const painted = new Promise((resolve, reject) => {
    let first = null;
    let count = 0;
    const next = () => {
      first ??= performance.now() - began;
      count += 1;
      if (count === frames) resolve(first);
      else video.requestVideoFrameCallback(next);
    };
    video.requestVideoFrameCallback(next);
    setTimeout(() => reject(new Error(`${count} frames in 40 s`)), 40_000);
  });
  slot.show(room.participants.find((participant) => participant.identity === 'publisher').camera).catch(() => {});
  video.play().catch(() => {});
  globalThis.matrix = { room, connections };
  return painted;
}

for (const network of NETWORKS) {
  test(`${network.words}: ${network.chromium.join(' or ')}`, { timeout: 90_000 }, async () => {
    world.become(network);
    assert.deepEqual(askedByClient(PROBE, ...network.passes).sort(), network.passes, 'what the firewall lets through');
    if (network.port) {
      const { seen, strangers } = askedByClient(ASK);
      assert.deepEqual(seen.map(({ address }) => address), [ROUTER, ROUTER]);
      assert.equal(seen[0].port === seen[1].port ? 'same' : 'another', network.port);
      assert.equal(strangers, 0, 'who was not written to cannot answer');
    }
    const result = { headless: network.headless && await headless(network), chromium: await chromium(network) };
    measured.set(network.key, result);
    assert.equal(result.headless?.path ?? null, network.headless);
    assert.ok(network.chromium.includes(result.chromium.path), result.chromium.path);
    console.log(`Chromium took ${result.chromium.path}`);
    figure(`matrix_${network.key}_first_frame_ms`, (result.headless || result.chromium).time, 'ms');
    if (result.headless) figure(`matrix_${network.key}_chromium_first_frame_ms`, result.chromium.time, 'ms');
  });
}

test('a network that closes during a call: from UDP to TCP to TURN over TLS', { timeout: 150_000 }, async () => {
  world.become(NETWORKS.find(({ key }) => key === 'port_restricted'));
  const page = await browser.page(`https://${FRONT}/healthz`);
  try {
    await page.evaluate(watch, { roomName: ROOM, identity: 'closing', frames: FRAMES });
    assert.equal(await page.evaluate(pathInUse), 'UDP');
    for (const network of CLOSING) {
      world.become(network);
      const began = Date.now();
      let path;
      await until(45_000, () => `${network.path} when ${network.words}; it is ${path}`, async () => {
        path = await page.evaluate(pathInUse);
        return path === network.path;
      });
      await page.evaluate(moreFrames, FRAMES);
      figure(`fall_to_${network.path.toLowerCase().replace('-', '_')}_s`, ((Date.now() - began) / 1_000).toFixed(1), 's');
    }
  } finally {
    await page.evaluate(() => globalThis.matrix?.room.close()).catch(() => {});
    await page.close();
  }
});

/** The table. */
function table() {
  const rows = NETWORKS.map(({ key, words, headless: told, chromium: possible }) => {
    const { headless: peers, chromium: browsers } = measured.get(key);
    return `| ${words} | ${told ?? '—'} | ${peers ? `${peers.time} ms` : ''} | ${possible.join(' or ')} | ${browsers.time} ms |`;
  });
  return ['| Network of the client | Path, headless | First frame | Path, Chromium | First frame |', '| --- | --- | ---: | --- | ---: |', ...rows].join('\n');
}

const INTRODUCTION = `# Networks, and the path that media takes

Written by a test (\`UPDATE_DOCS=1 tests/run matrix\`), which every time checks the paths. A client is behind real routers
(Linux network namespaces; nftables does the NAT and the firewall); the server, its media on UDP and TCP 7882 and on TCP 443,
and coturn with 3478 and \`turns:\` on 443 have public addresses. Clients get all of it and choose by themselves.

- **UDP host**: the server sees the client's own address. **UDP prflx**: it sees the address that a NAT gave it.
- **TCP**: ICE-TCP, to the media port or to 443. **TURN-UDP**, **TURN-TCP**, **TURN-TLS**: how the client reaches coturn.
- *First frame* is the time from the start of the join, signaling included, to the first frame that could be decoded
  (headless) or was painted (Chromium), once, on a busy machine with two cores. The publisher has been there for a while.
- A headless peer speaks either UDP or TCP, as it is told, and TURN over UDP only: its path is chosen for it where it is TCP,
  and the dashes are networks that it can't leave.
- *Only the page* means TCP 443 to the page's address; headless peers, which speak no TLS, get the page without. *Only TLS*
  resets connections to port 443 that don't begin with a TLS handshake, so that ICE-TCP does not pass. All firewalls are
  behind a port-restricted NAT.
- The path is what the server's timeline of the join and a browser's statistics tell. Where
  both TCP and a relay over TCP or TLS pass, and there is no delay on the way, as here, Chromium sometimes connects by the
  relay before it has tried TCP, and then never tries it. With no relay at hand it always takes TCP; tests/browser/tcp shows that.

`;

/** The table without its times. */
function paths(document) {
  const rows = document.split('\n').filter((line) => line.startsWith('| ')).slice(2);
  return rows.map((line) => line.split('|').map((cell) => cell.trim()).filter((_, at) => [1, 2, 4].includes(at)));
}

test('docs/networks.md has these paths', () => {
  assert.equal(measured.size, NETWORKS.length, 'every network was measured');
  const document = `${INTRODUCTION}${table()}\n`;
  console.log(table());
  if (process.env.UPDATE_DOCS === '1') writeFileSync(DOCUMENT, document);
  assert.deepEqual(paths(readFileSync(DOCUMENT, 'utf8')), paths(document));
});
