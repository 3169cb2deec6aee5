/** Chromium that may use nothing but the relay publishes and plays through it: over UDP, TCP and TLS. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../browser/lib/browser.js';
import { join } from '../browser/lib/participant.js';
import { program } from '../browser/lib/server.js';
import { figure, until } from '../browser/lib/until.js';
import { CLIENT, PORT, SFU, TRANSPORTS, TURN, URL, open, trust } from './world.js';

/** Frames and samples that must be decoded once media flows: five seconds of it. */
const ENOUGH = { frames: 75, samples: 200_000 };
let world, browser, old;

before(async () => {
  world = await open('relay', ['--turn-ttl', '60s']);
  // Who goes to the SFU without the relay gets nowhere.
  for (const [at, family] of ['ip', 'ip6'].entries()) world.network.block('b', `${family} saddr ${CLIENT[at]} ${family} daddr ${SFU[at]} udp dport ${PORT.server}`);
  const home = world.file('home');
  trust(home, world.file('ca.pem'));
  browser = await launch('chromium', {
    executable: world.network.wrapper('a', '/usr/bin/chromium'),
    // A page without TLS gets no microphone otherwise.
    args: [`--unsafely-treat-insecure-origin-as-secure=${URL}`],
    env: { HOME: home },
  });
  // A call that is going on for longer than credentials hold by the time it is looked at.
  const [ada, ben] = await pair('old', TRANSPORTS['TURN-UDP'].url);
  const [{ username }] = await ada.page.evaluate(() => globalThis.handedOut);
  old = { ada, ben, first: username };
});

after(async () => {
  await browser?.close();
  await world?.close();
});

/** The browser, but each page's connections gather relay candidates alone, of one of the URLs that the server hands out. */
const through = (url) => ({
  ...browser,
  async page(address) {
    const page = await browser.page(address);
    await page.evaluate((only) => {
      const Plain = globalThis.RTCPeerConnection;
      globalThis.connections = [];
      globalThis.RTCPeerConnection = class extends Plain {
        constructor(configuration) {
          super({ ...configuration, iceTransportPolicy: 'relay' });
          globalThis.connections.push(this);
        }
        setConfiguration({ iceServers, ...rest }) {
          globalThis.handedOut = iceServers;
          super.setConfiguration({ ...rest, iceServers: iceServers.map((server) => ({ ...server, urls: [server.urls].flat().filter((one) => one === only) })) });
        }
      };
    }, url);
    return page;
  },
});

/** Two who see each other, and the milliseconds from the second one's start to both pictures. */
async function pair(room, url) {
  const slots = { audio: 1, video: 1 };
  const ada = await join(through(url), { server: URL, room, name: 'ada', colour: '#c03030', slots });
  const began = Date.now();
  const ben = await join(through(url), { server: URL, room, name: 'ben', colour: '#3050c0', slots });
  await Promise.all([ada.watch('ben'), ben.watch('ada')]);
  return [ada, ben, Date.now() - began];
}

/** The candidates that a page's media takes. */
function selectedPair(page) {
  return page.evaluate(async () => {
    const [connection] = globalThis.connections;
    const stats = await connection.getStats();
    const transport = [...stats.values()].find(({ type }) => type === 'transport');
    const chosen = stats.get(transport?.selectedCandidatePairId);
    if (!chosen) return null;
    const { candidateType, relayProtocol, url, address, port } = stats.get(chosen.localCandidateId);
    const local = [...stats.values()].filter(({ type }) => type === 'local-candidate').map((candidate) => candidate.candidateType);
    return { candidateType, relayProtocol, url, address, port, local, sent: chosen.bytesSent, received: chosen.bytesReceived };
  });
}

for (const [name, { url, protocol }] of Object.entries(TRANSPORTS)) {
  test(`${name}: media flows, and the statistics show the relay`, { timeout: 90_000 }, async () => {
    const [ada, ben, firstFrameMs] = await pair(name.toLowerCase(), url);
    try {
      figure(`${name.toLowerCase().replace('-', '_')}_first_frame_ms`, firstFrameMs, 'ms');
      await Promise.all([ada, ben].map((who) => who.flows(30_000, ENOUGH)));
      for (const { page } of [ada, ben]) {
        const chosen = await selectedPair(page);
        assert.equal(chosen.candidateType, 'relay', JSON.stringify(chosen));
        assert.equal(chosen.relayProtocol, protocol);
        assert.equal(chosen.address, TURN[0]);
        assert.deepEqual([...new Set(chosen.local)], ['relay'], 'there was no other way');
        assert.ok(chosen.sent > 20_000 && chosen.received > 20_000, JSON.stringify(chosen));
        const [handedOut] = await page.evaluate(() => globalThis.handedOut);
        assert.deepEqual(handedOut.urls, Object.values(TRANSPORTS).map((transport) => transport.url));
      }
    } finally {
      await ada.leave();
      await ben.leave();
    }
  });
}

test('headless peers: media flows through the relay', { timeout: 60_000 }, async () => {
  // The webrtc crate asks for mDNS, which needs a route.
  world.run('a', 'ip', 'route', 'add', '224.0.0.0/4', 'dev', 'pbrelaya');
  const peer = (name, args, onLine) => world.start(`peer-${name}`, 'a', [program('patchbay-peer'), '--server', URL, '--room', 'headless',
    '--identity', name, '--bind', CLIENT[0], '--relay', ...args], { onLine });
  let last = {};
  const publisher = peer('publisher', ['--video', 'ball', '--audio', 'tone', '--duration', '0', '--stats-every', '0.2'], (line) => { last = JSON.parse(line); });
  await until(20_000, () => `the publisher, ${JSON.stringify(last)}`, () => last.state === 'connected');
  const player = peer('player', ['--video-slot', `participant:${last.participant}`, '--duration', '8', '--expect-frames', '30']);
  assert.equal(await player.ended, 0, 'frames arrived');
  await publisher.stop();
});

test('a call that outlives its credentials gets new ones, and restarts ICE with them', { timeout: 150_000 }, async () => {
  const { ada, first } = old;
  const name = async () => (await ada.page.evaluate(() => globalThis.handedOut))[0].username;
  await until(60_000, 'new credentials', async () => (await name()) !== first);
  const [expiry, session] = first.split(':');
  assert.equal((await name()).split(':')[1], session);
  await until(60_000, 'the first ones to expire', () => Date.now() / 1_000 > Number(expiry) + 1);
  const before = await selectedPair(ada.page);
  await ada.page.evaluate(() => globalThis.patchbay.room.restartIce());
  await until(20_000, 'another relay', async () => {
    const now = await selectedPair(ada.page);
    return now?.candidateType === 'relay' && now.port !== before.port;
  });
  await ada.flows(30_000, ENOUGH);
});
