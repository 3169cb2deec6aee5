/**
 * The real coturn, configured by `patchbay turn-config`, and the real server between two network namespaces with no way
 * out: clients on side a, coturn and the SFU on side b.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT, program, start } from '../browser/lib/server.js';
import { until } from '../browser/lib/until.js';
import { direct } from '../net/net.js';

/** Addresses for documentation (RFC 5737, RFC 3849), one of each family. */
export const CLIENT = ['203.0.113.100', '2001:db8::100'];
export const TURN = ['203.0.113.10', '2001:db8::10'];
export const SFU = ['203.0.113.20', '2001:db8::20'];
/** Reachable, and no SFU. */
export const NEIGHBOUR = ['203.0.113.30', '2001:db8::30'];
export const URL = `http://${SFU[0]}:8080`;
/** The first media port is the server's; a test's echoes are behind another of them, and behind one that is none. */
export const PORT = { server: 7882, echo: 7885, lastMedia: 7889, shell: 2222 };
export const QUOTA = { session: 6, total: 24 };
export const TRANSPORTS = {
  'TURN-UDP': { url: `turn:${TURN[0]}:3478?transport=udp`, protocol: 'udp' },
  'TURN-TCP': { url: `turn:${TURN[0]}:3478?transport=tcp`, protocol: 'tcp' },
  'TURN-TLS': { url: `turns:${TURN[0]}:443?transport=tcp`, protocol: 'tls' },
};

/**
 * Makes it all; `close` takes it away.
 * @param {string} name of the network: up to 6 small letters and digits
 * @param {string[]} [more] arguments of the server
 */
export async function open(name, more = []) {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-turn-'));
  const network = direct(name);
  const running = [];
  const file = (name) => join(directory, name);
  const command = (side, ...words) => {
    const [first, ...rest] = network.at(side, ...words);
    return [first, rest];
  };
  const run = (side, ...words) => execFileSync(...command(side, ...words), { encoding: 'utf8' });
  const add = (side, address) => {
    const [length, ...flags] = address.includes(':') ? [64, 'nodad'] : [24];
    run(side, 'ip', 'address', 'add', `${address}/${length}`, 'dev', `pb${name}${side}`, ...flags);
  };
  const world = {
    network, file, command, run,
    secret: '',
    /** Puts another certificate of another authority in place, and tells coturn. */
    renewCertificate: () => {},
    /** A client with its sockets on side a; see client.py. */
    client: () => turnClient(command('a', 'python3', join(ROOT, 'tests/turn/client.py'))),
    /** Starts a program at a side; it ends with the world. */
    start(name, side, words, options) {
      const started = start(name, ...command(side, ...words), options);
      running.push(started);
      return started;
    },
    /** Something that answers datagrams at an address of side b. */
    async echo(address, port) {
      const started = await echo(command('b', process.execPath, '-e', ECHO, address, String(port)));
      running.push(started);
      return started;
    },
    /** The addresses that coturn has sockets on, as `ss` shows them. */
    sockets: () => run('b', 'ss', '-H', '-l', '-n', '-t', '-u', '-p').split('\n').filter((line) => line.includes('turnserver')).map((line) => line.trim().split(/\s+/)[4]),
    async close() {
      for (const child of running.reverse()) await child.stop();
      network.takeDown();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  try {
    for (const address of CLIENT) add('a', address);
    for (const address of [...TURN, ...SFU, ...NEIGHBOUR]) add('b', address);
    certify(directory);
    execFileSync(program('patchbay'), [
      'turn-config', '--realm', 'turn.example.org', '--public-ip', TURN.join(','), '--sfu-ip', SFU.join(','),
      '--media-ports', `${PORT.server}-${PORT.lastMedia}`, '--tls-cert', file('chain.pem'), '--tls-key', file('key.pem'),
      '--session-quota', String(QUOTA.session), '--total-quota', String(QUOTA.total), '--out', directory,
    ]);
    world.secret = readFileSync(file('turn-secret'), 'utf8').trim();
    run('b', 'nft', '-f', file('firewall.nft'));
    const coturn = await startCoturn(world, name);
    running.push(coturn);
    world.renewCertificate = () => {
      certify(directory);
      coturn.child.kill('SIGUSR2');
    };
    running.push(await startServer(world, name, more));
  } catch (error) {
    await world.close();
    throw error;
  }
  return world;
}

async function startCoturn({ command, file, client }, name) {
  const coturn = start(`coturn-${name}`, ...command('b', 'turnserver', '-c', file('turnserver.conf'), '--pidfile', file('coturn.pid')));
  const asker = client();
  await until(20_000, 'coturn', async () => {
    assert.ok(coturn.isRunning, `coturn ended; see tests/artifacts/coturn-${name}.log`);
    return (await asker.ask({ do: 'binding', server: [TURN[0], 3478] })).mapped;
  });
  asker.stop();
  return coturn;
}

async function startServer({ command, run, file }, name, more) {
  const server = start(`server-${name}`, ...command('b', program('patchbay'), 'serve', '--listen', `${SFU[0]}:8080`, '--insecure-open',
    '--media-bind', SFU.join(','), '--media-port', String(PORT.server), '--workers', '1',
    '--turn-secret-file', file('turn-secret'), ...Object.values(TRANSPORTS).flatMap(({ url }) => ['--turn-server', url]), ...more),
  { env: { RUST_LOG: 'debug' } });
  await until(20_000, 'the server behind the network', () => {
    assert.ok(server.isRunning, `the server ended; see tests/artifacts/server-${name}.log`);
    try {
      return run('a', 'curl', '--silent', '--fail', '--max-time', '5', '--output', '/dev/null', '--write-out', 'ready', `${URL}/readyz`);
    } catch {
      return false;
    }
  });
  return server;
}

/** A certificate authority of our own, and a certificate for coturn's addresses or others. */
export function certify(directory, addresses = TURN) {
  const openssl = (...words) => execFileSync('openssl', words, { cwd: directory, stdio: 'ignore' });
  const write = (name, text) => writeFileSync(join(directory, name), text);
  const read = (name) => readFileSync(join(directory, name), 'utf8');
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Patchbay test authority',
    '-addext', 'keyUsage=critical,keyCertSign');
  openssl('req', ...key, '-keyout', 'key.pem', '-out', 'request.pem', '-subj', '/CN=turn.example.org');
  write('extensions', `subjectAltName=DNS:turn.example.org,${addresses.map((address) => `IP:${address}`).join(',')}\nextendedKeyUsage=serverAuth\n`);
  openssl('x509', '-req', '-in', 'request.pem', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2',
    '-extfile', 'extensions', '-out', 'leaf.pem');
  write('chain.pem', read('leaf.pem') + read('ca.pem'));
}

/** Makes Chromium under this home trust an authority, as it trusts those that an administrator adds. */
export function trust(home, authority) {
  const database = `sql:${home}/.pki/nssdb`;
  mkdirSync(`${home}/.pki/nssdb`, { recursive: true });
  execFileSync('certutil', ['-N', '-d', database, '--empty-password']);
  execFileSync('certutil', ['-A', '-d', database, '-n', 'test', '-t', 'C,,', '-i', authority]);
}

/** client.py, run by a command that leads to its namespace. */
export function turnClient([command, args]) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error('the TURN client ended');
      return JSON.parse(value);
    },
    stop: () => child.stdin.end(),
  };
}

const ECHO = `
  const [address, port] = process.argv.slice(1);
  const socket = require('node:dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (message, { address, port }) => socket.send('echo ' + message, port, address));
  socket.bind(Number(port), address, () => console.log('ready'));
`;

async function echo([command, args]) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve);
    child.once('exit', (code) => reject(new Error(`the echo ended with ${code}`)));
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  return {
    async stop() {
      child.kill();
      await ended;
    },
  };
}
