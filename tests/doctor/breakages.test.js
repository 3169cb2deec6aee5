/**
 * Ten ways to break a connection, each really done, and what the doctor and the timeline say of it. What they say is the
 * table in docs/troubleshooting.md: this test fails if they say something else. `PATCHBAY_WRITE_DOCS=1` writes it anew.
 *
 * Clients and the TURN server are on side a of a network, servers on side b, each server with ports of its own.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ARTIFACTS, ROOT, program, start as startProgram } from '../browser/lib/server.js';
import { figure, until } from '../browser/lib/until.js';
import { ADDRESS, direct } from '../net/net.js';

const NETWORK = 'doctor';
const DOCUMENT = join(ROOT, 'docs', 'troubleshooting.md');
const SECRET = 'f3b1c09a7d2e4856b1d0e7a9c3524f68';
const TURN = `turn:${ADDRESS.a}:3478?transport=udp`;
const V6 = { a: '2001:db8::1', b: '2001:db8::2' };
const directory = mkdtempSync(join(tmpdir(), 'patchbay-doctor-'));
const file = (name) => join(directory, name);
const rows = new Map();
const started = [];
let network;

before(async () => {
  network = direct(NETWORK);
  for (const side of ['a', 'b']) {
    run(side, 'ip', 'address', 'add', `${V6[side]}/64`, 'dev', `pb${NETWORK}${side}`, 'nodad');
  }
  // What a host behind a NAT has for an address.
  run('b', 'ip', 'address', 'add', '10.9.9.9/32', 'dev', 'lo');
  // The headless peer listens for mDNS, which needs a way for multicast.
  run('a', 'ip', 'route', 'add', '224.0.0.0/4', 'dev', `pb${NETWORK}a`);
  start('doctor-turn', 'a', 'turnserver', '-n', '--listening-ip', ADDRESS.a, '--relay-ip', ADDRESS.a,
    '--use-auth-secret', `--static-auth-secret=${SECRET}`, '--realm=doctor', '--no-tls', '--no-dtls', '--no-cli',
    '--pidfile', file('turn.pid'), '--log-file', 'stdout', '--userdb', file('turn.db'));
  await until(10_000, 'the TURN server', () => doctor('b', ['--stun-server', `stun:${ADDRESS.a}:3478`]).find((it) => it.check === 'stun')?.status === 'ok');
});

after(async () => {
  for (const child of started) await child.stop();
  network?.takeDown();
  rmSync(directory, { recursive: true, force: true });
});

function run(side, ...words) {
  const [command, ...args] = network.at(side, ...words);
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function start(name, side, ...words) {
  const [command, ...args] = network.at(side, ...words);
  const child = startProgram(name, command, args, { env: { RUST_LOG: 'info' } });
  started.push(child);
  return child;
}

/** What the doctor finds on a side. */
function doctor(side, args) {
  const words = network.at(side, program('patchbay'), 'doctor', '--json', '--workers', '1', ...args);
  try {
    return JSON.parse(execFileSync(words[0], words.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })).checks;
  } catch (error) {
    return JSON.parse(error.stdout).checks;
  }
}

/** The first finding of a check that is not as it should be. */
function finding(checks, name) {
  const found = checks.find((it) => it.check === name && it.status !== 'ok');
  assert.ok(found, `the doctor should find something: ${JSON.stringify(checks)}`);
  return found;
}

/** A server on side b with ports of its own. */
async function serve(name, number, args = [], listen = ADDRESS.b) {
  const [http, media] = [8100 + number, 7100 + 10 * number];
  const address = listen.includes(':') ? `[${listen}]:${http}` : `${listen}:${http}`;
  rmSync(join(ARTIFACTS, `doctor-${name}.log`), { force: true });
  const server = start(`doctor-${name}`, 'b', program('patchbay'), 'serve', '--listen', address, '--insecure-open', '--workers', '1', '--media-port', String(media), ...args);
  const path = join(ARTIFACTS, `doctor-${name}.log`);
  const log = () => (existsSync(path) ? plain(readFileSync(path, 'utf8')) : '');
  await until(10_000, () => `${name}: ${log()}`, () => server.isRunning && log().includes('open http'));
  return { url: `http://${address}`, media, log };
}

const peer = (name, url, bind = ADDRESS.a) =>
  start(`doctor-peer-${name}`, 'a', program('patchbay-peer'), '--server', url, '--room', name, '--identity', 'ada', '--video', 'ball', '--duration', '60', '--bind', bind);

/** The one line about a join that failed. */
async function timeline(server, deadlineMs = 35_000) {
  const line = await until(deadlineMs, () => `a failed join in ${server.log()}`, () => server.log().split('\n').find((it) => / cause="?[a-z_]+/.test(it)));
  const [, cause] = line.match(/ cause="?([a-z_]+)/);
  const [, words] = line.match(/ words="(.*?)" remedy=/);
  const [, remedy] = line.match(/ remedy="(.*?)"( |$)/);
  return { cause, words, remedy };
}

/** Without the colours of a terminal. */
// eslint-disable-next-line no-control-regex
const plain = (text) => text.replace(/\u001b\[[0-9;]*m/g, '');

/** One row of the table. */
function tell(number, how, who, name, { words, remedy }) {
  const tidy = (text) => text.replace(/\s+/g, ' ').replaceAll('|', '\\|').replaceAll(directory, '/etc/patchbay').trim();
  rows.set(number, `| ${how} | ${who} | \`${name}\` | ${tidy(words.replace(/\b\d+ s\b/g, 'N s'))} | ${tidy(remedy)} |`);
}

test('what joins say in the timeline', { concurrency: 8 }, async (t) => {
  await Promise.all([
    t.test('a wrong public IP', async () => {
      const server = await serve('wrong-ip', 1, ['--media-bind', '10.9.9.9', '--public-ip', '203.0.113.77']);
      peer('wrong-ip', server.url);
      const found = await timeline(server);
      assert.equal(found.cause, 'no_checks');
      assert.match(found.words, /203\.0\.113\.77/);
      const checked = finding(doctor('b', ['--public-ip', '203.0.113.77', '--stun-server', `stun:${ADDRESS.a}:3478`]), 'addresses');
      assert.equal(checked.finding, 'wrong_public_ip');
      tell(1, 'Wrong public IP', 'doctor, `addresses`', checked.finding, checked);
    }),
    t.test('UDP and TCP to the media port blocked', async () => {
      const server = await serve('blocked', 2);
      network.block('b', `udp dport ${server.media}`);
      network.block('b', `tcp dport ${server.media}`);
      peer('blocked', server.url);
      const found = await timeline(server);
      assert.equal(found.cause, 'no_checks');
      tell(2, 'UDP blocked, and TCP to the media port, too', 'timeline', found.cause, found);
    }),
    t.test('a fingerprint that was altered on the way', async () => {
      const server = await serve('fingerprint', 3);
      start('doctor-proxy', 'a', process.execPath, join(ROOT, 'tests/doctor/altering-proxy.js'), server.url.replace('http', 'ws'), '8203');
      await until(10_000, 'the proxy', () => {
        try { return run('a', 'ss', '-Hltn').includes(':8203'); } catch { return false; }
      });
      peer('fingerprint', 'http://127.0.0.1:8203');
      const found = await timeline(server);
      assert.equal(found.cause, 'fingerprint_mismatch');
      tell(3, 'Fingerprint mismatch: something rewrote the offer', 'timeline', found.cause, found);
    }),
    t.test('a path that swallows large packets', async () => {
      const server = await serve('mtu', 8);
      // Larger than a check, smaller than a flight with a certificate.
      run('a', 'nft', 'add table inet mtu; add chain inet mtu in { type filter hook input priority 0; }');
      run('a', 'nft', 'add', 'rule', 'inet', 'mtu', 'in', 'udp', 'sport', String(server.media), 'udp', 'length', '>', '400', 'drop');
      network.block('b', `tcp dport ${server.media}`);
      peer('mtu', server.url);
      const found = await timeline(server);
      assert.equal(found.cause, 'dtls_stuck');
      tell(8, 'A path that swallows packets over some size (tunnel, filtered ICMP); 1280 bytes are enough', 'timeline', found.cause, found);
    }),
    t.test('a firewall that forgets the connection', async () => {
      const server = await serve('forgets', 9);
      peer('forgets', server.url);
      await until(20_000, 'the connection', async () => /participant joined/.test(server.log()) && (await connected(server)));
      network.block('b', `udp dport ${server.media}`);
      network.block('b', `tcp dport ${server.media}`);
      const found = await timeline(server);
      assert.equal(found.cause, 'went_silent');
      tell(9, 'A firewall or NAT that drops the connection after a while', 'timeline', found.cause, found);
    }),
    t.test('a client with IPv6 alone', async () => {
      const server = await serve('ipv6', 10, ['--media-bind', ADDRESS.b], V6.b);
      peer('ipv6', server.url, V6.a);
      const found = await timeline(server);
      assert.equal(found.cause, 'family_mismatch');
      tell(10, 'A client that has only IPv6, a server that announces only IPv4', 'timeline', found.cause, found);
    }),
  ]);
});

/** Whether media is on its way, from the server's own counters. */
async function connected(server) {
  const text = run('b', process.execPath, '-e', `fetch('${server.url}/metrics').then((it) => it.text()).then(console.log)`);
  const value = text.split('\n').find((line) => /^patchbay_\w*rtp_in/.test(line))?.split(' ').pop();
  return Number(value ?? 0) > 100;
}

test('a path of 1280 bytes carries a call', async () => {
  const server = await serve('mtu1280', 20);
  // Fragments don't help: whatever is longer is gone, in both directions.
  run('a', 'nft', 'add table inet path; add chain inet path in { type filter hook input priority 0; }');
  run('a', 'nft', 'add', 'rule', 'inet', 'path', 'in', 'udp', 'sport', String(server.media), 'meta', 'length', '>', '1280', 'drop');
  network.block('b', `udp dport ${server.media} meta length > 1280`);
  peer('mtu1280', server.url);
  await until(20_000, () => server.log(), () => connected(server));
  assert.doesNotMatch(server.log(), / cause=/);
});

test('what the doctor finds', async (t) => {
  await t.test('a wrong TURN secret', () => {
    const right = ['--turn-server', TURN, '--turn-secret', SECRET];
    assert.equal(doctor('b', right).find((it) => it.check === 'turn').status, 'ok');
    const found = finding(doctor('b', ['--turn-server', TURN, '--turn-secret', SECRET.replace('f3b1', '0000')]), 'turn');
    assert.equal(found.finding, 'turn_refused');
    tell(4, 'TURN secret wrong', 'doctor, `turn`', found.finding, found);
  });
  await t.test('an expired certificate', () => {
    certify(new Date(Date.now() - 40 * 86_400_000), new Date(Date.now() - 3 * 86_400_000));
    const found = finding(doctor('b', ['--tls-cert', file('cert.pem'), '--tls-key', file('key.pem')]), 'certificate');
    assert.equal(found.finding, 'expired');
    tell(5, 'Expired certificate', 'doctor, `certificate`', found.finding, found);
  });
  await t.test('a clock that is wrong', async () => {
    const answer = "require('node:net').createServer((socket) => socket.on('data', () => socket.end('HTTP/1.1 200 OK\\r\\ndate: ' + new Date(Date.now() + 600000).toUTCString() + '\\r\\n\\r\\n'))).listen(8300, '198.51.100.1')";
    start('doctor-clock', 'a', process.execPath, '-e', answer);
    await until(10_000, 'the other clock', () => run('a', 'ss', '-Hltn').includes(':8300'));
    const found = finding(doctor('b', ['--clock-from', `${ADDRESS.a}:8300`]), 'clock');
    assert.equal(found.finding, 'skewed');
    tell(6, 'Clock skew', 'doctor, `clock`', found.finding, found);
  });
  await t.test('a port that is taken', async () => {
    start('doctor-squatter', 'b', process.execPath, '-e', "require('node:net').createServer().listen(8400, '0.0.0.0'); require('node:dgram').createSocket('udp4').bind(7400)");
    await until(10_000, 'the squatter', () => run('b', 'ss', '-Hlntu').includes(':7400'));
    const checks = doctor('b', ['--listen', '127.0.0.1:8400', '--media-port', '7400']);
    assert.equal(finding(checks, 'http_port').finding, 'port_taken');
    const found = finding(checks, 'media_ports');
    assert.equal(found.finding, 'port_taken');
    tell(7, 'Port taken', 'doctor, `http_port` and `media_ports`', found.finding, found);
  });
});

test('the table in the documentation says the same', () => {
  assert.equal(rows.size, 10, [...rows.keys()].join(', '));
  figure('breakages_named', rows.size, 'of_10');
  const head = '| how it is broken | who says so | finding or cause | words | remedy |\n| --- | --- | --- | --- | --- |';
  const table = [head, ...[...rows].sort(([one], [other]) => one - other).map(([, row]) => row)].join('\n');
  const text = readFileSync(DOCUMENT, 'utf8');
  const [begin, end] = ['<!-- breakages: written by tests/doctor -->\n', '\n<!-- end of breakages -->'];
  const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(end)];
  assert.ok(from >= begin.length && to >= from, 'the document has a place for the table');
  if (process.env.PATCHBAY_WRITE_DOCS === '1') writeFileSync(DOCUMENT, text.slice(0, from) + table + text.slice(to));
  else assert.equal(text.slice(from, to), table, 'docs/troubleshooting.md says what was said just now');
});

/** Makes a certificate for any time, by an authority that is asked to. */
function certify(from, to) {
  const stamp = (date) => date.toISOString().replace(/[-:T]/g, '').slice(2, 14) + 'Z';
  writeFileSync(file('ca.cnf'), `[ca]\ndefault_ca = it\n[it]\ndir = ${directory}\ndatabase = ${file('index')}\nnew_certs_dir = ${directory}\nserial = ${file('serial')}\ndefault_md = sha256\npolicy = any\nx509_extensions = names\n[names]\nsubjectAltName = DNS:example.org\n[any]\ncommonName = supplied\n`);
  writeFileSync(file('index'), '');
  writeFileSync(file('serial'), '01\n');
  const openssl = (...args) => execFileSync('openssl', args, { stdio: 'pipe' });
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=an authority', '-keyout', file('ca.key'), '-out', file('ca.pem'), '-days', '2');
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=example.org', '-keyout', file('key.pem'), '-out', file('request.pem'));
  openssl('ca', '-batch', '-config', file('ca.cnf'), '-cert', file('ca.pem'), '-keyfile', file('ca.key'), '-in', file('request.pem'), '-out', file('cert.pem'), '-startdate', stamp(from), '-enddate', stamp(to));
}
