/**
 * A proxy that rewrites the certificate's fingerprint in every offer, as a device that means well might.
 *   node altering-proxy.js ws://SERVER:PORT PORT
 */
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const { WebSocket, WebSocketServer } = createRequire(new URL('../browser/package.json', import.meta.url))('ws');
const [target, port] = process.argv.slice(2);

const server = createServer((_, response) => response.writeHead(404).end());
const doors = new WebSocketServer({ server, handleProtocols: (protocols) => [...protocols][0] });
doors.on('connection', (client, request) => {
  const upstream = new WebSocket(target + request.url, request.headers['sec-websocket-protocol']?.split(/, */)[0] ?? []);
  const waiting = [];
  client.on('message', (data) => {
    const text = String(data).replace(/(a=fingerprint:sha-256 )([0-9A-Fa-f]{2})/g, (_, name, byte) => name + (byte === '00' ? '11' : '00'));
    if (upstream.readyState === WebSocket.OPEN) upstream.send(text);
    else waiting.push(text);
  });
  upstream.on('open', () => waiting.splice(0).forEach((text) => upstream.send(text)));
  upstream.on('message', (data) => client.send(String(data)));
  upstream.on('close', () => client.close());
  client.on('close', () => upstream.close());
  upstream.on('error', () => client.terminate());
});
server.listen(Number(port), '127.0.0.1');
