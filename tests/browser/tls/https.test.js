/**
 * The page over HTTPS from an address that is not loopback: a secure context, so a camera; and nodes that dial wss.
 * The browser is told to accept any certificate, as a person would who compared the fingerprint.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { after, afterEach, test } from 'node:test';
import { launch } from '../lib/browser.js';
import { join as joinRoom } from '../lib/participant.js';
import { ARTIFACTS, freePort, program, start as startProgram } from '../lib/server.js';
import { figure, until } from '../lib/until.js';

const state = mkdtempSync(join(tmpdir(), 'patchbay-tls-'));
const started = [];
const start = (...args) => {
  const child = startProgram(...args);
  started.push(child);
  return child;
};
afterEach(() => Promise.all(started.splice(0).map((child) => child.stop())));
after(() => rmSync(state, { recursive: true, force: true }));

/** An address of this machine that is not loopback. */
function ownAddress() {
  const found = Object.values(networkInterfaces()).flat().find((it) => it.family === 'IPv4' && !it.internal);
  assert.ok(found, 'this machine has an address of its own');
  return found.address;
}

/** One GET, checked against a certificate. */
function get(url, ca) {
  return new Promise((resolve) => {
    const call = request(url, { ca, agent: false }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    });
    call.on('error', () => resolve(0));
    call.end();
  });
}

const ready = async (url) => until(20_000, `${url}/readyz`, async () => {
  let ca;
  try { ca = readFileSync(join(state, 'self-signed.pem')); } catch { return false; }
  return (await get(`${url}/readyz`, ca)) === 200;
});

test('Chromium gets a camera over https from another address, and media flows', async () => {
  const address = ownAddress();
  const port = await freePort(address);
  const url = `https://${address}:${port}`;
  const server = start('server-tls', program('patchbay'), [
    '--listen', `${address}:${port}`, '--insecure-open', '--media-port', '0', '--tls-self-signed', '--state-dir', state,
  ]);
  await ready(url);
  const browser = await launch('chromium', { args: ['--ignore-certificate-errors'] });
  try {
    const [ada, bob] = [await joinRoom(browser, { server: url, room: 'tls', name: 'ada' }), await joinRoom(browser, { server: url, room: 'tls', name: 'bob' })];
    assert.equal(await ada.page.evaluate(() => globalThis.isSecureContext && location.protocol), 'https:');
    const width = await ada.page.evaluate(async () => {
      const stream = await navigator.mediaDevices.getUserMedia({ video: true });
      return stream.getVideoTracks()[0].getSettings().width;
    });
    assert.ok(width > 0, 'the camera has a picture');
    figure('https_first_frame_chromium_ms', Math.round(await ada.watch('bob')), 'ms');
    await ada.flows();
    // Blank pages have no icon.
    assert.deepEqual(ada.page.problems.filter((text) => !text.includes('404')), []);
    await ada.leave();
    await bob.leave();

    // The room page itself: its scripts load and its WebSocket is allowed by the content policy.
    const page = await browser.page(`${url}/r/tls`);
    await until(10_000, () => page.problems.join('; '), () => page.evaluate(() => document.readyState === 'complete' && document.body.innerText.length > 0));
    assert.deepEqual(page.problems, []);
  } finally {
    await browser.close();
    await server.stop();
  }
});

test('a node dials wss, and only where the certificate is the right one', async () => {
  const port = await freePort();
  const url = `https://127.0.0.1:${port}`;
  const secret = 'a secret of nodes';
  const signaling = start('signaling-tls', program('patchbay'), [
    'signaling', '--listen', `127.0.0.1:${port}`, '--tls-self-signed', '--state-dir', state, '--node-secret', secret,
  ]);
  const dial = (name, args) => start(name, program('patchbay'), [
    'sfu', '--signaling', `wss://127.0.0.1:${port}/v1/nodes`, '--node-secret', secret, '--media-port', '0', ...args,
  ], { env: { RUST_LOG: 'info' } });
  await until(20_000, `${url}/healthz`, async () => {
    try { return (await get(`${url}/healthz`, readFileSync(join(state, 'self-signed.pem')))) === 200; } catch { return false; }
  });
  const stranger = dial('node-tls-stranger', []);
  const path = join(ARTIFACTS, 'node-tls-stranger.log');
  const log = () => (existsSync(path) ? readFileSync(path, 'utf8') : '');
  await until(20_000, 'the refusal', () => log().includes('UnknownIssuer') || log().includes('invalid peer certificate'));
  assert.equal(await get(`${url}/readyz`, readFileSync(join(state, 'self-signed.pem'))), 503);
  await stranger.stop();
  const node = dial('node-tls', ['--signaling-ca', join(state, 'self-signed.pem')]);
  await ready(url);
  await node.stop();
  await signaling.stop();
});

/** The fingerprint of the certificate that a server shows, or null. */
function shown(port) {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.end();
    });
    socket.on('error', () => resolve(null));
  });
}

test('SIGHUP has a renewed certificate read at once, and a bad one refused', async () => {
  const [certificate, key] = [join(state, 'cert.pem'), join(state, 'key.pem')];
  const renew = () => execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '30', '-keyout', key, '-out', certificate], { stdio: 'pipe' });
  renew();
  const port = await freePort();
  const server = start('server-hup', program('patchbay'), ['--listen', `127.0.0.1:${port}`, '--media-port', '0', '--tls-cert', certificate, '--tls-key', key], { env: { RUST_LOG: 'info' } });
  const first = await until(20_000, 'a certificate', () => shown(port));
  writeFileSync(key, 'rubbish');
  server.child.kill('SIGHUP');
  await until(5_000, 'the refusal', () => readFileSync(join(ARTIFACTS, 'server-hup.log'), 'utf8').includes('the old certificate stays in use'));
  assert.equal(await shown(port), first);
  renew();
  server.child.kill('SIGHUP');
  // Files are looked at every minute; this is sooner.
  await until(5_000, 'the new certificate', async () => ![first, null].includes(await shown(port)));
});
