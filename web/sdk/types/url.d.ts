/** Addresses of the API, from whatever address of the server an application has. */
/**
 * @param {string | URL} url `ws:`, `wss:`, `http:` or `https:`; a bare origin means its `/v1/ws`
 * @returns {string}
 */
export function webSocketUrl(url: string | URL): string;
/**
 * A path beside the WebSocket's.
 * @param {string | URL} url
 * @param {string} path such as `sse`
 */
export function httpUrl(url: string | URL, path: string): string;
