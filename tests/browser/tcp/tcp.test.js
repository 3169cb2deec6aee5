/**
 * Browsers whose network lets no UDP through: media comes over TCP, on the media port, or on 443 beside HTTPS, or on a port
 * that an SFU node of its own has there. Chromium is in a network namespace whose firewall drops the rest.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, test } from 'node:test';
import { ADDRESS, direct } from '../../net/net.js';
import { launch } from '../lib/browser.js';
import { join } from '../lib/participant.js';
import { program, start, startServer } from '../lib/server.js';
import { figure, median, until } from '../lib/until.js';

const TIMEOUT = { timeout: 120_000 };
/** All of it, as a rule of nftables. */
const UDP = 'meta l4proto udp';
const SLOTS = { audio: 1, video: 1 };
/** Whatever a test opened, taken down even if it fails. */
const open = [];
after(async () => {
  for (const end of open.reverse()) await end();
});

/**
 * A network with one firewall rule or more at the server's side, and programs of ours behind it.
 * @param {string} name @param {string[]} blocked
 */
function walled(name, blocked) {
  const network = direct(name);
  // Programs of the server's side speak to each other as before.
  for (const rule of blocked) network.block('a', `iifname != lo ${rule}`);
  open.push(() => network.takeDown());
  return {
    network,
    /** Starts our program at the server's side. */
    run(role, args) {
      const [command, ...rest] = network.at('a', program('patchbay'), ...args);
      const running = start(`server-${name}-${role}`, command, rest, { env: { RUST_LOG: 'info' } });
      open.push(() => running.stop());
    },
    /** Something of the server, fetched from the browser's side; null if it is not there. */
    fetched(url) {
      const [command, ...rest] = network.at('b', 'curl', '--insecure', '--silent', '--fail', '--max-time', '5', url);
      try {
        return execFileSync(command, rest, { encoding: 'utf8' });
      } catch {
        return null;
      }
    },
    /** Chromium at the other side. */
    async chromium(url) {
      const browser = await launch('chromium', {
        executable: network.wrapper('b', '/usr/bin/chromium'),
        args: [`--unsafely-treat-insecure-origin-as-secure=${url}`, '--ignore-certificate-errors'],
      });
      open.push(() => browser.close());
      return browser;
    },
  };
}

function metric(text, name) {
  const lines = (text ?? '').split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** Joins two, checks that both see and hear each other, by this protocol. */
async function call(browser, url, room, protocol) {
  const ada = await join(browser, { server: url, room, name: 'ada', colour: '#c03030', slots: SLOTS });
  const ben = await join(browser, { server: url, room, name: 'ben', colour: '#3050c0', slots: SLOTS });
  await Promise.all([ada.watch('ben'), ben.watch('ada')]);
  await Promise.all([ada.flows(), ben.flows()]);
  for (const one of [ada, ben]) assert.equal((await one.stats()).path.protocol, protocol);
  return { ada, ben, leave: () => Promise.all([ada.leave(), ben.leave()]) };
}

/** From before the join to the first painted frame of the first participant, in the page. */
async function firstFrame({ room: roomName, name }) {
  const { Room } = await import('/sdk/index.js');
  const began = performance.now();
  const room = await Room.join(location.origin, { room: roomName, name, slots: { audio: 1, video: 1 } });
  const video = document.createElement('video');
  video.muted = true;
  video.autoplay = true;
  const slot = room.videoSlot();
  video.srcObject = slot.stream;
  document.body.append(video);
  const painted = new Promise((resolve, reject) => {
    video.requestVideoFrameCallback(() => resolve(performance.now() - began));
    setTimeout(() => reject(new Error('no frame in 15 s')), 15_000);
  });
  slot.show(room.participants[0].camera).catch(() => {});
  video.play().catch(() => {});
  const time = await painted;
  const { path } = await room.stats();
  await room.close();
  return { time, protocol: path.protocol };
}

/** The median time to the first frame of five who join, all over TCP. */
async function firstFrames(browser, url, room) {
  const times = [];
  for (let round = 0; round < 5; round += 1) {
    const page = await browser.page(`${url}/healthz`);
    const { time, protocol } = await page.evaluate(firstFrame, { room, name: `late-${round}` });
    assert.equal(protocol, 'tcp');
    times.push(time);
    await page.close();
  }
  return median(times);
}

test('with UDP blocked Chromium comes by TCP on the media port', TIMEOUT, async () => {
  const url = `http://${ADDRESS.a}:8080`;
  const wall = walled('noudp', [UDP]);
  wall.run('all', ['serve', '--listen', `${ADDRESS.a}:8080`, '--insecure-open', '--media-port', '7882']);
  await until(20_000, 'the server', () => wall.fetched(`${url}/readyz`) !== null);
  const browser = await wall.chromium(url);
  const { leave } = await call(browser, url, 'noudp', 'tcp');
  figure('tcp_first_frame_chromium_ms', Math.round(await firstFrames(browser, url, 'noudp')), 'ms');
  await until(10_000, 'the metrics to say so', () => metric(wall.fetched(`${url}/metrics`), 'patchbay_sfu_transports_on_tcp') === 2);
  assert.equal(metric(wall.fetched(`${url}/metrics`), 'patchbay_sfu_tcp_violations_total'), 0);
  await leave();
  await until(15_000, 'connections to end with their calls', () => metric(wall.fetched(`${url}/metrics`), 'patchbay_sfu_tcp_connections') === 0);
});

test('where only TCP 443 passes, HTTPS and media share it', TIMEOUT, async () => {
  const url = `https://${ADDRESS.a}`;
  const wall = walled('only43', [UDP, 'tcp dport != 443']);
  wall.run('all', ['serve', '--listen', `${ADDRESS.a}:443`, '--insecure-open', '--tls-self-signed', '--media-port', '7882']);
  await until(20_000, 'the server', () => wall.fetched(`${url}/readyz`) !== null);
  assert.equal(wall.fetched(`http://${ADDRESS.a}:7882/`), null, 'the media port is closed');
  const browser = await wall.chromium(url);
  const { leave } = await call(browser, url, 'only443', 'tcp');
  figure('tcp_443_first_frame_chromium_ms', Math.round(await firstFrames(browser, url, 'only443')), 'ms');
  await leave();
});

test('an SFU node of its own takes media on 443', TIMEOUT, async () => {
  const url = `http://${ADDRESS.a}:8080`;
  const wall = walled('node43', [UDP, 'tcp dport != { 443, 8080 }']);
  wall.run('signaling', ['signaling', '--listen', `${ADDRESS.a}:8080`, '--insecure-open', '--node-secret', 'a-secret-of-the-test']);
  wall.run('sfu', [
    'sfu', '--signaling', `ws://${ADDRESS.a}:8080/v1/nodes`, '--node-secret', 'a-secret-of-the-test',
    '--media-port', '7882', '--media-tcp-port', '443', '--workers', '2',
  ]);
  await until(20_000, 'signaling and its node', () => wall.fetched(`${url}/readyz`) !== null);
  const browser = await wall.chromium(url);
  // Rooms on different workers.
  for (const room of ['one', 'two', 'three']) await (await call(browser, url, room, 'tcp')).leave();
});

test('where UDP works it is taken, and TCP takes over when it stops', TIMEOUT, async () => {
  const url = `http://${ADDRESS.a}:8080`;
  const wall = walled('change', []);
  wall.run('all', ['serve', '--listen', `${ADDRESS.a}:8080`, '--insecure-open', '--media-port', '7882']);
  await until(20_000, 'the server', () => wall.fetched(`${url}/readyz`) !== null);
  const browser = await wall.chromium(url);
  const { ada, ben, leave } = await call(browser, url, 'change', 'udp');
  wall.network.block('a', 'udp');
  const began = Date.now();
  await until(60_000, 'both to come by TCP', async () => {
    const paths = await Promise.all([ada, ben].map(async (one) => (await one.stats())?.path.protocol));
    return paths.every((protocol) => protocol === 'tcp');
  });
  await Promise.all([ada.flows(), ben.flows()]);
  figure('udp_to_tcp_chromium_s', ((Date.now() - began) / 1_000).toFixed(1), 's');
  await leave();
});

test('Firefox comes by TCP when it is offered nothing else', TIMEOUT, async () => {
  const server = await startServer('firefox-tcp', ['--ice-tcp-http']);
  open.push(() => server.stop());
  const peers = server.peers('firefox-tcp', ['--room', 'fox', '--identity', 'early', '--audio', 'tone', '--video', 'ball']);
  open.push(() => peers.stop());
  await until(20_000, 'a publisher', () => peers.last.get('early')?.state === 'connected');
  const browser = await launch('firefox');
  open.push(() => browser.close());
  const page = await browser.page(`${server.url}/healthz`);
  await page.evaluate(() => {
    const original = RTCPeerConnection.prototype.setRemoteDescription;
    RTCPeerConnection.prototype.setRemoteDescription = function withoutUdp({ type, sdp }) {
      const kept = sdp.split('\r\n').filter((line) => !/^a=candidate:\S+ \d+ udp /.test(line));
      return original.call(this, { type, sdp: kept.join('\r\n') });
    };
  });
  const { time, protocol } = await page.evaluate(firstFrame, { room: 'fox', name: 'fox' });
  assert.equal(protocol, 'tcp');
  figure('tcp_first_frame_firefox_ms', Math.round(time), 'ms');
});
