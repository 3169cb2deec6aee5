/** What coturn lets happen and what not, asked by a client that asks for what an attacker would ask for. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ARTIFACTS } from '../browser/lib/server.js';
import { figure, until } from '../browser/lib/until.js';
import { CLIENT, NEIGHBOUR, PORT, QUOTA, SFU, TRANSPORTS, TURN, URL, open } from './world.js';

let world;
before(async () => {
  world = await open('rules');
});
after(() => world?.close());

/** A client whose allocations are given back at the end. */
async function withClient(work) {
  const client = world.client();
  const made = [];
  const allocate = async (credential, more = {}) => {
    const answer = await client.ask({ do: 'allocate', server: [TURN[0], 3478], ...credential, ...more });
    if (answer.allocation !== undefined) made.push(answer.allocation);
    return answer;
  };
  try {
    return await work({ ask: client.ask, allocate });
  } finally {
    for (const allocation of made) await client.ask({ do: 'refresh', allocation, lifetime: 0 });
    client.stop();
  }
}

const portOf = (socket) => Number(socket.split(':').at(-1));

/** Waits until nothing is allocated: coturn takes a second to let go. */
const idle = () => until(10_000, 'coturn to let go', () => world.sockets().every((socket) => portOf(socket) < 61000));

/** What the server would hand out. */
function credential({ expiresIn = 3_600, session = 'c0ffee', key = world.secret } = {}) {
  const username = `${Math.floor(Date.now() / 1_000) + expiresIn}:${session}`;
  return { username, password: createHmac('sha1', key).update(username).digest('base64') };
}

/** The credentials in the `Link` headers of a WHIP answer of the real server. */
function issued() {
  const offer = [
    'v=0', 'o=- 1 1 IN IP4 0.0.0.0', 's=-', 't=0 0', 'a=group:BUNDLE 0', 'm=audio 9 UDP/TLS/RTP/SAVPF 111', 'c=IN IP4 0.0.0.0', 'a=mid:0',
    'a=sendonly', 'a=rtcp-mux', 'a=rtpmap:111 opus/48000/2', 'a=ice-ufrag:abcd', 'a=ice-pwd:0123456789012345678901', 'a=setup:actpass',
    `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}`, '',
  ].join('\r\n');
  writeFileSync(world.file('offer.sdp'), offer);
  const answer = world.run('a', 'curl', '--silent', '--show-error', '--include', '--data-binary', `@${world.file('offer.sdp')}`, '--header', 'Content-Type: application/sdp', `${URL}/whip/turn`);
  const links = [...answer.matchAll(/^link: <([^>]*)>; rel="ice-server"; username="([^"]*)"; credential="([^"]*)"; credential-type="password"\r?$/gim)];
  assert.equal(links.length, Object.keys(TRANSPORTS).length, answer);
  return { username: links[0][2], password: links[0][3] };
}

test('credentials: those that the server hands out open the relay, others do not', async () => {
  await withClient(async ({ ask, allocate }) => {
    const fresh = issued();
    const [expiry, session] = fresh.username.split(':');
    assert.ok(Math.abs(Number(expiry) - Date.now() / 1_000 - 6 * 3_600) < 60, expiry);
    assert.match(session, /^[0-9a-f-]{36}$/, 'random, and nobody\'s name');
    assert.equal(createHmac('sha1', world.secret).update(fresh.username).digest('base64'), fresh.password);
    const opened = await allocate(fresh);
    assert.equal(opened.relayed?.[0], TURN[0], JSON.stringify(opened));
    assert.ok(opened.relayed[1] >= 61000 && opened.relayed[1] <= 61999, `port ${opened.relayed[1]}`);
    assert.ok((await ask({ do: 'refresh', allocation: opened.allocation, lifetime: 600 })).lifetime > 0);

    const other = issued();
    assert.notEqual(other.username, fresh.username, 'every session has its own');
    const refused = {
      expired: credential({ expiresIn: -10 }),
      'of another secret': credential({ key: 'fedcba9876543210fedcba9876543210' }),
      'with a later expiry': { ...fresh, username: `${Number(expiry) + 86_400}:${session}` },
      'of another session': { ...fresh, username: other.username },
      'without an expiry': { username: session, password: createHmac('sha1', world.secret).update(session).digest('base64') },
      'with an empty password': { ...fresh, password: '' },
      'of nobody': { username: '', password: '' },
    };
    for (const [what, wrong] of Object.entries(refused)) {
      assert.equal((await allocate(wrong)).error, 401, `a credential ${what}`);
    }
  });
});

test('a call outlives its credential: coturn goes on refreshing what was opened in time', async () => {
  await withClient(async ({ ask, allocate }) => {
    const short = credential({ expiresIn: 2, session: 'short' });
    const { allocation } = await allocate(short);
    await until(10_000, 'the credential to expire', async () => (await allocate(short)).error === 401);
    assert.ok((await ask({ do: 'refresh', allocation, lifetime: 600 })).lifetime > 0);
    assert.deepEqual(await ask({ do: 'permit', allocation, peer: SFU[0] }), {});
  });
});

test('peers: nothing but the SFU, by permission, channel or a bare send', async () => {
  const forbidden = {
    4: ['127.0.0.1', '127.1.2.3', '0.0.0.0', '0.1.2.3', '10.0.0.1', '172.16.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1',
      '192.0.0.1', '198.18.0.1', '198.51.100.1', '198.51.100.2', '224.0.0.1', '240.0.0.1', '255.255.255.255', '8.8.8.8',
      CLIENT[0], TURN[0], NEIGHBOUR[0], '203.0.113.21', '203.0.113.19'],
    6: ['::', '::1', '::127.0.0.1', '::ffff:127.0.0.1', '::ffff:0.0.0.0', '::ffff:10.0.0.1', '::ffff:169.254.169.254', `::ffff:${SFU[0]}`,
      '64:ff9b::7f00:1', '64:ff9b::a9fe:a9fe', '2002:7f00:1::', 'fe80::1', 'fc00::1', 'fd00:ec2::254', 'ff02::1', '2606:4700::1111',
      CLIENT[1], TURN[1], NEIGHBOUR[1], '2001:db8::21', '2001:db8::1f'],
  };
  let asked = 0;
  for (const [family, peers] of Object.entries(forbidden)) {
    await withClient(async ({ ask, allocate }) => {
      const at = family === '4' ? 0 : 1;
      const { allocation, ...rest } = await allocate(credential({ session: `peers-${family}` }), { family: Number(family) });
      assert.notEqual(allocation, undefined, JSON.stringify(rest));
      for (const peer of peers) {
        for (const request of [{ do: 'permit', peer }, { do: 'bind', peer: [peer, PORT.echo] }]) {
          const answer = await ask({ ...request, allocation });
          assert.equal(answer.error, 403, `${request.do} ${peer}: ${JSON.stringify(answer)}`);
          asked += 1;
        }
      }
      assert.deepEqual(await ask({ do: 'permit', allocation, peer: SFU[at] }), {}, 'the SFU is allowed');
      assert.ok((await ask({ do: 'bind', allocation, peer: [SFU[at], PORT.server] })).channel >= 0x4000);

      // The echoes answer, so silence is a refusal.
      const [near, far] = [await world.echo(SFU[at], PORT.echo), await world.echo(NEIGHBOUR[at], PORT.echo)];
      assert.equal((await ask({ do: 'send', allocation, peer: [SFU[at], PORT.echo], text: 'hello' })).text, 'echo hello');
      assert.equal((await ask({ do: 'send', allocation, peer: [NEIGHBOUR[at], PORT.echo], text: 'hello' })).error, 'silence');
      await near.stop();
      await far.stop();
    });
  }
  // The other family is not to be had through an allocation of this one.
  await withClient(async ({ ask, allocate }) => {
    const { allocation } = await allocate(credential({ session: 'crossed' }), { family: 4 });
    for (const peer of ['::ffff:127.0.0.1', '::1', SFU[1]]) {
      assert.equal((await ask({ do: 'permit', allocation, peer })).error, 443, peer);
    }
    assert.equal((await allocate(credential({ session: 'tcp' }), { relay: 'tcp', transport: 'tcp' })).error, 442, 'no TCP relays');
  });
  figure('turn_forbidden_peers_refused', asked, 'attempts');
});

test('quotas: of a session, and of everybody', async () => {
  await idle();
  await withClient(async ({ allocate }) => {
    const one = credential({ session: 'greedy' });
    for (let count = 0; count < QUOTA.session; count += 1) assert.equal((await allocate(one)).error, undefined);
    assert.equal((await allocate(one)).error, 486);
    // A fresh credential of the same session is no way around it.
    assert.equal((await allocate(credential({ session: 'greedy', expiresIn: 4_000 }))).error, 486);
    let opened = QUOTA.session;
    for (let session = 0; opened < QUOTA.total; opened += 1) {
      if (opened % QUOTA.session === 0) session += 1;
      assert.equal((await allocate(credential({ session: `many-${session}` }))).error, undefined, `allocation ${opened + 1}`);
    }
    assert.equal((await allocate(credential({ session: 'late' }))).error, 486, 'the relay is full');
  });
  await idle();
  await withClient(async ({ allocate }) => {
    assert.equal((await allocate(credential({ session: 'after' }))).error, undefined, 'what was given back can be had again');
  });
});

test('transports: UDP, TCP and TLS on 5349 and 443; TLS holds up', async () => {
  await withClient(async ({ ask, allocate }) => {
    const ca = world.file('ca.pem');
    for (const [transport, port] of [['udp', 3478], ['tcp', 3478], ['tls', 5349], ['tls', 443]]) {
      const media = await world.echo(SFU[0], PORT.echo);
      const { allocation, ...rest } = await allocate(credential({ session: 'ways' }), { server: [TURN[0], port], transport, ca });
      assert.notEqual(allocation, undefined, `${transport} on ${port}: ${JSON.stringify(rest)}`);
      await ask({ do: 'permit', allocation, peer: SFU[0] });
      assert.equal((await ask({ do: 'send', allocation, peer: [SFU[0], PORT.echo], text: transport })).text, `echo ${transport}`);
      await media.stop();
    }
    assert.equal((await allocate(credential(), { server: [TURN[0], 443], transport: 'tls', ca, name: 'turn.example.net' })).error, 'tls');
    assert.equal((await allocate(credential(), { server: [TURN[0], 443], transport: 'tls' })).error, 'tls', 'an authority that nobody knows');
  });
  for (const [versions, expected] of [[['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'], null], [[], 'TLSv1.2']]) {
    const [first, args] = world.command('a', 'openssl', 's_client', '-connect', `${TURN[0]}:443`, '-CAfile', world.file('ca.pem'), '-verify_return_error', ...versions);
    const { status, stdout } = spawnSync(first, args, { input: '', encoding: 'utf8', timeout: 3_000 });
    assert.equal(status === 0 ? stdout.match(/Protocol *: (\S+)/)?.[1] : null, expected, versions.join(' '));
  }
});

test('a renewed certificate is taken on without a restart', async () => {
  await withClient(async ({ allocate }) => {
    const way = { server: [TURN[0], 443], transport: 'tls', ca: world.file('ca.pem') };
    const old = readFileSync(world.file('ca.pem'));
    writeFileSync(world.file('old.pem'), old);
    world.renewCertificate();
    await until(10_000, 'the new certificate', async () => (await allocate(credential({ session: 'renewed' }), way)).error === undefined);
    assert.equal((await allocate(credential(), { ...way, ca: world.file('old.pem') })).error, 'tls');
  });
});

test('nothing else listens, and STUN answers little more than it is asked', async () => {
  await idle();
  const sockets = world.sockets();
  const own = [`${TURN[0]}:`, `[${TURN[1]}]:`];
  for (const socket of sockets) assert.ok(own.some((start) => socket.startsWith(start)), `coturn listens on ${socket}`);
  assert.deepEqual([...new Set(sockets.map(portOf))].sort((a, b) => a - b), [443, 3478, 5349]);
  await withClient(async ({ ask }) => {
    const { bytes, mapped } = await ask({ do: 'binding', server: [TURN[0], 3478] });
    assert.equal(mapped[0], CLIENT[0]);
    assert.ok(bytes <= 60, `an answer of ${bytes} bytes to a question of 20`);
  });
});

test('ports: the firewall lets a relay reach the media ports of the SFU, and no other', async () => {
  for (const at of [0, 1]) {
    const [media, shell] = [await world.echo(SFU[at], PORT.echo), await world.echo(SFU[at], PORT.shell)];
    await withClient(async ({ ask, allocate }) => {
      const { allocation } = await allocate(credential({ session: 'ports' }), { family: at === 0 ? 4 : 6 });
      await ask({ do: 'permit', allocation, peer: SFU[at] });
      const send = (port) => ask({ do: 'send', allocation, peer: [SFU[at], port], text: 'x' });
      assert.equal((await send(PORT.echo)).text, 'echo x');
      assert.equal((await send(PORT.shell)).error, 'silence');
    });
    // Without the firewall it would get there: coturn knows no ports.
    world.run('b', 'nft', 'delete', 'table', 'inet', 'patchbay_turn');
    await withClient(async ({ ask, allocate }) => {
      const { allocation } = await allocate(credential({ session: 'open' }), { family: at === 0 ? 4 : 6 });
      await ask({ do: 'permit', allocation, peer: SFU[at] });
      assert.equal((await ask({ do: 'send', allocation, peer: [SFU[at], PORT.shell], text: 'x' })).text, 'echo x');
    });
    world.run('b', 'nft', '-f', world.file('firewall.nft'));
    await media.stop();
    await shell.stop();
  }
});

test('no log shows the secret or a password', () => {
  for (const name of ['coturn-rules', 'server-rules']) {
    const log = readFileSync(join(ARTIFACTS, `${name}.log`), 'utf8');
    assert.ok(log.length > 0);
    assert.ok(!log.includes(world.secret), `${name}.log shows the secret`);
  }
});
