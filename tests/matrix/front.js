/**
 * What stands before a server that listens on loopback: the page's address, where TLS ends. Whoever speaks no TLS gets the
 * same server without it, as headless peers have none.
 *
 *   node front.js LISTEN_ADDRESS CHAIN KEY SERVER_PORT
 */
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

const [address, chain, key, port] = process.argv.slice(2);
/** The first byte of a TLS handshake (RFC 8446 §5.1). */
const HANDSHAKE = 22;

/** Joins a connection with one to the server. */
function pass(client) {
  const server = connect(Number(port), '127.0.0.1');
  client.pipe(server).pipe(client);
  client.on('error', () => server.destroy());
  server.on('error', () => client.destroy());
}

const tls = createTlsServer({ cert: readFileSync(chain), key: readFileSync(key) }, pass);
tls.on('tlsClientError', (_, client) => client.destroy());

createServer((client) => {
  client.on('error', () => client.destroy());
  client.once('data', (first) => {
    client.pause();
    client.unshift(first);
    if (first[0] === HANDSHAKE) tls.emit('connection', client);
    else pass(client);
  });
}).listen(443, address, () => console.log('ready'));
