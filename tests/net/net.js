/**
 * Bad networks for tests: two namespaces and one link, from Node. The work is done by `net` (namespaces, loss, rate)
 * and `shim.py` (delay, jitter, reordering, duplication, rate), which can be used by hand and from any language.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const NET = join(HERE, 'net');

/** The addresses of the two sides. */
export const ADDRESS = { a: '198.51.100.1', b: '198.51.100.2' };

const open = new Set();
process.on('exit', () => {
  for (const network of open) network.takeDown();
});

/**
 * @typedef {object} Link what happens to packets; one-way, in both directions unless given under `a` or `b`
 * @property {number} [delay] milliseconds
 * @property {number} [jitter] milliseconds, up and down
 * @property {number} [loss] per cent
 * @property {number} [duplicate] per cent
 * @property {number} [reorder] per cent that overtake what is on the way
 * @property {number} [rate] kbit/s; 0 is unlimited
 * @property {number} [queue] milliseconds of queue at that rate
 */

/**
 * Makes a network whose link is the shim.
 * @param {string} name up to 6 small letters and digits
 * @param {Link & {seed?: number}} [link]
 */
export async function shimmed(name, link = {}) {
  execFileSync(NET, ['down', name]);
  const options = Object.entries(link).flatMap(([key, value]) => [`--${key}`, String(value)]);
  const root = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
  const [command, ...args] = [...root, 'python3', join(HERE, 'shim.py'), name, ...options];
  const shim = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: shim.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the shim ended; is /dev/net/tun there?');
    return JSON.parse(value);
  };
  await answer();
  execFileSync(NET, ['tunnel', name]);
  return network(name, {
    /** Changes the link; resolves with the counters of both directions. @param {Link & {a?: Link, b?: Link}} change */
    async set(change) {
      shim.stdin.write(`${JSON.stringify(change)}\n`);
      return answer();
    },
    end: () => shim.stdin.end(),
  });
}

/**
 * Makes a network whose link is a veth pair, as fast as the machine.
 * @param {string} name up to 6 small letters and digits
 */
export function direct(name) {
  execFileSync(NET, ['down', name]);
  execFileSync(NET, ['up', name]);
  return network(name, {
    /** Loses UDP that arrives at a side. */
    loss: (side, percent) => { execFileSync(NET, ['loss', name, side, String(percent)]); },
    /** Limits what a side sends. */
    rate: (side, kbit) => { execFileSync(NET, ['rate', name, side, String(kbit)]); },
    end: () => {},
  });
}

function network(name, link) {
  const made = {
    ...link,
    /** Drops what arrives at a side: `udp`, or a rule of nftables. */
    block: (side, what) => { execFileSync(NET, ['block', name, side, what]); },
    /** Gives a side another address. */
    address: (side, address) => { execFileSync(NET, ['address', name, side, address]); },
    /** A command line that runs a command at a side. */
    at: (side, ...command) => [NET, 'exec', name, side, ...command],
    /** A program that runs another at a side, for those that take only the path of an executable. */
    wrapper(side, program) {
      const path = join(mkdtempSync(join(tmpdir(), 'patchbay-net-')), 'run');
      writeFileSync(path, `#!/bin/sh\nexec '${NET}' exec ${name} ${side} '${program}' "$@"\n`);
      chmodSync(path, 0o755);
      return path;
    },
    takeDown() {
      if (!open.delete(made)) return;
      link.end();
      execFileSync(NET, ['down', name]);
    },
  };
  open.add(made);
  return made;
}
