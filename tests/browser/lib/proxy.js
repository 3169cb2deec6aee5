/**
 * A proxy as people have between themselves and a server: it may refuse WebSockets, hold streams back, cut what there is,
 * fall silent, or be away for a while. Media does not go through it.
 */
import { createServer, request } from 'node:http';
import { connect } from 'node:net';

/** @param {string} target the server, such as `http://127.0.0.1:8080` */
export async function startProxy(target) {
  const { hostname, port } = new URL(target);
  /** Everything that is open, at both ends. @type {Set<import('node:net').Socket>} */
  const open = new Set();
  const keep = (socket) => {
    if (open.has(socket)) return socket;
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
    return socket;
  };
  const proxy = {
    url: '',
    refusesUpgrade: false,
    buffers: false,
    isDown: false,
    /** How many requests came, by path. @type {Map<string, number>} */
    requests: new Map(),
    /** Ends every connection at once. */
    cut() {
      for (const socket of [...open]) socket.destroy();
    },
    /** Connections stay open, and nothing passes any more. New ones work. */
    freeze() {
      for (const socket of open) {
        socket.unpipe();
        socket.removeAllListeners('data');
        socket.pause();
      }
    },
    async close() {
      proxy.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  const server = createServer((from, to) => {
    const path = new URL(from.url, target).pathname;
    proxy.requests.set(path, (proxy.requests.get(path) ?? 0) + 1);
    const up = request({ hostname, port, path: from.url, method: from.method, headers: from.headers }, (answer) => {
      to.writeHead(answer.statusCode, answer.headers);
      if (proxy.buffers && path === '/v1/sse') {
        const held = [];
        answer.on('data', (piece) => held.push(piece));
        answer.on('end', () => to.end(Buffer.concat(held)));
        answer.on('error', () => to.destroy());
      } else {
        to.flushHeaders();
        answer.pipe(to);
        answer.on('error', () => to.destroy());
      }
    });
    up.on('socket', keep);
    up.on('error', () => to.destroy());
    to.on('close', () => up.destroy());
    from.pipe(up);
  });
  server.on('connection', (socket) => {
    if (proxy.isDown) socket.destroy();
    else keep(socket);
  });
  server.on('upgrade', (from, socket, head) => {
    proxy.requests.set('upgrade', (proxy.requests.get('upgrade') ?? 0) + 1);
    if (proxy.refusesUpgrade) return void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    const up = keep(connect(Number(port), hostname, () => {
      const headers = [];
      for (let index = 0; index < from.rawHeaders.length; index += 2) headers.push(`${from.rawHeaders[index]}: ${from.rawHeaders[index + 1]}\r\n`);
      up.write(`${from.method} ${from.url} HTTP/1.1\r\n${headers.join('')}\r\n`);
      up.write(head);
      up.pipe(socket).pipe(up);
    }));
    socket.on('close', () => up.destroy());
    up.on('close', () => socket.destroy());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  proxy.url = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
  return proxy;
}
