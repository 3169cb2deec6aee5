/**
 * A server of the real binary, headless peers, and what else a test starts. Everything ends with the test process.
 */
import { spawn } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from './until.js';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
export const ARTIFACTS = process.env.PATCHBAY_ARTIFACTS ?? join(ROOT, 'tests', 'artifacts');
mkdirSync(ARTIFACTS, { recursive: true });

const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** What a test that failed left behind (a server, a proxy, a browser) would keep its process for ever. What ends in good order
 * takes seconds. */
const LONGEST_END_MS = 60_000;
if (process.env.NODE_TEST_CONTEXT) {
  after(() => { setTimeout(end, LONGEST_END_MS).unref(); });
}

/** Ends the process as if nothing was left to do: that is when tests say what became of them. */
function end() {
  process.emit('beforeExit', 0);
  setTimeout(() => process.exit(), 500);
}

/** Starts a program; its output goes to tests/artifacts/NAME.log, and to `onLine` line by line. */
export function start(name, command, args, { env = {}, onLine } = {}) {
  const log = createWriteStream(join(ARTIFACTS, `${name}.log`));
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let rest = '';
  child.stdout.on('data', (chunk) => {
    log.write(chunk);
    rest += chunk;
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    if (onLine) lines.forEach(onLine);
  });
  child.stderr.on('data', (chunk) => log.write(chunk));
  child.on('error', (error) => log.write(`${command}: ${error.message}\n`));
  const ended = new Promise((resolve) => {
    child.on('close', (code, signal) => {
      running.delete(child);
      log.end();
      resolve(code ?? signal);
    });
  });
  return {
    child,
    ended,
    get isRunning() { return running.has(child); },
    async stop(signal = 'SIGKILL') {
      if (running.has(child)) child.kill(signal);
      return ended;
    },
  };
}

/** A program of the workspace; the test runner has built it. */
export function program(name) {
  const path = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'debug', name);
  if (!existsSync(path)) throw new Error(`${path} is missing: cargo build --package ${name}`);
  return path;
}

/** A TCP port that nobody has. */
export async function freePort(host = '127.0.0.1') {
  const server = createServer();
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, host, resolve));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts a server on a free port and waits until it is ready. */
export async function startServer(name, args = []) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = start(`server-${name}`, program('patchbay'), ['serve', '--listen', `127.0.0.1:${port}`, '--media-port', '0', ...args], { env: { RUST_LOG: 'info' } });
  await until(20_000, `${url}/readyz`, async () => {
    if (!server.isRunning) throw new Error(`the server ended with ${await server.ended}; see tests/artifacts/server-${name}.log`);
    const response = await fetch(`${url}/readyz`).catch(() => null);
    return response?.ok;
  });
  return {
    url,
    stop: () => server.stop(),
    metrics: async () => (await fetch(`${url}/metrics`)).text(),
    /** Starts headless peers; `last()` is the latest statistics of each by identity. */
    peers: (peerName, peerArgs) => startPeers(peerName, ['--server', url, ...peerArgs]),
  };
}

/** Starts `patchbay-peer`, which reports every half second. */
export function startPeers(name, args) {
  const last = new Map();
  const peer = start(`peer-${name}`, program('patchbay-peer'), ['--duration', '0', '--stats-every', '0.5', ...args], {
    onLine: (line) => {
      if (line.startsWith('{')) {
        const stats = JSON.parse(line);
        last.set(stats.identity, stats);
      }
    },
  });
  return { stop: () => peer.stop(), last, get isRunning() { return peer.isRunning; } };
}
