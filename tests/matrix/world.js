/**
 * A client behind two routers; at the other end the real server on loopback behind the page's address, its media, and
 * coturn as `patchbay turn-config` has it, all with TCP 443.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { program, start } from '../browser/lib/server.js';
import { until } from '../browser/lib/until.js';
import { certify, turnClient } from '../turn/world.js';
import { FRONT, SFU } from './networks.js';

const HERE = dirname(fileURLToPath(import.meta.url));
const PATH = join(HERE, 'path');
const NAME = 'matrix';
export const CLIENT = '10.1.0.2';
/** What the servers see of whoever is behind the outer router's NAT. */
export const ROUTER = '198.51.100.1';
export const TURN = '203.0.113.10';
/** Of the publisher, which is in the servers' network. */
export const NEIGHBOUR = '203.0.113.30';
const HTTP = 8080;

/** Makes it all; `close` takes it away. */
export async function open() {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-matrix-'));
  const file = (name) => join(directory, name);
  const at = (place, ...words) => [PATH, ['exec', NAME, place, ...words]];
  const run = (place, ...words) => execFileSync(...at(place, ...words), { encoding: 'utf8' });
  const running = [];
  const world = {
    file, run,
    /** Starts a program at a place; it ends with the world. */
    start(name, place, words, options) {
      const started = start(`matrix-${name}`, ...at(place, ...words), options);
      running.push(started);
      return started;
    },
    /** Makes the routers those of a network. */
    become({ inner, outer }) {
      for (const [place, rules] of Object.entries({ inner, outer })) {
        writeFileSync(file(`${place}.nft`), rules);
        execFileSync(PATH, ['rules', NAME, place, file(`${place}.nft`)]);
      }
    },
    /** A program that runs another at a place, for those that take only the path of an executable. */
    wrapper(place, executable) {
      writeFileSync(file('wrapper'), `#!/bin/sh\nexec '${PATH}' exec ${NAME} ${place} '${executable}' "$@"\n`);
      chmodSync(file('wrapper'), 0o755);
      return file('wrapper');
    },
    /** What the server's HTTP says, asked where the server is. */
    asked: (path) => JSON.parse(run('servers', 'curl', '--silent', '--fail', '--max-time', '5', `http://127.0.0.1:${HTTP}${path}`)),
    async close() {
      for (const child of running.reverse()) await child.stop();
      execFileSync(PATH, ['down', NAME]);
      rmSync(directory, { recursive: true, force: true });
    },
  };
  execFileSync(PATH, ['down', NAME]);
  execFileSync(PATH, ['up', NAME]);
  try {
    for (const address of [TURN, SFU, FRONT, NEIGHBOUR]) run('servers', 'ip', 'address', 'add', `${address}/24`, 'dev', 'lan');
    run('outer', 'ip', 'route', 'add', '203.0.113.0/24', 'via', '198.51.100.2');
    certify(directory, [TURN, FRONT]);
    execFileSync(program('patchbay'), [
      'turn-config', '--realm', 'turn.example.org', '--public-ip', TURN, '--sfu-ip', SFU, '--media-ports', '7882-7882',
      '--tls-cert', file('chain.pem'), '--tls-key', file('key.pem'), '--out', directory,
    ]);
    run('servers', 'nft', '-f', file('firewall.nft'));
    world.start('coturn', 'servers', ['turnserver', '-c', file('turnserver.conf'), '--pidfile', file('coturn.pid')]);
    world.start('server', 'servers', [
      program('patchbay'), 'serve', '--listen', `127.0.0.1:${HTTP}`, '--insecure-open', '--allowed-origin', `https://${FRONT}`,
      '--media-bind', SFU, '--media-port', '7882', '--media-tcp-port', '443', '--workers', '1',
      '--turn-secret-file', file('turn-secret'), '--turn-server', `turn:${TURN}:3478?transport=udp`,
      '--turn-server', `turn:${TURN}:3478?transport=tcp`, '--turn-server', `turns:${TURN}:443?transport=tcp`,
    ], { env: { RUST_LOG: 'info' } });
    world.start('front', 'servers', [process.execPath, join(HERE, 'front.js'), FRONT, file('chain.pem'), file('key.pem'), String(HTTP)]);
    await until(20_000, 'the page', () => {
      try {
        run('client', 'curl', '--silent', '--fail', '--max-time', '5', '--cacert', file('ca.pem'), '--output', file('ready'), `https://${FRONT}/readyz`);
        return readFileSync(file('ready')).length > 0;
      } catch {
        return false;
      }
    });
    const asker = turnClient(at('client', 'python3', join(HERE, '../turn/client.py')));
    await until(20_000, 'coturn', async () => (await asker.ask({ do: 'binding', server: [TURN, 3478] })).mapped);
    asker.stop();
  } catch (error) {
    await world.close();
    throw error;
  }
  return world;
}
