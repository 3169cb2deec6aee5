/** Signaling and an SFU node as processes of their own, of which the first is killed and comes back. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, program, start } from '../browser/lib/server.js';
import { until } from '../browser/lib/until.js';

const SECRET = 'the-secret-between-two-processes';

/**
 * Starts both and waits until participants are taken.
 * @param {string} name of the logs
 */
export async function startProcesses(name) {
  const listen = `127.0.0.1:${await freePort()}`;
  const url = `http://${listen}`;
  const state = mkdtempSync(join(tmpdir(), 'patchbay-state-'));
  let life = 0;
  const signaling = () => start(`signaling-${name}-${(life += 1)}`, program('patchbay'),
    ['signaling', '--listen', listen, '--node-secret', SECRET, '--state-dir', state], { env: { RUST_LOG: 'info' } });
  const answers = (path) => until(20_000, `${url}${path}`, async () => (await fetch(`${url}${path}`).catch(() => null))?.ok);
  let first = signaling();
  await answers('/healthz');
  const node = start(`sfu-${name}`, program('patchbay'),
    ['sfu', '--signaling', `ws://${listen}/v1/nodes`, '--node-secret', SECRET, '--media-port', '0'], { env: { RUST_LOG: 'info' } });
  await answers('/readyz');
  return {
    url,
    /** Ends signaling as nothing can be caught. */
    kill: () => first.stop('SIGKILL'),
    /** Starts it again, without waiting for anything. */
    restart() {
      first = signaling();
    },
    async stop() {
      await Promise.all([first.stop(), node.stop()]);
      rmSync(state, { recursive: true, force: true });
    },
  };
}
