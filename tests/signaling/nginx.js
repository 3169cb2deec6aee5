/** A real nginx as a reverse proxy before the server, with one of the configurations that people have. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, start } from '../browser/lib/server.js';
import { until } from '../browser/lib/until.js';

/** What stands in `location /`, or before it. */
export const MANNERS = {
  /** As it should be. */
  transparent: { location: 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $upgrade_or_not; proxy_buffering off;' },
  /** Upgrades are refused. */
  refuses: { server: 'if ($http_upgrade) { return 403; }', location: "proxy_http_version 1.1; proxy_set_header Connection '';" },
  /** What nginx does by itself: no upgrade is passed on, and HTTP/1.0 is spoken with the server. */
  forgets: {},
  /** The same, and what the server says of buffering is not heard: a response waits until a buffer is full. */
  holds: { location: 'proxy_ignore_headers X-Accel-Buffering; proxy_buffer_size 64k; proxy_buffers 16 64k;' },
  /** The same with the buffers that nginx has by itself. */
  holdsPages: { location: 'proxy_ignore_headers X-Accel-Buffering;' },
};

/**
 * @param {string} name of its log
 * @param {string} target the server, such as `http://127.0.0.1:8080`
 * @param {{location?: string, server?: string}} manner
 */
export async function startNginx(name, target, { location = '', server = '' }) {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-nginx-'));
  const port = await freePort();
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${directory}/${kind};`).join(' ');
  // Debian's loads modules that are not needed here from elsewhere; this one includes nothing.
  writeFileSync(join(directory, 'nginx.conf'), `
    daemon off;
    ${process.getuid?.() === 0 ? 'user root root;' : ''}
    worker_processes 1;
    pid ${directory}/pid;
    error_log stderr warn;
    events { worker_connections 512; }
    http {
      ${places}
      access_log ${directory}/access.log;
      map $http_upgrade $upgrade_or_not { default upgrade; '' ''; }
      server {
        listen 127.0.0.1:${port};
        ${server}
        location / {
          proxy_pass ${target};
          proxy_set_header Host $http_host;
          proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
          proxy_read_timeout 60s;
          ${location}
        }
      }
    }
  `);
  const nginx = start(`nginx-${name}`, '/usr/sbin/nginx', ['-p', directory, '-c', join(directory, 'nginx.conf'), '-e', 'stderr']);
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    // The first process ends the others.
    await nginx.stop('SIGTERM');
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await until(10_000, `nginx at ${url}; see tests/artifacts/nginx-${name}.log`, async () => {
      if (!nginx.isRunning) throw new Error(`nginx ended; see tests/artifacts/nginx-${name}.log`);
      return (await fetch(`${url}/healthz`).catch(() => null))?.ok;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, port, stop };
}
