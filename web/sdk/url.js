/** Addresses of the API, from whatever address of the server an application has. */

/**
 * @param {string | URL} url `ws:`, `wss:`, `http:` or `https:`; a bare origin means its `/v1/ws`
 * @returns {string}
 */
export function webSocketUrl(url) {
  const parsed = new URL(url);
  parsed.protocol = parsed.protocol.replace(/^http/, "ws");
  if (parsed.pathname === "/") parsed.pathname = "/v1/ws";
  parsed.hash = "";
  return parsed.href;
}

/**
 * A path beside the WebSocket's.
 * @param {string | URL} url
 * @param {string} path such as `sse`
 */
export function httpUrl(url, path) {
  return webSocketUrl(url).replace(/^ws/, "http").replace(/[^/]*$/, path);
}
