/**
 * A client of the SDK's signaling, without media: `half-open-client.js KIND URL ROOM`. Every step of its connection is a
 * line of JSON on its output.
 */
import { platformOf } from '../../web/sdk/platform.js';
import { Signaling } from '../../web/sdk/signaling.js';

const [, , kind, url, room] = process.argv;
const tell = (step) => console.log(JSON.stringify({ at: Date.now(), ...step }));

/** No way to a WebSocket, so that a session stays on what it has. */
class Blocked extends EventTarget {
  constructor() {
    super();
    queueMicrotask(() => this.dispatchEvent(new Event('error')));
    queueMicrotask(() => this.dispatchEvent(new Event('close')));
  }
  close() {}
}

const WebSocket = kind === 'websocket' ? globalThis.WebSocket : /** @type {any} */ (Blocked);
const platform = platformOf({ RTCPeerConnection: /** @type {any} */ (class {}), WebSocket });
const signaling = new Signaling(url, { memory: { connection: /** @type {any} */ (kind) }, platform });
signaling.addEventListener('step', (event) => {
  const { step: { state, transport, error } } = /** @type {any} */ (event);
  tell({ state, transport, error: error?.code });
});
signaling.addEventListener('close', (event) => tell({ state: 'over', error: /** @type {any} */ (event).error.code }));
await signaling.request({ type: 'join', room });
tell({ state: 'joined', transport: signaling.kind });
