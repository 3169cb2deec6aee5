/** Who takes part in topics: pages with the SDK, pages without, the Rust client, and aiortc. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT, program } from '../lib/server.js';
import { until } from '../lib/until.js';

const PYTHON = join(ROOT, 'tests/.provision/venv/bin/python');
const AIORTC = join(ROOT, 'tests/strangers/aiortc_topic.py');

/** A program that prints JSON lines and reads lines. */
function lines(command, args) {
  const said = [];
  const problems = [];
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let rest = '';
  child.stdout.on('data', (chunk) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) if (line.startsWith('{')) said.push(JSON.parse(line));
  });
  child.stderr.on('data', (chunk) => problems.push(String(chunk)));
  child.stdin.on('error', () => {});
  const ended = new Promise((resolve) => child.on('close', resolve));
  process.on('exit', () => child.kill('SIGKILL'));
  return {
    said,
    /** What was heard: the sender (where it is known), and text or bytes in hexadecimal. */
    heard: async () => said.filter(({ text, bytes }) => text !== undefined || bytes !== undefined).map(({ sender, text, bytes }) => ({ sender, text, bytes })),
    write: async (line) => void child.stdin.write(`${line}\n`),
    async opened() {
      await until(30_000, () => `${args[0]} to open: ${JSON.stringify(said)} ${problems.join('')}`, () => said.some(({ state }) => state === 'open'));
      return said.find(({ state }) => state === 'joined').participant;
    },
    async stop() {
      child.stdin.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** aiortc, over the signaling WebSocket. */
export async function aiortc(server, room, identity, label, protocol = '', negotiated = []) {
  const peer = lines(PYTHON, [AIORTC, server, room, identity, label, protocol, ...negotiated.map(String)]);
  const number = await peer.opened();
  return { ...peer, number, sendText: (text) => peer.write(`text ${text}`), sendBytes: (hex) => peer.write(`bytes ${hex}`) };
}

/** The Rust client: its example `topic`. */
export async function rust(server, room, identity, label) {
  const peer = lines(program('examples/topic'), [server, room, identity, label]);
  const number = await peer.opened();
  return { ...peer, number, sendText: (text) => peer.write(`text ${text}`), sendBytes: (hex) => peer.write(`bytes ${hex}`) };
}

/** A page with the SDK. */
export async function sdk(browser, server, room, identity, label, options = {}) {
  const page = await browser.page(`${server}/healthz`);
  const number = await page.evaluate(async ({ room: name, identity: own, label: topicLabel, options: topicOptions }) => {
    const { Room } = await import('/sdk/index.js');
    const joined = await Room.join(location.origin, { room: name, name: own, identity: own, slots: { audio: 0, video: 0 } });
    const heard = [];
    const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    const topic = joined.topic(topicLabel, topicOptions);
    topic.addEventListener('message', ({ sender, data }) => heard.push(typeof data === 'string' ? { sender, text: data } : { sender, bytes: hex(data) }));
    Object.assign(globalThis, { patchbay: { room: joined, topic, heard } });
    if (topic.state !== 'open') await new Promise((resolve) => topic.addEventListener('open', resolve, { once: true }));
    return joined.self.number;
  }, { room, identity, label, options });
  return {
    page,
    number,
    heard: () => page.evaluate(() => globalThis.patchbay.heard),
    sendText: (text) => page.evaluate((words) => void globalThis.patchbay.topic.send({ data: words }), text),
    sendBytes: (hex) => page.evaluate((digits) => void globalThis.patchbay.topic.send({ data: Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)) }), hex),
    stop: async () => {
      await page.evaluate(() => globalThis.patchbay.room.close());
      await page.close();
    },
  };
}

/** A page without the SDK: a WebSocket, an `RTCPeerConnection` and a data channel. */
export async function bare(browser, server, room, identity, label, init = {}) {
  const page = await browser.page(`${server}/healthz`);
  const number = await page.evaluate(async ({ room: name, identity: own, label: channelLabel, init: channelInit }) => {
    const heard = [];
    const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/v1/ws`, 'patchbay.v1');
    await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
    let lastId = 0;
    const waiting = new Map();
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      const ask = waiting.get(message.id);
      if (ask) (message.type === 'ok' ? ask.resolve(message.result) : ask.reject(new Error(data)));
    };
    const request = (fields) => new Promise((resolve, reject) => {
      lastId += 1;
      waiting.set(lastId, { resolve, reject });
      socket.send(JSON.stringify({ id: lastId, ...fields }));
    });
    await request({ type: 'hello', version: 1 });
    setInterval(() => request({ type: 'ping' }), 5_000);
    const connection = new RTCPeerConnection();
    const channel = connection.createDataChannel(channelLabel, channelInit);
    channel.binaryType = 'arraybuffer';
    const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    channel.onmessage = ({ data }) => heard.push(typeof data === 'string' ? { text: data } : { bytes: hex(new Uint8Array(data)) });
    const offer = await connection.createOffer();
    const { negotiated, id, maxRetransmits, maxPacketLifeTime, ordered = true, protocol = '' } = channelInit;
    const channels = negotiated ? [{ id, label: channelLabel, protocol, ordered, ...(maxRetransmits !== undefined && { max_retransmits: maxRetransmits }), ...(maxPacketLifeTime !== undefined && { max_lifetime_ms: maxPacketLifeTime }) }] : [];
    const joined = await request({ type: 'join', room: name, identity: own, name: own, offer: { sdp: offer.sdp, publications: [], slots: [], channels } });
    await connection.setLocalDescription(offer);
    await connection.setRemoteDescription({ type: 'answer', sdp: joined.answer.sdp });
    if (channel.readyState !== 'open') await new Promise((resolve) => (channel.onopen = resolve));
    Object.assign(globalThis, { bare: { channel, heard, socket, connection } });
    return joined.participant.number;
  }, { room, identity, label, init });
  return {
    page,
    number,
    heard: () => page.evaluate(() => globalThis.bare.heard),
    sendText: (text) => page.evaluate((words) => globalThis.bare.channel.send(words), text),
    sendBytes: (hex) => page.evaluate((digits) => globalThis.bare.channel.send(Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))), hex),
    stop: () => page.close(),
  };
}
