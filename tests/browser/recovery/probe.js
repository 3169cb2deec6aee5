/** What happens in a browser when its address changes: to be run by hand. */
import { execFileSync } from 'node:child_process';
import { ADDRESS, direct } from '../../net/net.js';
import { launch } from '../lib/browser.js';
import { join } from '../lib/participant.js';
import { program, start } from '../lib/server.js';
import { until } from '../lib/until.js';

const URL = `http://${ADDRESS.a}:8080`;
const network = direct('probe');
const at = (side, ...command) => { const [program_, ...args] = network.at(side, ...command); return execFileSync(program_, args, { encoding: 'utf8' }); };
const [command, ...args] = network.at('a', program('patchbay'), 'serve', '--listen', `${ADDRESS.a}:8080`, '--insecure-open', '--media-port', '0');
const server = start('server-probe', command, args, { env: { RUST_LOG: 'debug' } });
await until(20_000, 'server', () => { try { at('b', 'curl', '-sf', '--max-time', '5', `${URL}/readyz`); return true; } catch { return false; } });
const browser = await launch('chromium', { executable: network.wrapper('b', '/usr/bin/chromium'), args: [`--unsafely-treat-insecure-origin-as-secure=${URL}`] });
at('a', 'ip', 'route', 'add', '224.0.0.0/4', 'dev', 'pbprobea');
const [peerCommand, ...peerArgs] = network.at('a', program('patchbay-peer'), '--server', URL, '--room', 'probe', '--identity', 'ben', '--video', 'ball', '--audio', 'tone', '--bind', ADDRESS.a, '--duration', '0', '--video-slot', 'speaker:1', '--loudness', '0:127');
const peer = start('peer-probe', peerCommand, peerArgs);
try {
  const ada = await join(browser, { server: URL, room: 'probe', name: 'ada', slots: { audio: 1, video: 1 } });
  await ada.watch('ben');
  await ada.flows();
  await ada.page.evaluate(() => {
    const { room, videos } = globalThis.patchbay;
    const log = globalThis.log = [];
    const say = (...words) => log.push([Date.now(), ...words]);
    globalThis.frames = [];
    const video = videos.ben;
    const next = () => { globalThis.frames.push(Date.now()); video.requestVideoFrameCallback(next); };
    next();
    room.addEventListener('statechange', (event) => say('room', event.state, event.error?.message, event.retryInMs));
    addEventListener('online', () => say('online'));
    addEventListener('offline', () => say('offline'));
    navigator.connection?.addEventListener('change', () => say('connection change', navigator.connection.type, navigator.connection.rtt, navigator.connection.effectiveType));
  });
  for (let round = 0; round < Number(process.env.ROUNDS ?? 3); round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 4000));
    const changed = Date.now();
    network.address('b', `198.51.100.${20 + round}`);
    await new Promise((resolve) => setTimeout(resolve, Number(process.env.WAIT ?? 25_000)));
    const { log, frames, ice } = await ada.page.evaluate(async () => {
      const { log, frames } = globalThis;
      globalThis.log.splice = log.splice;
      return { log: log.splice(0), frames: frames.splice(0), ice: null };
    });
    let gap = 0, from = 0;
    frames.forEach((frame, index) => { if (index && frame - frames[index - 1] > gap) { gap = frame - frames[index - 1]; from = frames[index - 1]; } });
    const after = frames.find((frame) => frame > changed + 200);
    console.log(JSON.stringify({ round, gap, gapBegan: from - changed, lastFrameAfter: (frames.at(-1) ?? 0) - changed, after: after - changed, frames: frames.length, log: log.map(([when, ...words]) => [when - changed, ...words]) }));
  }
  console.log(ada.page.problems.join('\n'));
} finally {
  await browser.close();
  await peer.stop();
  await server.stop();
  network.takeDown();
}
