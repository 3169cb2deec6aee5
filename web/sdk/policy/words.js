/** What happens to the connection to the server, in words for a person. */

/** @type {Record<import("./connection.js").ConnectionKind, string>} */
const VIA = {
  websocket: "",
  sse: " over plain HTTP, as this network blocks WebSockets",
  poll: " by long polling, as this network blocks WebSockets and holds streams back",
};

/**
 * @param {object} step
 * @param {"connecting" | "connected" | "reconnecting" | "closed"} step.state
 * @param {import("./connection.js").ConnectionKind} [step.transport]
 * @param {number} [step.retryInMs] until the next try
 * @param {boolean} [step.isMediaFlowing]
 * @returns {string}
 */
export function connectionWords({ state, transport = "websocket", retryInMs = 0, isMediaFlowing = false }) {
  if (state === "connected") return `Connected to the server${VIA[transport]}.`;
  if (state === "connecting") return `Connecting to the server${VIA[transport]}…`;
  if (state === "closed") return "The connection to the server is closed.";
  const seconds = Math.ceil(retryInMs / 1000);
  const wait = seconds > 0 ? ` (${seconds} s)` : "";
  return `Reconnecting to the server${wait}…${isMediaFlowing ? " you can still hear and see everybody" : ""}`;
}
